//! Documents arrive as they are written: those of the reference, in the streams that it names.

use anyhow::{Context as _, Result, ensure};
use namewarden_agent::pipeline::sink::spool::Kind as Lane;
use namewarden_protocol::document::{Action, Document};
use namewarden_tests::search_engine::{Kind, SearchEngine};
use serde_json::Value;

use crate::rig::{PATIENCE, Rig, ids, stream};

const REFERENCE: &str = include_str!("../../../docs/reference/documents.md");

/// The whole documents that the reference shows.
fn examples() -> Vec<Document> {
    let blocks = REFERENCE.split("```json\n").skip(1).filter_map(|rest| rest.split("\n```").next());
    blocks.filter_map(|text| serde_json::from_str(text).ok()).collect()
}

fn arrive_as_written(kind: Kind) -> Result<()> {
    let (engine, folder) = (SearchEngine::shared(kind)?, tempfile::tempdir()?);
    let rig = Rig::open(&engine.url(), folder.path(), "examples")?;
    let mut written = examples();
    ensure!(written.len() >= 8, "the reference has {} examples", written.len());
    for (number, document) in written.iter_mut().enumerate() {
        document.event.id = format!("example-{number}");
        document.data_stream.namespace = "examples".into();
        rig.sink.write_waiting(document.clone());
    }
    let counts = rig.sink.close(PATIENCE);
    ensure!(counts.alerts.dropped + counts.logs.dropped == 0, "{counts:?}");
    let mut found = Vec::new();
    for lane in [Lane::Alerts, Lane::Logs] {
        found.extend(engine.documents(&stream(lane, "examples"))?);
    }
    ensure!(
        found.len() == written.len(),
        "{} of {} arrived: {:?}",
        found.len(),
        written.len(),
        rig.sink.lanes()
    );
    for document in &written {
        let hit = found.iter().find(|hit| hit.pointer("/_id") == Some(&document.event.id.clone().into()));
        let source = hit.and_then(|hit| hit.get("_source")).context("a document is missing")?;
        ensure!(*source == serde_json::to_value(document)?, "{source:#}");
        let index = hit.and_then(|hit| hit.pointer("/_index")).and_then(Value::as_str).unwrap_or_default();
        ensure!(index.contains(&document.stream()), "{index}");
    }
    Ok(())
}

#[test]
fn the_examples_of_the_reference_arrive_in_opensearch_as_they_are() -> Result<()> {
    arrive_as_written(Kind::OpenSearch)
}

#[test]
fn the_examples_of_the_reference_arrive_in_elasticsearch_as_they_are() -> Result<()> {
    arrive_as_written(Kind::Elasticsearch)
}

fn refused_is_kept(kind: Kind) -> Result<()> {
    let (engine, folder) = (SearchEngine::shared(kind)?, tempfile::tempdir()?);
    let rig = Rig::open(&engine.url(), folder.path(), "refused")?;
    rig.write(Action::ListedName, 0..500);
    let mut wrong = rig.document(Action::ListedName, 500);
    // Longer than an id may be.
    wrong.event.id = "i".repeat(600);
    rig.sink.write_waiting(wrong);
    rig.write(Action::ListedName, 501..1000);
    let counts = rig.settled(1000)?;
    ensure!((counts.acknowledged, counts.refused) == (999, 1), "{counts:?}");
    let letter = std::fs::read_to_string(folder.path().join("refused.ndjson"))?;
    let letter: Value = serde_json::from_str(letter.trim_end())?;
    ensure!(letter.pointer("/document/event/id") == Some(&"i".repeat(600).into()), "{letter}");
    ensure!(ids(&engine, &stream(Lane::Alerts, "refused"))?.len() == 999);
    Ok(())
}

#[test]
fn one_bad_document_in_a_thousand_costs_opensearch_no_other() -> Result<()> {
    refused_is_kept(Kind::OpenSearch)
}

#[test]
fn one_bad_document_in_a_thousand_costs_elasticsearch_no_other() -> Result<()> {
    refused_is_kept(Kind::Elasticsearch)
}
