//! The whole sink against a stand-in: what real servers do rarely, or never when asked to.

// The stand-in.
pub(crate) mod stand_in;

use namewarden_protocol::document::{Action, Document, Event, Identity, Time};

use namewarden_protocol::search_engine::{Credentials, Secret};

use self::stand_in::{Fault, StandIn};
use super::*;
use crate::pipeline::sink::{self, Sink, Style, Target};

const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn document(action: Action, id: &str) -> Document {
    let identity = Identity {
        cluster: "cluster".into(),
        node: "node-1".into(),
        namespace: "default".into(),
        instance: "8d1f0c6a2b7e4935".into(),
        version: "0.1.0".into(),
    };
    Document::new(Time(0), Event::new(action, id.into(), Time(0)), &identity)
}

pub(crate) fn settings(folder: &std::path::Path, urls: &[Url]) -> sink::Settings {
    let target = Target::Search(urls.to_vec());
    sink::Settings {
        alerts: target.clone(),
        dns_logs: Some(target),
        style: Style::Json,
        rotation: None,
        capacity: 4096,
        search: Some(Settings {
            client: search_engine::Settings::default(),
            limits: Limits { bytes: 64 << 20, age: Duration::from_hours(72) },
            folder: folder.to_owned(),
            alert_stream: "logs-namewarden.alert-default".into(),
            log_stream: "logs-namewarden.dns-default".into(),
        }),
    }
}

fn ids(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{number:04}")).collect()
}

fn write_alerts(sink: &Sink, ids: &[String]) {
    for id in ids {
        sink.write(document(Action::ListedName, id));
    }
}

fn alerts(sink: &Sink) -> LaneView {
    sink.lanes().into_iter().find(|lane| lane.kind == Kind::Alerts).unwrap()
}

fn until(sink: &Sink, what: &str, condition: impl Fn(&LaneView) -> bool) -> LaneView {
    let end = Instant::now() + PATIENCE;
    loop {
        let lane = alerts(sink);
        if condition(&lane) {
            return lane;
        }
        assert!(Instant::now() < end, "{what}: {lane:?}");
        std::thread::yield_now();
    }
}

/// Writes so many alerts to a server with these faults, and waits until every one is settled.
fn settled(faults: &[Fault], count: usize) -> (StandIn, LaneView, tempfile::TempDir) {
    let (server, folder) = (StandIn::start(faults), tempfile::tempdir().unwrap());
    let sink = Sink::open(&settings(folder.path(), std::slice::from_ref(&server.url))).unwrap();
    write_alerts(&sink, &ids(count));
    let count = count as u64;
    let lane = until(&sink, "all settled", |lane| lane.counts.appended == count && lane.counts.waiting == 0);
    sink.close(PATIENCE);
    (server, lane, folder)
}

#[test]
fn every_document_arrives_once() {
    let (server, lane, _folder) = settled(&[], 1000);
    assert_eq!(server.ids(), ids(1000));
    assert_eq!((lane.counts.acknowledged, lane.counts.conflicts, lane.contact.failures), (1000, 0, 0));
    assert_eq!(server.lookups(), 0);
}

#[test]
fn alerts_and_dns_logs_have_streams_of_their_own() {
    let (server, folder) = (StandIn::start(&[]), tempfile::tempdir().unwrap());
    let sink = Sink::open(&settings(folder.path(), std::slice::from_ref(&server.url))).unwrap();
    sink.write(document(Action::ListedName, "a"));
    sink.write(document(Action::DnsLog, "b"));
    let counts = sink.close(PATIENCE);
    assert_eq!((counts.alerts.written, counts.logs.written), (1, 1));
    assert_eq!(server.ids(), ["a", "b"]);
    let lanes: Vec<_> = sink.lanes().iter().map(|lane| (lane.kind, lane.counts.acknowledged)).collect();
    assert_eq!(lanes, [(Kind::Alerts, 1), (Kind::Logs, 1)]);
}

#[test]
fn a_server_that_has_too_much_to_do_gets_everything_later() {
    let faults = [429, 503, 502, 429].map(Fault::Status);
    let (server, lane, _folder) = settled(&faults, 10);
    assert_eq!(server.ids(), ids(10));
    assert_eq!((lane.contact.failures, lane.contact.problem), (4, None));
}

#[test]
fn items_that_are_not_taken_now_are_sent_again_alone() {
    let (server, lane, _folder) = settled(&[Fault::Items("3", 429), Fault::Items("7", 503)], 40);
    assert_eq!(server.ids(), ids(40));
    assert_eq!(lane.counts.acknowledged, 40);
    assert!(lane.contact.repeated > 0 && lane.contact.repeated <= 8, "{lane:?}");
}

#[test]
fn what_a_lost_answer_left_open_is_looked_up_and_not_doubled() {
    for fault in [Fault::LostAnswer, Fault::LostAnswerAndRollover] {
        let (server, lane, _folder) = settled(&[fault], 20);
        assert_eq!(server.ids(), ids(20));
        assert!(server.lookups() > 0);
        assert!(lane.counts.recognised > 0 && lane.counts.conflicts == 0, "{lane:?}");
    }
}

#[test]
fn a_document_that_is_refused_costs_no_other_and_is_kept_with_the_reason() {
    let (server, lane, folder) = settled(&[Fault::Items("05", 400), Fault::Items("05", 400)], 10);
    let mut expected = ids(10);
    expected.remove(5);
    assert_eq!(server.ids(), expected);
    assert_eq!((lane.counts.acknowledged, lane.counts.refused), (9, 1));
    let letters = std::fs::read_to_string(folder.path().join("refused.ndjson")).unwrap();
    let letter: serde_json::Value = serde_json::from_str(letters.trim_end()).unwrap();
    assert_eq!((&letter["document"]["event"]["id"], &letter["reason"]), (&"0005".into(), &"t: r".into()));
}

#[test]
fn a_request_too_large_is_split() {
    let (server, folder) = (StandIn::start(&[]), tempfile::tempdir().unwrap());
    server.refuse_bodies_over(3000);
    let sink = Sink::open(&settings(folder.path(), std::slice::from_ref(&server.url))).unwrap();
    write_alerts(&sink, &ids(50));
    let mut large = document(Action::ListedName, "large");
    large.message = "x".repeat(4000);
    sink.write(large);
    until(&sink, "all settled", |lane| lane.counts.appended == 51 && lane.counts.waiting == 0);
    assert_eq!(server.ids(), ids(50));
    let lane = alerts(&sink);
    assert_eq!((lane.counts.acknowledged, lane.counts.refused), (50, 1));
    assert!(lane.contact.split > 0);
}

#[test]
fn a_server_that_refuses_this_agent_is_named_and_waited_for() {
    let (server, folder) =
        (StandIn::start(&[401, 403, 403].map(Fault::Status)), tempfile::tempdir().unwrap());
    let mut settings = settings(folder.path(), std::slice::from_ref(&server.url));
    let password = folder.path().join("password");
    std::fs::write(&password, "old\n").unwrap();
    settings.search.as_mut().unwrap().client.credentials =
        Credentials::Basic { user: "agent".into(), password: Secret::File(password.clone()) };
    let sink = Sink::open(&settings).unwrap();
    write_alerts(&sink, &ids(3));
    let lane = until(&sink, "trouble", |lane| lane.contact.problem.is_some());
    let problem = lane.contact.problem.unwrap();
    assert!(problem.contains("refuses this agent") && problem.contains("127.0.0.1"), "{problem}");
    std::fs::write(&password, "new\n").unwrap();
    until(&sink, "all settled", |lane| lane.counts.acknowledged == 3);
    // agent:new
    assert_eq!(server.authorization().unwrap(), "Basic YWdlbnQ6bmV3");
}

#[test]
fn a_server_that_is_away_costs_nothing_where_another_answers() {
    let (server, folder) = (StandIn::start(&[]), tempfile::tempdir().unwrap());
    let away = "http://127.0.0.1:1".parse().unwrap();
    let sink = Sink::open(&settings(folder.path(), &[away, server.url.clone()])).unwrap();
    for id in ids(30) {
        write_alerts(&sink, std::slice::from_ref(&id));
        until(&sink, "settled", |lane| lane.counts.waiting == 0 && lane.counts.appended > 0);
    }
    let lane = until(&sink, "all settled", |lane| lane.counts.acknowledged == 30);
    assert_eq!(server.ids(), ids(30));
    assert!(lane.contact.failures < 10, "{lane:?}");
}

/// Opens the folder of a sink that has ended, once its last thread has let go of it.
fn reopened(settings: &sink::Settings) -> Sink {
    let end = Instant::now() + PATIENCE;
    loop {
        match Sink::open(settings) {
            Err(_) if Instant::now() < end => std::thread::yield_now(),
            opened => return opened.unwrap(),
        }
    }
}

#[test]
fn what_no_server_took_is_sent_by_the_next_run() {
    let folder = tempfile::tempdir().unwrap();
    let away = "http://127.0.0.1:1".parse().unwrap();
    let sink = Sink::open(&settings(folder.path(), &[away])).unwrap();
    write_alerts(&sink, &ids(10));
    until(&sink, "all in the spool, and trouble", |lane| {
        lane.counts.appended == 10 && lane.contact.problem.is_some()
    });
    sink.close(PATIENCE);
    assert_eq!(alerts(&sink).counts.waiting, 10);
    drop(sink);
    let server = StandIn::start(&[]);
    let sink = reopened(&settings(folder.path(), std::slice::from_ref(&server.url)));
    let lane = until(&sink, "all settled", |lane| lane.counts.waiting == 0);
    assert_eq!((lane.counts.found, lane.counts.acknowledged), (10, 10));
    assert_eq!(server.ids(), ids(10));
    sink.close(PATIENCE);
    assert_eq!(server.bulks(), 1);
}

#[test]
fn an_api_key_is_shown_as_elasticsearch_hands_it_out() {
    let (server, folder) = (StandIn::start(&[]), tempfile::tempdir().unwrap());
    let key = folder.path().join("key");
    std::fs::write(&key, "aWQ6a2V5\n").unwrap();
    let mut settings = settings(&folder.path().join("spool"), std::slice::from_ref(&server.url));
    let search = settings.search.as_mut().unwrap();
    search.client.credentials = Credentials::ApiKey(Secret::File(key));
    let sink = Sink::open(&settings).unwrap();
    write_alerts(&sink, &ids(1));
    until(&sink, "settled", |lane| lane.counts.acknowledged == 1);
    assert_eq!(server.authorization().unwrap(), "ApiKey aWQ6a2V5");
}
