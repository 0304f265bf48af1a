//! Programs of others at the same hooks: written here instruction by instruction, so that no compiler is needed, and
//! attached to the node's root, where a CNI's socket load-balancer sits.

use std::net::Ipv4Addr;

use anyhow::{Context as _, Result};
use aya::{
    Ebpf,
    programs::{CgroupAttachMode, CgroupSkb, CgroupSkbAttachType, CgroupSockAddr},
};
use namewarden_tests::{
    agent::AgentBuilder, expect::Alert, expect::expect_alerts, node::Node, server::Server, server::Zone,
};
use object::{
    Architecture, BinaryFormat, Endianness, SectionKind, SymbolFlags, SymbolKind, SymbolScope,
    write::{Object, Symbol, SymbolSection},
};

use crate::scene::Scene;

/// The address that the rewriter turns into the DNS server's port 5353.
const VIRTUAL: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 53);

/// One instruction: code, registers (destination in the lower half), offset, immediate (RFC 9669 section 3).
pub type Instruction = (u8, u8, i16, i32);

/// `return value`
pub fn always(value: i32) -> Vec<Instruction> {
    vec![(0xb7, 0, 0, value), (0x95, 0, 0, 0)]
}

/// Address and port of `struct bpf_sock_addr`, in network byte order, changed where they are `VIRTUAL`, port 53.
fn rewriter(server: Ipv4Addr) -> Vec<Instruction> {
    let number = |address: Ipv4Addr| i32::from_le_bytes(address.octets());
    let port = |port: u16| i32::from(port.to_be());
    vec![
        (0x61, 0x12, 4, 0),            // r2 = user_ip4
        (0xb4, 3, 0, number(VIRTUAL)), // w3 = virtual address
        (0x5d, 0x32, 6, 0),            // if r2 != r3 goto end
        (0x61, 0x12, 24, 0),           // r2 = user_port
        (0x55, 2, 4, port(53)),        // if r2 != 53 goto end
        (0xb4, 2, 0, number(server)),  // w2 = server
        (0x63, 0x21, 4, 0),            // user_ip4 = r2
        (0xb4, 2, 0, port(5353)),      // w2 = 5353
        (0x63, 0x21, 24, 0),           // user_port = r2
        (0xb7, 0, 0, 1),               // end: r0 = 1, go on
        (0x95, 0, 0, 0),               // return
    ]
}

/// An object file with one program a section, as a compiler leaves it.
pub fn object(programs: &[(&str, &str, Vec<Instruction>)]) -> Result<Vec<u8>> {
    let mut object = Object::new(BinaryFormat::Elf, Architecture::Bpf, Endianness::Little);
    let license = object.add_section(Vec::new(), b"license".to_vec(), SectionKind::Data);
    object.append_section_data(license, b"GPL\0", 1);
    for (section, name, instructions) in programs {
        let bytes: Vec<u8> = instructions.iter().copied().flat_map(encode).collect();
        let section = object.add_section(Vec::new(), section.as_bytes().to_vec(), SectionKind::Text);
        object.append_section_data(section, &bytes, 8);
        object.add_symbol(Symbol {
            name: name.as_bytes().to_vec(),
            value: 0,
            size: bytes.len() as u64,
            kind: SymbolKind::Text,
            scope: SymbolScope::Linkage,
            weak: false,
            section: SymbolSection::Section(section),
            flags: SymbolFlags::None,
        });
    }
    Ok(object.write()?)
}

fn encode((code, registers, offset, immediate): Instruction) -> [u8; 8] {
    let [offset_low, offset_high] = offset.to_le_bytes();
    let [a, b, c, d] = immediate.to_le_bytes();
    [code, registers, offset_low, offset_high, a, b, c, d]
}

/// Attaches the rewriter to the node's root, for connected and unconnected sockets; it goes when the value is dropped.
fn attach_rewriter(node: &Node) -> Result<Ebpf> {
    let server = namewarden_tests::node::DNS_V4;
    let bytes = object(&[
        ("cgroup/connect4", "on_connect", rewriter(server)),
        ("cgroup/sendmsg4", "on_send", rewriter(server)),
    ])?;
    let mut programs = Ebpf::load(&bytes)?;
    let group = std::fs::File::open(node.cgroup())?;
    for name in ["on_connect", "on_send"] {
        let program: &mut CgroupSockAddr =
            programs.program_mut(name).context("no such program")?.try_into()?;
        program.load()?;
        program.attach(&group, CgroupAttachMode::Single)?;
    }
    Ok(programs)
}

/// Whether the rewriter came before the agent or after it, the pod gets its answer and the agent its alert.
fn ask_through_rewriter(agent_first: bool) -> Result<()> {
    let node = Node::start()?;
    let _server = Server::start(node.dns(), Zone::new())?;
    let describe = AgentBuilder::new("agent").feed("bad", "evil.example\n");
    let pods = [node.pod().start()?, node.pod().start()?, node.pod().start()?];
    let (agent, _rewriter) = if agent_first {
        let agent = describe.start(&node)?;
        (agent, attach_rewriter(&node)?)
    } else {
        let rewriter = attach_rewriter(&node)?;
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
