//! Every field of a document can be searched for, and every panel of the dashboards shows something: on the examples of the
//! reference, in real servers.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use namewarden_protocol::document::mapping::{FIELDS, FieldType};
use namewarden_tests::search_engine::{Kind, SearchEngine};
use serde_json::{Map, Value, json};

/// Third part of the streams' names.
const NAMESPACE: &str = "fields";
const STREAMS: &str = "logs-namewarden.*-fields";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The examples of the reference, a document with the fields that none of them has, and a name that does not exist.
fn documents() -> Result<Vec<Value>> {
    let page = fs::read_to_string(root().join("docs/reference/documents.md"))?;
    let blocks = page.split("```json\n").skip(1).filter_map(|rest| rest.split("\n```").next());
    let mut documents: Vec<Value> = blocks.map(serde_json::from_str).collect::<Result<_, _>>()?;
    let mut rare = documents.first().context("no example")?.clone();
    for (field, kind) in FIELDS {
        if !documents.iter().any(|document| value(document, field).is_some()) {
            put(&mut rare, field, made_up(*kind));
        }
    }
    documents.push(rare);
    let is_log = |document: &&Value| value(document, "event.action") == Some(&json!("dns-log"));
    let mut refused = documents.iter().find(is_log).context("no DNS log")?.clone();
    put(&mut refused, "dns.response_code", json!("NXDOMAIN"));
    put(&mut refused, "event.outcome", json!("failure"));
    documents.push(refused);
    for (number, document) in documents.iter_mut().enumerate() {
        put(document, "event.id", json!(format!("fields-{number}")));
        put(document, "data_stream.namespace", json!(NAMESPACE));
    }
    Ok(documents)
}

fn made_up(kind: FieldType) -> Value {
    match kind {
        FieldType::DateNanos => json!("2026-11-28T12:00:00.000000001Z"),
        FieldType::Long => json!(4711),
        FieldType::Ip => json!("192.0.2.99"),
        FieldType::Boolean => json!(true),
        FieldType::Flattened => json!({"key": "value"}),
        FieldType::MatchOnlyText | FieldType::Keyword | FieldType::ConstantKeyword => json!("made-up"),
    }
}

/// Sets the value at a path, in the first element of each list on the way.
fn put(document: &mut Value, field: &str, value: Value) {
    let (name, rest) = field.split_once('.').unwrap_or((field, ""));
    let place = match document {
        Value::Array(all) => all.first_mut(),
        other => Some(other),
    };
    let Some(Value::Object(members)) = place else { return };
    let member = members.entry(name).or_insert_with(|| Value::Object(Map::new()));
    if rest.is_empty() { *member = value } else { put(member, rest, value) }
}

/// The first value at a path, through lists.
fn value<'a>(document: &'a Value, field: &str) -> Option<&'a Value> {
    let first = |value: &'a Value| if let Value::Array(all) = value { all.first() } else { Some(value) };
    field.split('.').try_fold(document, |place, name| first(place)?.get(name)).and_then(first)
}

fn store(engine: &SearchEngine, documents: &[Value]) -> Result<()> {
    let mut streams: BTreeMap<String, String> = BTreeMap::new();
    for document in documents {
        let text = |field| value(document, field).and_then(Value::as_str).context("not said");
        let stream = format!("logs-{}-{NAMESPACE}", text("data_stream.dataset")?);
        let lines = format!("{{\"create\":{{\"_id\":\"{}\"}}}}\n{document}\n", text("event.id")?);
        streams.entry(stream).or_default().push_str(&lines);
    }
    for (stream, body) in streams {
        let answer = engine.ask("POST", &format!("/{stream}/_bulk?refresh=true"), &body)?;
        ensure!(answer.pointer("/errors") == Some(&json!(false)), "{answer:#}");
    }
    Ok(())
}

/// Asks for the value of a field, as a person would of its type.
fn query(field: &str, kind: FieldType, value: &Value) -> Value {
    match (kind, value) {
        (FieldType::MatchOnlyText, _) => json!({"match_phrase": {field: value}}),
        (FieldType::DateNanos, _) => json!({"range": {field: {"gte": value, "lte": value}}}),
        (FieldType::Flattened, Value::Object(labels)) => {
            let terms = labels.iter().map(|(key, value)| json!({"term": {format!("{field}.{key}"): value}}));
            json!({"bool": {"filter": terms.collect::<Vec<_>>()}})
        }
        _ => json!({"term": {field: value}}),
    }
}

/// Type of a field in the streams' mapping.
fn kind_there(engine: &SearchEngine, field: &str) -> Result<String> {
    let answer = engine.ask("GET", &format!("/{STREAMS}/_mapping/field/{field}"), "")?;
    let last = field.rsplit('.').next().unwrap_or(field);
    let indices = answer.as_object().context("no mapping")?;
    let found = indices.values().find_map(|index| {
        index.get("mappings")?.get(field)?.get("mapping")?.get(last)?.get("type")?.as_str()
    });
    Ok(found.unwrap_or("object").to_owned())
}

fn every_field_is_found(kind: Kind) -> Result<()> {
    let engine = SearchEngine::shared(kind)?;
    let documents = documents()?;
    store(&engine, &documents)?;
    let mut missed = Vec::new();
    for (field, kind) in FIELDS {
        let document = documents.iter().find(|document| value(document, field).is_some());
        let document = document.with_context(|| format!("{field} is in no document"))?;
        let asked = query(field, *kind, value(document, field).context("no value")?);
        let body = json!({"query": asked, "size": 100, "_source": false});
        let answer = engine.ask("POST", &format!("/{STREAMS}/_search"), &body.to_string())?;
        let hits = answer
            .pointer("/hits/hits")
            .and_then(Value::as_array)
            .with_context(|| format!("{field}: {answer}"))?;
        let id = value(document, "event.id").context("no id")?;
        // A server without a type for labels keeps them unsearched; `setup-search` says so.
        let is_kept_only = *kind == FieldType::Flattened && kind_there(&engine, field)? == "object";
        if !is_kept_only && !hits.iter().any(|hit| hit.get("_id") == Some(id)) {
            missed.push(format!("{field}: {body}"));
        }
    }
    ensure!(missed.is_empty(), "not found: {missed:#?}");
    every_panel_shows_something(&engine)
}

/// The saved objects of a file.
fn objects(file: &str) -> Result<Vec<Value>> {
    let text = fs::read_to_string(root().join("deploy/dashboards").join(file))?;
    text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

fn embedded(object: &Value, path: &str) -> Result<Value> {
    Ok(serde_json::from_str(object.pointer(path).and_then(Value::as_str).with_context(|| path.to_owned())?)?)
}

/// The aggregations of a panel as the dashboards ask for them: buckets in each other, figures in the innermost.
fn aggregations(state: &Value) -> Result<Value> {
    let all = state.pointer("/aggs").and_then(Value::as_array).context("no aggregations")?;
    let is_figure = |one: &&Value| one.pointer("/schema") == Some(&json!("metric"));
    let mut within = Map::new();
    for figure in all.iter().filter(is_figure) {
        let (id, kind, field) = parts(figure)?;
        within.insert(id, json!({kind: {"field": field}}));
    }
    let figures = within.clone();
    for bucket in all.iter().filter(|one| !is_figure(one)).rev() {
        let (id, kind, field) = parts(bucket)?;
        let asked = match kind.as_str() {
            "terms" => {
                json!({"field": field, "size": bucket.pointer("/params/size"), "order": {"1": "desc"}})
            }
            "date_histogram" => json!({"field": field, "fixed_interval": "1d", "min_doc_count": 1}),
            other => bail!("{other} is no kind of bucket that is known here"),
        };
        let mut inner = figures.clone();
        inner.extend(within);
        within = Map::from_iter([(id, json!({kind: asked, "aggs": inner}))]);
    }
    Ok(Value::Object(within))
}

fn parts(aggregation: &Value) -> Result<(String, String, String)> {
    let text = |path| {
        Ok::<_, anyhow::Error>(aggregation.pointer(path).and_then(Value::as_str).context(path)?.to_owned())
    };
    Ok((text("/id")?, text("/type")?, text("/params/field")?))
}

/// Every field that the panels name is one of documents, and each panel's question is answered with something.
fn every_panel_shows_something(engine: &SearchEngine) -> Result<()> {
    let file = if engine.is_opensearch() { "opensearch-dashboards.ndjson" } else { "kibana.ndjson" };
    let objects = objects(file)?;
    let pattern = |object: &Value| {
        let id = object.pointer("/references/0/id")?;
        let is_it = |one: &&Value| {
            one.pointer("/type") == Some(&json!("index-pattern")) && one.pointer("/id") == Some(id)
        };
        objects.iter().find(is_it)?.pointer("/attributes/title")?.as_str()
    };
    let mut panels = 0;
    for object in &objects {
        let kind = object.pointer("/type").and_then(Value::as_str).unwrap_or_default();
        if kind == "search" {
            for column in
                object.pointer("/attributes/columns").and_then(Value::as_array).context("no columns")?
            {
                ensure!(FIELDS.iter().any(|(field, _)| column == field), "{column} is no field");
            }
        }
        if kind != "search" && kind != "visualization" {
            continue;
        }
        panels += 1;
        let source = embedded(object, "/attributes/kibanaSavedObjectMeta/searchSourceJSON")?;
        let asked = source.pointer("/query/query").and_then(Value::as_str).unwrap_or_default();
        let query = if asked.is_empty() {
            json!({"match_all": {}})
        } else {
            json!({"query_string": {"query": asked}})
        };
        let aggregations = match kind {
            "visualization" => aggregations(&embedded(object, "/attributes/visState")?)?,
            _ => json!({}),
        };
        let stream = pattern(object).context("no index pattern")?.replace('*', NAMESPACE);
        let body = json!({"query": query, "size": 0, "aggs": aggregations});
        let answer = engine.ask("POST", &format!("/{stream}/_search"), &body.to_string())?;
        let found = answer.pointer("/hits/total/value").and_then(Value::as_u64);
        ensure!(
            found.is_some_and(|found| found > 0),
            "{}: {body}: {answer}",
            object.pointer("/id").unwrap_or_default()
        );
        let shown = answer.pointer("/aggregations").unwrap_or(&Value::Null).to_string();
        ensure!(!shown.contains("\"buckets\":[]"), "{}: {answer}", object.pointer("/id").unwrap_or_default());
    }
    ensure!(panels > 15, "only {panels} panels");
    Ok(())
}

#[test]
fn opensearch_finds_a_document_by_each_of_its_fields_and_fills_the_dashboards() -> Result<()> {
    every_field_is_found(Kind::OpenSearch)
}

#[test]
fn elasticsearch_finds_a_document_by_each_of_its_fields_and_fills_the_dashboards() -> Result<()> {
    every_field_is_found(Kind::Elasticsearch)
}
