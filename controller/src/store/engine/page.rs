//! Pages in the orders by time, and single documents.
//!
//! `_id` cannot be sorted by: `event.id`, which every document of an agent has and which equals it there, stands for it. Documents
//! without one come last among those of the same nanosecond, in an order of their own that stays the same.

use serde_json::{Value, json};

use super::arrival::Positions;
use super::{ask, hits, pattern, query};
use crate::search::engine::Engine;
use crate::store::{Cursor, Hit, Order, Page, Search, StoreError, Stream};

/// A page of the filter's documents.
pub async fn page(
    engine: &Engine,
    search: &Search,
    filter: Value,
    arrived: &Positions,
) -> Result<Page, StoreError> {
    let limit = search.limit.clamp(1, Search::LIMIT_MAX);
    let mut body = json!({
        "query": filter, "sort": sort(search.order), "docvalue_fields": hits::fields(),
    });
    if let Some(after) = after(search)
        && let Some(body) = body.as_object_mut()
    {
        body.insert("search_after".to_owned(), after);
    }
    let (answer, asked) = ask::documents(engine, &pattern(search.stream), "", limit, body).await?;
    let last = ask::list(&answer, "/hits/hits").last().and_then(|hit| hit.get("sort")).cloned();
    let hits = hits::read(engine, search.stream, &search.filter.cluster, &answer).await?;
    let next = last
        .filter(|_| hits.len() == asked)
        .map(|sort| Cursor::Opaque(format!("{}{sort}", mark(search.order))));
    Ok(Page { hits, next, arrived: arrived.cursor() })
}

/// What a document is told apart by, where an index has several shards too: a number (`_seq_no`) is that of a shard.
pub fn sort(order: Order) -> Value {
    let direction = if order == Order::OldestFirst { "asc" } else { "desc" };
    json!([
        { "@timestamp": { "order": direction } },
        { "event.id": { "order": direction, "unmapped_type": "keyword" } },
        { "_index": { "order": direction } },
        { "_seq_no": { "order": direction } },
    ])
}

/// By which a cursor of an order is known.
fn mark(order: Order) -> &'static str {
    match order {
        Order::NewestFirst => "newest",
        Order::OldestFirst => "oldest",
        Order::Arrival => "arrival",
    }
}

/// What the page comes behind; a cursor of another order is the beginning.
fn after(search: &Search) -> Option<Value> {
    let Some(Cursor::Opaque(text)) = &search.after else { return None };
    let after: Value = serde_json::from_str(text.strip_prefix(mark(search.order))?).ok()?;
    // What a person made up is the server's to refuse, as long as it is a list of values.
    let is_value = |one: &Value| one.is_string() || one.is_number() || one.is_null();
    after.as_array().is_some_and(|values| values.len() == 4 && values.iter().all(is_value)).then_some(after)
}

/// A document by its id: the newest, where several data streams have one.
pub async fn get(
    engine: &Engine,
    stream: Stream,
    cluster: String,
    id: String,
) -> Result<Option<Hit>, StoreError> {
    let clauses = [query::term("orchestrator.cluster.name", &cluster), json!({ "ids": { "values": [id] } })];
    let body = json!({
        "size": 1,
        "query": query::all(&clauses),
        "sort": sort(Order::NewestFirst),
        "docvalue_fields": hits::fields(),
    });
    let answer = ask::search(engine, &pattern(stream), body).await?;
    Ok(hits::read(engine, stream, &cluster, &answer).await?.into_iter().next())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Filter;

    #[test]
    fn a_cursor_of_another_order_or_another_store_is_the_beginning() {
        let with = |after: &str| {
            let after = Some(after.parse().unwrap());
            let stream = Stream::Alerts;
            super::after(&Search {
                stream,
                filter: Filter::default(),
                order: Order::NewestFirst,
                after,
                limit: 1,
            })
        };
        let values = r#"[17,"a","i",3]"#;
        assert_eq!(with(&format!("@newest{values}")), Some(json!([17, "a", "i", 3])));
        assert_eq!(with(&format!("@oldest{values}")), None);
        for other in ["17", "17/default/a", "@", "@newest", "@newest[1]", "@newest[{},[],1,2]"] {
            assert_eq!(with(other), None, "{other}");
        }
    }
}
