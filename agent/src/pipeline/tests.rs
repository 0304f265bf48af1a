//! What no stage shows by itself.

use namewarden_protocol::document::Action;
use namewarden_protocol::entry::{Entry, Scope, Verdict};
use namewarden_protocol::threat_set::{Builder, FeedInfo, SetKey};

use std::sync::Mutex;

use super::attribute::pod::{NoPods, Pod, Role};
use super::attribute::{NoMachine, Workload};
use super::packet::{Direction, Origin, Transport};
use super::*;

/// 2026-11-22T15:00:00Z.
const NOON: u64 = 1_795_359_600_000_000_000;

fn pipeline(listed: u16, change: impl FnOnce(&mut PipelineSettings)) -> Pipeline<NoMachine> {
    pipeline_of(listed, change, NoMachine, Arc::new(NoPods))
}

/// Lists `n0.example`, `n1.example` and so on.
fn pipeline_of<M: Machine>(
    listed: u16,
    change: impl FnOnce(&mut PipelineSettings),
    machine: M,
    pods: Arc<dyn Pods>,
) -> Pipeline<M> {
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
        withhold: withhold::Settings::default(),
    };
    change(&mut settings);
    Pipeline::new(settings, set, machine, pods)
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

fn finish<M: Machine>(pipeline: &mut Pipeline<M>) -> Vec<Document> {
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

/// Every cgroup is one pod's.
struct OnePod;

impl Machine for OnePod {
    fn cgroup(&mut self, _: u64) -> Option<Arc<Workload>> {
        Some(exchange::samples::workload('a'))
    }
}

/// Its object comes while a test runs.
#[derive(Debug, Default)]
struct Known(Mutex<Option<Role>>);

impl Pods for Known {
    fn pod(&self, _: &str) -> Option<Arc<Pod>> {
        let role = (*self.0.lock().unwrap())?;
        Some(Arc::new(Pod { namespace: "n".into(), name: "p".into(), role, ..Pod::default() }))
    }

    fn is_asked(&self) -> bool {
        true
    }
}

/// What becomes of an answer with a listed name, its pod being known as a resolver so many milliseconds after it;
/// documents, findings withheld, alerts withheld.
fn told_of_resolver(known_after: u64) -> (usize, u64, u64) {
    let pods = Arc::new(Known::default());
    let logged = |settings: &mut PipelineSettings| settings.dns_log = Some(dns_log::Settings::default());
    let mut pipeline = pipeline_of(1, logged, OnePod, pods.clone());
    let (message, origin) = (answer(1), Origin { cgroup_id: 7, ..Origin::default() });
    let at = |milliseconds: u64| Timestamp(NOON + milliseconds * 1_000_000);
    let mut documents = Vec::new();
    let mut each = |document: Document| {
        if document.event.action == Action::ListedName {
            documents.push(document);
        }
    };
    for time in (0..1_000).step_by(50) {
        if time == known_after {
            *pods.0.lock().unwrap() = Some(Role::Resolver);
        }
        if matches!(time, 100 | 800) {
            pipeline.packet(&Packet { time: at(time), origin, ..packet(&message) });
        }
        pipeline.poll(at(time), &mut each);
    }
    pipeline.finish(at(1_000), &mut each);
    let counts = pipeline.counts();
    let WithheldCounts { resolver_findings, resolver_alerts, resolver_messages, .. } = counts.withheld;
    assert_eq!(counts.matching.findings, counts.roll_up.sightings + resolver_findings);
    assert_eq!(counts.dns_log.messages + resolver_messages, 2);
    (documents.len(), resolver_findings, resolver_alerts)
}

#[test]
fn a_resolver_is_told_of_only_where_its_pod_becomes_known_too_late() {
    assert_eq!(told_of_resolver(0), (0, 2, 0), "known from the start");
    assert_eq!(told_of_resolver(300), (0, 1, 1), "known while its alert waits");
    assert_eq!(told_of_resolver(600), (1, 1, 0), "told by UID, and counted from then on");
    assert_eq!(told_of_resolver(5_000), (2, 0, 0), "never known: its repeats are told as well");
}

#[test]
fn a_pod_left_out_is_told_of_neither_in_alerts_nor_in_logs() {
    let pods = Arc::new(Known::default());
    *pods.0.lock().unwrap() = Some(Role::Excluded);
    let logged = |settings: &mut PipelineSettings| settings.dns_log = Some(dns_log::Settings::default());
    let mut pipeline = pipeline_of(1, logged, OnePod, pods);
    let (message, origin) = (answer(1), Origin { cgroup_id: 7, ..Origin::default() });
    pipeline.packet(&Packet { origin, ..packet(&message) });
    assert_eq!(finish(&mut pipeline), []);
    let counts = pipeline.counts().withheld;
    assert_eq!((counts.excluded_findings, counts.excluded_messages), (1, 1));
    assert_eq!(pipeline.withheld().read()[0].workload, "Pod/p");
}
