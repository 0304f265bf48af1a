//! TCP: how messages are cut into segments must not matter.

use anyhow::Result;
use namewarden_tests::{
    agent::AgentBuilder,
    expect::Alert,
    message::{Record, Reply},
    node::Node,
    raw_peer::{Plan, RawPeer},
    server::{Delivery, Server, Zone},
};

use crate::scene::{DNS, Scene};

const FEED: &str = "evil.example\nworse.example\nworst.example\n";

fn scene(zone: Zone) -> Result<Scene> {
    Scene::with(zone, &AgentBuilder::new("agent").feed("bad", FEED))
}

#[test]
fn a_query_whose_length_stands_in_a_segment_of_its_own_is_seen() -> Result<()> {
    let scene = scene(Zone::new().silent())?;
    let (pod, mut client) = scene.pod()?;
    client.tell_all(&[&format!("tcp {DNS}"), "pieces 2 evil.example A"])?;
    let alert = Alert::on("evil.example").by(&pod, &client);
    scene.expect(&[alert]).map(drop)
}

#[test]
fn several_queries_in_one_segment_are_seen() -> Result<()> {
    let scene = scene(Zone::new().silent())?;
    let (pod, mut client) = scene.pod()?;
    let batch = "batch benign.example evil.example fine.example worse.example";
    client.tell_all(&[&format!("tcp {DNS}"), batch])?;
    let alerts = ["evil.example", "worse.example"].map(|entry| Alert::on(entry).by(&pod, &client));
    scene.expect(&alerts).map(drop)
}

#[test]
fn a_query_in_many_segments_is_seen() -> Result<()> {
    let scene = scene(Zone::new().silent())?;
    let (pod, mut client) = scene.pod()?;
    client.tell_all(&[&format!("tcp {DNS}"), "pieces 3 evil.example A"])?;
    let alert = Alert::on("evil.example").by(&pod, &client);
    scene.expect(&[alert]).map(drop)
}

fn answered_by_alias(delivery: Delivery) -> Result<()> {
    let asked = "www.good.example";
    let zone = Zone::new().answer(asked, vec![Record::cname(asked, "evil.example")]).delivery(delivery);
    let scene = scene(zone)?;
    let (pod, mut client) = scene.pod()?;
    client.tell_all(&[&format!("tcp {DNS}"), &format!("ask {asked} A")])?;
    let alert =
        Alert::on("evil.example").answered(asked, "dns.answers.data", "evil.example").by(&pod, &client);
    scene.expect(&[alert]).map(drop)
}

#[test]
fn an_answer_whose_length_stands_in_a_segment_of_its_own_is_seen() -> Result<()> {
    answered_by_alias(Delivery::LengthApart)
}

#[test]
fn an_answer_in_many_segments_is_seen() -> Result<()> {
    answered_by_alias(Delivery::Pieces(7))
}

#[test]
fn several_answers_in_one_segment_are_seen() -> Result<()> {
    let names = ["one.good.example", "two.good.example", "three.good.example"];
    let targets = ["evil.example", "worse.example", "worst.example"];
    let zone = names
        .iter()
        .zip(targets)
        .fold(Zone::new(), |zone, (name, target)| zone.answer(name, vec![Record::cname(name, target)]));
    let scene = scene(zone)?;
    let (pod, mut client) = scene.pod()?;
    let batch = format!("batch {}", names.join(" "));
    client.tell_all(&[&format!("tcp {DNS}"), &batch, "receive", "receive", "receive"])?;
    let alert = |(name, target): (&&str, &str)| {
        Alert::on(target).answered(name, "dns.answers.data", target).by(&pod, &client)
    };
    let alerts: Vec<Alert> = names.iter().zip(targets).map(alert).collect();
    scene.expect(&alerts).map(drop)
}

/// What was said before the agent came is lost; the stream starts again at the next message. Who opened the
/// connection cannot be known, and is left out.
#[test]
fn a_stream_older_than_the_agent_is_read_from_the_next_message_on() -> Result<()> {
    let node = Node::start()?;
    let _server = Server::start(node.dns(), Zone::new())?;
    let pod = node.pod().start()?;
    let mut client = pod.client()?;
    client.tell_all(&[&format!("tcp {DNS}"), "ask worse.example A"])?;
    let agent = AgentBuilder::new("agent").feed("bad", FEED).start(&node)?;
    client.tell("ask evil.example A")?;
    let ended = agent.stop()?;
    let alert = Alert::on("evil.example").from(&pod);
    namewarden_tests::expect::expect_alerts(&ended.documents, &[alert])
}

const ASKED: &str = "www.good.example";

/// An answer of 27 bytes and more a segment, the listed name in the last of them.
fn plan(ignored: usize, order: &[usize]) -> Plan {
    let answer = vec![Record::txt(ASKED, 100), Record::cname(ASKED, "evil.example")];
    Plan { ignored, reply: Reply { answer, ..Reply::default() }, segment_size: 30, order: order.to_vec() }
}

/// One pod asks the raw peer once, over TCP; returns what the agent wrote.
fn ask_raw_peer(plan: Plan, feed: &str, alert: &Alert) -> Result<()> {
    let node = Node::start()?;
    let _peer = RawPeer::start(&node, plan)?;
    let agent = AgentBuilder::new("agent").feed("bad", feed).start(&node)?;
    let pod = node.pod().start()?;
    let mut client = pod.client()?;
    client.tell_all(&[&format!("tcp {DNS}"), &format!("pieces 9 {ASKED} A"), "receive"])?;
    let ended = agent.stop()?;
    namewarden_tests::expect::expect_alerts(&ended.documents, &[alert.clone().by(&pod, &client)])?;
    // One sighting, however often its segments came.
    assert_eq!(namewarden_tests::expect::counts(&ended.documents), [1]);
    Ok(())
}

fn alias_alert() -> Alert {
    Alert::on("evil.example").answered(ASKED, "dns.answers.data", "evil.example")
}

#[test]
fn an_answer_in_order_from_the_raw_peer_is_seen() -> Result<()> {
    ask_raw_peer(plan(0, &[0, 1, 2, 3, 4, 5, 6, 7, 8]), "evil.example\n", &alias_alert())
}

#[test]
fn an_answer_whose_segments_are_out_of_order_is_seen() -> Result<()> {
    ask_raw_peer(plan(0, &[3, 1, 0, 2, 8, 7, 5, 6, 4]), "evil.example\n", &alias_alert())
}

#[test]
fn an_answer_whose_segments_come_twice_is_seen_once() -> Result<()> {
    ask_raw_peer(plan(0, &[0, 0, 2, 1, 2, 1, 3, 5, 4, 4, 3, 6, 7, 8, 8]), "evil.example\n", &alias_alert())
}

#[test]
fn a_query_that_is_sent_again_is_seen_once() -> Result<()> {
    let alert = Alert::on("good.example").asked(ASKED);
    ask_raw_peer(plan(4, &[0, 1, 2, 3, 4, 5, 6, 7, 8]), "good.example\n", &alert)
}
