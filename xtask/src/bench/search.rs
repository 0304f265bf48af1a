//! From a question in a pod to the alert in a real OpenSearch: acknowledged, and found by a search.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use namewarden_tests::agent::{Agent, AgentBuilder};
use namewarden_tests::node::Node;
use namewarden_tests::nsd::{Nsd, ZoneText};
use namewarden_tests::pod::Pod;
use namewarden_tests::search_engine::{self, Kind, SearchEngine};
use serde_json::Value;

use super::figure::Figures;
use crate::agent_binary::Profile;
use crate::controller_binary;
use crate::layout::Layout;
use crate::setup::{self, Part};

/// Questions of each pod: below the number of listed names that may alert.
const QUESTIONS: usize = 95;
/// How long one alert may take before the measurement is given up.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at the agent.
const LOOK: Duration = Duration::from_millis(2);
const STREAM: &str = "logs-namewarden.alert-default";

/// Measures question by question, each alone: two pods, the second one's until a search finds them.
pub fn measure(layout: &Layout, binary: &Path, figures: &mut Figures) -> Result<()> {
    setup::ensure(layout, &[Part::Search])?;
    search_engine::provide(setup::search_variables(layout)?);
    let node = Node::start()?;
    let _dns = Nsd::start(&node, &[ZoneText { name: "example", records: "*  A  192.0.2.1" }])?;
    let engine = SearchEngine::start(Kind::OpenSearch)?;
    set_up(layout, &engine)?;
    let agent = AgentBuilder::new("agent").program(binary).feed("bench", &feed()).alerts(&engine.url());
    let agent = agent.start(&node)?;
    // The stream and its first index are made by the first alert.
    let mut told = 0;
    ask(&node.pod().start()?, "first")?;
    acknowledged(&agent, &mut told)?;
    let (mut taken, mut found) = (Vec::new(), Vec::new());
    for is_searched in [false, true] {
        let pod = node.pod().start()?;
        for number in 0..QUESTIONS {
            let began = Instant::now();
            ask(&pod, &format!("n{number}"))?;
            acknowledged(&agent, &mut told)?;
            taken.push(began.elapsed());
            if is_searched {
                searchable(&engine, told)?;
                found.push(began.elapsed());
            }
        }
    }
    agent.stop()?;
    figures.add("alert_acknowledged", percentile(&mut taken, 99))?;
    figures.add("alert_acknowledged_median", percentile(&mut taken, 50))?;
    figures.add("alert_searchable", percentile(&mut found, 99))
}

fn set_up(layout: &Layout, engine: &SearchEngine) -> Result<()> {
    let controller = controller_binary::named_or_ready(layout, Profile::Release)?;
    let output =
        Command::new(controller).args(["setup-search", "--elasticsearch", &engine.url()]).output()?;
    // 1: this server comes without lifecycle management.
    let is_done = matches!(output.status.code(), Some(0 | 1));
    ensure!(is_done, "setup-search: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

fn feed() -> String {
    let mut names = "first.example\n".to_owned();
    for number in 0..QUESTIONS {
        // Writing to a string cannot fail.
        _ = writeln!(names, "n{number}.example");
    }
    names
}

fn ask(pod: &Pod, name: &str) -> Result<()> {
    pod.run("dig", &["@10.99.0.53", "+short", &format!("{name}.example")]).map(drop)
}

/// Waits until one more alert is acknowledged.
fn acknowledged(agent: &Agent, told: &mut u64) -> Result<()> {
    *told += 1;
    let deadline = Instant::now() + PATIENCE;
    while count(&agent.status()?) < *told {
        ensure!(Instant::now() < deadline, "an alert is not acknowledged:\n{}", agent.log());
        std::thread::sleep(LOOK);
    }
    Ok(())
}

fn count(status: &Value) -> u64 {
    let lanes = status.pointer("/search").and_then(Value::as_array).into_iter().flatten();
    let alerts = lanes.filter(|lane| lane.pointer("/documents").is_some_and(|name| name == "alerts"));
    alerts.filter_map(|lane| lane.pointer("/acknowledged")?.as_u64()).sum()
}

/// Waits until a search finds so many alerts.
fn searchable(engine: &SearchEngine, number: u64) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = engine.ask("GET", &format!("/{STREAM}/_count"), "")?;
        if answer.pointer("/count").and_then(Value::as_u64).context("no count")? >= number {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "an alert is not found: {answer}");
    }
}

/// Milliseconds that so many of a hundred stay below.
fn percentile(times: &mut [Duration], percent: usize) -> f64 {
    times.sort_unstable();
    let at = (times.len() * percent).div_ceil(100).saturating_sub(1);
    times.get(at).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_value_that_was_measured() {
        let mut times: Vec<_> = (1..=200).rev().map(Duration::from_millis).collect();
        assert!((percentile(&mut times, 99) - 198.0).abs() < 1e-9);
        assert!((percentile(&mut times, 50) - 100.0).abs() < 1e-9);
        assert!((percentile(&mut [Duration::from_millis(7)], 99) - 7.0).abs() < 1e-9);
    }
}
