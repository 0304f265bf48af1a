//! What only this store does: files that are damaged, full, too new; what gives way.

use std::{fs, os::unix::fs::FileExt as _, time::Duration};

use namewarden_protocol::document::Time;

use super::*;
use crate::store::{
    Cursor, Filter, Order, State,
    tests::{EVERYTHING, made_up::Spec, open},
};

/// All of a stream's documents in the cluster `c`, the newest first.
pub fn all(stream: Stream) -> Search {
    let filter = Filter { cluster: "c".to_owned(), ..Filter::default() };
    Search { stream, filter, order: Order::NewestFirst, after: None, limit: 100 }
}

/// The ids of a search's first page.
async fn ids(store: &dyn Store, search: Search) -> Vec<String> {
    store.search(search).await.unwrap().hits.into_iter().map(|hit| hit.id).collect()
}

const DAY: u64 = 86_400_000_000_000;

fn specs(stream: Stream, times: std::ops::Range<u64>) -> Vec<Incoming> {
    let padded = |time: u64| Spec {
        stream,
        node: Some("n".repeat(1000)),
        group: Some(format!("g{time}")),
        entry: Some(format!("e{}.example", time % 7)),
        ..Spec::new(time, &format!("{time:06}"))
    };
    times.map(|time| padded(time).incoming()).collect()
}

fn files(folder: &tempfile::TempDir) -> Vec<String> {
    let names = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_damaged_file_is_set_aside_and_the_other_one_stays() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    store.append(specs(Stream::Alerts, 0..200)).await.unwrap();
    store.append(specs(Stream::Logs, 0..3)).await.unwrap();
    drop(store);
    let damaged = fs::OpenOptions::new().write(true).open(file::path(folder.path(), Stream::Alerts)).unwrap();
    for page in 2..20 {
        damaged.write_all_at(&[0xa5; 4096], page * 4096).unwrap();
    }
    let store = open(&folder);
    assert_eq!(ids(&store, all(Stream::Alerts)).await, [""; 0]);
    assert_eq!(ids(&store, all(Stream::Logs)).await.len(), 3);
    store.append(specs(Stream::Alerts, 0..2)).await.unwrap();
    assert_eq!(ids(&store, all(Stream::Alerts)).await.len(), 2);
    assert!(files(&folder).iter().any(|name| name.starts_with("alerts.db.damaged-")), "{:?}", files(&folder));
}

#[tokio::test]
async fn what_is_no_database_is_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(file::path(folder.path(), Stream::Alerts), "this is a text\n".repeat(1000)).unwrap();
    let store = open(&folder);
    store.append(specs(Stream::Alerts, 0..2)).await.unwrap();
    assert_eq!(ids(&store, all(Stream::Alerts)).await.len(), 2);
}

#[tokio::test]
async fn a_file_that_is_damaged_while_it_is_used_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    store.append(specs(Stream::Alerts, 0..2000)).await.unwrap();
    drop(store);
    let store = open(&folder);
    let path = file::path(folder.path(), Stream::Alerts);
    let damaged = fs::OpenOptions::new().write(true).open(&path).unwrap();
    for page in 2..damaged.metadata().unwrap().len() / 4096 {
        damaged.write_all_at(&[0xa5; 4096], page * 4096).unwrap();
    }
    let mut search = all(Stream::Alerts);
    search.order = Order::Arrival;
    assert!(matches!(store.search(search).await, Err(StoreError::Unavailable(_))));
    // The next one that writes finds the new file, or has it made.
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    loop {
        let appended = store.append(specs(Stream::Alerts, 0..1)).await.unwrap();
        if matches!(appended[0].outcome, Outcome::Created { .. }) {
            break;
        }
        assert!(std::time::Instant::now() < deadline, "{appended:?}");
    }
    assert_eq!(ids(&store, all(Stream::Alerts)).await, ["000000"]);
}

#[tokio::test]
async fn a_block_that_cannot_be_read_is_damage_too() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    store.append(specs(Stream::Alerts, 0..100)).await.unwrap();
    let other = rusqlite::Connection::open(file::path(folder.path(), Stream::Alerts)).unwrap();
    other.execute("UPDATE part SET bytes = x'01' WHERE id % 32 = 0", []).unwrap();
    drop(other);
    let answer = store.search(all(Stream::Alerts)).await;
    assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
    // Whoever writes next has it looked at.
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    while store.search(all(Stream::Alerts)).await.is_err() {
        assert!(std::time::Instant::now() < deadline);
        store.append(specs(Stream::Alerts, 0..1)).await.unwrap();
    }
    assert!(files(&folder).iter().any(|name| name.starts_with("alerts.db.damaged-")), "{:?}", files(&folder));
}

#[tokio::test]
async fn a_file_of_a_newer_version_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(&folder));
    let path = file::path(folder.path(), Stream::Alerts);
    let newer = rusqlite::Connection::open(&path).unwrap();
    newer.pragma_update(None, "user_version", schema::VERSION + 1).unwrap();
    drop(newer);
    let error = SqliteStore::open(folder.path(), EVERYTHING).unwrap_err().to_string();
    assert!(error.contains("was written by a newer version"), "{error}");
    assert_eq!(files(&folder).iter().filter(|name| name.contains("damaged")).count(), 0);
}

#[tokio::test]
async fn a_full_disk_costs_what_does_not_fit_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    store.append(specs(Stream::Alerts, 0..10)).await.unwrap();
    store.alerts.writer.limit_pages(Some(60)).await.unwrap();
    let appended = store.append(specs(Stream::Alerts, 10..2000)).await.unwrap();
    let is_full = |one: &Appended| matches!(one.outcome, Outcome::Failed { is_full: true, .. });
    assert!(appended.len() == 1990 && appended.iter().all(is_full), "{:?}", appended.first());
    assert_eq!(ids(&store, all(Stream::Alerts)).await.len(), 10);
    store.alerts.writer.limit_pages(None).await.unwrap();
    let appended = store.append(specs(Stream::Alerts, 0..20)).await.unwrap();
    let created = appended.iter().filter(|one| matches!(one.outcome, Outcome::Created { .. })).count();
    assert_eq!(created, 10);
}

#[tokio::test]
async fn what_is_too_old_goes_with_everything_that_was_known_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let settings =
        Settings { alerts_age: Duration::from_hours(24), logs_age: Duration::from_hours(2), bytes: u64::MAX };
    let store = SqliteStore::open(folder.path(), settings).unwrap();
    // In days to come, so that nothing is too old by this machine's clock.
    let begin = u64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap() + 1000 * DAY;
    let in_hours = |stream| {
        let spec = move |hour: u64| Spec {
            stream,
            group: Some(format!("g{hour}")),
            feeds: vec!["x".to_owned(), "y".to_owned()],
            namespace: Some("shop".to_owned()),
            ..Spec::new(begin + hour * DAY / 24, &format!("{hour:02}"))
        };
        (0..48).map(|hour| spec(hour).incoming()).collect::<Vec<_>>()
    };
    for stream in Stream::ALL {
        store.append(in_hours(stream)).await.unwrap();
    }
    let said =
        Annotation { state: State::Dismissed, by: "ann".to_owned(), at: Time(0), reason: String::new() };
    store.annotate("c".to_owned(), "g1".to_owned(), said.clone()).await.unwrap();
    store.annotate("c".to_owned(), "g40".to_owned(), said).await.unwrap();
    store.retain(Time(begin + 2 * DAY)).await.unwrap();
    let mut search = all(Stream::Alerts);
    assert_eq!(ids(&store, search.clone()).await.len(), 24);
    search.filter.feed = Some("y".to_owned());
    assert_eq!(ids(&store, search.clone()).await.len(), 24);
    search.filter.states = vec![State::Dismissed];
    assert_eq!(ids(&store, search).await, ["40"]);
    assert_eq!(ids(&store, all(Stream::Logs)).await, ["47", "46"]);
    let connection = file::reader(folder.path(), Stream::Alerts).unwrap();
    let count = |table: &str| {
        let text = format!("SELECT count(*) FROM {table}");
        connection.query_row(&text, [], |row| row.get::<_, i64>(0)).unwrap()
    };
    let counts = ["document", "identity", "annotation"].map(count);
    assert_eq!(counts, [24, 24, 1]);
    assert_eq!(store.reading()[0].1.documents, 24);
    assert_eq!(store.reading()[0].1.removed, 24);
}

#[tokio::test]
async fn an_id_whose_document_gave_way_is_free_again() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(&folder));
    let limited = |bytes| SqliteStore::open(folder.path(), Settings { bytes, ..EVERYTHING }).unwrap();
    let store = limited(u64::MAX);
    store.append(specs(Stream::Alerts, 0..3000)).await.unwrap();
    store.retain(Time(0)).await.unwrap();
    let bytes = store.reading()[0].1.bytes;
    drop(store);
    let store = limited(bytes / 2);
    store.retain(Time(0)).await.unwrap();
    let documents = store.reading()[0].1.documents;
    let all_ids: Vec<_> = (0..3000).map(|time| format!("{time:06}")).collect();
    let held = store.holds(Stream::Alerts, "default".to_owned(), all_ids).await.unwrap();
    let gone = held.iter().position(|is_held| *is_held).unwrap();
    assert!(held[gone..].iter().all(|is_held| *is_held));
    assert_eq!(documents, held[gone..].len() as u64);
    drop(store);
    let store = limited(u64::MAX);
    let appended = store.append(specs(Stream::Alerts, 0..3000)).await.unwrap();
    let is_created = |one: &Appended| matches!(one.outcome, Outcome::Created { .. });
    assert!(appended[..gone].iter().all(is_created) && !appended[gone..].iter().any(is_created));
    // What was said is of the documents that are there only.
    let said = Annotation { state: State::Dismissed, by: String::new(), at: Time(0), reason: String::new() };
    for group in ["g0", "g2999"] {
        store.annotate("c".to_owned(), group.to_owned(), said.clone()).await.unwrap();
    }
    let dismissed = Filter { states: vec![State::Dismissed], ..all(Stream::Alerts).filter };
    let search = Search { filter: dismissed, ..all(Stream::Alerts) };
    assert_eq!(ids(&store, search).await, ["002999", "000000"]);
}

#[tokio::test]
async fn dns_logs_give_way_first_then_the_oldest_alerts() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(&folder));
    let limited = |bytes| SqliteStore::open(folder.path(), Settings { bytes, ..EVERYTHING }).unwrap();
    let store = limited(u64::MAX);
    store.append(specs(Stream::Alerts, 0..3000)).await.unwrap();
    store.append(specs(Stream::Logs, 0..3000)).await.unwrap();
    store.retain(Time(0)).await.unwrap();
    let [alerts, logs] = [store.reading()[0].1.bytes, store.reading()[1].1.bytes];
    drop(store);
    let store = limited(alerts + logs / 2);
    store.retain(Time(0)).await.unwrap();
    let left = |store: &SqliteStore| {
        store.reading().into_iter().map(|(_, reading)| reading.documents).collect::<Vec<_>>()
    };
    assert!(left(&store)[0] == 3000 && (500..2500).contains(&left(&store)[1]), "{:?}", left(&store));
    assert_eq!(ids(&store, all(Stream::Logs)).await[0], "002999");
    drop(store);
    let store = limited(alerts / 2);
    store.retain(Time(0)).await.unwrap();
    assert!((500..2500).contains(&left(&store)[0]) && left(&store)[1] == 0, "{:?}", left(&store));
    assert_eq!(ids(&store, all(Stream::Alerts)).await[0], "002999");
}

#[tokio::test]
async fn numbers_of_arrival_grow_over_a_new_file_too() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    store.append(specs(Stream::Alerts, 0..5)).await.unwrap();
    let Cursor::Arrival(before) = store.search(all(Stream::Alerts)).await.unwrap().arrived else { panic!() };
    drop(store);
    for name in files(&folder) {
        fs::remove_file(folder.path().join(name)).unwrap();
    }
    let store = open(&folder);
    let appended = store.append(specs(Stream::Alerts, 0..1)).await.unwrap();
    assert!(matches!(appended[0].outcome, Outcome::Created { arrival } if arrival > before), "{appended:?}");
}

#[tokio::test]
async fn writers_side_by_side_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(open(&folder));
    let tasks: Vec<_> = (0..8)
        .map(|task| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                for part in 0..10 {
                    let from = (task * 10 + part) * 10;
                    // Half of them are sent by two.
                    store.append(specs(Stream::Alerts, from..from + 15)).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let mut search = all(Stream::Alerts);
    search.limit = Search::LIMIT_MAX;
    assert_eq!(ids(&*store, search).await.len(), 805);
}

#[tokio::test]
async fn a_value_with_marks_of_sql_is_a_value() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let name = "'; DROP TABLE fact; --";
    let spec = Spec { question: Some(name.to_owned()), ..Spec::new(1, "a'") };
    store.append(vec![spec.incoming()]).await.unwrap();
    let filter = Filter { domain: Some(name.to_owned()), ..all(Stream::Alerts).filter };
    assert_eq!(ids(&store, Search { filter, ..all(Stream::Alerts) }).await, ["a'"]);
}
