//! The controller's store in a search engine does what its store of files does: the same tests, the same answers.

// Documents and operations, as the controller's own tests make them up.
#[path = "../../../controller/src/store/tests/made_up.rs"]
mod made_up;

// The store in memory that answers are compared with.
#[path = "../../../controller/src/store/tests/model.rs"]
#[expect(clippy::unwrap_used, clippy::panic, reason = "a test")]
mod model;

// What every store does, one by one.
#[path = "../../../controller/src/store/tests/contract.rs"]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]
mod contract;

use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, Result, anyhow, ensure};
use namewarden_controller::search::engine::Engine;
use namewarden_protocol::document::Time;
use namewarden_protocol::search_engine::Settings;
use namewarden_tests::search_engine::{Kind, SearchEngine};
use proptest::test_runner::{Config, TestRunner};
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};

use crate::store::engine::EngineStore;
use crate::store::{Annotation, Order, Outcome, Search, State, Store as _, Stream};
use made_up::{Operation, operation};
use model::Model;

/// Sequences of one test: each takes seconds.
const CASES: u32 = 8;

pub fn open(engine: &SearchEngine) -> Result<EngineStore> {
    open_as(engine, &Settings::default())
}

/// One that asks so.
pub fn open_as(engine: &SearchEngine, settings: &Settings) -> Result<EngineStore> {
    // As the program does when it starts.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Ok(EngineStore::new(Engine::new(vec![engine.url().parse()?], settings)?))
}

/// What no other test has.
fn tag() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("t{}-{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

fn runtime() -> Result<Runtime> {
    Builder::new_current_thread().enable_all().build().context("no runtime")
}

fn answers_as_a_store_in_memory(kind: Kind) -> Result<()> {
    let (engine, runtime) = (SearchEngine::shared(kind)?, runtime()?);
    let config =
        Config { cases: CASES, failure_persistence: None, max_shrink_iters: 100, ..Config::default() };
    let sequences = proptest::collection::vec(operation(), 1..40);
    let ran = TestRunner::new(config).run(&sequences, |operations| {
        let (tag, mut model) = (tag(), Model::default());
        let mut store =
            open(&engine).map_err(|error| proptest::test_runner::TestCaseError::fail(error.to_string()))?;
        for operation in operations {
            if matches!(operation, Operation::Restart) {
                store = open(&engine)
                    .map_err(|error| proptest::test_runner::TestCaseError::fail(error.to_string()))?;
            } else {
                runtime.block_on(model.compare(&store, operation.of(&tag)));
            }
        }
        Ok(())
    });
    ran.map_err(|error| anyhow!("{error}"))
}

/// What an older index of a data stream has is there too: found, not taken again, in its place.
async fn rolls_over(engine: &SearchEngine) -> Result<()> {
    let (store, tag) = (open(engine)?, tag());
    let spec =
        |time, id| made_up::Spec { space: "rolled".to_owned(), ..made_up::Spec::new(time, id) }.of(&tag);
    let append = async |specs: &[made_up::Spec]| -> Result<Vec<Outcome>> {
        let appended = store.append(specs.iter().map(made_up::Spec::incoming).collect()).await?;
        Ok(appended.into_iter().map(|one| one.outcome).collect())
    };
    append(&[spec(1, "a"), spec(5, "b")]).await?;
    let before = store.search(contract::all(Stream::Alerts, &tag)).await?.arrived;
    engine.roll_over("logs-namewarden.alert-rolled")?;
    let outcomes = append(&[spec(9, "a"), spec(3, "c")]).await?;
    ensure!(matches!(outcomes.as_slice(), [Outcome::Exists, Outcome::Created { .. }]), "{outcomes:?}");
    let ids = contract::ids(&store, &tag, contract::all(Stream::Alerts, &tag)).await;
    ensure!(ids == ["b", "c", "a"], "{ids:?}");
    let mut search = Search { order: Order::Arrival, ..contract::all(Stream::Alerts, &tag) };
    let ids = contract::ids(&store, &tag, search.clone()).await;
    ensure!(ids == ["a", "b", "c"], "{ids:?}");
    // Another controller goes on where this one was.
    search.after = Some(before);
    let ids = contract::ids(&open(engine)?, &tag, search).await;
    ensure!(ids == ["c"], "{ids:?}");
    let asked = ["a", "b", "c", "d"].map(|id| format!("{tag}-{id}")).to_vec();
    let held = store.holds(Stream::Alerts, "rolled".to_owned(), asked).await?;
    ensure!(held == [true, true, true, false], "{held:?}");
    Ok(())
}

#[test]
fn opensearch_keeps_a_document_once_over_a_rollover() -> Result<()> {
    runtime()?.block_on(rolls_over(&*SearchEngine::shared(Kind::OpenSearch)?))
}

#[test]
fn elasticsearch_keeps_a_document_once_over_a_rollover() -> Result<()> {
    runtime()?.block_on(rolls_over(&*SearchEngine::shared(Kind::Elasticsearch)?))
}

/// Servers pass indices by that have nothing for a page any more: they must know it to the nanosecond.
async fn misses_nothing_of_a_millisecond(engine: &SearchEngine) -> Result<()> {
    // More than a server asks at once, and the first has a whole page: the last ones are asked with how far that one came.
    const STREAMS: u64 = 12;
    let (store, tag) = (open(engine)?, tag());
    let spec = |time, space: u64| made_up::Spec {
        space: format!("moment{space}"),
        ..made_up::Spec::new(time, &format!("{time}"))
    };
    let first = (1..STREAMS).map(|time| spec(50 + time, 0));
    let specs = (0..STREAMS).map(|space| spec(space, space)).chain(first);
    store.append(specs.map(|spec| spec.of(&tag).incoming()).collect()).await?;
    let limit = usize::try_from(STREAMS)?;
    let search = Search { order: Order::OldestFirst, limit, ..contract::all(Stream::Alerts, &tag) };
    // Which index answers first is not ours to say.
    for _ in 0..40 {
        let page = store.search(search.clone()).await?;
        let found: Vec<_> = page.hits.into_iter().map(|hit| hit.time.0).collect();
        ensure!(found == (0..STREAMS).collect::<Vec<_>>(), "{found:?}");
    }
    Ok(())
}

#[test]
fn opensearch_misses_nothing_of_the_millisecond_that_a_page_ends_in() -> Result<()> {
    runtime()?.block_on(misses_nothing_of_a_millisecond(&*SearchEngine::shared(Kind::OpenSearch)?))
}

#[test]
fn elasticsearch_misses_nothing_of_the_millisecond_that_a_page_ends_in() -> Result<()> {
    runtime()?.block_on(misses_nothing_of_a_millisecond(&*SearchEngine::shared(Kind::Elasticsearch)?))
}

/// What is said of a group goes when no alert of it is left, and not before.
async fn forgets(engine: &SearchEngine) -> Result<()> {
    const STREAM: &str = "logs-namewarden.alert-forgotten";
    let (store, tag) = (open(engine)?, tag());
    let spec = |id: &str| made_up::Spec {
        space: "forgotten".to_owned(),
        group: Some(format!("group-{id}")),
        ..made_up::Spec::new(1, id)
    };
    let specs = ["a", "b", "c"].map(|id| spec(id).of(&tag).incoming());
    store.append(specs.to_vec()).await?;
    let cluster = format!("{tag}-c");
    let day = Time(86_400_000_000_000);
    for (id, at) in [("a", 1), ("b", 1), ("c", day.0)] {
        let (by, reason) = ("ann".to_owned(), String::new());
        let said = Annotation { state: State::Dismissed, by, at: Time(at), reason };
        store.annotate(cluster.clone(), format!("group-{id}"), said).await?;
    }
    // As an index does that has become too old.
    for id in ["a", "c"] {
        let found = engine.ask("GET", &format!("/{STREAM}/_search?q=_id:{tag}-{id}"), "")?;
        let index =
            found.pointer("/hits/hits/0/_index").and_then(Value::as_str).context("it is not found")?;
        engine.ask("DELETE", &format!("/{index}/_doc/{tag}-{id}?refresh=true"), "")?;
    }
    let now = Time(day.0 + 2);
    let forgotten = [store.forget(&cluster, now).await?, store.forget(&cluster, now).await?];
    ensure!(forgotten == [1, 0], "{forgotten:?}");
    let later = store.forget(&cluster, Time(2 * day.0 + 1)).await?;
    ensure!(later == 1, "{later}");
    let mut search = contract::all(Stream::Alerts, &tag);
    search.filter.states = vec![State::Dismissed];
    let ids = contract::ids(&store, &tag, search).await;
    ensure!(ids == ["b"], "{ids:?}");
    Ok(())
}

#[test]
fn opensearch_forgets_what_was_said_of_groups_that_are_gone() -> Result<()> {
    runtime()?.block_on(forgets(&*SearchEngine::shared(Kind::OpenSearch)?))
}

#[test]
fn elasticsearch_forgets_what_was_said_of_groups_that_are_gone() -> Result<()> {
    runtime()?.block_on(forgets(&*SearchEngine::shared(Kind::Elasticsearch)?))
}

macro_rules! against {
    ($($test:ident,)*) => {
        mod opensearch {
            $(#[test] fn $test() -> super::Result<()> {
                let engine = super::SearchEngine::shared(super::Kind::OpenSearch)?;
                let store = super::open(&engine)?;
                super::runtime()?.block_on(super::contract::$test(&store, &super::tag()));
                Ok(())
            })*
        }
        mod elasticsearch {
            $(#[test] fn $test() -> super::Result<()> {
                let engine = super::SearchEngine::shared(super::Kind::Elasticsearch)?;
                let store = super::open(&engine)?;
                super::runtime()?.block_on(super::contract::$test(&store, &super::tag()));
                Ok(())
            })*
        }
    };
}

contract::each_test!(against);

#[test]
fn opensearch_answers_any_sequence_as_a_store_in_memory() -> Result<()> {
    answers_as_a_store_in_memory(Kind::OpenSearch)
}

#[test]
fn elasticsearch_answers_any_sequence_as_a_store_in_memory() -> Result<()> {
    answers_as_a_store_in_memory(Kind::Elasticsearch)
}
