//! Ways to ask for a listed name: transports, addresses, kinds of sockets and sends.

use anyhow::Result;
use namewarden_tests::{
    agent::AgentBuilder,
    expect::Alert,
    server::{Server, Zone},
};

use crate::scene::{DNS, DNS6, Scene};

/// One pod does `lines`; `alerts` are made from the entries, asked for by that pod's client.
fn one_pod(lines: &[&str], entries: &[&str]) -> Result<()> {
    let scene = Scene::new()?;
    let (pod, mut client) = scene.pod()?;
    client.tell_all(lines)?;
    let alerts: Vec<Alert> = entries.iter().map(|entry| Alert::on(entry).by(&pod, &client)).collect();
    scene.expect(&alerts).map(drop)
}

#[test]
fn a_name_asked_over_udp_and_ipv4_alerts() -> Result<()> {
    one_pod(&["udp4", &format!("ask evil.example A {DNS}")], &["evil.example"])
}

#[test]
fn a_name_asked_over_udp_and_ipv6_alerts() -> Result<()> {
    one_pod(&["udp6", &format!("ask evil.example AAAA {DNS6}")], &["evil.example"])
}

#[test]
fn a_name_asked_over_tcp_and_ipv4_alerts() -> Result<()> {
    one_pod(&[&format!("tcp {DNS}"), "ask evil.example A"], &["evil.example"])
}

#[test]
fn a_name_asked_over_tcp_and_ipv6_alerts() -> Result<()> {
    one_pod(&[&format!("tcp {DNS6}"), "ask evil.example A"], &["evil.example"])
}

#[test]
fn a_name_asked_over_an_ipv4_mapped_socket_alerts() -> Result<()> {
    one_pod(&["udp6", "ask evil.example A [::ffff:10.99.0.53]:53"], &["evil.example"])
}

#[test]
fn a_name_asked_over_an_ipv4_mapped_tcp_connection_alerts() -> Result<()> {
    one_pod(&["tcp [::ffff:10.99.0.53]:53", "ask evil.example A"], &["evil.example"])
}

#[test]
fn a_name_asked_on_a_connected_udp_socket_alerts() -> Result<()> {
    one_pod(&["udp4", &format!("connect {DNS}"), "ask evil.example A"], &["evil.example"])
}

#[test]
fn an_unanswered_query_alerts() -> Result<()> {
    // Nobody has this address.
    one_pod(&["udp4", "send evil.example A 10.99.0.77:53"], &["evil.example"])
}

#[test]
fn names_that_nobody_lists_do_not_alert() -> Result<()> {
    let asked = format!("ask notevil.example A {DNS}");
    one_pod(&["udp4", &asked, &format!("ask example A {DNS}"), &format!("ask evil.example.org A {DNS}")], &[])
}

#[test]
fn a_name_below_an_entry_alerts_with_the_entry() -> Result<()> {
    let scene = Scene::new()?;
    let (pod, mut client) = scene.pod()?;
    client.tell_all(&["udp4", &format!("ask www.evil.example A {DNS}")])?;
    let alert = Alert::on("evil.example").asked("www.evil.example").by(&pod, &client);
    scene.expect(&[alert]).map(drop)
}

#[test]
fn a_pod_in_the_hosts_network_is_named() -> Result<()> {
    let scene = Scene::new()?;
    let (pod, mut client) = scene.host_pod()?;
    client.tell_all(&["udp4", &format!("ask evil.example A {DNS}")])?;
    let alert = Alert::on("evil.example").by(&pod, &client);
    scene.expect(&[alert]).map(drop)
}

#[test]
fn a_server_on_loopback_is_seen() -> Result<()> {
    let scene = Scene::new()?;
    let (v4, mut client4) = scene.pod()?;
    let (v6, mut client6) = scene.pod()?;
    let _servers =
        [Server::start(v4.namespace()?, Zone::new())?, Server::start(v6.namespace()?, Zone::new())?];
    client4.tell_all(&["udp4", "ask evil.example A 127.0.0.1:53"])?;
    client6.tell_all(&["udp6", "ask evil.example A [::1]:53"])?;
    let alerts = [Alert::on("evil.example").by(&v4, &client4), Alert::on("evil.example").by(&v6, &client6)];
    scene.expect(&alerts).map(drop)
}

#[test]
fn the_service_address_is_seen_from_a_pod() -> Result<()> {
    let scene = Scene::new()?;
    scene.node.add_service()?;
    let (pod, mut client) = scene.pod()?;
    client.tell_all(&["udp4", "ask evil.example A 10.96.0.10:53"])?;
    let alert = Alert::on("evil.example").by(&pod, &client);
    scene.expect(&[alert]).map(drop)
}

/// In the host's network the packet has the Service's target port before the hook sees it: only the socket's mark,
/// set when it was connected or sent, tells that it is DNS. The answer is not waited for, so that the query counts.
#[test]
fn a_query_to_the_service_address_is_seen_from_the_hosts_network() -> Result<()> {
    let scene = Scene::new()?;
    scene.node.add_service()?;
    let (pod, mut client) = scene.host_pod()?;
    scene.node.iptables("-A FORWARD -j DROP")?;
    scene.node.iptables("-A INPUT -j DROP")?;
    client.tell_all(&["udp4", "send evil.example A 10.96.0.10:53"])?;
    let (connected, mut second) = scene.host_pod()?;
    second.tell_all(&["udp4", "connect 10.96.0.10:53", "send evil.example A"])?;
    let alerts =
        [Alert::on("evil.example").by(&pod, &client), Alert::on("evil.example").by(&connected, &second)];
    scene.expect(&alerts).map(drop)
}

#[test]
fn a_tcp_exchange_with_the_service_address_is_seen_from_the_hosts_network() -> Result<()> {
    let scene = Scene::new()?;
    scene.node.add_service()?;
    let (pod, mut client) = scene.host_pod()?;
    client.tell_all(&["tcp 10.96.0.10:53", "ask evil.example A"])?;
    let alert = Alert::on("evil.example").by(&pod, &client);
    scene.expect(&[alert]).map(drop)
}

#[test]
fn a_port_outside_the_port_set_is_not_looked_at() -> Result<()> {
    one_pod(&["udp4", "ask evil.example A 10.99.0.53:5353"], &[])
}

#[test]
fn a_socket_that_once_asked_port_53_and_now_sends_elsewhere_is_not_looked_at() -> Result<()> {
    let unconnected = ["udp4", &format!("ask benign.example A {DNS}"), "ask evil.example A 10.99.0.53:5353"];
    one_pod(&unconnected, &[])
}

#[test]
fn a_socket_that_was_connected_to_port_53_and_now_to_another_is_not_looked_at() -> Result<()> {
    one_pod(
        &[
            "udp4",
            &format!("connect {DNS}"),
            "ask benign.example A",
            "connect 10.99.0.53:5353",
            "ask evil.example A",
        ],
        &[],
    )
}

#[test]
fn every_datagram_of_a_sendmmsg_is_seen() -> Result<()> {
    let scene = Scene::answering(Zone::new().silent())?;
    let (pod, mut client) = scene.pod()?;
    let names = format!("many {DNS} one.example two.example evil.example");
    client.tell_all(&["udp4", &names])?;
    let alert = Alert::on("evil.example").by(&pod, &client);
    scene.expect(&[alert]).map(drop)
}

#[test]
fn the_second_datagram_of_a_segmented_send_is_seen() -> Result<()> {
    let scene = Scene::answering(Zone::new().silent())?;
    let (pod, mut client) = scene.pod()?;
    let names = format!("segments {DNS} good.example evil.example fine.example");
    client.tell_all(&["udp4", &names])?;
    let alert = Alert::on("evil.example").by(&pod, &client);
    scene.expect(&[alert]).map(drop)
}

#[test]
fn ipv6_queries_in_one_segmented_send_are_seen() -> Result<()> {
    let scene = Scene::answering(Zone::new().silent())?;
    let (pod, mut client) = scene.pod()?;
    let names = format!("segments {DNS6} good.example evil.example");
    client.tell_all(&["udp6", &names])?;
    let alert = Alert::on("evil.example").by(&pod, &client);
    scene.expect(&[alert]).map(drop)
}

#[test]
fn a_query_asked_by_dig_names_dig() -> Result<()> {
    names_dig("+notcp")
}

/// The thread that asks is not the process's first, and the SYN is not yet the question.
#[test]
fn a_query_asked_by_dig_over_tcp_names_dig() -> Result<()> {
    names_dig("+tcp")
}

fn names_dig(transport: &str) -> Result<()> {
    let scene = Scene::new()?;
    let pod = scene.node.pod().start()?;
    pod.run("dig", &["@10.99.0.53", "+tries=1", transport, "evil.example"])?;
    let ended = scene.agent.stop()?;
    let alerts = namewarden_tests::expect::alerts(&ended.documents)?;
    let facts: Vec<_> = alerts.iter().map(|alert| (alert.process.as_deref(), alert.pod.as_ref())).collect();
    assert_eq!(facts, [(Some("dig"), Some(&pod.uid))]);
    Ok(())
}

/// The thread's name needs one more capability on this kernel; the process's is read from the process table.
#[test]
fn an_agent_with_two_capabilities_names_pod_and_process() -> Result<()> {
    let agent = AgentBuilder::new("agent").feed("bad", "evil.example\n").capabilities("+bpf,+net_admin");
    let scene = Scene::with(Zone::new(), &agent)?;
    let (pod, mut client) = scene.pod()?;
    client.tell_all(&["udp4", &format!("ask evil.example A {DNS}")])?;
    let alert = Alert::on("evil.example").by(&pod, &client);
    scene.expect(&[alert]).map(drop)
}

#[test]
fn every_port_that_the_operator_names_is_dns() -> Result<()> {
    let arguments = ["--dns-port", "53", "--dns-port", "5300"];
    let agent = AgentBuilder::new("agent").feed("bad", "evil.example\nworse.example\n").arguments(&arguments);
    let scene = Scene::with(Zone::new(), &agent)?;
    let (pod, mut client) = scene.pod()?;
    // Nobody has this address.
    client.tell_all(&[
        "udp4",
        "send evil.example A 10.99.0.77:5300",
        &format!("ask worse.example A {DNS}"),
    ])?;
    let alerts = ["evil.example", "worse.example"].map(|entry| Alert::on(entry).by(&pod, &client));
    scene.expect(&alerts).map(drop)
}
