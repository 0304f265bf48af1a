//! What cannot start says so in one sentence, before anything is attached; what is bad in a feed stops nothing.

use std::fs;

use anyhow::Result;
use namewarden_tests::{agent::AgentBuilder, expect::Alert, node::Node, server::Zone, wait};
use rustix::process::Signal;

use crate::{
    lifecycle::attached,
    scene::{DNS, Scene},
};

/// The agent ends by itself with one line that holds `words`.
fn refuses(agent: &AgentBuilder, words: &str) -> Result<()> {
    let node = Node::start()?;
    let output = agent.run_to_end(&node)?;
    let said = String::from_utf8(output.stderr)?;
    assert!(!output.status.success(), "{said}");
    let complaints: Vec<&str> = said.lines().filter(|line| line.starts_with("namewarden-agent: ")).collect();
    assert_eq!(complaints.len(), 1, "{said}");
    assert!(complaints.iter().all(|line| line.contains(words)), "{said}");
    assert_eq!(attached(&node)?, Vec::<u64>::new());
    Ok(())
}

fn agent() -> AgentBuilder {
    AgentBuilder::new("agent").feed("bad", "evil.example\n")
}

#[test]
fn a_ring_that_is_no_power_of_two_is_refused() -> Result<()> {
    refuses(&agent().arguments(&["--ring-kib", "100"]), "power of two")
}

#[test]
fn port_0_is_refused() -> Result<()> {
    refuses(&agent().arguments(&["--dns-port", "0"]), "port")
}

#[test]
fn an_alert_file_that_cannot_be_written_is_refused() -> Result<()> {
    refuses(&agent().alerts("file:/no/such/folder/alerts.json"), "/no/such/folder/alerts.json")
}

#[test]
fn an_agent_without_capabilities_is_refused() -> Result<()> {
    refuses(&agent().capabilities(""), "CAP_BPF")
}

#[test]
fn a_bad_line_does_not_spoil_a_feed() -> Result<()> {
    let feed = "good-entry.example\nnot a name at all\n192.0.2.1\nevil.example\n";
    let scene = Scene::with(Zone::new(), &AgentBuilder::new("agent").feed("bad", feed))?;
    let (pod, mut client) = scene.pod()?;
    client.tell_all(&["udp4", &format!("ask evil.example A {DNS}")])?;
    let feeds = scene.agent.status()?;
    assert_eq!(feeds.pointer("/feeds/0/rejected"), Some(&2.into()));
    let alert = Alert::on("evil.example").by(&pod, &client);
    scene.expect(&[alert]).map(drop)
}

#[test]
fn a_feed_that_is_a_web_page_does_not_stop_the_agent_and_is_shown() -> Result<()> {
    let page = "<!DOCTYPE html>\n<html><body>evil.example</body></html>\n";
    let scene = Scene::with(Zone::new(), &agent().feed("page", page))?;
    let (pod, mut client) = scene.pod()?;
    client.tell_all(&["udp4", &format!("ask evil.example A {DNS}")])?;
    let status = scene.agent.status()?;
    let problem = status.pointer("/feeds/1/problem").and_then(serde_json::Value::as_str);
    assert!(problem.is_some(), "{status:#}");
    let alert = Alert::on("evil.example").by(&pod, &client);
    scene.expect(&[alert]).map(drop)
}

#[test]
fn hangup_reads_the_feeds_anew() -> Result<()> {
    let scene = Scene::new()?;
    let (pod, mut client) = scene.pod()?;
    client.tell("udp4")?;
    let before = scene.agent.set_number()?;
    fs::write(scene.node.folder().join("agent/bad"), "worse.example\n")?;
    scene.agent.signal(Signal::HUP)?;
    wait::until("the new set in use", || Ok((scene.agent.set_number()? != before).then_some(())))?;
    client.tell_all(&[&format!("ask evil.example A {DNS}"), &format!("ask worse.example A {DNS}")])?;
    let alert = Alert::on("worse.example").by(&pod, &client);
    scene.expect(&[alert]).map(drop)
}
