//! Accounting: every message is delivered or counted as lost, to the last one.

use anyhow::{Context as _, Result};
use namewarden_tests::{
    agent::{Agent, AgentBuilder},
    server::Zone,
    wait,
};
use rustix::process::Signal;

use crate::scene::Scene;

const QUERIES: u64 = 30_000;

/// Sum of the kernel's counters of that name.
fn kernel(agent: &Agent, names: &[&str]) -> Result<u64> {
    names.iter().map(|name| agent.counter(&format!("kernel_{name}"))).sum()
}

/// The queries go where nobody answers: exactly so many packets pass the hook.
#[test]
fn with_a_small_ring_and_a_stalled_reader_every_message_is_delivered_or_counted_as_lost() -> Result<()> {
    let agent = AgentBuilder::new("agent").feed("bad", "evil.example\n").arguments(&["--ring-kib", "64"]);
    let scene = Scene::with(Zone::new(), &agent)?;
    let (_pod, mut client) = scene.pod()?;
    client.tell("udp4")?;
    scene.agent.signal(Signal::STOP)?;
    client.tell(&format!("flood {} 10.99.0.77:53 benign.example", QUERIES / 2))?;
    scene.agent.signal(Signal::CONT)?;
    client.tell(&format!("flood {} 10.99.0.77:53 benign.example", QUERIES / 2))?;
    let agent = &scene.agent;
    let delivered = wait::until("all that was submitted is read", || {
        let submitted = kernel(agent, &["submitted"])?;
        Ok((agent.counter("screen_messages")? == submitted).then_some(submitted))
    })
    .with_context(|| agent.get("/metrics").unwrap_or_default())?;
    let lost = kernel(agent, &["lost", "flood_socket", "flood_cgroup"])?;
    assert!(kernel(agent, &["lost"])? > 0, "a ring of 64 KiB cannot hold {QUERIES} queries");
    assert_eq!(delivered + lost, QUERIES);
    scene.expect(&[]).map(drop)
}

#[test]
fn every_packet_leaves_the_hook_by_one_counted_exit() -> Result<()> {
    let scene = Scene::new()?;
    let (_pod, mut client) = scene.pod()?;
    client.tell_all(&["udp4", "ask a.example A 10.99.0.53:53", "ask a.example A 10.99.0.53:5353"])?;
    client.tell_all(&[
        "tcp 10.99.0.53:53",
        "ask a.example A",
        "tcp [fd99::53]:5353",
        "ask a.example A",
        "close",
    ])?;
    let exits = namewarden_agent_common::counters::COUNTERS
        .iter()
        .filter(|info| info.kind == namewarden_agent_common::counters::Kind::Exit)
        .map(|info| info.name);
    let exits: Vec<&str> = exits.collect();
    wait::until("the sum of the exits is what was seen", || {
        // Both are read while packets may still pass.
        let seen = kernel(&scene.agent, &["seen"])?;
        Ok((seen > 0 && seen == kernel(&scene.agent, &exits)?).then_some(()))
    })?;
    scene.expect(&[]).map(drop)
}
