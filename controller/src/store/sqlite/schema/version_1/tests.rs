//! A file as version 1 wrote it answers as a new one of the same documents.

use namewarden_protocol::document::Action;
use rusqlite::Connection;

use super::*;
use crate::store::{
    Annotation, Field, Filter, Histogram, Incoming, Order, Outcome, Search, State, Store, Stream, Top, facts,
    sqlite::{SqliteStore, file, tests::all},
    tests::{made_up::Spec, open},
};

/// More than a sealed block holds in tests, of several times, values, groups and data streams.
fn specs() -> Vec<Spec> {
    let spec = |number: u64| Spec {
        space: if number.is_multiple_of(5) { "other" } else { "default" }.to_owned(),
        action: Some(if number.is_multiple_of(3) { Action::Flood } else { Action::ListedName }),
        severity: u8::try_from(number).ok(),
        group: (!number.is_multiple_of(4)).then(|| format!("g{}", number % 9)),
        namespace: Some(format!("ns{}", number % 7)),
        pod: number.is_multiple_of(2).then(|| format!("pod{}", number % 11)),
        pod_uid: Some(format!("uid{}", number % 11)),
        node: Some(format!("node{}", number % 2)),
        question: Some(format!("a.e{}.example", number % 6)),
        entry: Some(format!("e{}.example", number % 6)),
        feeds: (0..number % 3).map(|feed| format!("f{feed}")).collect(),
        ..Spec::new(number * 37 % 50, &format!("{number:03}"))
    };
    (0..100).map(spec).collect()
}

/// As version 1 had it written.
fn write(connection: &Connection, specs: &[Spec], dismissed: &str) {
    connection.execute_batch(TABLES).unwrap();
    for (spec, seq) in specs.iter().zip(1000_i64..) {
        let facts = facts::read(&spec.source(), &spec.id, spec.stream, &spec.space).unwrap();
        let feeds = (!facts.feeds.is_empty()).then(|| serde_json::to_string(&facts.feeds).unwrap());
        let state = if facts.group.as_deref() == Some(dismissed) { 2 } else { 0 };
        let time = i64::try_from(facts.time.0).unwrap();
        let fact = params![
            seq,
            spec.space,
            spec.id,
            facts.cluster,
            time,
            facts.action,
            facts.severity,
            state,
            facts.group,
            facts.namespace,
            facts.pod,
            facts.pod_uid,
            facts.node,
            facts.question,
            facts.entry,
            feeds
        ];
        let values = "?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16";
        connection.execute(&format!("INSERT INTO fact VALUES ({values})"), fact).unwrap();
        let source = String::from_utf8(spec.source().to_vec()).unwrap();
        connection.execute("INSERT INTO document VALUES (?1, ?2)", params![seq, source]).unwrap();
        let term = params![facts.cluster, 3, facts.pod_uid, time, seq];
        connection.execute("INSERT INTO term VALUES (?1, ?2, ?3, ?4, ?5)", term).unwrap();
    }
    let said = params!["c", dismissed, 2, "ann", 7, "why"];
    connection.execute("INSERT INTO annotation VALUES (?1, ?2, ?3, ?4, ?5, ?6)", said).unwrap();
    connection.execute("UPDATE tally SET documents = ?1", [i64::try_from(specs.len()).unwrap()]).unwrap();
    connection.pragma_update(None, "user_version", 1).unwrap();
}

fn filters() -> Vec<Filter> {
    let filter = || all(Stream::Alerts).filter;
    let named = |text: &str| Some(text.to_owned());
    vec![
        filter(),
        Filter { since: Some(Time(10)), until: Some(Time(40)), ..filter() },
        Filter { namespace: named("ns3"), ..filter() },
        Filter { pod: named("pod4"), ..filter() },
        Filter { pod: named("uid4"), ..filter() },
        Filter { domain: named("e2.example"), ..filter() },
        Filter { feed: named("f1"), severity: Some(10..=60), ..filter() },
        Filter { kinds: vec![Action::Flood], states: vec![State::New], ..filter() },
        Filter { states: vec![State::Dismissed], ..filter() },
        Filter { cluster: "other".to_owned(), ..filter() },
    ]
}

async fn assert_alike(old: &SqliteStore, new: &SqliteStore) {
    let stream = Stream::Alerts;
    for filter in filters() {
        for order in [Order::NewestFirst, Order::OldestFirst, Order::Arrival] {
            let search = Search { stream, filter: filter.clone(), order, after: None, limit: 1000 };
            let [old, new] = [old.search(search.clone()).await.unwrap(), new.search(search).await.unwrap()];
            assert_eq!(old.hits, new.hits, "{filter:?} {order:?}");
        }
        for field in Field::ALL {
            let top = Top { stream, filter: filter.clone(), field, limit: 1000 };
            assert_eq!(old.top(top.clone()).await, new.top(top).await);
        }
        let histogram = Histogram { stream, filter: filter.clone(), from: Time(3), step: 7, steps: 6 };
        assert_eq!(old.histogram(histogram.clone()).await, new.histogram(histogram).await);
    }
}

#[tokio::test]
async fn a_file_of_version_1_is_taken_over() {
    let [old_folder, new_folder] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let specs = specs();
    let written = Connection::open(file::path(old_folder.path(), Stream::Alerts)).unwrap();
    write(&written, &specs, "g3");
    drop(written);
    let [old, new] = [open(&old_folder), open(&new_folder)];
    let incoming = || specs.iter().map(Spec::incoming).collect::<Vec<Incoming>>();
    new.append(incoming()).await.unwrap();
    let (state, by, reason) = (State::Dismissed, "ann".to_owned(), "why".to_owned());
    let said = Annotation { state, by, at: Time(7), reason };
    new.annotate("c".to_owned(), "g3".to_owned(), said.clone()).await.unwrap();
    assert_alike(&old, &new).await;
    assert_eq!(old.reading()[0].1.documents, 100);
    // What is there is there, and what comes is put behind it.
    let again = old.append(incoming()).await.unwrap();
    assert!(again.iter().all(|one| one.outcome == Outcome::Exists), "{again:?}");
    let more = || vec![Spec { group: Some("g3".to_owned()), ..Spec::new(20, "more") }.incoming()];
    for store in [&old, &new] {
        store.append(more()).await.unwrap();
        store.annotate("c".to_owned(), "g5".to_owned(), said.clone()).await.unwrap();
    }
    assert_alike(&old, &new).await;
    drop(old);
    assert_alike(&open(&old_folder), &new).await;
}
