//! Accounting: every message is delivered or counted as lost, to the last one.

use anyhow::{Context as _, Result};
use namewarden_tests::{
    agent::{Agent, AgentBuilder},
    message::Record,
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

/// Messages of many records each: of some the ring takes the first records and not the rest.
#[test]
fn a_message_that_the_ring_takes_half_of_is_counted_as_such() -> Result<()> {
    const MESSAGES: u64 = 60;
    let agent = AgentBuilder::new("agent").feed("bad", "evil.example\n").arguments(&["--ring-kib", "128"]);
    let scene = Scene::with(Zone::new(), &agent)?;
    let (_pod, mut client) = scene.pod()?;
    client.tell("udp4")?;
    let agent = &scene.agent;
    agent.signal(Signal::STOP)?;
    client.tell(&format!("pointers {MESSAGES} 10.99.0.77:53"))?;
    agent.signal(Signal::CONT)?;
    let partly = wait::until("all that was submitted is read", || {
        let (whole, partly) = (kernel(agent, &["submitted"])?, kernel(agent, &["partly_lost"])?);
        Ok((agent.counter("screen_messages")? == whole + partly).then_some(partly))
    })
    .with_context(|| agent.get("/metrics").unwrap_or_default())?;
    assert!(partly > 0, "a ring of 128 KiB holds two messages of 64 KiB at most");
    assert_eq!(agent.counter("decode_incomplete")?, partly);
    let exits = ["submitted", "partly_lost", "lost", "flood_socket", "flood_cgroup"];
    assert_eq!(kernel(agent, &exits)?, MESSAGES);
    scene.expect(&[]).map(drop)
}

/// All kinds of packets: small and large, both transports, both versions of IP, several in one, rubbish, none of ours.
const FLOWS: [&str; 24] = [
    "udp4",
    "ask a.example A 10.99.0.53:53",
    "ask a.example A 10.99.0.53:5353",
    "ask large.example TXT 10.99.0.53:53",
    "many 10.99.0.53:53 a.example b.example",
    "segments 10.99.0.53:53 a.example b.example",
    "pointers 20 10.99.0.53:53",
    "flood 200 10.99.0.77:53 flood.example",
    "raw a.example A 10.88.1.0:4000 10.99.0.53:53 01010101",
    "udp6",
    "ask a.example A [fd99::53]:53",
    "ask large.example TXT [fd99::53]:53",
    "ask a.example A [::ffff:10.99.0.53]:53",
    "tcp 10.99.0.53:53",
    "ask large.example TXT",
    "pieces 5 a.example A",
    "receive",
    "batch a.example b.example",
    "bulk 8",
    "tcp [fd99::53]:53",
    "ask large.example TXT",
    "tcp [fd99::53]:5353",
    "ask a.example A",
    "close",
];

#[test]
fn every_packet_leaves_the_hook_by_one_counted_exit_and_every_record_is_read() -> Result<()> {
    let answer = vec![Record::txt("large.example", 60_000)];
    let scene = Scene::answering(Zone::new().answer("large.example", answer))?;
    let (_pod, mut client) = scene.pod()?;
    client.tell_all(&FLOWS)?;
    let exits = namewarden_agent_common::counters::COUNTERS
        .iter()
        .filter(|info| info.kind == namewarden_agent_common::counters::Kind::Exit)
        .map(|info| info.name);
    let exits: Vec<&str> = exits.collect();
    let agent = &scene.agent;
    wait::until("the sum of the exits is what was seen", || {
        // Both are read while packets may still pass.
        let seen = kernel(agent, &["seen"])?;
        Ok((seen > 0 && seen == kernel(agent, &exits)?).then_some(()))
    })?;
    assert!(kernel(agent, &["continuations"])? >= 20 * 3, "large messages take several records");
    wait::until("every record is read", || {
        let records = kernel(agent, &["submitted", "partly_lost", "continuations"])?;
        Ok((records == agent.counter("decode_records")?).then_some(()))
    })?;
    scene.expect(&[]).map(drop)
}
