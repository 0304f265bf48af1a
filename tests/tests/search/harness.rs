//! The servers themselves: what a test relies on when it starts, ends and restarts one.

use anyhow::{Result, ensure};
use namewarden_tests::search_engine::{Kind, SearchEngine};

const STREAM: &str = "logs-namewarden.alert-default";

fn store(engine: &SearchEngine, id: &str) -> Result<()> {
    let body = format!("{{\"create\":{{\"_id\":\"{id}\"}}}}\n{{\"@timestamp\":\"2026-11-28T12:00:00Z\"}}\n");
    let answer = engine.ask("POST", &format!("/{STREAM}/_bulk"), &body)?;
    ensure!(answer.pointer("/errors") == Some(&false.into()), "{answer}");
    Ok(())
}

fn keeps_its_documents(kind: Kind) -> Result<()> {
    let engine = SearchEngine::start(kind)?;
    engine.install_template()?;
    store(&engine, "1")?;
    engine.roll_over(STREAM)?;
    store(&engine, "2")?;
    engine.kill();
    ensure!(engine.ask("GET", "/_cluster/health", "").is_err(), "it still answers");
    engine.resume()?;
    let found = engine.documents(STREAM)?;
    let mut ids: Vec<_> = found.iter().filter_map(|hit| hit.pointer("/_id")?.as_str()).collect();
    ids.sort_unstable();
    ensure!(ids == ["1", "2"], "{found:?}");
    Ok(())
}

#[test]
fn opensearch_keeps_its_documents_over_a_crash() -> Result<()> {
    keeps_its_documents(Kind::OpenSearch)
}

#[test]
fn elasticsearch_keeps_its_documents_over_a_crash() -> Result<()> {
    keeps_its_documents(Kind::Elasticsearch)
}
