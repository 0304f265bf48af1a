//! The parts that the tests stand on: nodes, pods, clients and servers do what the tests take for granted.

use std::fs;

use anyhow::Result;
use namewarden_tests::{
    cgroup,
    message::{Record, Reply},
    namespace,
    node::Node,
    nsd::{Nsd, ZoneText},
    raw_peer::{Plan, RawPeer},
    server::{Delivery, Server, Zone},
};

#[test]
fn every_way_to_ask_reaches_the_server() -> Result<()> {
    let node = Node::start()?;
    let server = Server::start(node.dns(), Zone::new().delivery(Delivery::LengthApart))?;
    let pod = node.pod().start()?;
    let mut client = pod.client()?;
    for line in [
        "udp4",
        "ask a.example A 10.99.0.53:53",
        "many 10.99.0.53:53 a.example b.example",
        "receive",
        "receive",
        "segments 10.99.0.53:53 a.example b.example c.exam",
        "receive",
        "receive",
        "receive",
        "connect 10.99.0.53:5353",
        "child ask a.example A",
        "udp6",
        "ask a.example A [fd99::53]:53",
        "ask a.example AAAA [::ffff:10.99.0.53]:53",
        "tcp 10.99.0.53:53",
        "pieces 2 a.example A",
        "receive",
        "pieces 5 a.example A",
        "receive",
        "batch a.example b.example",
        "receive",
        "receive",
        "tcp [fd99::53]:53",
        "thread other ask a.example A",
    ] {
        client.tell(line)?;
    }
    assert_eq!(server.answered(), 14);
    Ok(())
}

#[test]
fn the_service_address_leads_to_the_server_from_pods_and_from_the_host() -> Result<()> {
    let node = Node::start()?;
    let _server = Server::start(node.dns(), Zone::new())?;
    node.add_service()?;
    for pod in [node.pod().start()?, node.pod().host_network().start()?] {
        assert_eq!(pod.run("dig", &["@10.96.0.10", "+short", "a.example"])?.trim(), "192.0.2.80");
    }
    Ok(())
}

#[test]
fn a_client_is_in_the_cgroup_of_its_pod_under_its_own_pid() -> Result<()> {
    let node = Node::start()?;
    let pod = node.pod().start()?;
    let client = pod.client()?;
    let groups = fs::read_to_string(format!("/proc/{}/cgroup", client.pid()))?;
    assert!(groups.contains(&format!("cri-containerd-{}.scope", pod.container)), "{groups}");
    Ok(())
}

#[test]
fn nsd_answers_over_udp_tcp_and_ipv6() -> Result<()> {
    let node = Node::start()?;
    let zone = ZoneText { name: "example", records: "a A 192.0.2.1\na AAAA 2001:db8::1\nb CNAME a\n" };
    let _server = Nsd::start(&node, &[zone])?;
    let pod = node.pod().start()?;
    assert_eq!(pod.run("dig", &["@10.99.0.53", "+short", "b.example"])?, "a.example.\n192.0.2.1\n");
    assert_eq!(pod.run("dig", &["@fd99::53", "+tcp", "+short", "a.example", "AAAA"])?, "2001:db8::1\n");
    Ok(())
}

#[test]
fn a_node_leaves_nothing_behind() -> Result<()> {
    let node = Node::start()?;
    let name = node.name().to_owned();
    let pod = node.pod().start()?;
    let client = pod.client()?;
    drop(pod);
    drop(node);
    assert!(!cgroup::root()?.join(&name).exists());
    assert_eq!(namespace::list(&name)?, Vec::<String>::new());
    drop(client);
    Ok(())
}

#[test]
fn a_raw_peer_makes_the_client_send_again_and_answers_out_of_order() -> Result<()> {
    let node = Node::start()?;
    let answer = vec![Record::txt("a.example", 100)];
    let plan = Plan {
        ignored: 3,
        reply: Reply { answer, ..Reply::default() },
        segment_size: 50,
        order: vec![2, 1, 1, 0, 2, 3],
    };
    let _peer = RawPeer::start(&node, plan)?;
    let pod = node.pod().start()?;
    let mut client = pod.client()?;
    client.tell_all(&["tcp 10.99.0.53:53", "pieces 5 a.example A"])?;
    assert_eq!(client.tell("receive")?, "rcode=0 answers=1 bytes=140");
    Ok(())
}
