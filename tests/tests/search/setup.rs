//! What `namewarden-controller setup-search` installs: once, again, over something older, over what a person changed.

use anyhow::{Context as _, Result, ensure};
use namewarden_protocol::document::mapping::{FIELDS, FieldType};
use namewarden_tests::search_engine::{Kind, SearchEngine};
use serde_json::{Value, json};

const FIELDS_COMPONENT: &str = "/_component_template/namewarden@mappings";
const CUSTOM: &str = "/_component_template/namewarden-alerts@custom";
const STREAM: &str = "logs-namewarden.alert-setup";
const ALIAS: &str = "tigera_secure_ee_threatfeeds_domainnameset.east.";

fn set_up(engine: &SearchEngine) -> Result<String> {
    let (said, status) = engine.set_up(&["--cluster-name", "east"])?;
    ensure!(status == 0 || status == 1, "{said}");
    Ok(said)
}

/// Lines that say so of something.
fn count(said: &str, outcome: &str) -> usize {
    said.lines().filter(|line| line.starts_with(outcome)).count()
}

fn store(engine: &SearchEngine, document: &Value) -> Result<()> {
    let body = format!("{{\"create\":{{}}}}\n{document}\n");
    let answer = engine.ask("POST", &format!("/{STREAM}/_bulk?refresh=true"), &body)?;
    ensure!(answer.pointer("/errors") == Some(&json!(false)), "{answer}");
    Ok(())
}

/// `mappings` of the index that the stream writes to.
fn mappings(engine: &SearchEngine) -> Result<Value> {
    let answer = engine.ask("GET", &format!("/{STREAM}/_mapping"), "")?;
    let indices = answer.as_object().context("no mapping")?;
    let newest = indices.iter().max_by_key(|(index, _)| (*index).clone()).context("no index")?;
    Ok(newest.1.pointer("/mappings").context("no mappings")?.clone())
}

fn at<'a>(mappings: &'a Value, field: &str) -> Option<&'a Value> {
    field.split('.').try_fold(mappings, |place, name| place.get("properties")?.get(name))
}

/// What a field may be where a server does not have all types.
fn fits(kind: FieldType, found: &str) -> bool {
    let others: &[&str] = match kind {
        FieldType::MatchOnlyText => &["text"],
        FieldType::ConstantKeyword => &["keyword"],
        FieldType::Flattened => &["flat_object"],
        _ => &[],
    };
    found == kind.name() || others.contains(&found)
}

fn installs_once(kind: Kind) -> Result<()> {
    let engine = SearchEngine::start(kind)?;
    let first = set_up(&engine)?;
    ensure!(count(&first, "created") >= 9 && count(&first, "updated") == 0, "{first}");
    let second = set_up(&engine)?;
    ensure!(count(&second, "created") + count(&second, "updated") == 0, "{second}");

    let document = json!({"@timestamp": "2026-11-28T12:00:00Z", "made_up": {"field": "value"}});
    store(&engine, &document)?;
    let told = mappings(&engine)?;
    for (field, kind) in FIELDS {
        let found = at(&told, field).and_then(|found| found.get("type")?.as_str());
        ensure!(found.is_some_and(|found| fits(*kind, found)), "{field}: {found:?}");
    }
    ensure!(at(&told, "made_up").is_none(), "a field was made up: {told:#}");
    older_is_brought_up_to_date(&engine)?;
    what_a_person_changed_stays(&engine)?;
    pushed_documents_are_kept_as_they_come(&engine)
}

fn older_is_brought_up_to_date(engine: &SearchEngine) -> Result<()> {
    let older = json!({"version": 0, "template": {"mappings": {"properties": {"@timestamp": {"type": "date_nanos"}}}}});
    engine.ask("PUT", FIELDS_COMPONENT, &older.to_string())?;
    engine.roll_over(STREAM)?;
    ensure!(at(&mappings(engine)?, "event.action").is_none());
    let said = set_up(engine)?;
    ensure!(count(&said, "updated") == 2, "{said}");
    ensure!(at(&mappings(engine)?, "event.action").is_some(), "the stream did not learn the fields");
    // One that cannot learn them, for the type of a field is another one, goes on in a new index.
    let other =
        json!({"version": 0, "template": {"mappings": {"properties": {"event": {"type": "keyword"}}}}});
    engine.ask("PUT", FIELDS_COMPONENT, &other.to_string())?;
    engine.roll_over(STREAM)?;
    let said = set_up(engine)?;
    ensure!(at(&mappings(engine)?, "event.action").is_some(), "{said}");

    let newer = json!({"version": 1_000, "template": {"mappings": {"properties": {}}}});
    engine.ask("PUT", FIELDS_COMPONENT, &newer.to_string())?;
    let said = set_up(engine)?;
    ensure!(count(&said, "updated") == 0, "{said}");
    engine.ask("PUT", FIELDS_COMPONENT, &older.to_string())?;
    set_up(engine)?;
    Ok(())
}

fn what_a_person_changed_stays(engine: &SearchEngine) -> Result<()> {
    let theirs = json!({"template": {
        "settings": {"index": {"refresh_interval": "7s"}},
        "mappings": {"properties": {"team": {"type": "keyword"}}},
    }});
    engine.ask("PUT", CUSTOM, &theirs.to_string())?;
    let said = set_up(engine)?;
    ensure!(count(&said, "updated") == 0, "{said}");
    engine.roll_over(STREAM)?;
    ensure!(at(&mappings(engine)?, "team").is_some(), "the field of theirs is gone");
    let settings = engine.ask("GET", &format!("/{STREAM}/_settings"), "")?.to_string();
    ensure!(settings.contains("\"refresh_interval\":\"7s\""), "{settings}");
    Ok(())
}

fn pushed_documents_are_kept_as_they_come(engine: &SearchEngine) -> Result<()> {
    let domains: Vec<_> = (0..20_000).map(|number| format!("{number}.evil.example")).collect();
    let body = json!({"domains": domains, "by": "hand"}).to_string();
    engine.ask("PUT", &format!("/{ALIAS}/_doc/listed?refresh=true"), &body)?;
    let found = engine.ask("GET", &format!("/{ALIAS}/_doc/listed"), "")?;
    ensure!(found.pointer("/_source/domains").and_then(Value::as_array).map(Vec::len) == Some(20_000));
    let fields = engine.ask("GET", &format!("/{ALIAS}/_field_caps?fields=*"), "")?.to_string();
    ensure!(!fields.contains("\"by\""), "{fields}");
    Ok(())
}

#[test]
fn opensearch_gets_what_documents_need_and_keeps_what_a_person_changed() -> Result<()> {
    installs_once(Kind::OpenSearch)
}

#[test]
fn elasticsearch_gets_what_documents_need_and_keeps_what_a_person_changed() -> Result<()> {
    installs_once(Kind::Elasticsearch)
}

#[test]
fn a_search_engine_that_is_away_or_none_is_said_in_one_sentence() -> Result<()> {
    let program = namewarden_tests::controller::program()?;
    let said = |arguments: &[&str]| -> Result<String> {
        let output = std::process::Command::new(&program).arg("setup-search").args(arguments).output()?;
        ensure!(output.status.code() == Some(2), "{:?}", output.status);
        Ok(String::from_utf8(output.stderr)?)
    };
    let none = said(&[])?;
    ensure!(none == "namewarden-controller: no search engine is named; give --elasticsearch URL\n", "{none}");
    let away = said(&["--elasticsearch", "http://127.0.0.1:1"])?;
    ensure!(
        away.starts_with("namewarden-controller: the search engine at http://127.0.0.1:1 cannot be reached")
    );
    ensure!(away.lines().count() == 1, "{away}");
    let secret = said(&["--elasticsearch", "http://user:s3cret@127.0.0.1:1"])?;
    ensure!(secret.contains("--search-user") && !secret.contains("s3cret"), "{secret}");
    Ok(())
}
