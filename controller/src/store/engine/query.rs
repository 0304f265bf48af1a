//! A filter as a query: clauses of which each must hold.

use namewarden_protocol::document::Time;
use serde_json::{Value, json};

use super::annotations;
use crate::search::engine::Engine;
use crate::store::{Filter, State, StoreError, Stream};

/// The last nanosecond that a date of a search engine holds.
const LAST: Time = Time(i64::MAX.unsigned_abs());

/// The filter's query; `None` where no document can match.
pub async fn filter(engine: &Engine, stream: Stream, filter: &Filter) -> Result<Option<Value>, StoreError> {
    let mut clauses = clauses(filter);
    if !filter.states.is_empty() {
        match states(engine, stream, filter).await? {
            Wanted::All => {}
            Wanted::None => return Ok(None),
            Wanted::Only(clause) => clauses.push(clause),
        }
    }
    Ok(Some(all(&clauses)))
}

/// Documents that all of these hold of, in no order.
pub fn all(clauses: &[Value]) -> Value {
    json!({ "bool": { "filter": clauses } })
}

/// Documents with this value of a keyword.
pub fn term(field: &str, value: &str) -> Value {
    json!({ "term": { field: { "value": value } } })
}

/// Documents of this time; `None` is no bound.
pub fn between(since: Option<Time>, until: Option<Time>) -> Value {
    let mut range = json!({ "format": "strict_date_optional_time_nanos" });
    let bounds = [("gte", since), ("lt", until.filter(|until| *until <= LAST))];
    for (name, time) in bounds.into_iter().filter_map(|(name, time)| Some((name, time?))) {
        if let Some(range) = range.as_object_mut() {
            range.insert(name.to_owned(), json!(time.min(LAST)));
        }
    }
    json!({ "range": { "@timestamp": range } })
}

fn clauses(filter: &Filter) -> Vec<Value> {
    let mut clauses = vec![term("orchestrator.cluster.name", &filter.cluster)];
    if filter.since.is_some() || filter.until.is_some() {
        clauses.push(between(filter.since, filter.until));
    }
    if let Some(namespace) = &filter.namespace {
        clauses.push(either("kubernetes.namespace", "orchestrator.namespace", namespace));
    }
    if let Some(pod) = &filter.pod {
        clauses.push(any(&[term("kubernetes.pod.name", pod), term("kubernetes.pod.uid", pod)]));
    }
    if let Some(domain) = &filter.domain {
        clauses.push(any(&[term("dns.question.name", domain), term("threat.indicator.name", domain)]));
    }
    if let Some(feed) = &filter.feed {
        clauses.push(term("threat.feed.name", feed));
    }
    if let Some(severity) = &filter.severity {
        clauses.push(
            json!({ "range": { "event.severity": { "gte": severity.start(), "lte": severity.end() } } }),
        );
    }
    if !filter.kinds.is_empty() {
        clauses.push(json!({ "terms": { "event.action": filter.kinds } }));
    }
    clauses
}

fn any(clauses: &[Value]) -> Value {
    json!({ "bool": { "should": clauses, "minimum_should_match": 1 } })
}

/// Documents with this value of the first field, or of the second where they have none of the first.
fn either(first: &str, second: &str, value: &str) -> Value {
    any(&[
        term(first, value),
        json!({ "bool": { "filter": term(second, value), "must_not": exists(first) } }),
    ])
}

/// Documents with any value of a field.
pub fn exists(field: &str) -> Value {
    json!({ "exists": { "field": field } })
}

enum Wanted {
    All,
    None,
    Only(Value),
}

async fn states(engine: &Engine, stream: Stream, filter: &Filter) -> Result<Wanted, StoreError> {
    let wants = |state: &State| filter.states.contains(state);
    let others: Vec<_> =
        State::ALL.into_iter().filter(|state| *state != State::New && !wants(state)).collect();
    if stream == Stream::Logs {
        return Ok(if wants(&State::New) { Wanted::All } else { Wanted::None });
    }
    let field = "namewarden.group";
    if wants(&State::New) {
        if others.is_empty() {
            return Ok(Wanted::All);
        }
        let groups = annotations::groups(engine, &filter.cluster, &others).await?;
        return Ok(Wanted::Only(json!({ "bool": { "must_not": { "terms": { field: groups } } } })));
    }
    let groups = annotations::groups(engine, &filter.cluster, &filter.states).await?;
    Ok(if groups.is_empty() { Wanted::None } else { Wanted::Only(json!({ "terms": { field: groups } })) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_exact_and_bounded_by_what_a_date_holds() {
        let range = between(Some(Time(1)), Some(Time(u64::MAX)));
        let range = range.pointer("/range/@timestamp").unwrap();
        assert_eq!(range.get("gte"), Some(&json!("1970-01-01T00:00:00.000000001Z")));
        assert_eq!(range.get("lt"), None);
        let late = between(Some(Time(u64::MAX)), None);
        assert_eq!(late.pointer("/range/@timestamp/gte"), Some(&json!("2262-04-11T23:47:16.854775807Z")));
    }

    #[test]
    fn the_cluster_is_always_asked_for() {
        let clauses = clauses(&Filter { cluster: "east".to_owned(), ..Filter::default() });
        assert_eq!(clauses, [term("orchestrator.cluster.name", "east")]);
    }
}
