//! One agent of a node comes while another goes, as in a rolling update: both share a state folder.

use std::collections::BTreeMap;

use anyhow::Result;
use namewarden_tests::{
    agent::AgentBuilder,
    node::Node,
    server::{Server, Zone},
    wait,
};
use serde_json::Value;

use crate::scene::DNS;

fn text<'a>(document: &'a Value, place: &str) -> Option<&'a str> {
    document.pointer(place)?.as_str()
}

/// An agent with the feed `bad` that shares its state folder.
fn agent(node: &Node, name: &str) -> AgentBuilder {
    AgentBuilder::new(name).feed("bad", "evil.example\n").state(&node.folder().join("state")).arguments(&[
        "--state-turns",
        "on",
        "--dns-logs",
        "stdout",
    ])
}

/// How often each name was logged.
fn logged(documents: &[Value]) -> BTreeMap<&str, usize> {
    let logs = documents.iter().filter(|document| text(document, "/event/action") == Some("dns-log"));
    let mut logged = BTreeMap::new();
    for name in logs.filter_map(|log| text(log, "/dns/question/name")) {
        *logged.entry(name).or_default() += 1;
    }
    logged
}

fn ids<'a>(documents: &'a [Value], action: &str) -> Vec<&'a str> {
    let meant = documents.iter().filter(|document| text(document, "/event/action") == Some(action));
    meant.filter_map(|document| text(document, "/event/id")).collect()
}

#[test]
fn what_both_see_is_one_alert_and_one_log_and_nothing_is_said_of_a_gap() -> Result<()> {
    let node = Node::start()?;
    let server = Server::start(node.dns(), Zone::new())?;
    let first = agent(&node, "first").start(&node)?;
    let (pod, second) = (node.pod().start()?, agent(&node, "second").start(&node)?);
    let mut client = pod.client()?;
    client.tell_all(&["udp4", &format!("ask both.example A {DNS}"), &format!("ask evil.example A {DNS}")])?;
    let first = first.stop()?.documents;
    wait::until("the second agent's turn", || {
        Ok(second.log().contains("logs DNS from now on").then_some(()))
    })?;
    client.tell_all(&[&format!("ask after.example A {DNS}")])?;
    let second = second.stop()?.documents;
    assert_eq!(logged(&first), BTreeMap::from([("both.example", 1), ("evil.example", 1)]));
    assert_eq!(logged(&second), BTreeMap::from([("after.example", 1)]));
    let (before, after) = (ids(&first, "listed-name"), ids(&second, "listed-name"));
    assert_eq!((before.len(), &before), (1, &after));
    assert_eq!(ids(&second, "capture-gap"), Vec::<&str>::new());
    drop(server);
    Ok(())
}
