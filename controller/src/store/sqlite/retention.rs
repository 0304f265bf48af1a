//! What gives way: documents that are too old, and the oldest to make room.

use std::time::Duration;

use namewarden_protocol::document::Time;
use rusqlite::{Connection, OptionalExtension as _};

use super::rows;

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
    let mut seqs = too_old(&transaction, limits.age, now, together)?;
    if seqs.is_empty() && used(&transaction)? > limits.bytes {
        seqs = oldest(&transaction, together)?;
    }
    let removed = rows::remove(&transaction, &seqs)?;
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

fn too_old(connection: &Connection, age: Duration, now: Time, together: usize) -> rusqlite::Result<Vec<i64>> {
    let age = u64::try_from(age.as_nanos()).unwrap_or(u64::MAX);
    let before = i64::try_from(now.0.saturating_sub(age)).unwrap_or(i64::MAX);
    let mut seqs = Vec::new();
    let mut cluster = first_cluster(connection, "SELECT min(cluster) FROM fact", [].as_slice())?;
    while let Some(name) = cluster {
        let left = i64::try_from(together - seqs.len()).unwrap_or(i64::MAX);
        let mut statement = connection.prepare_cached(
            "SELECT seq FROM fact INDEXED BY fact_time WHERE cluster = ?1 AND time < ?2 ORDER BY time LIMIT ?3",
        )?;
        let found = statement.query_map(rusqlite::params![name, before, left], |row| row.get(0))?;
        for seq in found {
            seqs.push(seq?);
        }
        if seqs.len() >= together {
            break;
        }
        cluster = first_cluster(connection, "SELECT min(cluster) FROM fact WHERE cluster > ?1", &[name])?;
    }
    Ok(seqs)
}

fn first_cluster(connection: &Connection, text: &str, values: &[String]) -> rusqlite::Result<Option<String>> {
    let mut statement = connection.prepare_cached(text)?;
    let found = statement.query_row(rusqlite::params_from_iter(values), |row| row.get(0)).optional()?;
    Ok(found.flatten())
}

fn oldest(connection: &Connection, together: usize) -> rusqlite::Result<Vec<i64>> {
    let limit = i64::try_from(together).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached("SELECT seq FROM fact ORDER BY seq LIMIT ?1")?;
    statement.query_map([limit], |row| row.get(0))?.collect()
}

/// Gives free pages back where they are more than a tenth of the file; the rest will be used again.
fn give_back(connection: &Connection) -> rusqlite::Result<()> {
    let (pages, free) = (pragma(connection, "page_count")?, pragma(connection, "freelist_count")?);
    if free * 10 > pages && free > i64::from(PAGES_BACK) {
        connection.execute_batch(&format!("PRAGMA incremental_vacuum({PAGES_BACK})"))?;
    }
    Ok(())
}
