//! The agent as a program, from a question in a pod to the data stream; needs root.

use anyhow::{Context as _, Result, ensure};
use namewarden_tests::agent::{Agent, AgentBuilder};
use namewarden_tests::node::Node;
use namewarden_tests::pod::Pod;
use namewarden_tests::search_engine::{Kind, SearchEngine};
use namewarden_tests::server::{Server, Zone};
use namewarden_tests::wait;
use rustix::process::Signal;
use serde_json::Value;

use crate::relay::{Mode, Relay};

const ALERTS: &str = "logs-namewarden.alert-default";
const LOGS: &str = "logs-namewarden.dns-default";
const DNS: &str = "10.99.0.53:53";

pub fn ask(pod: &Pod, name: &str) -> Result<()> {
    pod.client()?.tell_all(&["udp4", &format!("ask {name} A {DNS}")])
}

/// Waits until the agent says so of its alerts, or its DNS logs.
pub fn until(
    agent: &Agent,
    documents: &str,
    what: &str,
    condition: impl Fn(&Value) -> bool,
) -> Result<Value> {
    let mut last = Value::Null;
    let found = wait::until(what, || {
        last = agent.status()?;
        let search = last.pointer("/search").and_then(Value::as_array).context("no search engine")?;
        let lane = search.iter().find(|lane| lane.pointer("/documents") == Some(&documents.into()));
        Ok(lane.filter(|lane| condition(lane)).cloned())
    });
    found.with_context(|| format!("{last:#}\n{}", agent.log()))
}

pub fn count(lane: &Value, name: &str) -> u64 {
    lane.get(name).and_then(Value::as_u64).unwrap_or_default()
}

#[test]
fn alerts_reach_the_stream_once_over_a_server_that_is_away_and_an_agent_that_is_killed() -> Result<()> {
    let engine = SearchEngine::shared(Kind::OpenSearch)?;
    let (relay, node) = (Relay::to(engine.address())?, Node::start()?);
    let _server = Server::start(node.dns(), Zone::new())?;
    let arguments = ["--dns-logs", &relay.url()];
    let agent = AgentBuilder::new("agent").feed("bad", "evil.example\nworse.example\n").arguments(&arguments);
    let agent = agent.alerts(&relay.url());
    let pod = node.pod().start()?;

    let first = agent.start(&node)?;
    ask(&pod, "evil.example")?;
    until(&first, "alerts", "an alert is taken", |lane| count(lane, "acknowledged") == 1)?;
    until(&first, "dns-logs", "a DNS log is taken", |lane| count(lane, "acknowledged") == 1)?;
    ensure!(first.counter("alert_spool_acknowledged")? == 1);
    relay.turn(Mode::Away);
    ask(&pod, "worse.example")?;
    let waits =
        |lane: &Value| count(lane, "waiting") == 1 && lane.get("problem").is_some_and(Value::is_string);
    until(&first, "alerts", "an alert waits", waits)?;
    first.signal(Signal::KILL)?;
    drop(first);

    relay.turn(Mode::Whole);
    let second = agent.start(&node)?;
    until(&second, "alerts", "the alert is taken", |lane| count(lane, "waiting") == 0)?;
    // The same fact once more: its alert has the name of the first one.
    ask(&pod, "evil.example")?;
    wait::until("it is there already", || Ok((second.counter("alert_spool_conflicts")? == 1).then_some(())))?;
    let ended = second.stop()?;
    ensure!(ended.log.contains("  alerts "), "{}", ended.log);

    let found = engine.documents(ALERTS)?;
    let names: Vec<_> =
        found.iter().filter_map(|hit| hit.pointer("/_source/threat/indicator/name")).collect();
    let of = |name: &str| names.iter().filter(|found| **found == name).count();
    ensure!((of("evil.example"), of("worse.example")) == (1, 1), "{found:#?}");
    ensure!(engine.documents(LOGS)?.len() == 3);
    Ok(())
}
