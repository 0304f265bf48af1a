//! Floods: whatever one pod does, no other pod loses an alert by it, and the flood is reported.

use std::fmt::Write as _;

use anyhow::Result;
use namewarden_tests::{
    agent::{AgentBuilder, Ended},
    expect::{Alert, alerts, expect_alerts, is_alert, text},
    pod::Pod,
    server::Zone,
    wait,
};

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

/// One pod does `flood` while another asks for listed names; every alert of the other comes, whatever the flood's are.
fn while_flooding(scene: Scene, prepare: &[&str], flood: &str, over_budget: bool) -> Result<(Ended, Pod)> {
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
    if over_budget {
        let status = scene.agent.status()?;
        let flooding =
            status.pointer("/flooding/0/workload").and_then(serde_json::Value::as_str).unwrap_or_default();
        let short = flooder.container.get(..12).unwrap_or_default();
        assert!(
            flooding.contains(short),
            "{short} is reported: {:#?} {:#?}",
            status.get("flooding"),
            status.get("loss")
        );
    }
    let ended = scene.agent.stop()?;
    let others =
        |document: &&serde_json::Value| text(document, "/kubernetes/pod/uid").as_ref() == Some(&pod.uid);
    let mine: Vec<_> = ended.documents.iter().filter(others).cloned().collect();
    expect_alerts(&mine, &expected)?;
    Ok((ended, flooder))
}

#[test]
fn bulk_data_on_tcp_port_53_costs_no_other_pod_an_alert() -> Result<()> {
    let scene = Scene::with(Zone::new(), &AgentBuilder::new("agent").feed("bad", &feed("")))?;
    while_flooding(scene, &[&format!("tcp {DNS}")], "bulk 256", false).map(drop)
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
    while_flooding(scene, &["udp4"], &format!("pointers 4000 {NOBODY}"), true).map(drop)
}

#[test]
fn a_flood_of_queries_costs_no_other_pod_an_alert() -> Result<()> {
    let scene = Scene::with(Zone::new(), &AgentBuilder::new("agent").feed("bad", &feed("")))?;
    while_flooding(scene, &["udp4"], &format!("flood 100000 {NOBODY} benign.example"), false).map(drop)
}

/// The flooder gets its alerts up to a limit, then one document that says so with what was left out.
#[test]
fn a_hundred_thousand_listed_names_cost_no_other_pod_an_alert_and_are_reported() -> Result<()> {
    let mut listed = String::new();
    for index in 0..100_000 {
        let _ = writeln!(listed, "{index}.flood.example");
    }
    let scene = Scene::with(Zone::new(), &AgentBuilder::new("agent").feed("bad", &feed(&listed)))?;
    let (ended, flooder) =
        while_flooding(scene, &["udp4"], &format!("flood 100000 {NOBODY} flood.example"), false)?;
    let from_flooder =
        |document: &&serde_json::Value| text(document, "/kubernetes/pod/uid").as_ref() == Some(&flooder.uid);
    let documents: Vec<_> = ended.documents.iter().filter(from_flooder).cloned().collect();
    let named = alerts(&documents)?.len();
    let limits: Vec<_> = documents.iter().filter(|document| !is_alert(document)).collect();
    assert_eq!(named, 100, "alerts of the pod that floods");
    assert!(!limits.is_empty(), "the limit is reported");
    assert!(
        limits.iter().all(|document| text(document, "/event/action").as_deref() == Some("limit-reached"))
    );
    Ok(())
}
