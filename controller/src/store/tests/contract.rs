//! What every store does, as one test a sentence: run against SQLite here, against search engines in the suite `search`.
//!
//! Servers are shared: each test has clusters and ids of its own, told by a tag.

use namewarden_protocol::document::{Action, Time};

use super::made_up::Spec;
use crate::store::{
    Annotation, Appended, Field, Filter, Order, Outcome, Search, State, Store, StoreError, Stream, Top,
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
