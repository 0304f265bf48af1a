//! What gives way: documents that are too old, and the oldest to make room.

use std::time::Duration;

use namewarden_protocol::document::Time;
use rusqlite::Connection;

use super::{
    block::{GONE, Number},
    blocks::{self, Head, Opened},
    removal,
};

/// Documents that are taken out together at least, so that others are not kept waiting for long.
const TOGETHER: usize = 1000;
/// Pages that are given back to the disk together.
const PAGES_BACK: u32 = 2000;

/// What a file may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Documents are kept for this long, by their own time.
    pub age: Duration,
    /// Bytes that the file may use.
    pub bytes: u64,
}

/// Takes out what has to give way, a part of it only; `more` is how many at least where others come in as fast. Says how many
/// were taken out; none means that there is nothing left to do.
pub fn turn(
    connection: &mut Connection,
    limits: Limits,
    now: Time,
    at_least: usize,
) -> rusqlite::Result<u64> {
    let together = at_least.max(TOGETHER);
    let transaction = connection.transaction()?;
    let mut parts = too_old(&transaction, limits.age, now, together)?;
    if parts.is_empty() && used(&transaction)? > limits.bytes {
        parts = oldest(&transaction, together)?;
    }
    let mut removed = 0;
    for (head, rows) in parts {
        removed += removal::remove(&transaction, head, &rows)?;
    }
    if removed > 0 {
        let less = i64::try_from(removed).unwrap_or(i64::MAX);
        transaction.prepare_cached("UPDATE tally SET documents = documents - ?1")?.execute([less])?;
    }
    transaction.commit()?;
    if removed == 0 {
        give_back(connection)?;
    }
    Ok(removed)
}

/// Bytes that documents and indices use in the file.
pub fn used(connection: &Connection) -> rusqlite::Result<u64> {
    let pages = pragma(connection, "page_count")? - pragma(connection, "freelist_count")?;
    Ok(u64::try_from(pages * pragma(connection, "page_size")?).unwrap_or_default())
}

fn pragma(connection: &Connection, name: &str) -> rusqlite::Result<i64> {
    connection.prepare_cached(&format!("PRAGMA {name}"))?.query_row([], |row| row.get(0))
}

/// A part of a block: places of rows.
type Part = (Head, Vec<usize>);

fn too_old(
    connection: &Connection,
    age: Duration,
    now: Time,
    together: usize,
) -> rusqlite::Result<Vec<Part>> {
    let age = u64::try_from(age.as_nanos()).unwrap_or(u64::MAX);
    let before = i64::try_from(now.0.saturating_sub(age)).unwrap_or(i64::MAX);
    let (mut parts, mut left) = (Vec::new(), together);
    for head in blocks::heads(connection)?.into_iter().filter(|head| head.oldest < before) {
        let block = Opened::new(connection, head);
        let (times, states) = (block.numbers(Number::Time)?, block.states()?);
        let rows = times.iter().zip(states).enumerate().take_while(|(_, (time, _))| **time < before);
        let live = rows.filter(|(_, (_, state))| *state != GONE).map(|(row, _)| row);
        left = take(&mut parts, head, live.collect(), left);
        if left == 0 {
            break;
        }
    }
    Ok(parts)
}

/// Those that arrived first.
fn oldest(connection: &Connection, together: usize) -> rusqlite::Result<Vec<Part>> {
    let (mut parts, mut left) = (Vec::new(), together);
    for head in blocks::heads(connection)? {
        let block = Opened::new(connection, head);
        let (seqs, states) = (block.numbers(Number::Seq)?, block.states()?);
        let rows = seqs.into_iter().zip(states).enumerate().filter(|(_, (_, state))| *state != GONE);
        let mut rows: Vec<(i64, usize)> = rows.map(|(row, (seq, _))| (seq, row)).collect();
        rows.sort_unstable();
        left = take(&mut parts, head, rows.into_iter().map(|(_, row)| row).collect(), left);
        if left == 0 {
            break;
        }
    }
    Ok(parts)
}

/// As many rows of a block as are left to be taken; how many are left then.
fn take(parts: &mut Vec<Part>, head: Head, mut rows: Vec<usize>, left: usize) -> usize {
    rows.truncate(left);
    let left = left - rows.len();
    if !rows.is_empty() {
        parts.push((head, rows));
    }
    left
}

/// Gives free pages back where they are more than a tenth of the file; the rest will be used again.
fn give_back(connection: &Connection) -> rusqlite::Result<()> {
    let (pages, free) = (pragma(connection, "page_count")?, pragma(connection, "freelist_count")?);
    if free * 10 > pages && free > i64::from(PAGES_BACK) {
        connection.execute_batch(&format!("PRAGMA incremental_vacuum({PAGES_BACK})"))?;
    }
    Ok(())
}
