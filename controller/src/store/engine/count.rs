//! Documents counted: by steps of time, by values of a field, all of a stream.

use std::collections::BTreeMap;

use namewarden_protocol::document::Time;
use serde_json::{Value, json};

use super::{ask, pattern, query};
use crate::search::engine::Engine;
use crate::store::{Bucket, Field, Filter, Histogram, Reading, StoreError, Stream, Top, TopValue};

/// Nanoseconds of a millisecond: what a histogram of a search engine can tell apart.
const MILLISECOND: u64 = 1_000_000;
/// Values that are told.
const TOP_MAX: usize = 1000;
/// Values that each shard counts.
const SHARD_VALUES: usize = 20_000;

/// How documents are spread over time.
pub async fn histogram(engine: &Engine, histogram: Histogram) -> Result<Vec<Bucket>, StoreError> {
    let step = histogram.step.max(1);
    let steps = histogram.steps.min(Histogram::STEPS_MAX);
    let from = |number: usize| Time(histogram.from.0.saturating_add(step.saturating_mul(number as u64)));
    let mut buckets: Vec<_> = (0..steps).map(|number| Bucket { from: from(number), documents: 0 }).collect();
    let filter = Filter { since: Some(from(0)), until: Some(from(steps)), ..histogram.filter.clone() };
    let Some(filter) = query::filter(engine, histogram.stream, &filter).await? else { return Ok(buckets) };
    if steps == 0 {
        return Ok(buckets);
    }
    let is_whole = step.is_multiple_of(MILLISECOND) && histogram.from.0.is_multiple_of(MILLISECOND);
    let steps = if is_whole { by_millisecond(histogram.from, step) } else { by_range(&buckets, step) };
    let body = json!({ "size": 0, "query": filter, "aggs": { "steps": steps } });
    let answer = ask::search(engine, &pattern(histogram.stream), body).await?;
    for (number, told) in ask::list(&answer, "/aggregations/steps/buckets").iter().enumerate() {
        let place = if is_whole { place(told, histogram.from, step) } else { Some(number) };
        if let Some(bucket) = place.and_then(|place| buckets.get_mut(place)) {
            bucket.documents = documents(told);
        }
    }
    Ok(buckets)
}

/// Only steps with documents are told.
fn by_millisecond(from: Time, step: u64) -> Value {
    let offset = from.0 % step / MILLISECOND;
    json!({ "date_histogram": {
        "field": "@timestamp",
        "fixed_interval": format!("{}ms", step / MILLISECOND),
        "offset": format!("{offset}ms"),
        "min_doc_count": 1,
    } })
}

/// One after the other, each exact to the nanosecond.
fn by_range(buckets: &[Bucket], step: u64) -> Value {
    let range =
        |bucket: &Bucket| query::between(Some(bucket.from), Some(Time(bucket.from.0.saturating_add(step))));
    json!({ "filters": { "filters": buckets.iter().map(range).collect::<Vec<_>>() } })
}

fn place(told: &Value, from: Time, step: u64) -> Option<usize> {
    let milliseconds = u64::try_from(told.get("key")?.as_i64()?).ok()?;
    let behind = milliseconds.checked_mul(MILLISECOND)?.checked_sub(from.0)?;
    usize::try_from(behind / step).ok()
}

fn documents(told: &Value) -> u64 {
    told.get("doc_count").and_then(Value::as_u64).unwrap_or_default()
}

/// The most frequent values of a field.
pub async fn top(engine: &Engine, top: Top) -> Result<Vec<TopValue>, StoreError> {
    let Some(filter) = query::filter(engine, top.stream, &top.filter).await? else { return Ok(Vec::new()) };
    let limit = top.limit.min(TOP_MAX);
    if limit == 0 {
        return Ok(Vec::new());
    }
    let (first, second) = fields(top.field);
    let mut parts = json!({ "first": terms(first, if second.is_some() { SHARD_VALUES } else { limit }) });
    if let (Some(second), Some(parts)) = (second, parts.as_object_mut()) {
        // Of documents that have nothing in the first field.
        let others = json!({ "bool": { "must_not": query::exists(first) } });
        let others = json!({ "filter": others, "aggs": { "values": terms(second, SHARD_VALUES) } });
        parts.insert("second".to_owned(), others);
    }
    let body = json!({ "size": 0, "query": filter, "aggs": parts });
    let answer = ask::search(engine, &pattern(top.stream), body).await?;
    let mut counts = BTreeMap::<String, u64>::new();
    for place in ["/aggregations/first/buckets", "/aggregations/second/values/buckets"] {
        for told in ask::list(&answer, place) {
            if let Some(value) = told.get("key").and_then(Value::as_str) {
                *counts.entry(value.to_owned()).or_default() += documents(told);
            }
        }
    }
    let mut values: Vec<_> =
        counts.into_iter().map(|(value, documents)| TopValue { value, documents }).collect();
    values.sort_by_key(|value| std::cmp::Reverse(value.documents));
    values.truncate(limit);
    Ok(values)
}

/// Where values of a field stand, and where they stand in documents that have none there.
fn fields(field: Field) -> (&'static str, Option<&'static str>) {
    match field {
        Field::Namespace => ("kubernetes.namespace", Some("orchestrator.namespace")),
        Field::Pod => ("kubernetes.pod.name", Some("kubernetes.pod.uid")),
        Field::Question => ("dns.question.name", None),
        Field::Entry => ("threat.indicator.name", None),
        Field::Feed => ("threat.feed.name", None),
        Field::Node => ("host.name", None),
        Field::Kind => ("event.action", None),
    }
}

fn terms(field: &str, size: usize) -> Value {
    json!({ "terms": {
        "field": field,
        "size": size,
        "shard_size": SHARD_VALUES,
        "order": [{ "_count": "desc" }, { "_key": "asc" }],
    } })
}

/// How much there is of a stream.
pub async fn reading(engine: &Engine, stream: Stream) -> Result<Reading, StoreError> {
    let path = format!(
        "/{}/_stats/docs,store?filter_path=_all.primaries.docs.count,_all.total.store",
        pattern(stream)
    );
    let told = engine.get(&path).await?.or_refused("say how much it has")?;
    let number = |place: &str| told.body.pointer(place).and_then(Value::as_u64).unwrap_or_default();
    let (documents, bytes) =
        (number("/_all/primaries/docs/count"), number("/_all/total/store/size_in_bytes"));
    Ok(Reading { documents, bytes, removed: 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_found_by_where_it_begins() {
        let (from, step) = (Time(7_500 * MILLISECOND), 1_000 * MILLISECOND);
        assert_eq!(by_millisecond(from, step).pointer("/date_histogram/offset"), Some(&json!("500ms")));
        let at = |key: i64| place(&json!({ "key": key }), from, step);
        assert_eq!((at(7_500), at(9_500), at(6_500), at(-1)), (Some(0), Some(2), None, None));
    }
}
