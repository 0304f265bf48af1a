//! Programs of others at the same hooks: written here instruction by instruction, so that no compiler is needed, and
//! attached to the node's root, where a CNI's socket load-balancer sits.

use std::net::{Ipv4Addr, SocketAddrV4};

use crate::{
    rewriter::{self, Instruction, object},
    scene::Scene,
};
use anyhow::{Context as _, Result};
use aya::{
    Ebpf,
    programs::{CgroupAttachMode, CgroupSkb, CgroupSkbAttachType},
};
use namewarden_tests::{
    agent::AgentBuilder, expect::Alert, expect::expect_alerts, node::Node, server::Server, server::Zone,
};

/// The address that the rewriter turns into the DNS server's port 5353.
const VIRTUAL: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 53);

/// `return value`
pub fn always(value: i32) -> Vec<Instruction> {
    vec![(0xb7, 0, 0, value), (0x95, 0, 0, 0)]
}

/// Attaches the rewriter to the node's root; it goes when the value is dropped.
fn attach(node: &Node) -> Result<Ebpf> {
    let server = SocketAddrV4::new(namewarden_tests::node::DNS_V4, 5353);
    rewriter::attach(node.cgroup(), SocketAddrV4::new(VIRTUAL, 53), server)
}

/// Whether the rewriter came before the agent or after it, the pod gets its answer and the agent its alert.
fn ask_through_rewriter(agent_first: bool) -> Result<()> {
    let node = Node::start()?;
    let _server = Server::start(node.dns(), Zone::new())?;
    let describe = AgentBuilder::new("agent").feed("bad", "evil.example\n");
    let pods = [node.pod().start()?, node.pod().start()?, node.pod().start()?];
    let (agent, _rewriter) = if agent_first {
        let agent = describe.start(&node)?;
        (agent, attach(&node)?)
    } else {
        let rewriter = attach(&node)?;
        (describe.start(&node)?, rewriter)
    };
    let [mut unconnected, mut connected, mut stream] =
        [pods[0].client()?, pods[1].client()?, pods[2].client()?];
    unconnected.tell_all(&["udp4", &format!("ask evil.example A {VIRTUAL}:53")])?;
    connected.tell_all(&["udp4", &format!("connect {VIRTUAL}:53"), "ask evil.example A"])?;
    stream.tell_all(&[&format!("tcp {VIRTUAL}:53"), "ask evil.example A"])?;
    let alerts = [
        Alert::on("evil.example").by(&pods[0], &unconnected),
        Alert::on("evil.example").by(&pods[1], &connected),
        Alert::on("evil.example").by(&pods[2], &stream),
    ];
    expect_alerts(&agent.stop()?.documents, &alerts)
}

#[test]
fn a_rewriter_at_the_root_that_came_first_keeps_working_and_hides_nothing() -> Result<()> {
    ask_through_rewriter(false)
}

#[test]
fn a_rewriter_at_the_root_that_came_later_keeps_working_and_hides_nothing() -> Result<()> {
    ask_through_rewriter(true)
}

/// A policy of others that drops what a pod sends holds with the agent at the same hook, and the attempt is seen.
#[test]
fn a_policy_that_drops_packets_keeps_dropping_them() -> Result<()> {
    let scene = Scene::new()?;
    let (pod, mut client) = scene.pod()?;
    let bytes = object(&[("cgroup_skb/egress", "drop_all", always(0))])?;
    let mut programs = Ebpf::load(&bytes)?;
    let program: &mut CgroupSkb = programs.program_mut("drop_all").context("no such program")?.try_into()?;
    program.load()?;
    program.attach(
        std::fs::File::open(&pod.cgroup)?,
        CgroupSkbAttachType::Egress,
        CgroupAttachMode::Single,
    )?;
    client.tell("udp4")?;
    let refused = client.tell("send evil.example A 10.99.0.53:53");
    assert!(refused.is_err(), "the policy refuses the send: {refused:?}");
    assert_eq!(scene.server.answered(), 0);
    let alert = Alert::on("evil.example").by(&pod, &client);
    scene.expect(&[alert]).map(drop)
}
