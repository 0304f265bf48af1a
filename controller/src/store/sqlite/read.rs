//! Documents, as they are told: pages of them, one by its id.

use bytes::Bytes;
use namewarden_protocol::document::Time;
use rusqlite::{Connection, OptionalExtension as _, Row};

use super::{ids, matching, pages, readers::Asked};
use crate::store::{Annotation, Cursor, Hit, Order, Page, Search, State};

/// A page of documents.
pub fn search(asked: &Asked<'_>, search: &Search) -> rusqlite::Result<Page> {
    let limit = search.limit.clamp(1, Search::LIMIT_MAX);
    let arrived = last(asked.connection)?;
    let (filter, after) = (&search.filter, search.after.as_ref());
    let seqs = match search.order {
        Order::Arrival => pages::by_arrival(asked, filter, arrival(after), limit)?,
        Order::NewestFirst => pages::by_time(asked, filter, true, after, limit)?,
        Order::OldestFirst => pages::by_time(asked, filter, false, after, limit)?,
    };
    let hits = seqs.iter().map(|seq| hit(asked.connection, *seq)).collect::<rusqlite::Result<Vec<_>>>()?;
    let is_full = hits.len() == limit;
    let next = hits.last().zip(seqs.last()).filter(|_| is_full).map(|(hit, seq)| match search.order {
        Order::Arrival => Cursor::Arrival(number(*seq)),
        Order::NewestFirst | Order::OldestFirst => {
            Cursor::Document { time: hit.time, id: hit.id.clone(), namespace: hit.namespace.clone() }
        }
    });
    let tail = (search.order == Order::Arrival).then_some(Cursor::Arrival(arrived));
    Ok(Page { hits, next: next.or(tail), arrived: Cursor::Arrival(arrived) })
}

fn arrival(after: Option<&Cursor>) -> i64 {
    match after {
        Some(Cursor::Arrival(arrival)) => i64::try_from(*arrival).unwrap_or(i64::MAX),
        _ => -1,
    }
}

fn hit(connection: &Connection, seq: i64) -> rusqlite::Result<Hit> {
    let mut statement = connection.prepare_cached(
        "SELECT i.id, i.space, i.time, d.source, a.state, a.by, a.at, a.reason
         FROM identity i JOIN document d ON d.seq = i.seq
         LEFT JOIN annotation a ON a.cluster = i.cluster AND a.alert_group = i.alert_group WHERE i.seq = ?1",
    )?;
    statement.query_row([seq], |row| {
        Ok(Hit {
            id: row.get(0)?,
            namespace: row.get(1)?,
            time: Time(number(row.get(2)?)),
            source: Bytes::from(row.get::<_, String>(3)?),
            annotation: row.get::<_, Option<u8>>(4)?.map(|state| annotation(row, state)).transpose()?,
        })
    })
}

fn annotation(row: &Row<'_>, state: u8) -> rusqlite::Result<Annotation> {
    let known = State::ALL.into_iter().find(|known| matching::state_number(*known) == state);
    Ok(Annotation {
        state: known.unwrap_or_default(),
        by: row.get(5)?,
        at: Time(number(row.get(6)?)),
        reason: row.get(7)?,
    })
}

/// The last arrival; 0 where there was none.
pub fn last(connection: &Connection) -> rusqlite::Result<u64> {
    let last: Option<i64> = connection.query_row("SELECT max(seq) FROM identity", [], |row| row.get(0))?;
    Ok(last.map_or(0, number))
}

/// A document by its id: the newest, where several data streams have one.
pub fn get(connection: &Connection, cluster: &str, id: &str) -> rusqlite::Result<Option<Hit>> {
    let mut statement = connection
        .prepare_cached("SELECT time, space FROM identity WHERE seq = ?1 AND id = ?2 AND cluster = ?3")?;
    let mut newest: Option<((i64, String), i64)> = None;
    for seq in ids::candidates(connection, &[id.to_owned()])?.into_iter().flatten() {
        let values = rusqlite::params![seq, id, cluster];
        let found = statement.query_row(values, |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        newest = newest.max(found.map(|found| (found, seq)));
    }
    newest.map(|(_, seq)| hit(connection, seq)).transpose()
}

/// Which of the ids a data stream holds.
pub fn holds(connection: &Connection, namespace: &str, ids: &[String]) -> rusqlite::Result<Vec<bool>> {
    let candidates = ids::candidates(connection, ids)?;
    candidates.iter().zip(ids).map(|(seqs, id)| ids::any_is(connection, seqs, id, namespace)).collect()
}

fn number(value: i64) -> u64 {
    u64::try_from(value).unwrap_or_default()
}
