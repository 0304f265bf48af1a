//! DNS logs by the names in them: a walk over the different names, field by field, not over the documents. Of each name it is asked
//! whether it is meant; documents are fetched of those that are.
//!
//! A document with several such names is told with the first: what stands in an earlier field, or before the names of this step, was
//! told already.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::arrival::{self, Moments};
use super::{ask, hits, page, pattern, query};
use crate::search::engine::Engine;
use crate::store::{Hit, Naming, NamingPage, Order, StoreError, Stream};

/// Names of one step: a query takes 65,536 values, an answer as many buckets.
const NAMES: usize = 20_000;
/// Documents of a page, as long as they are not longer than an answer may be.
const HITS: usize = 500;
/// How long a page looks, unless one step takes longer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where a walk is.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
struct Walk {
    /// Which of [`Naming::FIELDS`].
    field: usize,
    /// The name that this step comes behind.
    behind: Option<String>,
    /// The document of this step that was told last.
    told: Option<Value>,
    /// The moment that the first page was asked at.
    arrived: u64,
}

/// Names of a step.
struct Step {
    meant: Vec<String>,
    /// What the next step comes behind.
    next: Option<String>,
}

/// A page of the documents that are meant.
pub async fn page(engine: &Engine, moments: &Moments, naming: Naming) -> Result<NamingPage, StoreError> {
    let mut walk = begin(engine, moments, &naming).await?;
    let arrived = walk.arrived;
    let filter = filter(moments, &naming);
    let (began, mut page) = (Instant::now(), Vec::new());
    loop {
        let Some(field) = Naming::FIELDS.get(walk.field).copied() else {
            return Ok(NamingPage { hits: page, next: None, arrived });
        };
        let step = names(engine, &naming, &filter, field, walk.behind.as_deref()).await?;
        let told = if step.meant.is_empty() {
            None
        } else {
            let (found, asked) = documents(engine, &filter, field, &step.meant, walk.told.take()).await?;
            let found = ask::list(&found, "/hits/hits");
            for one in found.iter().filter(|one| !was_told(one, &naming, &walk)) {
                page.push(hits::hit(one, Stream::Logs).ok_or_else(|| hits::malformed(one))?);
            }
            found.last().filter(|_| found.len() == asked).and_then(|last| last.get("sort")).cloned()
        };
        walk = walk.on(told, step.next);
        if page.len() >= HITS || began.elapsed() > PATIENCE {
            return Ok(ended(page, &walk));
        }
    }
}

fn ended(hits: Vec<Hit>, walk: &Walk) -> NamingPage {
    let is_over = walk.field >= Naming::FIELDS.len();
    let next = (!is_over).then(|| serde_json::to_string(walk).unwrap_or_default());
    NamingPage { hits, next, arrived: walk.arrived }
}

impl Walk {
    /// Where it goes on: in this step, in the next one, in the next field.
    fn on(self, told: Option<Value>, next: Option<String>) -> Self {
        match (told, next) {
            (Some(told), _) => Self { told: Some(told), ..self },
            (None, Some(next)) => Self { behind: Some(next), told: None, ..self },
            (None, None) => Self { field: self.field + 1, behind: None, told: None, arrived: self.arrived },
        }
    }
}

/// Where the page before ended; the first one sees to it that everything there is is found.
async fn begin(engine: &Engine, moments: &Moments, naming: &Naming) -> Result<Walk, StoreError> {
    if let Some(after) = &naming.after {
        // What is none is the end, not the beginning: a walk that starts again would never end.
        let end = Walk { field: Naming::FIELDS.len(), ..Walk::default() };
        return Ok(serde_json::from_str(after).unwrap_or(end));
    }
    let reached = arrival::reach(engine, moments, Stream::Logs).await?;
    Ok(Walk { arrived: moments.number(&reached), ..Walk::default() })
}

/// Where a moment is not known any more, everything came in behind it.
fn filter(moments: &Moments, naming: &Naming) -> Value {
    let mut clauses = vec![
        query::term("orchestrator.cluster.name", &naming.cluster),
        query::between(Some(naming.since), None),
    ];
    if let Some(moment) = naming.arrived_after.and_then(|number| moments.numbered(number)) {
        clauses.push(moment.behind());
    }
    query::all(&clauses)
}

async fn names(
    engine: &Engine,
    naming: &Naming,
    filter: &Value,
    field: &str,
    behind: Option<&str>,
) -> Result<Step, StoreError> {
    let mut composite = json!({ "size": NAMES, "sources": [{ "name": { "terms": { "field": field } } }] });
    if let (Some(behind), Some(composite)) = (behind, composite.as_object_mut()) {
        composite.insert("after".to_owned(), json!({ "name": behind }));
    }
    let body = json!({ "size": 0, "query": filter, "aggs": { "names": { "composite": composite } } });
    let answer = ask::search(engine, &pattern(Stream::Logs), body).await?;
    let buckets = ask::list(&answer, "/aggregations/names/buckets");
    let names = buckets.iter().filter_map(|bucket| bucket.pointer("/key/name")?.as_str());
    let meant = names.filter(|name| (naming.is_meant)(name)).map(str::to_owned).collect();
    let next = answer.pointer("/aggregations/names/after_key/name").and_then(Value::as_str);
    Ok(Step { meant, next: next.filter(|_| buckets.len() == NAMES).map(str::to_owned) })
}

async fn documents(
    engine: &Engine,
    filter: &Value,
    field: &str,
    names: &[String],
    behind: Option<Value>,
) -> Result<(Value, usize), StoreError> {
    let fields = hits::fields().as_array().cloned().unwrap_or_default().into_iter();
    let fields: Vec<_> =
        fields.chain(Naming::FIELDS.into_iter().map(|field| json!({ "field": field }))).collect();
    let mut body = json!({
        "query": query::all(&[filter.clone(), json!({ "terms": { field: names } })]),
        "sort": page::sort(Order::OldestFirst),
        "docvalue_fields": fields,
    });
    if let (Some(behind), Some(body)) = (behind, body.as_object_mut()) {
        body.insert("search_after".to_owned(), behind);
    }
    ask::documents(engine, &pattern(Stream::Logs), "", HITS, body).await
}

/// A document that an earlier step has told: another of its names came before.
fn was_told(found: &Value, naming: &Naming, walk: &Walk) -> bool {
    let values = |field: &str| {
        let values = found.get("fields").and_then(|fields| fields.get(field)).and_then(Value::as_array);
        values.into_iter().flatten().filter_map(Value::as_str)
    };
    let earlier = Naming::FIELDS.into_iter().take(walk.field).flat_map(values);
    let here = Naming::FIELDS.get(walk.field).copied().into_iter().flat_map(values);
    let before = here.filter(|value| walk.behind.as_deref().is_some_and(|behind| *value <= behind));
    earlier.chain(before).any(|value| (naming.is_meant)(value))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use namewarden_protocol::document::Time;

    use super::*;

    fn naming(after: Option<&str>) -> Naming {
        Naming {
            cluster: "c".to_owned(),
            since: Time(0),
            arrived_after: None,
            is_meant: Arc::new(|name: &str| name.contains("evil")),
            after: after.map(str::to_owned),
        }
    }

    #[test]
    fn a_document_is_told_with_the_first_of_its_names() {
        let found = json!({ "fields": {
            "dns.question.name": ["good.example"], "dns.answers.name": ["a.evil.example", "b.evil.example"],
            "dns.answers.data": ["evil.example"],
        } });
        let told = |field, behind: Option<&str>| {
            let walk = Walk { field, behind: behind.map(str::to_owned), ..Walk::default() };
            was_told(&found, &naming(None), &walk)
        };
        assert!(!told(1, None) && !told(1, Some("Z")));
        assert!(told(1, Some("a.evil.example")) && told(2, None));
    }

    #[test]
    fn a_walk_goes_through_each_step_and_each_field() {
        let at = Walk { field: 3, behind: Some("m".to_owned()), told: None, arrived: 7 };
        let within = at.clone().on(Some(json!([1])), Some("n".to_owned()));
        assert_eq!(within, Walk { told: Some(json!([1])), ..at.clone() });
        assert_eq!(within.clone().on(None, Some("n".to_owned())).behind.as_deref(), Some("n"));
        let next = within.on(None, None);
        assert_eq!(next, Walk { field: 4, behind: None, told: None, arrived: 7 });
        let last = Walk { field: Naming::FIELDS.len() - 1, ..at };
        assert_eq!(ended(Vec::new(), &last.on(None, None)).next, None);
    }
}
