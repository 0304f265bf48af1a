//! Documents by their ids: those of sealed blocks by their keys, the newest by a look at the blocks that are not sealed.

use std::collections::{BTreeSet, HashMap};

use rusqlite::{Connection, params};

use super::{
    block::Number,
    blocks::{self, Opened},
    hash,
};

/// What the writer knows of ids that have no keys yet. Gone ones may be among them.
#[derive(Debug, Default)]
pub struct Newest(BTreeSet<(i64, i64)>);

impl Newest {
    /// As the file has it.
    pub fn load(connection: &Connection) -> rusqlite::Result<Self> {
        let mut newest = BTreeSet::new();
        for head in blocks::unsealed(connection)? {
            let block = Opened::new(connection, head);
            newest.extend(block.numbers(Number::Id)?.into_iter().zip(block.numbers(Number::Seq)?));
        }
        Ok(Self(newest))
    }

    /// There is a document more.
    pub fn add(&mut self, hash: i64, seq: i64) {
        self.0.insert((hash, seq));
    }

    /// Whether a data stream holds a document of that id.
    pub fn holds(&self, connection: &Connection, hash: i64, id: &str, space: &str) -> rusqlite::Result<bool> {
        let newest = self.0.range((hash, i64::MIN)..=(hash, i64::MAX)).map(|(_, seq)| *seq);
        let mut seqs: Vec<i64> = newest.collect();
        seqs.extend(keyed(connection, hash)?);
        any_is(connection, &seqs, id, space)
    }
}

/// Arrivals that may bear the ids, of each in the order that they are given in.
pub fn candidates(connection: &Connection, ids: &[String]) -> rusqlite::Result<Vec<Vec<i64>>> {
    let mut places: HashMap<i64, Vec<usize>> = HashMap::new();
    let mut found = Vec::with_capacity(ids.len());
    for (place, id) in ids.iter().enumerate() {
        let hash = hash::id(id);
        places.entry(hash).or_default().push(place);
        found.push(keyed(connection, hash)?);
    }
    for head in blocks::unsealed(connection)? {
        let block = Opened::new(connection, head);
        let rows = block.numbers(Number::Id)?.into_iter().zip(block.numbers(Number::Seq)?);
        for (hash, seq) in rows {
            for place in places.get(&hash).into_iter().flatten() {
                if let Some(found) = found.get_mut(*place) {
                    found.push(seq);
                }
            }
        }
    }
    Ok(found)
}

fn keyed(connection: &Connection, hash: i64) -> rusqlite::Result<Vec<i64>> {
    let mut statement = connection.prepare_cached("SELECT seq FROM key WHERE hash = ?1")?;
    statement.query_map([hash], |row| row.get(0))?.collect()
}

/// Whether one of the arrivals is a document of that id in that data stream.
pub fn any_is(connection: &Connection, seqs: &[i64], id: &str, space: &str) -> rusqlite::Result<bool> {
    let mut statement =
        connection.prepare_cached("SELECT 1 FROM identity WHERE seq = ?1 AND id = ?2 AND space = ?3")?;
    for seq in seqs {
        if statement.exists(params![seq, id, space])? {
            return Ok(true);
        }
    }
    Ok(false)
}
