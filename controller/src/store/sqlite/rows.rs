//! Documents put in and what is said of their groups, within the transaction that is open.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::{
    block::{self, Block, Entry, GONE, Number},
    blocks::{self, Opened},
    hash,
    ids::Newest,
};
use crate::store::facts::Facts;

/// Rows of a block that is put in, at most: what follows can be joined with it.
const ROWS_MAX: usize = if cfg!(test) { 7 } else { 16_384 };

/// A document with what of it is searched.
#[derive(Debug)]
pub struct Prepared {
    /// Third part of the data stream's name.
    pub namespace: String,
    /// Its `_id`.
    pub id: String,
    /// Its hash.
    pub hash: i64,
    /// What is searched.
    pub facts: Facts,
    /// The document.
    pub source: bytes::Bytes,
}

/// Puts documents in, each unless there is one of its id; the numbers of those that were, from `seq`.
pub fn insert<'d>(
    connection: &Connection,
    newest: &mut Newest,
    documents: impl Iterator<Item = &'d Prepared>,
    seq: i64,
) -> rusqlite::Result<Vec<Option<i64>>> {
    let (mut next, mut seqs, mut entries) = (seq, Vec::new(), Vec::new());
    for document in documents {
        let Prepared { namespace, id, hash, facts, .. } = document;
        if newest.holds(connection, *hash, id, namespace)? {
            seqs.push(None);
            continue;
        }
        write(connection, next, document)?;
        newest.add(*hash, next);
        let state = state_of(connection, facts)?;
        entries.push(Entry { seq: next, state, id, space: namespace, facts });
        seqs.push(Some(next));
        next += 1;
        if entries.len() == ROWS_MAX {
            blocks::add(connection, &Block::of(std::mem::take(&mut entries)), false)?;
        }
    }
    blocks::add(connection, &Block::of(entries), false)?;
    Ok(seqs)
}

fn write(connection: &Connection, seq: i64, document: &Prepared) -> rusqlite::Result<()> {
    let Prepared { namespace, id, facts, source, .. } = document;
    connection.prepare_cached("INSERT INTO identity VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?.execute(params![
        seq,
        namespace,
        id,
        facts.cluster,
        block::time(facts),
        facts.group
    ])?;
    // Checked to be UTF-8 where its facts were read.
    let text = std::str::from_utf8(source).unwrap_or_default();
    connection.prepare_cached("INSERT INTO document VALUES (?1, ?2)")?.execute(params![seq, text])?;
    Ok(())
}

fn state_of(connection: &Connection, facts: &Facts) -> rusqlite::Result<u8> {
    let Some(group) = &facts.group else { return Ok(0) };
    let mut known =
        connection.prepare_cached("SELECT state FROM annotation WHERE cluster = ?1 AND alert_group = ?2")?;
    Ok(known.query_row([&facts.cluster, group], |row| row.get(0)).optional()?.unwrap_or(0))
}

/// Gives the documents of a group a state; says how many there are.
pub fn set_state(connection: &Connection, cluster: &str, group: &str, state: u8) -> rusqlite::Result<usize> {
    let mut changed = 0;
    for head in blocks::heads(connection)? {
        let block = Opened::new(connection, head);
        let rows = of_groups(&block, |hash| hash == hash::group(cluster, group))?;
        let mut states = Vec::new();
        for (row, seq) in rows {
            if !bears(connection, seq, cluster, group)? {
                continue;
            }
            if states.is_empty() {
                states = block.states()?;
            }
            if let Some(known) = states.get_mut(row) {
                *known = state;
                changed += 1;
            }
        }
        if !states.is_empty() {
            blocks::set_states(connection, head.id, &states)?;
        }
    }
    Ok(changed)
}

/// Rows that are not gone, with their arrivals, whose group's hash is meant.
pub fn of_groups(block: &Opened<'_>, is_meant: impl Fn(i64) -> bool) -> rusqlite::Result<Vec<(usize, i64)>> {
    let groups = block.numbers(Number::Group)?;
    let rows: Vec<usize> =
        groups.iter().enumerate().filter(|(_, hash)| is_meant(**hash)).map(|(row, _)| row).collect();
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let (states, seqs) = (block.states()?, block.numbers(Number::Seq)?);
    let live = rows.into_iter().filter(|row| states.get(*row).is_some_and(|state| *state != GONE));
    Ok(live.filter_map(|row| Some((row, *seqs.get(row)?))).collect())
}

/// Whether a document is of that group.
pub fn bears(connection: &Connection, seq: i64, cluster: &str, group: &str) -> rusqlite::Result<bool> {
    let mut statement = connection
        .prepare_cached("SELECT 1 FROM identity WHERE seq = ?1 AND cluster = ?2 AND alert_group = ?3")?;
    statement.exists(params![seq, cluster, group])
}
