//! Questions -> answers, over one connection and one state of its file.

use std::collections::HashMap;

use bytes::Bytes;
use namewarden_protocol::document::Time;
use rusqlite::{Connection, OptionalExtension as _, Row, params, params_from_iter, types::Value};

use super::query::{self, Clause};
use crate::store::{
    Annotation, Bucket, Cursor, Field, Filter, Histogram, Hit, Order, Page, Search, State, Top, TopValue,
};

/// Different values that are counted; those that are met first when there are more.
const VALUES_MAX: usize = 200_000;
/// Values that are told.
const TOP_MAX: usize = 1000;

/// A page of documents.
pub fn search(connection: &Connection, search: &Search) -> rusqlite::Result<Page> {
    let limit = search.limit.clamp(1, Search::LIMIT_MAX);
    let arrived = last(connection)?;
    let clause = match search.order {
        Order::Arrival => by_arrival(search),
        Order::NewestFirst | Order::OldestFirst => by_time(connection, search)?,
    };
    let order = match search.order {
        Order::NewestFirst => format!("{} DESC, f.id DESC, f.space DESC", clause.time),
        Order::OldestFirst => format!("{}, f.id, f.space", clause.time),
        Order::Arrival => "f.seq".to_owned(),
    };
    let text = format!("SELECT f.seq, f.id, f.space, f.time {} ORDER BY {order} LIMIT ?", clause.text);
    let mut values = clause.values;
    values.push(Value::Integer(i64::try_from(limit).unwrap_or(i64::MAX)));
    let mut statement = connection.prepare_cached(&text)?;
    let found = statement.query_map(params_from_iter(values), Found::read)?;
    let found = found.collect::<rusqlite::Result<Vec<_>>>()?;
    let hits = found.iter().map(|found| hit(connection, found)).collect::<rusqlite::Result<Vec<_>>>()?;
    let is_full = found.len() == limit;
    let next = found.last().filter(|_| is_full).map(|last| match search.order {
        Order::Arrival => Cursor::Arrival(number(last.seq)),
        Order::NewestFirst | Order::OldestFirst => {
            Cursor::Document { time: last.time, id: last.id.clone(), namespace: last.space.clone() }
        }
    });
    let tail = (search.order == Order::Arrival).then_some(Cursor::Arrival(arrived));
    Ok(Page { hits, next: next.or(tail), arrived: Cursor::Arrival(arrived) })
}

fn by_arrival(search: &Search) -> Clause {
    let after = match &search.after {
        Some(Cursor::Arrival(arrival)) => i64::try_from(*arrival).unwrap_or(i64::MAX),
        _ => -1,
    };
    query::by_arrival(&search.filter, after)
}

fn by_time(connection: &Connection, search: &Search) -> rusqlite::Result<Clause> {
    let mut filter = search.filter.clone();
    let Some(Cursor::Document { time, id, namespace }) = &search.after else {
        return query::by_time(connection, &filter);
    };
    // The walk begins where the page before ended; what it told of that very moment is left out below.
    let is_down = search.order == Order::NewestFirst;
    if is_down {
        let until = Time(time.0.saturating_add(1));
        filter.until = Some(filter.until.map_or(until, |other| other.min(until)));
    } else {
        filter.since = Some(filter.since.map_or(*time, |other| other.max(*time)));
    }
    let mut clause = query::by_time(connection, &filter)?;
    let sign = if is_down { '<' } else { '>' };
    let time_column = clause.time;
    let behind = format!(
        "({time_column} {sign} ? OR ({time_column} = ? AND (f.id {sign} ? OR (f.id = ? AND f.space {sign} ?))))"
    );
    let (time, id) = (query::time(*time), query::text(id));
    clause.and(&behind, [time.clone(), time, id.clone(), id, query::text(namespace)]);
    Ok(clause)
}

struct Found {
    seq: i64,
    id: String,
    space: String,
    time: Time,
}

impl Found {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self { seq: row.get(0)?, id: row.get(1)?, space: row.get(2)?, time: Time(number(row.get(3)?)) })
    }
}

fn hit(connection: &Connection, found: &Found) -> rusqlite::Result<Hit> {
    let mut statement = connection.prepare_cached(
        "SELECT d.source, a.state, a.by, a.at, a.reason FROM document d JOIN fact f ON f.seq = d.seq
         LEFT JOIN annotation a ON a.cluster = f.cluster AND a.alert_group = f.alert_group WHERE d.seq = ?1",
    )?;
    statement.query_row([found.seq], |row| {
        let state: Option<i64> = row.get(1)?;
        let annotation = state.map(|state| {
            Ok::<_, rusqlite::Error>(Annotation {
                state: State::ALL
                    .into_iter()
                    .find(|known| query::state_number(*known) == state)
                    .unwrap_or_default(),
                by: row.get(2)?,
                at: Time(number(row.get(3)?)),
                reason: row.get(4)?,
            })
        });
        Ok(Hit {
            id: found.id.clone(),
            namespace: found.space.clone(),
            time: found.time,
            source: Bytes::from(row.get::<_, String>(0)?),
            annotation: annotation.transpose()?,
        })
    })
}

/// The last arrival; 0 where there was none.
pub fn last(connection: &Connection) -> rusqlite::Result<u64> {
    let last: Option<i64> = connection.query_row("SELECT max(seq) FROM fact", [], |row| row.get(0))?;
    Ok(last.map_or(0, number))
}

/// How documents are spread over time: one count a step, each within an index.
pub fn histogram(connection: &Connection, histogram: &Histogram) -> rusqlite::Result<Vec<Bucket>> {
    let (step, mut from) = (histogram.step.max(1), histogram.from);
    let mut buckets = Vec::with_capacity(histogram.steps.min(Histogram::STEPS_MAX));
    for _ in 0..histogram.steps.min(Histogram::STEPS_MAX) {
        let until = Time(from.0.saturating_add(step));
        let filter = Filter { since: Some(from), until: Some(until), ..histogram.filter.clone() };
        let clause = query::by_time(connection, &filter)?;
        let mut statement = connection.prepare_cached(&format!("SELECT count(*) {}", clause.text))?;
        let documents: i64 = statement.query_row(params_from_iter(clause.values), |row| row.get(0))?;
        buckets.push(Bucket { from, documents: number(documents) });
        from = until;
    }
    Ok(buckets)
}

/// The most frequent values of a field.
pub fn top(connection: &Connection, top: &Top) -> rusqlite::Result<Vec<TopValue>> {
    let clause = query::by_time(connection, &top.filter)?;
    let column = match top.field {
        Field::Namespace => "f.namespace",
        Field::Pod => "coalesce(f.pod, f.pod_uid)",
        Field::Question => "f.question",
        Field::Entry => "f.entry",
        Field::Feed => "f.feeds",
        Field::Node => "f.node",
        Field::Kind => "f.action",
    };
    let mut statement = connection.prepare_cached(&format!("SELECT {column} {}", clause.text))?;
    let mut rows = statement.query(params_from_iter(clause.values))?;
    let mut counts = HashMap::new();
    while let Some(row) = rows.next()? {
        let Some(value) = row.get_ref(0)?.as_str_or_null()? else { continue };
        if let Some(count) = counts.get_mut(value) {
            *count += 1;
        } else if counts.len() < VALUES_MAX {
            counts.insert(value.to_owned(), 1_u64);
        }
    }
    if top.field == Field::Feed {
        counts = each(counts);
    }
    let mut values: Vec<_> =
        counts.into_iter().map(|(value, documents)| TopValue { value, documents }).collect();
    values.sort_unstable_by(|a, b| b.documents.cmp(&a.documents).then_with(|| a.value.cmp(&b.value)));
    values.truncate(top.limit.min(TOP_MAX));
    Ok(values)
}

/// Lists -> their values; a document counts once for each value of its list.
fn each(lists: HashMap<String, u64>) -> HashMap<String, u64> {
    let mut counts = HashMap::new();
    for (list, count) in lists {
        let mut values: Vec<String> = serde_json::from_str(&list).unwrap_or_default();
        values.sort_unstable();
        values.dedup();
        for value in values {
            *counts.entry(value).or_default() += count;
        }
    }
    counts
}

/// A document by its id: the newest, where several data streams have one.
pub fn get(connection: &Connection, cluster: &str, id: &str) -> rusqlite::Result<Option<Hit>> {
    let mut statement = connection.prepare_cached(
        "SELECT seq, id, space, time FROM fact WHERE id = ?1 AND cluster = ?2 ORDER BY time DESC, space DESC LIMIT 1",
    )?;
    let found = statement.query_row([id, cluster], Found::read).optional()?;
    found.map(|found| hit(connection, &found)).transpose()
}

/// Which of the ids a data stream holds.
pub fn holds(connection: &Connection, namespace: &str, ids: &[String]) -> rusqlite::Result<Vec<bool>> {
    let mut statement = connection.prepare_cached("SELECT 1 FROM fact WHERE id = ?1 AND space = ?2")?;
    ids.iter().map(|id| statement.exists(params![id, namespace])).collect()
}

fn number(value: i64) -> u64 {
    u64::try_from(value).unwrap_or_default()
}
