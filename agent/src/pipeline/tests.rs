//! What no stage shows by itself.

use namewarden_protocol::document::Action;
use namewarden_protocol::entry::{Entry, Scope, Verdict};
use namewarden_protocol::threat_set::{Builder, FeedInfo, SetKey};

use super::attribute::NoMachine;
use super::attribute::pod::NoPods;
use super::packet::{Direction, Origin, Transport};
use super::*;

/// 2026-11-22T15:00:00Z.
const NOON: u64 = 1_795_359_600_000_000_000;

/// Lists `n0.example`, `n1.example` and so on.
fn pipeline(listed: u16, change: impl FnOnce(&mut PipelineSettings)) -> Pipeline<NoMachine> {
    let mut builder = Builder::new(SetKey([7; 16]), 1, 1);
    let feed = FeedInfo { name: "test".into(), description: "".into(), severity: 75, techniques: [].into() };
    let feed = builder.feed(feed).unwrap();
    for number in 0..listed {
        let name = format!("n{number}.example");
        builder.add(feed, &Entry { name: &name, scope: Scope::Both, verdict: Verdict::Listed, line: 1 });
    }
    let set = Arc::new(Current::new(Arc::new(builder.build().unwrap())));
    let identity = Identity {
        cluster: "cluster".into(),
        node: "node-1".into(),
        namespace: "default".into(),
        instance: "5eed".into(),
        version: "0".into(),
    };
    let roll_up = roll_up::Settings::new("cluster", "node-1");
    let mut settings = PipelineSettings {
        identity,
        limits: Limits::LIVE,
        roll_up,
        dns_log: None,
        log_fields: LogFields::default(),
    };
    change(&mut settings);
    Pipeline::new(settings, set, NoMachine, Arc::new(NoPods))
}

fn packet(payload: &[u8]) -> Packet<'_> {
    Packet {
        time: Timestamp(NOON),
        transport: Transport::Udp,
        direction: Direction::Ingress,
        source: "10.0.0.53:53".parse().unwrap(),
        destination: "10.0.0.7:40000".parse().unwrap(),
        origin: Origin::default(),
        segment: None,
        frame: 0,
        payload,
    }
}

/// An answer to no question, of one CNAME record for each number, with `n<number>.example` as owner.
fn answer(numbers: u16) -> Vec<u8> {
    let mut bytes = vec![0, 1, 0x81, 0x80, 0, 0];
    bytes.extend(numbers.to_be_bytes());
    bytes.extend([0; 4]);
    for number in 0..numbers {
        let label = format!("n{number}");
        bytes.push(u8::try_from(label.len()).unwrap());
        bytes.extend(label.as_bytes());
        bytes.extend(b"\x07example\x00\x00\x05\x00\x01\x00\x00\x00\x3c\x00\x01\x00");
    }
    bytes
}

fn finish(pipeline: &mut Pipeline<NoMachine>) -> Vec<Document> {
    let mut documents = Vec::new();
    pipeline.finish(Timestamp(NOON), &mut |document| documents.push(document));
    documents
}

#[test]
fn a_message_with_too_many_listed_names_alerts_for_those_taken_and_says_so() {
    let mut pipeline = pipeline(300, |settings| settings.roll_up.names_per_workload = 1_000);
    pipeline.packet(&packet(&answer(300)));
    let documents = finish(&mut pipeline);
    assert_eq!(documents.len(), screen::CANDIDATES_MAX);
    for document in &documents {
        assert_eq!(document.event.action, Action::ListedName);
        assert_eq!(document.namewarden.unchecked_names, Some(300 - 256));
    }
    let counts = pipeline.counts();
    assert_eq!((counts.screen.candidates_dropped, counts.matching.findings), (44, 256));
}

#[test]
fn of_a_message_with_many_records_all_names_are_screened_and_the_first_records_kept() {
    let mut pipeline = pipeline(200, |settings| settings.roll_up.names_per_workload = 1_000);
    pipeline.packet(&packet(&answer(200)));
    let documents = finish(&mut pipeline);
    assert_eq!(documents.len(), 200);
    for document in &documents {
        let answers = &document.dns.as_ref().unwrap().answers;
        assert_eq!((answers.len(), &*answers[63].name), (exchange::RECORDS_MAX, "n63.example"));
    }
}
