//! The servers themselves: what a test relies on when it starts, ends and restarts one.

use anyhow::{Result, ensure};
use namewarden_tests::search_engine::{Kind, SearchEngine};

use crate::rig::ids;

const STREAM: &str = "logs-namewarden.alert-default";

fn store(engine: &SearchEngine, stream: &str, ids: &[&str]) -> Result<()> {
    let document = |id: &&str| {
        format!("{{\"create\":{{\"_id\":\"{id}\"}}}}\n{{\"@timestamp\":\"2026-11-28T12:00:00Z\"}}\n")
    };
    let body: String = ids.iter().map(document).collect();
    let answer = engine.ask("POST", &format!("/{stream}/_bulk"), &body)?;
    ensure!(answer.pointer("/errors") == Some(&false.into()), "{answer}");
    Ok(())
}

fn keeps_its_documents(kind: Kind) -> Result<()> {
    let engine = SearchEngine::start(kind)?;
    engine.set_up(&[])?;
    store(&engine, STREAM, &["1"])?;
    engine.roll_over(STREAM)?;
    store(&engine, STREAM, &["2"])?;
    engine.kill();
    ensure!(engine.ask("GET", "/_cluster/health", "").is_err(), "it still answers");
    engine.resume()?;
    let found = ids(&engine, STREAM)?;
    ensure!(found == ["1", "2"], "{found:?}");
    Ok(())
}

/// More than one answer of a search holds.
fn finds_all(kind: Kind) -> Result<()> {
    const STREAM: &str = "logs-namewarden.alert-pages";
    let engine = SearchEngine::shared(kind)?;
    let all: Vec<String> = (0..12_000).map(|number| format!("{number:06}")).collect();
    store(&engine, STREAM, &all.iter().map(String::as_str).collect::<Vec<_>>())?;
    let found = ids(&engine, STREAM)?;
    ensure!(found == all, "{} found", found.len());
    Ok(())
}

#[test]
fn opensearch_shows_every_document_page_by_page() -> Result<()> {
    finds_all(Kind::OpenSearch)
}

#[test]
fn elasticsearch_shows_every_document_page_by_page() -> Result<()> {
    finds_all(Kind::Elasticsearch)
}

#[test]
fn opensearch_keeps_its_documents_over_a_crash() -> Result<()> {
    keeps_its_documents(Kind::OpenSearch)
}

#[test]
fn elasticsearch_keeps_its_documents_over_a_crash() -> Result<()> {
    keeps_its_documents(Kind::Elasticsearch)
}
