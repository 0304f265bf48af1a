//! Agents that come, go and share the machine with others.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
};

use anyhow::{Context as _, Result, anyhow, bail};
use namewarden_tests::{
    agent::{Agent, AgentBuilder, Ended},
    expect::{Alert, expect_alerts, text},
    node::Node,
    pod::Pod,
    program,
    server::{Server, Zone},
    wait,
};
use serde_json::Value;

use crate::scene::{DNS, Scene};

/// Ids of the programs attached to a node's cgroups.
pub fn attached(node: &Node) -> Result<Vec<u64>> {
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
        wait::until("program unloaded", || {
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
fn the_next_agent_starts_before_the_one_before_it_ends_and_no_time_passes_without_capture() -> Result<()> {
    let node = Node::start()?;
    let _server = Server::start(node.dns(), Zone::new())?;
    let agent = |name: &str| {
        let agent =
            AgentBuilder::new(name).feed("bad", "evil.example\n").state(&node.folder().join("shared"));
        agent.arguments(&["--state-turns", "on"]).start(&node)
    };
    let first = agent("first")?;
    let alive = node.folder().join("shared/turn-0/last_capture");
    wait::until("the first one's sign of life", || Ok(alive.exists().then_some(())))?;
    let second = agent("second")?;
    let gaps = |ended: &Ended| {
        ended
            .documents
            .iter()
            .filter(|document| text(document, "/event/action").as_deref() == Some("capture-gap"))
            .count()
    };
    assert_eq!(gaps(&first.stop()?), 0);
    let pod = node.pod().start()?;
    let mut client = pod.client()?;
    client.tell_all(&["udp4", &format!("ask evil.example A {DNS}")])?;
    let ended = second.stop()?;
    assert_eq!(gaps(&ended), 0, "the first one captured");
    let alerts = ended
        .documents
        .iter()
        .filter(|document| text(document, "/event/action").as_deref() == Some("listed-name"));
    assert_eq!(alerts.count(), 1);
    let third = agent("third")?.stop()?;
    assert_eq!(gaps(&third), 1, "nobody captured for a while");
    assert!(third.log.contains("shared/turn-1"), "{}", third.log);
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

/// Eight pods ask without pause while the agent is stopped and started again. What is missing afterwards is one
/// stretch, and the agent says that it was away.
#[test]
fn an_agent_restarted_under_traffic_misses_one_stretch_and_says_so() -> Result<()> {
    let node = Node::start()?;
    let _server = Server::start(node.dns(), Zone::new())?;
    let feed = (0..20_000).map(|index| format!("n{index}.example")).collect::<Vec<_>>().join("\n");
    let describe = AgentBuilder::new("agent").feed("bad", &feed);
    let pods = (0..8).map(|_| node.pod().start()).collect::<Result<Vec<_>>>()?;
    let first = describe.start(&node)?;
    let asked = AtomicUsize::new(0);
    let end = AtomicBool::new(false);
    let (before, second) = thread::scope(|scope| {
        let traffic = scope.spawn(|| ask_until(&pods, &asked, &end));
        let agents = restart(first, &describe, &node, &asked);
        end.store(true, Ordering::Relaxed);
        traffic.join().map_err(|_| anyhow!("the traffic panicked"))??;
        agents
    })?;
    let asked = asked.into_inner();
    let (before, after) = (before.documents, second.stop()?.documents);
    let numbers = |documents: &[Value]| -> Result<BTreeSet<usize>> {
        let found = namewarden_tests::expect::alerts(documents)?;
        Ok(found
            .iter()
            .filter_map(|alert| alert.entry.split('.').next()?.strip_prefix('n')?.parse().ok())
            .collect())
    };
    let (old, new) = (numbers(&before)?, numbers(&after)?);
    let (last_old, first_new) =
        (old.last().context("no alert before")?, new.first().context("no alert after")?);
    assert_eq!(old.len(), last_old + 1, "nothing is missing before the agent was stopped");
    assert_eq!(new.len(), asked - first_new, "nothing is missing after it came back");
    let gaps =
        after.iter().filter(|document| text(document, "/event/action").as_deref() == Some("capture-gap"));
    assert_eq!(gaps.count(), 1);
    Ok(())
}

/// Listed names that are asked at least before the agent stops, and after it is back.
const STAGE: usize = 40;

/// Asks for `n0.example`, `n1.example` ... with ordinary names between them until told to end; counts in `asked`.
fn ask_until(pods: &[Pod], asked: &AtomicUsize, end: &AtomicBool) -> Result<()> {
    let mut clients = pods.iter().map(Pod::client).collect::<Result<Vec<_>>>()?;
    clients.iter_mut().try_for_each(|client| client.tell("udp4").map(drop))?;
    let turns = (0..clients.len()).cycle();
    for (index, turn) in (0..20_000).zip(turns) {
        if end.load(Ordering::Relaxed) {
            return Ok(());
        }
        let client = clients.get_mut(turn).context("no client")?;
        for _ in 0..20 {
            client.tell(&format!("ask benign.example.org A {DNS}"))?;
        }
        client.tell(&format!("ask n{index}.example A {DNS}"))?;
        asked.store(index + 1, Ordering::Relaxed);
    }
    bail!("the agent took too long to restart")
}

/// Stops the agent once some names were asked and starts it again; returns when some more were asked.
fn restart(
    first: Agent,
    describe: &AgentBuilder,
    node: &Node,
    asked: &AtomicUsize,
) -> Result<(Ended, Agent)> {
    let reached = |number: usize| {
        wait::until("traffic", || Ok((asked.load(Ordering::Relaxed) >= number).then_some(())))
    };
    reached(STAGE)?;
    let before = first.stop()?;
    let second = describe.start(node)?;
    reached(asked.load(Ordering::Relaxed) + STAGE)?;
    Ok((before, second))
}
