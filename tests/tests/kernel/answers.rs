//! Answers: sizes, and where in them a listed name can stand.

use std::net::Ipv4Addr;

use anyhow::Result;
use namewarden_tests::{
    expect::Alert,
    message::{Record, Reply, kind},
    server::Zone,
};

use crate::scene::{DNS, DNS6, Scene};

/// The question that all of these tests ask; nobody lists it.
const ASKED: &str = "www.good.example";

/// The server answers `reply` to a benign question of the given type; one alert comes, with `name` found in `field`.
fn one_alert(reply: Reply, kind: &str, field: &str, tcp: bool) -> Result<()> {
    let scene = Scene::answering(Zone::new().reply(ASKED, reply))?;
    let (pod, mut client) = scene.pod()?;
    if tcp {
        client.tell_all(&[&format!("tcp {DNS}"), &format!("ask {ASKED} {kind}")])?;
    } else {
        client.tell_all(&["udp4", &format!("ask {ASKED} {kind} {DNS}")])?;
    }
    let alert = Alert::on("evil.example").answered(ASKED, field, "evil.example").by(&pod, &client);
    scene.expect(&[alert]).map(drop)
}

fn address_of(name: &str) -> Record {
    Record::a(name, Ipv4Addr::new(192, 0, 2, 66))
}

fn answer(records: Vec<Record>) -> Reply {
    Reply { answer: records, ..Reply::default() }
}

/// The same over another way to the server: its answer alone holds the listed name.
fn one_alert_over(lines: &[&str]) -> Result<()> {
    let alias = answer(vec![Record::cname(ASKED, "evil.example"), address_of("evil.example")]);
    let scene = Scene::answering(Zone::new().reply(ASKED, alias))?;
    let (pod, mut client) = scene.pod()?;
    client.tell_all(lines)?;
    let alert =
        Alert::on("evil.example").answered(ASKED, "dns.answers.data", "evil.example").by(&pod, &client);
    scene.expect(&[alert]).map(drop)
}

#[test]
fn an_answer_over_udp_and_ipv6_alerts() -> Result<()> {
    one_alert_over(&["udp6", &format!("ask {ASKED} A {DNS6}")])
}

#[test]
fn an_answer_over_tcp_and_ipv6_alerts() -> Result<()> {
    one_alert_over(&[&format!("tcp {DNS6}"), &format!("ask {ASKED} A")])
}

#[test]
fn an_answer_to_an_ipv4_mapped_socket_alerts() -> Result<()> {
    one_alert_over(&["udp6", &format!("ask {ASKED} A [::ffff:10.99.0.53]:53")])
}

#[test]
fn an_answer_to_a_connected_socket_alerts() -> Result<()> {
    one_alert_over(&["udp4", &format!("connect {DNS}"), &format!("ask {ASKED} A")])
}

#[test]
fn the_target_of_an_alias_alerts() -> Result<()> {
    let reply = answer(vec![Record::cname(ASKED, "evil.example"), address_of("evil.example")]);
    one_alert(reply, "A", "dns.answers.data", false)
}

#[test]
fn the_target_of_the_third_alias_alerts() -> Result<()> {
    let reply = answer(vec![
        Record::cname(ASKED, "one.cdn.example"),
        Record::cname("one.cdn.example", "two.cdn.example"),
        Record::cname("two.cdn.example", "evil.example"),
        address_of("evil.example"),
    ]);
    one_alert(reply, "A", "dns.answers.data", false)
}

#[test]
fn a_name_only_in_the_additional_section_alerts() -> Result<()> {
    let reply = Reply {
        answer: vec![Record::mx(ASKED, "mx.good.example")],
        additional: vec![address_of("mx.good.example"), address_of("evil.example")],
        ..Reply::default()
    };
    one_alert(reply, "MX", "dns.additionals.name", false)
}

#[test]
fn a_name_only_in_https_data_alerts() -> Result<()> {
    let reply = answer(vec![Record::service(ASKED, kind::HTTPS, "evil.example")]);
    one_alert(reply, "HTTPS", "dns.answers.data", false)
}

#[test]
fn a_name_only_in_svcb_data_alerts() -> Result<()> {
    let reply = answer(vec![Record::service(ASKED, kind::SVCB, "evil.example")]);
    one_alert(reply, "SVCB", "dns.answers.data", false)
}

#[test]
fn the_last_record_of_a_4000_byte_udp_answer_alerts() -> Result<()> {
    let reply = answer(vec![Record::txt(ASKED, 3_900), Record::cname(ASKED, "evil.example")]);
    one_alert(reply, "TXT", "dns.answers.data", false)
}

#[test]
fn the_last_record_of_a_60_kilobyte_tcp_answer_alerts() -> Result<()> {
    let mut records: Vec<Record> = (0..20).map(|_| Record::txt(ASKED, 3_000)).collect();
    records.push(Record::cname(ASKED, "evil.example"));
    one_alert(answer(records), "TXT", "dns.answers.data", true)
}

#[test]
fn the_last_record_of_the_largest_udp_answer_alerts() -> Result<()> {
    let mut records: Vec<Record> = (0..21).map(|_| Record::txt(ASKED, 3_000)).collect();
    records.push(Record::cname(ASKED, "evil.example"));
    one_alert(answer(records), "TXT", "dns.answers.data", false)
}

#[test]
fn query_and_answer_are_one_alert_that_carries_the_answer() -> Result<()> {
    let scene = Scene::new()?;
    let (pod, mut client) = scene.pod()?;
    client.tell_all(&["udp4", &format!("ask evil.example A {DNS}")])?;
    let alert = Alert::on("evil.example").by(&pod, &client);
    let ended = scene.expect(&[alert])?;
    let documents: Vec<_> =
        ended.documents.iter().filter(|document| namewarden_tests::expect::is_alert(document)).collect();
    let facts: Vec<_> = documents
        .iter()
        .map(|document| (&document["dns"]["response_code"], &document["dns"]["answers"][0]["data"]))
        .collect();
    assert_eq!(facts, [(&"NOERROR".into(), &"192.0.2.80".into())]);
    Ok(())
}
