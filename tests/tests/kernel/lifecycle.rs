//! Agents that come, go and share the machine with others.

use anyhow::Result;
use namewarden_tests::{
    agent::AgentBuilder,
    expect::{Alert, expect_alerts},
    node::Node,
    program,
    server::{Server, Zone},
};
use serde_json::Value;

use crate::scene::{DNS, Scene};

/// Ids of the programs attached to a node's cgroups.
fn attached(node: &Node) -> Result<Vec<u64>> {
    let text = program::run("bpftool", &["--json", "cgroup", "tree", &node.cgroup().to_string_lossy()])?;
    let groups: Vec<Value> = serde_json::from_str(&text)?;
    let programs = groups.iter().filter_map(|group| group.get("programs")?.as_array()).flatten();
    Ok(programs.filter_map(|program| program.get("id")?.as_u64()).collect())
}

/// Paths below the BPF file system: pinned programs, maps and links.
fn pinned() -> Result<String> {
    program::run("find", &["/sys/fs/bpf", "-mindepth", "1"])
}

#[test]
fn nothing_stays_attached_or_pinned_or_loaded() -> Result<()> {
    let before = pinned()?;
    let scene = Scene::new()?;
    let programs = attached(&scene.node)?;
    assert!(!programs.is_empty(), "an agent at work has programs attached");
    let Scene { agent, node, server } = scene;
    agent.stop()?;
    assert_eq!(attached(&node)?, Vec::<u64>::new());
    assert_eq!(pinned()?, before);
    for id in programs {
        // A program goes when the last reference to it does; the kernel frees it a moment later.
        namewarden_tests::wait::until("program unloaded", || {
            Ok(program::run("bpftool", &["prog", "show", "id", &id.to_string()]).is_err().then_some(()))
        })?;
    }
    drop(server);
    Ok(())
}

#[test]
fn nothing_stays_attached_when_the_agent_is_killed() -> Result<()> {
    let Scene { agent, node, server } = Scene::new()?;
    agent.signal(rustix::process::Signal::KILL)?;
    drop(agent);
    assert_eq!(attached(&node)?, Vec::<u64>::new());
    drop(server);
    Ok(())
}

#[test]
fn a_second_agent_beside_the_first_sees_the_same() -> Result<()> {
    let scene = Scene::new()?;
    let second = AgentBuilder::new("second").feed("bad", "evil.example\n").start(&scene.node)?;
    let (pod, mut client) = scene.pod()?;
    client.tell_all(&["udp4", &format!("ask evil.example A {DNS}")])?;
    let alert = Alert::on("evil.example").by(&pod, &client);
    expect_alerts(&second.stop()?.documents, std::slice::from_ref(&alert))?;
    let (other, mut late) = scene.pod()?;
    late.tell_all(&[&format!("tcp {DNS}"), "ask evil.example A"])?;
    let after = Alert::on("evil.example").by(&other, &late);
    scene.expect(&[alert, after]).map(drop)
}

#[test]
fn a_socket_older_than_the_agent_is_named_once_it_sends() -> Result<()> {
    let node = Node::start()?;
    let _server = Server::start(node.dns(), Zone::new())?;
    let pod = node.pod().start()?;
    let mut client = pod.client()?;
    client.tell_all(&["udp4", &format!("ask evil.example A {DNS}")])?;
    let agent = AgentBuilder::new("agent").feed("bad", "evil.example\n").start(&node)?;
    client.tell(&format!("ask evil.example A {DNS}"))?;
    let alert = Alert::on("evil.example").by(&pod, &client);
    expect_alerts(&agent.stop()?.documents, &[alert])
}
