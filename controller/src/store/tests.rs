//! What every store does: any sequence of appends, annotations and questions is answered as a naive store in memory answers it.

// Documents, operations, and how they are made up.
pub mod made_up;

// The naive store.
pub mod model;

use std::time::Duration;

use namewarden_protocol::document::{Action, Time};
use proptest::prelude::*;

use super::{
    Annotation, Appended, Field, Filter, Order, Outcome, Search, State, Store, StoreError, Stream,
    sqlite::{Settings, SqliteStore},
};
use made_up::{Operation, Spec, operation};
use model::Model;

/// Keeps everything.
pub const EVERYTHING: Settings = Settings {
    alerts_age: Duration::from_secs(u32::MAX as u64),
    logs_age: Duration::from_secs(u32::MAX as u64),
    bytes: u64::MAX,
};

/// A store in a folder.
pub fn open(folder: &tempfile::TempDir) -> SqliteStore {
    SqliteStore::open(folder.path(), EVERYTHING).unwrap()
}

/// The ids of a search's first page.
pub async fn ids(store: &dyn Store, search: Search) -> Vec<String> {
    store.search(search).await.unwrap().hits.into_iter().map(|hit| hit.id).collect()
}

/// All of a stream's documents in the cluster `c`, the newest first.
pub fn all(stream: Stream) -> Search {
    let filter = Filter { cluster: "c".to_owned(), ..Filter::default() };
    Search { stream, filter, order: Order::NewestFirst, after: None, limit: 100 }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn any_sequence_is_answered_as_by_a_store_in_memory(
        operations in prop::collection::vec(operation(), 1..40),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let (mut store, mut model) = (open(&folder), Model::default());
            for operation in operations {
                if matches!(operation, Operation::Restart) {
                    drop(store);
                    store = open(&folder);
                } else {
                    model.compare(&store, operation).await;
                }
            }
        });
    }
}

#[tokio::test]
async fn a_document_is_created_once_and_its_first_form_stays() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let first = Spec { entry: Some("one.example".to_owned()), ..Spec::new(1, "a") };
    let second = Spec { entry: Some("two.example".to_owned()), ..Spec::new(2, "a") };
    let appended =
        store.append(vec![first.incoming(), second.incoming(), Spec::new(3, "b").incoming()]).await.unwrap();
    let is_created = |one: &Appended| matches!(one.outcome, Outcome::Created { .. });
    assert_eq!(appended.iter().map(is_created).collect::<Vec<_>>(), [true, false, true]);
    assert_eq!(appended[1], Appended { id: "a".to_owned(), outcome: Outcome::Exists });
    let hit = store.get(Stream::Alerts, "c".to_owned(), "a".to_owned()).await.unwrap().unwrap();
    assert_eq!(hit.source, first.source());
    assert_eq!(
        store.holds(Stream::Alerts, "default".to_owned(), ["a", "x", "b"].map(str::to_owned).to_vec()).await,
        Ok(vec![true, false, true])
    );
    assert_eq!(store.get(Stream::Logs, "c".to_owned(), "a".to_owned()).await, Ok(None));
}

#[tokio::test]
async fn a_bad_document_costs_no_other_one_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let mut bad = Spec::new(1, "bad").incoming();
    bad.source = "{}".into();
    let log = Spec { stream: Stream::Logs, ..Spec::new(1, "log") };
    let appended = store.append(vec![log.incoming(), bad, Spec::new(2, "good").incoming()]).await.unwrap();
    assert!(matches!(&appended[0], Appended { id, outcome: Outcome::Created { .. } } if id == "log"));
    assert!(matches!(&appended[1], Appended { id, outcome: Outcome::Refused(_) } if id == "bad"));
    assert!(matches!(&appended[2], Appended { id, outcome: Outcome::Created { .. } } if id == "good"));
}

#[tokio::test]
async fn a_document_without_an_id_gets_one() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let mut nameless = Spec::new(1, "").incoming();
    nameless.id = None;
    let appended = store.append(vec![nameless.clone(), nameless]).await.unwrap();
    assert!(appended[0].id.len() == 20 && appended[0].id != appended[1].id, "{appended:?}");
    assert_eq!(ids(&store, all(Stream::Alerts)).await.len(), 2);
}

#[tokio::test]
async fn what_came_late_is_found_in_the_order_of_arrival() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    store.append(vec![Spec::new(9, "new").incoming()]).await.unwrap();
    let arrived = store.search(all(Stream::Alerts)).await.unwrap().arrived;
    let mut search =
        Search { order: Order::Arrival, after: Some(super::Cursor::Arrival(arrived)), ..all(Stream::Alerts) };
    let page = store.search(search.clone()).await.unwrap();
    assert!(page.hits.is_empty() && page.next == search.after, "{page:?}");
    store.append(vec![Spec::new(1, "old").incoming()]).await.unwrap();
    let page = store.search(search.clone()).await.unwrap();
    assert_eq!(page.hits.iter().map(|hit| hit.id.as_str()).collect::<Vec<_>>(), ["old"]);
    search.after = page.next;
    assert_eq!(ids(&store, search).await, [""; 0]);
}

#[tokio::test]
async fn documents_of_a_group_share_what_is_said_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let of = |group: &str, time, id| Spec { group: Some(group.to_owned()), ..Spec::new(time, id) };
    store.append([of("g", 1, "g"), of("h", 2, "h")].iter().map(Spec::incoming).collect()).await.unwrap();
    let said = Annotation {
        state: State::Dismissed,
        by: "ann".to_owned(),
        at: Time(7),
        reason: "a test".to_owned(),
    };
    store.annotate("c".to_owned(), "g".to_owned(), said.clone()).await.unwrap();
    // What comes later belongs to the same group.
    store.append(vec![of("g", 3, "g-1").incoming()]).await.unwrap();
    let mut search = all(Stream::Alerts);
    search.filter.states = vec![State::New, State::Acknowledged];
    assert_eq!(ids(&store, search.clone()).await, ["h"]);
    search.filter.states = vec![State::Dismissed];
    let page = store.search(search).await.unwrap();
    assert_eq!(page.hits.len(), 2);
    assert!(page.hits.iter().all(|hit| hit.annotation.as_ref() == Some(&said)), "{page:?}");
    let nobody = store.annotate("c".to_owned(), "none".to_owned(), said.clone()).await;
    assert_eq!(nobody, Err(StoreError::NoSuchGroup("none".to_owned())));
    let elsewhere = store.annotate("other".to_owned(), "g".to_owned(), said).await;
    assert_eq!(elsewhere, Err(StoreError::NoSuchGroup("g".to_owned())));
}

#[tokio::test]
async fn a_cluster_sees_its_own_documents_only() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let other = Spec { cluster: "other".to_owned(), ..Spec::new(1, "b") };
    store.append(vec![Spec::new(1, "a").incoming(), other.incoming()]).await.unwrap();
    assert_eq!(ids(&store, all(Stream::Alerts)).await, ["a"]);
    assert_eq!(store.get(Stream::Alerts, "c".to_owned(), "b".to_owned()).await, Ok(None));
}

#[tokio::test]
async fn values_are_counted_by_document() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let with = |id: &str, feeds: &[&str]| Spec {
        feeds: feeds.iter().map(|feed| (*feed).to_owned()).collect(),
        action: Some(Action::ListedName),
        ..Spec::new(1, id)
    };
    let documents = [with("a", &["x", "y"]), with("b", &["y", "y"]), with("c", &[])];
    store.append(documents.iter().map(Spec::incoming).collect()).await.unwrap();
    let top =
        |field| super::Top { stream: Stream::Alerts, filter: all(Stream::Alerts).filter, field, limit: 5 };
    let feeds = store.top(top(Field::Feed)).await.unwrap();
    let feeds: Vec<_> = feeds.iter().map(|top| (top.value.as_str(), top.documents)).collect();
    assert_eq!(feeds, [("y", 2), ("x", 1)]);
    let kinds = store.top(top(Field::Kind)).await.unwrap();
    assert_eq!(
        kinds.iter().map(|top| (top.value.as_str(), top.documents)).collect::<Vec<_>>(),
        [("listed-name", 3)]
    );
}
