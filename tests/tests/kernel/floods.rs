//! Floods: whatever one pod does, no other pod loses an alert by it, and the flood is reported.

use std::{fmt::Write as _, process::Command};

use anyhow::{Context as _, Result, ensure};
use namewarden_tests::{
    agent::{self, Agent, AgentBuilder, Ended},
    expect::{Alert, alerts, expect_alerts, text},
    pod::Pod,
    program,
    server::Zone,
    wait,
};
use serde_json::Value;

use crate::scene::{DNS, Scene};

/// Listed names that the quiet pod asks for while another floods: below the limit of a workload.
const QUIET: usize = 90;

/// Where no answer comes from, so that a flood of queries is the agent's to bear and not the DNS server's.
const NOBODY: &str = "10.99.0.77:53";

/// A feed with the names of the quiet pod, and `more`.
fn feed(more: &str) -> String {
    let mut text = more.to_owned();
    for index in 0..QUIET {
        let _ = writeln!(text, "quiet-{index}.example");
    }
    text
}

/// How a flood is told of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    /// It may stay within the budget.
    Perhaps,
    /// The pod used up its budget of packets.
    Budget,
    /// The pod's stream is left out as soon as it is known not to be DNS; before that it may use up the budget.
    Muted,
    /// The pod reached its limit of alerts.
    Limit,
}

/// One pod does `flood` while another asks for listed names; every alert of the other comes, whatever the flood's are,
/// and the flood is told of.
fn while_flooding(scene: Scene, prepare: &[&str], flood: &str, told: Told) -> Result<()> {
    let (flooder, mut noisy) = scene.pod()?;
    let (pod, mut client) = scene.pod()?;
    noisy.tell_all(prepare)?;
    client.tell("udp4")?;
    noisy.begin(flood)?;
    let mut expected = Vec::new();
    for index in 0..QUIET {
        let name = format!("quiet-{index}.example");
        client.tell(&format!("ask {name} A {DNS}"))?;
        expected.push(Alert::on(&name).by(&pod, &client));
    }
    noisy.reply(flood)?;
    if told == Told::Muted {
        wait::until("the stream muted", || {
            noisy.tell("bulk 1")?;
            Ok((scene.agent.counter("kernel_muted")? > 0).then_some(()))
        })?;
    }
    let over = scene.agent.counter("kernel_flood_socket")? + scene.agent.counter("kernel_flood_cgroup")?;
    let used_up = told == Told::Budget || told == Told::Muted && over > 0;
    if used_up {
        budget_is_told(&scene.agent, &flooder)?;
    }
    let ended = scene.agent.stop()?;
    expect_alerts(&of(&ended, &pod), &expected)?;
    if used_up {
        flood_is_written(&ended, &flooder)?;
    }
    if told == Told::Limit {
        limit_is_told(&ended, &flooder)?;
    }
    Ok(())
}

/// The documents of one pod.
fn of(ended: &Ended, pod: &Pod) -> Vec<Value> {
    let uid = |document: &&Value| text(document, "/kubernetes/pod/uid").as_ref() == Some(&pod.uid);
    ended.documents.iter().filter(uid).cloned().collect()
}

/// The pod is named in `status`, in words and as data, with as many packets as the metrics say.
fn budget_is_told(agent: &Agent, flooder: &Pod) -> Result<()> {
    let short = flooder.container.get(..12).context("no id")?;
    let socket = agent.socket().to_string_lossy();
    let words =
        program::finish(Command::new(agent::program()?).args(["status", "--status-socket", &socket]))?;
    let line = words.lines().find(|line| line.contains(short) && line.contains("floods"));
    ensure!(line.is_some(), "{short} is not named:\n{words}");
    let status = agent.status()?;
    let floods = status.pointer("/flooding").and_then(Value::as_array).cloned().unwrap_or_default();
    let of_pod = |flood: &&Value| text(flood, "/workload").is_some_and(|workload| workload.contains(short));
    let packets: u64 = floods.iter().filter(of_pod).filter_map(|flood| flood.get("packets")?.as_u64()).sum();
    let counted = agent.counter("kernel_flood_socket")? + agent.counter("kernel_flood_cgroup")?;
    ensure!(packets > 0 && packets <= counted, "{packets} of {counted}: {status:#}");
    ensure!(status.pointer("/loss/over_budget").and_then(Value::as_u64) == Some(counted), "{status:#}");
    Ok(())
}

/// The pod, and nobody else, has documents that say so, with as many packets as the agent's last words.
fn flood_is_written(ended: &Ended, flooder: &Pod) -> Result<()> {
    let is_flood = |document: &&Value| text(document, "/event/action").as_deref() == Some("flood");
    let floods: Vec<&Value> = ended.documents.iter().filter(is_flood).collect();
    let of_pod = |document: &&&Value| text(document, "/container/id").as_ref() == Some(&flooder.container);
    ensure!(!floods.is_empty() && floods.iter().all(|flood| of_pod(&flood)), "{floods:#?}");
    let packets: u64 =
        floods.iter().filter_map(|flood| flood.pointer("/namewarden/uncaptured/packets")?.as_u64()).sum();
    let over = format!("+ {packets} over budget");
    ensure!(packets > 0 && ended.log.contains(&over), "{over} in:\n{}", ended.log);
    Ok(())
}

/// The pod gets its alerts up to its limit, then documents that say so, with all that was left out.
fn limit_is_told(ended: &Ended, flooder: &Pod) -> Result<()> {
    let documents = of(ended, flooder);
    assert_eq!(alerts(&documents)?.len(), 100, "alerts of the pod that floods");
    let limits: Vec<&Value> = documents
        .iter()
        .filter(|document| text(document, "/event/action").as_deref() == Some("limit-reached"))
        .collect();
    ensure!(!limits.is_empty(), "the limit is not told");
    let suppressed: u64 =
        limits.iter().filter_map(|document| document.pointer("/namewarden/suppressed")?.as_u64()).sum();
    // The agent's last words say the same.
    let beyond = format!("+ {suppressed} beyond a workload's limit");
    ensure!(suppressed > 0 && ended.log.contains(&beyond), "{beyond} in:\n{}", ended.log);
    Ok(())
}

#[test]
fn bulk_data_on_tcp_port_53_costs_no_other_pod_an_alert() -> Result<()> {
    let scene = Scene::with(Zone::new(), &AgentBuilder::new("agent").feed("bad", &feed("")))?;
    while_flooding(scene, &[&format!("tcp {DNS}")], "bulk 64", Told::Muted)
}

#[test]
fn a_stream_that_is_not_dns_is_no_longer_copied_and_is_reported() -> Result<()> {
    let scene = Scene::new()?;
    let (_pod, mut client) = scene.pod()?;
    client.tell_all(&[&format!("tcp {DNS}"), "bulk 64"])?;
    wait::until("the stream muted", || {
        client.tell("bulk 1")?;
        Ok((scene.agent.counter("kernel_muted")? > 0).then_some(()))
    })?;
    scene.expect(&[]).map(drop)
}

#[test]
fn messages_made_of_pointers_cost_no_other_pod_an_alert() -> Result<()> {
    let scene = Scene::with(Zone::new(), &AgentBuilder::new("agent").feed("bad", &feed("")))?;
    while_flooding(scene, &["udp4"], &format!("pointers 4000 {NOBODY}"), Told::Budget)
}

#[test]
fn a_flood_of_queries_costs_no_other_pod_an_alert() -> Result<()> {
    let scene = Scene::with(Zone::new(), &AgentBuilder::new("agent").feed("bad", &feed("")))?;
    while_flooding(scene, &["udp4"], &format!("flood 100000 {NOBODY} benign.example"), Told::Perhaps)
}

/// The flooder gets its alerts up to a limit, then one document that says so with what was left out.
#[test]
fn a_hundred_thousand_listed_names_cost_no_other_pod_an_alert_and_are_reported() -> Result<()> {
    let mut listed = String::new();
    for index in 0..100_000 {
        let _ = writeln!(listed, "{index}.flood.example");
    }
    let scene = Scene::with(Zone::new(), &AgentBuilder::new("agent").feed("bad", &feed(&listed)))?;
    while_flooding(scene, &["udp4"], &format!("flood 100000 {NOBODY} flood.example"), Told::Limit)
}
