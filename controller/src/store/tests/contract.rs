//! What every store does, as one test a sentence: run against SQLite here, against search engines in the suite `search`.
//!
//! Servers are shared: each test has clusters and ids of its own, told by a tag.

use std::sync::Arc;

use namewarden_protocol::document::{Action, Time};
use serde_json::json;

use super::made_up::Spec;
use crate::store::{
    Annotation, Appended, Field, Filter, Histogram, Hit, Incoming, Naming, Order, Outcome, Search, State,
    Store, StoreError, Stream, Top,
};

/// Calls a macro with the name of every test.
macro_rules! each_test {
    ($then:ident) => {
        $then! {
            a_document_is_created_once_and_its_first_form_stays,
            a_bad_document_costs_no_other_one_its_place,
            a_document_without_an_id_gets_one,
            what_came_late_is_found_in_the_order_of_arrival,
            documents_of_a_group_share_what_is_said_of_it,
            a_cluster_sees_its_own_documents_only,
            values_are_counted_by_document,
            times_are_exact_to_the_nanosecond,
            steps_are_counted_from_wherever_they_begin,
            documents_that_nothing_tells_apart_come_once_in_pages,
            logs_are_found_by_each_name_in_them,
            many_logs_come_in_pages_and_later_ones_by_their_arrival,
        }
    };
}
pub(crate) use each_test;

/// The ids of a search's first page, without the tag.
pub async fn ids(store: &dyn Store, tag: &str, search: Search) -> Vec<String> {
    let hits = store.search(search).await.unwrap().hits;
    hits.into_iter()
        .map(|hit| hit.id.strip_prefix(&format!("{tag}-")).unwrap_or(&hit.id).to_owned())
        .collect()
}

/// All of a stream's documents in the cluster `c`, the newest first.
pub fn all(stream: Stream, tag: &str) -> Search {
    let filter = Filter { cluster: cluster(tag), ..Filter::default() };
    Search { stream, filter, order: Order::NewestFirst, after: None, limit: 100 }
}

fn cluster(tag: &str) -> String {
    format!("{tag}-c")
}

fn id(tag: &str, id: &str) -> String {
    format!("{tag}-{id}")
}

pub async fn a_document_is_created_once_and_its_first_form_stays(store: &dyn Store, tag: &str) {
    let first = Spec { entry: Some("one.example".to_owned()), ..Spec::new(1, "a") }.of(tag);
    let second = Spec { entry: Some("two.example".to_owned()), ..Spec::new(2, "a") }.of(tag);
    let other = Spec::new(3, "b").of(tag);
    let appended = store.append(vec![first.incoming(), second.incoming(), other.incoming()]).await.unwrap();
    let is_created = |one: &Appended| matches!(one.outcome, Outcome::Created { .. });
    assert_eq!(appended.iter().map(is_created).collect::<Vec<_>>(), [true, false, true]);
    assert_eq!(appended[1], Appended { id: id(tag, "a"), outcome: Outcome::Exists });
    let hit = store.get(Stream::Alerts, cluster(tag), id(tag, "a")).await.unwrap().unwrap();
    assert_eq!(hit.source, first.source());
    let asked = ["a", "x", "b"].map(|one| id(tag, one)).to_vec();
    let held = store.holds(Stream::Alerts, "default".to_owned(), asked).await;
    assert_eq!(held, Ok(vec![true, false, true]));
    assert_eq!(store.get(Stream::Logs, cluster(tag), id(tag, "a")).await, Ok(None));
}

pub async fn a_bad_document_costs_no_other_one_its_place(store: &dyn Store, tag: &str) {
    let mut bad = Spec::new(1, "bad").of(tag).incoming();
    bad.source = "{}".into();
    let log = Spec { stream: Stream::Logs, ..Spec::new(1, "log") }.of(tag);
    let documents = vec![log.incoming(), bad, Spec::new(2, "good").of(tag).incoming()];
    let appended = store.append(documents).await.unwrap();
    let ids: Vec<_> = appended.iter().map(|one| one.id.clone()).collect();
    assert_eq!(ids, ["log", "bad", "good"].map(|one| id(tag, one)));
    assert!(matches!(&appended[0].outcome, Outcome::Created { .. }), "{appended:?}");
    assert!(matches!(&appended[1].outcome, Outcome::Refused(_)), "{appended:?}");
    assert!(matches!(&appended[2].outcome, Outcome::Created { .. }), "{appended:?}");
}

pub async fn a_document_without_an_id_gets_one(store: &dyn Store, tag: &str) {
    let mut nameless = Spec::new(1, "").of(tag).incoming();
    nameless.id = None;
    let appended = store.append(vec![nameless.clone(), nameless]).await.unwrap();
    assert!(appended[0].id.len() == 20 && appended[0].id != appended[1].id, "{appended:?}");
    assert_eq!(ids(store, tag, all(Stream::Alerts, tag)).await.len(), 2);
}

pub async fn what_came_late_is_found_in_the_order_of_arrival(store: &dyn Store, tag: &str) {
    store.append(vec![Spec::new(9, "new").of(tag).incoming()]).await.unwrap();
    let arrived = store.search(all(Stream::Alerts, tag)).await.unwrap().arrived;
    let mut search = Search { order: Order::Arrival, after: Some(arrived), ..all(Stream::Alerts, tag) };
    let page = store.search(search.clone()).await.unwrap();
    assert!(page.hits.is_empty() && page.next.is_some(), "{page:?}");
    // Others may write at the same time.
    search.after = page.next;
    store.append(vec![Spec::new(1, "old").of(tag).incoming()]).await.unwrap();
    let page = store.search(search.clone()).await.unwrap();
    assert_eq!(page.hits.iter().map(|hit| hit.id.clone()).collect::<Vec<_>>(), [id(tag, "old")]);
    search.after = page.next;
    assert_eq!(ids(store, tag, search).await, [""; 0]);
}

pub async fn documents_of_a_group_share_what_is_said_of_it(store: &dyn Store, tag: &str) {
    let of = |group: &str, time, id| Spec { group: Some(group.to_owned()), ..Spec::new(time, id) }.of(tag);
    store.append([of("g", 1, "g"), of("h", 2, "h")].iter().map(Spec::incoming).collect()).await.unwrap();
    let said = Annotation {
        state: State::Dismissed,
        by: "ann".to_owned(),
        at: Time(7),
        reason: "a test".to_owned(),
    };
    store.annotate(cluster(tag), "g".to_owned(), said.clone()).await.unwrap();
    // What comes later belongs to the same group.
    store.append(vec![of("g", 3, "g-1").incoming()]).await.unwrap();
    let mut search = all(Stream::Alerts, tag);
    search.filter.states = vec![State::New, State::Acknowledged];
    assert_eq!(ids(store, tag, search.clone()).await, ["h"]);
    search.filter.states = vec![State::Dismissed];
    let page = store.search(search).await.unwrap();
    assert_eq!(page.hits.len(), 2);
    assert!(page.hits.iter().all(|hit| hit.annotation.as_ref() == Some(&said)), "{page:?}");
    let nobody = store.annotate(cluster(tag), "none".to_owned(), said.clone()).await;
    assert_eq!(nobody, Err(StoreError::NoSuchGroup("none".to_owned())));
    let elsewhere = store.annotate(format!("{tag}-other"), "g".to_owned(), said).await;
    assert_eq!(elsewhere, Err(StoreError::NoSuchGroup("g".to_owned())));
}

pub async fn a_cluster_sees_its_own_documents_only(store: &dyn Store, tag: &str) {
    let other = Spec { cluster: "other".to_owned(), ..Spec::new(1, "b") }.of(tag);
    store.append(vec![Spec::new(1, "a").of(tag).incoming(), other.incoming()]).await.unwrap();
    assert_eq!(ids(store, tag, all(Stream::Alerts, tag)).await, ["a"]);
    assert_eq!(store.get(Stream::Alerts, cluster(tag), id(tag, "b")).await, Ok(None));
}

pub async fn values_are_counted_by_document(store: &dyn Store, tag: &str) {
    let with = |id: &str, feeds: &[&str]| {
        let feeds = feeds.iter().map(|feed| (*feed).to_owned()).collect();
        Spec { feeds, action: Some(Action::ListedName), ..Spec::new(1, id) }.of(tag)
    };
    let documents = [with("a", &["x", "y"]), with("b", &["y", "y"]), with("c", &[])];
    store.append(documents.iter().map(Spec::incoming).collect()).await.unwrap();
    let filter = all(Stream::Alerts, tag).filter;
    let top = |field| Top { stream: Stream::Alerts, filter: filter.clone(), field, limit: 5 };
    let feeds = store.top(top(Field::Feed)).await.unwrap();
    let feeds: Vec<_> = feeds.iter().map(|top| (top.value.as_str(), top.documents)).collect();
    assert_eq!(feeds, [("y", 2), ("x", 1)]);
    let kinds = store.top(top(Field::Kind)).await.unwrap();
    let kinds: Vec<_> = kinds.iter().map(|top| (top.value.as_str(), top.documents)).collect();
    assert_eq!(kinds, [("listed-name", 3)]);
}

/// An hour that no document of another test is of.
const NOON: u64 = 1_795_348_800_000_000_000;

pub async fn times_are_exact_to_the_nanosecond(store: &dyn Store, tag: &str) {
    let times = [NOON - 1, NOON, NOON + 1];
    let documents = times.map(|time| Spec::new(time, &(time + 1 - NOON).to_string()).of(tag).incoming());
    store.append(documents.to_vec()).await.unwrap();
    let mut search = all(Stream::Alerts, tag);
    (search.filter.since, search.filter.until) = (Some(Time(NOON)), Some(Time(NOON + 1)));
    let hits = store.search(search.clone()).await.unwrap().hits;
    assert_eq!(hits.iter().map(|hit| hit.time).collect::<Vec<_>>(), [Time(NOON)]);
    (search.filter.since, search.filter.until) = (None, Some(Time(u64::MAX)));
    assert_eq!(ids(store, tag, search).await, ["2", "1", "0"]);
}

pub async fn steps_are_counted_from_wherever_they_begin(store: &dyn Store, tag: &str) {
    const MILLISECOND: u64 = 1_000_000;
    let at = |number: u64, time: u64| Spec::new(time, &number.to_string()).of(tag).incoming();
    let times = [NOON, NOON + 1, NOON + 7 * MILLISECOND - 1, NOON + 7 * MILLISECOND, NOON + 30 * MILLISECOND];
    store.append(times.into_iter().zip(0..).map(|(time, number)| at(number, time)).collect()).await.unwrap();
    let counted = async |from, step, steps| {
        let filter = all(Stream::Alerts, tag).filter;
        let asked = Histogram { stream: Stream::Alerts, filter, from: Time(from), step, steps };
        let buckets = store.histogram(asked).await.unwrap();
        assert!(buckets.iter().zip(0..).all(|(bucket, number)| bucket.from == Time(from + number * step)));
        buckets.into_iter().map(|bucket| bucket.documents).collect::<Vec<_>>()
    };
    assert_eq!(counted(NOON, 7 * MILLISECOND, 3).await, [3, 1, 0]);
    assert_eq!(counted(NOON - 3 * MILLISECOND, 5 * MILLISECOND, 4).await, [2, 1, 1, 0]);
    assert_eq!(counted(NOON + 1, 7 * MILLISECOND, 5).await, [3, 0, 0, 0, 1]);
    assert_eq!(counted(NOON, 7 * MILLISECOND, 0).await, [0; 0]);
}

pub async fn documents_that_nothing_tells_apart_come_once_in_pages(store: &dyn Store, tag: &str) {
    let nameless = |number: u64| {
        let spec = Spec::new(NOON, &number.to_string()).of(tag);
        let mut document: serde_json::Value = serde_json::from_slice(&spec.source()).unwrap();
        document.as_object_mut().unwrap().remove("event");
        Incoming { source: document.to_string().into(), ..spec.incoming() }
    };
    store.append((0..10).map(nameless).collect()).await.unwrap();
    for order in [Order::NewestFirst, Order::OldestFirst, Order::Arrival] {
        let (mut search, mut found) = (Search { order, limit: 3, ..all(Stream::Alerts, tag) }, Vec::new());
        loop {
            let page = store.search(search.clone()).await.unwrap();
            found.extend(page.hits.iter().map(|hit| hit.id.clone()));
            if page.hits.len() < 3 {
                break;
            }
            search.after = page.next;
        }
        found.sort();
        assert_eq!(
            found,
            (0..10).map(|number| id(tag, &number.to_string())).collect::<Vec<_>>(),
            "{order:?}"
        );
    }
}

fn log(tag: &str, number: usize, time: u64, named: &str, dns: &serde_json::Value) -> Incoming {
    let cluster = format!("{tag}-{named}");
    let source =
        json!({ "@timestamp": Time(time), "orchestrator": { "cluster": { "name": cluster } }, "dns": dns });
    let (stream, namespace) = (Stream::Logs, "default".to_owned());
    Incoming { stream, namespace, id: Some(id(tag, &number.to_string())), source: source.to_string().into() }
}

fn naming(tag: &str, name: &'static str) -> Naming {
    let is_meant = Arc::new(move |value: &str| value.split(' ').any(|part| part == name));
    Naming { cluster: cluster(tag), since: Time(5), arrived_after: None, is_meant, after: None }
}

/// Every page's documents by their number, and what arrived before the first page was asked for.
async fn named(store: &dyn Store, tag: &str, mut naming: Naming) -> (Vec<usize>, u64) {
    let (mut numbers, mut arrived) = (Vec::new(), None);
    loop {
        let page = store.naming(naming.clone()).await.unwrap();
        arrived.get_or_insert(page.arrived);
        let number = |hit: &Hit| hit.id.strip_prefix(&format!("{tag}-")).unwrap().parse::<usize>().unwrap();
        numbers.extend(page.hits.iter().map(number));
        naming.after = page.next;
        if naming.after.is_none() {
            numbers.sort_unstable();
            return (numbers, arrived.unwrap());
        }
    }
}

pub async fn logs_are_found_by_each_name_in_them(store: &dyn Store, tag: &str) {
    let evil = json!({ "name": "evil.example" });
    let documents = [
        log(tag, 0, 9, "c", &json!({ "question": evil })),
        log(
            tag,
            1,
            9,
            "c",
            &json!({ "answers": [{ "name": "x" }, { "name": "evil.example", "data": "192.0.2.1" }] }),
        ),
        log(tag, 2, 9, "c", &json!({ "answers": [{ "name": "x", "data": ["10 evil.example", "y"] }] })),
        log(tag, 3, 9, "c", &json!({ "authorities": [{ "data": "evil.example" }], "additionals": [{}] })),
        log(tag, 4, 9, "c", &json!({ "additionals": [evil] })),
        log(tag, 5, 9, "c", &json!({ "question": { "name": "good.example" } })),
        log(tag, 6, 9, "d", &json!({ "question": evil })),
        log(tag, 7, 4, "c", &json!({ "question": evil })),
        // In several places, and by several names: found once.
        log(
            tag,
            8,
            9,
            "c",
            &json!({ "question": evil, "answers": [evil, { "data": ["evil.example", "1 evil.example"] }] }),
        ),
    ];
    store.append(documents.into()).await.unwrap();
    assert_eq!(named(store, tag, naming(tag, "evil.example")).await.0, [0, 1, 2, 3, 4, 8]);
    assert_eq!(named(store, tag, naming(tag, "nobody.example")).await.0, [0; 0]);
}

pub async fn many_logs_come_in_pages_and_later_ones_by_their_arrival(store: &dyn Store, tag: &str) {
    const MANY: usize = 1201;
    let evil = json!({ "question": { "name": "evil.example" } });
    store.append((0..MANY).map(|number| log(tag, number, 9, "c", &evil)).collect()).await.unwrap();
    let first = store.naming(naming(tag, "evil.example")).await.unwrap();
    assert!(first.hits.len() < MANY && first.next.is_some(), "{} at once", first.hits.len());
    let (numbers, arrived) = named(store, tag, naming(tag, "evil.example")).await;
    assert_eq!(numbers, (0..MANY).collect::<Vec<_>>());
    let later = || Naming { arrived_after: Some(arrived), ..naming(tag, "evil.example") };
    assert_eq!(named(store, tag, later()).await.0, [0; 0]);
    store.append(vec![log(tag, MANY, 7, "c", &evil)]).await.unwrap();
    assert_eq!(named(store, tag, later()).await.0, [MANY]);
}
