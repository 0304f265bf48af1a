//! What is said of alert groups: one document a group, in an index that is written over, for what is in a data stream is not.

use std::collections::{BTreeMap, BTreeSet};

use namewarden_protocol::document::Time;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{ask, hits, pattern, query};
use crate::feed::copy::hex;
use crate::search::engine::{Engine, EngineError};
use crate::search::template::ANNOTATIONS;
use crate::store::{Annotation, State, StoreError, Stream};

/// Groups of a cluster that a search by state takes into account: a query holds 65,536 values.
const GROUPS_MAX: usize = 60_000;
/// Groups of an answer.
const PAGE: usize = 10_000;
/// Groups of which it is asked at once whether an alert is left.
const CHECKED: usize = 1000;
/// In nanoseconds.
const DAY: u64 = 86_400_000_000_000;

/// Says something of a group that there is an alert of.
pub async fn write(
    engine: &Engine,
    cluster: String,
    group: String,
    annotation: Annotation,
) -> Result<(), StoreError> {
    let clauses =
        [query::term("orchestrator.cluster.name", &cluster), query::term("namewarden.group", &group)];
    let one = json!({ "size": 1, "_source": false, "terminate_after": 1, "query": query::all(&clauses) });
    let found = ask::search(engine, &pattern(Stream::Alerts), one).await?;
    if ask::list(&found, "/hits/hits").is_empty() {
        return Err(StoreError::NoSuchGroup(group));
    }
    let Annotation { state, by, at, reason } = annotation;
    let path = format!("/{ANNOTATIONS}/_doc/{}?refresh=true", id(&cluster, &group));
    let document = json!({
        "cluster": cluster, "group": group, "state": state.name(), "by": by, "at": at, "reason": reason,
    });
    engine.put(&path, &document).await?.or_refused("write down what is said of an alert group")?;
    Ok(())
}

/// What is said of groups of a cluster, as far as something is.
pub async fn of<'g>(
    engine: &Engine,
    cluster: &str,
    groups: &BTreeSet<&'g str>,
) -> Result<BTreeMap<&'g str, Annotation>, StoreError> {
    if groups.is_empty() {
        return Ok(BTreeMap::new());
    }
    let ids: Vec<_> = groups.iter().map(|group| id(cluster, group)).collect();
    let answer = engine.post(&format!("/{ANNOTATIONS}/_mget"), &json!({ "ids": ids })).await?;
    if answer.status == 404 {
        return Ok(BTreeMap::new());
    }
    let answer = answer.or_refused("tell what is said of alert groups")?;
    let told = ask::list(&answer.body, "/docs");
    if told.len() != ids.len() {
        return Err(hits::malformed(&answer.body));
    }
    let mut said = BTreeMap::new();
    for (group, document) in groups.iter().zip(told) {
        if let Some(annotation) = read(document)? {
            said.insert(*group, annotation);
        }
    }
    Ok(said)
}

/// Groups of a cluster that are in one of these states because somebody said so.
pub async fn groups(engine: &Engine, cluster: &str, states: &[State]) -> Result<Vec<Value>, StoreError> {
    let names: Vec<_> = states.iter().map(|state| state.name()).collect();
    let clauses = [query::term("cluster", cluster), json!({ "terms": { "state": names } })];
    let mut body = json!({
        "size": PAGE, "_source": false, "query": query::all(&clauses), "sort": [{ "group": { "order": "asc" } }],
    });
    let mut groups: Vec<Value> = Vec::new();
    loop {
        let answer = ask::search(engine, ANNOTATIONS, body.clone()).await?;
        let found = ask::list(&answer, "/hits/hits");
        groups.extend(found.iter().filter_map(|hit| hit.get("sort")?.get(0)).cloned());
        let Some(last) = groups.last().filter(|_| found.len() == PAGE) else { return Ok(groups) };
        if groups.len() >= GROUPS_MAX {
            let reason = format!("more than {GROUPS_MAX} alert groups are marked so; ask without a state");
            return Err(StoreError::Engine(reason));
        }
        if let Some(body) = body.as_object_mut() {
            body.insert("search_after".to_owned(), json!([last]));
        }
    }
}

/// Takes out what was said more than a day ago of groups of a cluster that no alert is left of; says of how many.
pub async fn forget(engine: &Engine, cluster: &str, now: Time) -> Result<usize, StoreError> {
    // Later alerts of a group come within the hour, or when an agent that was cut off is back.
    let before = Time(now.0.saturating_sub(DAY));
    let clauses = [query::term("cluster", cluster), json!({ "range": { "at": { "lt": before } } })];
    let mut body = json!({
        "size": CHECKED, "_source": false, "query": query::all(&clauses), "sort": [{ "group": { "order": "asc" } }],
    });
    let mut forgotten = 0;
    loop {
        let answer = ask::search(engine, ANNOTATIONS, body.clone()).await?;
        let found = ask::list(&answer, "/hits/hits");
        let groups: Vec<_> = found.iter().filter_map(|hit| hit.get("sort")?.get(0)?.as_str()).collect();
        forgotten += take_out(engine, cluster, &groups).await?;
        let Some(last) = groups.last().filter(|_| found.len() == CHECKED) else { return Ok(forgotten) };
        if let Some(body) = body.as_object_mut() {
            body.insert("search_after".to_owned(), json!([last]));
        }
    }
}

/// Takes out those of the groups that no alert is left of.
async fn take_out(engine: &Engine, cluster: &str, groups: &[&str]) -> Result<usize, StoreError> {
    let field = "namewarden.group";
    let clauses = [query::term("orchestrator.cluster.name", cluster), json!({ "terms": { field: groups } })];
    let body = json!({
        "size": 0,
        "query": query::all(&clauses),
        // Nothing else is a bucket: a document bears one group.
        "aggs": { "left": { "terms": { "field": field, "size": CHECKED } } },
    });
    let answer = ask::search(engine, &pattern(Stream::Alerts), body).await?;
    let left = ask::list(&answer, "/aggregations/left/buckets").iter();
    let left: BTreeSet<_> = left.filter_map(|bucket| bucket.get("key")?.as_str()).collect();
    let gone: Vec<_> = groups.iter().filter(|group| !left.contains(**group)).collect();
    if gone.is_empty() {
        return Ok(0);
    }
    let line = |group: &&&str| {
        format!("{}\n", json!({ "delete": { "_index": ANNOTATIONS, "_id": id(cluster, group) } }))
    };
    let lines: String = gone.iter().map(line).collect();
    let told = engine.post_lines("/_bulk?refresh=true", lines.as_bytes()).await?;
    let told = told.or_refused("take out what was said of alert groups that are gone")?;
    let deleted = ask::list(&told.body, "/items").iter();
    Ok(deleted.filter(|item| item.pointer("/delete/result") == Some(&json!("deleted"))).count())
}

/// `None` where nothing is said; what cannot be told is an error.
fn read(told: &Value) -> Result<Option<Annotation>, StoreError> {
    if let Some(error) = told.get("error") {
        // Nobody has said anything yet.
        if error.get("type") == Some(&json!("index_not_found_exception")) {
            return Ok(None);
        }
        let reason = error.to_string().chars().take(200).collect();
        let what = "tell what is said of an alert group".to_owned();
        return Err(EngineError::Refused { what, status: 200, reason }.into());
    }
    if told.get("found") != Some(&json!(true)) {
        return Ok(None);
    }
    let source = told.get("_source").unwrap_or(&Value::Null);
    annotation(source).map(Some).ok_or_else(|| hits::malformed(told))
}

fn annotation(source: &Value) -> Option<Annotation> {
    let text = |name| source.get(name).and_then(Value::as_str);
    Some(Annotation {
        state: text("state")?.parse().ok()?,
        by: text("by").unwrap_or_default().to_owned(),
        at: serde_json::from_value::<Time>(source.get("at")?.clone()).ok()?,
        reason: text("reason").unwrap_or_default().to_owned(),
    })
}

/// The same for the same group of the same cluster, whatever characters they have.
fn id(cluster: &str, group: &str) -> String {
    let mut hash = Sha256::new();
    for part in [cluster, group] {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    hex(&hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_told_is_not_taken_for_nothing() {
        let missing = json!({ "error": { "type": "index_not_found_exception" } });
        assert_eq!(read(&missing), Ok(None));
        assert_eq!(read(&json!({ "found": false })), Ok(None));
        for told in [
            json!({ "error": { "type": "no_shard_available_action_exception" } }),
            json!({ "found": true, "_source": { "state": "odd", "at": "1970-01-01T00:00:00Z" } }),
            json!({ "found": true }),
        ] {
            assert!(read(&told).is_err(), "{told}");
        }
    }

    #[test]
    fn a_group_of_another_cluster_is_another_one() {
        assert_ne!(id("a", "bc"), id("ab", "c"));
        assert_eq!(id("a", "b"), id("a", "b"));
    }
}
