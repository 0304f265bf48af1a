//! Both sides of an exchange on this node: a server that is a workload, too, on the network and on loopback.

use anyhow::{Context as _, Result, ensure};
use namewarden_tests::{
    agent::{AgentBuilder, Ended},
    expect::{Alert, expect_alerts, is_alert, text},
    message::{Record, Reply},
    node::Node,
    nsd::{Nsd, ZoneText},
    server::{Server, Zone},
};

use crate::scene::{DNS, DNS6, Scene};

/// The unit that Debian's nsd runs as.
const UNIT: &str = "nsd.service";

const ZONE: &str = "evil A 192.0.2.66\nwww.good CNAME evil\n";

/// What the clients of these tests ask for: by question over UDP and IPv6, and by answer over TCP.
fn ask_nsd(agent: &AgentBuilder) -> Result<(Ended, [Alert; 2], u64)> {
    let node = Node::start()?;
    let _server = Nsd::start(&node, &[ZoneText { name: "example", records: ZONE }])?;
    let agent = agent.clone().feed("bad", "evil.example\n").start(&node)?;
    let (one, other) = (node.pod().start()?, node.pod().start()?);
    let (mut udp, mut tcp) = (one.client()?, other.client()?);
    udp.tell_all(&["udp6", &format!("ask evil.example A {DNS6}")])?;
    tcp.tell_all(&[&format!("tcp {DNS}"), "ask www.good.example A"])?;
    let refused = agent.counter("kernel_server_side")?;
    let asked = Alert::on("evil.example").by(&one, &udp);
    let answered = Alert::on("evil.example")
        .answered("www.good.example", "dns.answers.data", "evil.example")
        .by(&other, &tcp);
    Ok((agent.stop()?, [asked, answered], refused))
}

#[test]
fn a_server_on_the_node_adds_no_alert_to_its_clients() -> Result<()> {
    let (ended, alerts, refused) = ask_nsd(&AgentBuilder::new("agent"))?;
    expect_alerts(&ended.documents, &alerts)?;
    // Question and answer of each exchange passed the server's socket.
    assert!(refused >= 4, "{refused} packets refused at the server's side");
    Ok(())
}

/// The server is one workload: what it was asked first, and what it answered, are one group, which says so.
#[test]
fn with_the_servers_side_switched_on_the_server_alerts_too_and_is_flagged() -> Result<()> {
    let agent = AgentBuilder::new("agent").arguments(&["--server-side", "--dns-logs", "stdout"]);
    let (ended, [asked, answered], refused) = ask_nsd(&agent)?;
    let served = Alert::on("evil.example").by_unit(UNIT).at_server();
    expect_alerts(&ended.documents, &[asked, answered, served])?;
    assert_eq!(refused, 0, "nothing is refused for its side");
    let of_server = |document: &&serde_json::Value| text(document, "/service/name").as_deref() == Some(UNIT);
    let first = ended.documents.iter().filter(of_server).find(|document| is_alert(document));
    let said = first.and_then(|document| text(document, "/message")).context("no sentence")?;
    ensure!(said.contains("was asked by fd88::1:"), "{said}");
    let logs = ended.documents.iter().filter(of_server).filter(|document| !is_alert(document));
    let facts: Vec<_> = logs
        .map(|log| {
            (text(log, "/namewarden/side"), text(log, "/dns/question/name"), text(log, "/dns/response_code"))
        })
        .collect();
    let log = |name: &str| (Some("server".to_owned()), Some(name.to_owned()), Some("NOERROR".to_owned()));
    assert_eq!(facts, [log("evil.example"), log("www.good.example")]);
    Ok(())
}

/// A listed name only in the answer of a server in the pod's own network namespace.
fn answered_on_loopback(lines: &[&str]) -> Result<()> {
    let scene = Scene::new()?;
    let (pod, mut client) = scene.pod()?;
    let asked = "www.good.example";
    let answer = vec![Record::cname(asked, "evil.example")];
    let zone = Zone::new().reply(asked, Reply { answer, ..Reply::default() });
    let _server = Server::start(pod.namespace()?, zone)?;
    client.tell_all(lines)?;
    let alert =
        Alert::on("evil.example").answered(asked, "dns.answers.data", "evil.example").by(&pod, &client);
    scene.expect(&[alert]).map(drop)
}

#[test]
fn an_answer_on_loopback_over_udp_alerts() -> Result<()> {
    answered_on_loopback(&["udp4", "ask www.good.example A 127.0.0.1:53"])
}

#[test]
fn an_answer_on_loopback_over_udp_and_ipv6_alerts() -> Result<()> {
    answered_on_loopback(&["udp6", "ask www.good.example A [::1]:53"])
}

#[test]
fn an_answer_on_loopback_over_tcp_alerts() -> Result<()> {
    answered_on_loopback(&["tcp 127.0.0.1:53", "ask www.good.example A"])
}

#[test]
fn an_answer_on_loopback_over_tcp_and_ipv6_alerts() -> Result<()> {
    answered_on_loopback(&["tcp [::1]:53", "ask www.good.example A"])
}

/// The answer of a Service: its packet bears the server's address and port or the Service's, as the hook comes.
fn answered_by_service(host_network: bool, lines: &[&str]) -> Result<()> {
    let asked = "www.good.example";
    let scene = Scene::answering(Zone::new().answer(asked, vec![Record::cname(asked, "evil.example")]))?;
    scene.node.add_service()?;
    let (pod, mut client) = if host_network { scene.host_pod()? } else { scene.pod()? };
    client.tell_all(lines)?;
    let alert =
        Alert::on("evil.example").answered(asked, "dns.answers.data", "evil.example").by(&pod, &client);
    scene.expect(&[alert]).map(drop)
}

#[test]
fn an_answer_of_a_service_to_a_pod_alerts() -> Result<()> {
    answered_by_service(false, &["udp4", "ask www.good.example A 10.96.0.10:53"])
}

#[test]
fn an_answer_of_a_service_to_the_hosts_network_alerts() -> Result<()> {
    answered_by_service(true, &["udp4", "ask www.good.example A 10.96.0.10:53"])
}

#[test]
fn an_answer_of_a_service_to_a_connection_of_the_hosts_network_alerts() -> Result<()> {
    answered_by_service(true, &["tcp 10.96.0.10:53", "ask www.good.example A"])
}

#[test]
fn an_answer_to_a_pod_in_the_hosts_network_alerts() -> Result<()> {
    answered_by_service(true, &["udp6", "ask www.good.example A [fd99::53]:53"])
}
