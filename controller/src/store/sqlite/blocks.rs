//! The blocks of a file: put in, joined with those that arrived before, sealed where they are large; read part by part.
//!
//! Every transaction of the writer leaves a small block. Eight of a size become one, so each document is put in order anew a few
//! times only, and there are never many. A large one is sealed: it stays as it is, and its documents' keys are put in, all of
//! them in order, so that neighbours share a page.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::block::{self, Block, Number, ROWS_MAX, Text, Texts, Words};

/// Documents from which a block is sealed: a few in tests, so that each of them meets sealed ones.
const SEAL_ROWS: usize = if cfg!(test) { 24 } else { 32_768 };
/// Bytes from which it is, however few documents these are.
const SEAL_BYTES: i64 = 32 << 20;
/// Blocks of a size that become one.
const JOINED: usize = if cfg!(test) { 3 } else { 8 };
/// Numbers of a block's parts.
const PARTS: i64 = 32;

/// What is known of a block without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The first document's arrival.
    pub id: i64,
    /// The last one's.
    pub last: i64,
    pub rows: usize,
    /// Rows that are not gone.
    pub live: usize,
    /// No document that is left is older.
    pub oldest: i64,
    /// None is newer.
    pub newest: i64,
    pub bytes: i64,
    pub is_sealed: bool,
}

impl Head {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            last: row.get(1)?,
            rows: row.get::<_, u16>(2)?.into(),
            live: row.get::<_, u16>(3)?.into(),
            oldest: row.get(4)?,
            newest: row.get(5)?,
            bytes: row.get(6)?,
            is_sealed: row.get(7)?,
        })
    }
}

/// All, as they arrived.
pub fn heads(connection: &Connection) -> rusqlite::Result<Vec<Head>> {
    connection.prepare_cached("SELECT * FROM block ORDER BY id")?.query_map([], Head::read)?.collect()
}

/// Those that are not sealed, as they arrived.
pub fn unsealed(connection: &Connection) -> rusqlite::Result<Vec<Head>> {
    let mut statement = connection.prepare_cached("SELECT * FROM block ORDER BY id DESC")?;
    let mut rows = statement.query([])?;
    let mut heads = Vec::new();
    while let Some(row) = rows.next()? {
        let head = Head::read(row)?;
        if head.is_sealed {
            break;
        }
        heads.push(head);
    }
    heads.reverse();
    Ok(heads)
}

/// Looks whether each can be read.
pub fn check(connection: &Connection) -> rusqlite::Result<()> {
    heads(connection)?.into_iter().try_for_each(|head| Opened::new(connection, head).whole().map(drop))
}

/// Puts a block in; one of no rows is none.
pub fn add(connection: &Connection, block: &Block, is_sealed: bool) -> rusqlite::Result<()> {
    let (Some(id), Some(last)) = (block.seqs.iter().min(), block.seqs.iter().max()) else { return Ok(()) };
    let mut bytes = 0_usize;
    for (part, column) in block.parts() {
        bytes += column.len();
        set_part(connection, *id, part, &column)?;
    }
    let live = block.states.iter().filter(|state| **state != block::GONE).count();
    connection.prepare_cached("INSERT INTO block VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?.execute(
        params![
            id,
            last,
            as_stored(block.seqs.len()),
            as_stored(live),
            block.times.first(),
            block.times.last(),
            as_stored(bytes),
            is_sealed
        ],
    )?;
    Ok(())
}

fn place(id: i64, part: i64) -> i64 {
    id.saturating_mul(PARTS).saturating_add(part)
}

fn as_stored(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Takes a block out.
pub fn remove(connection: &Connection, id: i64) -> rusqlite::Result<()> {
    let parts = [place(id, 0), place(id, PARTS)];
    connection.prepare_cached("DELETE FROM part WHERE id >= ?1 AND id < ?2")?.execute(parts)?;
    connection.prepare_cached("DELETE FROM block WHERE id = ?1")?.execute([id])?;
    Ok(())
}

/// Writes the states of a block's documents.
pub fn set_states(connection: &Connection, id: i64, states: &[u8]) -> rusqlite::Result<()> {
    set_part(connection, id, Number::State as u8, &block::of_small(states))
}

/// Writes a part anew.
fn set_part(connection: &Connection, id: i64, part: u8, bytes: &[u8]) -> rusqlite::Result<()> {
    let place = place(id, part.into());
    connection
        .prepare_cached("INSERT OR REPLACE INTO part VALUES (?1, ?2)")?
        .execute(params![place, bytes])?;
    Ok(())
}

/// Joins what is to be joined; says whether something was sealed.
pub fn join(connection: &Connection) -> rusqlite::Result<bool> {
    let mut is_sealed = false;
    loop {
        let heads = unsealed(connection)?;
        let is_large = heads.iter().map(|head| head.rows).sum::<usize>() >= SEAL_ROWS
            || heads.iter().map(|head| head.bytes).sum::<i64>() >= SEAL_BYTES;
        if is_large {
            seal_first(connection, &heads)?;
            is_sealed = true;
        } else if let Some(alike) = alike(&heads) {
            let joined = joined(connection, alike)?;
            add(connection, &joined, false)?;
        } else {
            return Ok(is_sealed);
        }
    }
}

/// Seals everything that is not sealed yet.
pub fn seal(connection: &Connection) -> rusqlite::Result<()> {
    loop {
        let heads = unsealed(connection)?;
        if heads.is_empty() {
            return Ok(());
        }
        seal_first(connection, &heads)?;
    }
}

/// The last blocks, where there are enough of about the same size or smaller.
fn alike(heads: &[Head]) -> Option<&[Head]> {
    let size = |head: &Head| head.rows.max(1).ilog(JOINED);
    let largest = heads.iter().map(size).max()?;
    (0..=largest).find_map(|most| {
        let from = heads.iter().rposition(|head| size(head) > most).map_or(0, |place| place + 1);
        heads.get(from..).filter(|alike| alike.len() >= JOINED)
    })
}

/// One sealed block of the first ones, as many as one block holds.
fn seal_first(connection: &Connection, heads: &[Head]) -> rusqlite::Result<()> {
    let mut rows = 0;
    let fitting = heads.iter().take_while(|head| {
        rows += head.rows;
        rows <= ROWS_MAX
    });
    let count = fitting.count().max(1);
    let block = joined(connection, heads.get(..count).unwrap_or_default())?;
    add(connection, &block, true)?;
    let mut keys: Vec<(i64, i64)> = block.ids.iter().copied().zip(block.seqs.iter().copied()).collect();
    keys.sort_unstable();
    let mut statement = connection.prepare_cached("INSERT OR IGNORE INTO key VALUES (?1, ?2)")?;
    for (hash, seq) in keys {
        statement.execute([hash, seq])?;
    }
    Ok(())
}

/// Takes blocks out; what they held as one.
fn joined(connection: &Connection, heads: &[Head]) -> rusqlite::Result<Block> {
    let blocks = heads.iter().map(|head| Opened::new(connection, *head).whole());
    let blocks = blocks.collect::<rusqlite::Result<Vec<_>>>()?;
    let block = block::merge(&blocks, |seq| name(connection, seq))?;
    for head in heads {
        remove(connection, head.id)?;
    }
    Ok(block)
}

/// Id and data stream's namespace of a document; empty where it is gone.
pub fn name(connection: &Connection, seq: i64) -> rusqlite::Result<(String, String)> {
    let mut statement = connection.prepare_cached("SELECT id, space FROM identity WHERE seq = ?1")?;
    let name = statement.query_row([seq], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    Ok(name.unwrap_or_default())
}

/// A block that is read, part by part.
#[derive(Clone, Copy, Debug)]
pub struct Opened<'c> {
    pub connection: &'c Connection,
    pub head: Head,
}

impl<'c> Opened<'c> {
    pub fn new(connection: &'c Connection, head: Head) -> Self {
        Self { connection, head }
    }

    fn part<T>(&self, part: u8, read: impl FnOnce(&[u8]) -> rusqlite::Result<T>) -> rusqlite::Result<T> {
        let place = place(self.head.id, part.into());
        let mut statement = self.connection.prepare_cached("SELECT bytes FROM part WHERE id = ?1")?;
        let mut rows = statement.query([place])?;
        match rows.next()? {
            Some(row) => read(row.get_ref(0)?.as_blob()?),
            None => read(&[]),
        }
    }

    /// A column of 64 bits.
    pub fn numbers(&self, column: Number) -> rusqlite::Result<Vec<i64>> {
        self.part(column as u8, |bytes| block::numbers(bytes, self.head.rows))
    }

    pub fn severities(&self) -> rusqlite::Result<Vec<u16>> {
        self.part(Number::Severity as u8, |bytes| block::codes(bytes, self.head.rows))
    }

    pub fn states(&self) -> rusqlite::Result<Vec<u8>> {
        self.part(Number::State as u8, |bytes| block::small(bytes, self.head.rows))
    }

    /// The texts of a column.
    pub fn words(&self, column: Text) -> rusqlite::Result<Words> {
        self.part(column.part(), Words::read)
    }

    /// Which text each row bears.
    pub fn codes(&self, column: Text) -> rusqlite::Result<Vec<u16>> {
        self.part(column.part() + 1, |bytes| block::codes(bytes, self.head.rows))
    }

    fn whole(&self) -> rusqlite::Result<Block> {
        let texts = Text::ALL.iter().map(|column| {
            let words = self.words(*column)?.iter().map(str::to_owned).collect();
            Ok(Texts { words, codes: self.codes(*column)? })
        });
        Ok(Block {
            times: self.numbers(Number::Time)?,
            seqs: self.numbers(Number::Seq)?,
            ids: self.numbers(Number::Id)?,
            groups: self.numbers(Number::Group)?,
            severities: self.severities()?,
            states: self.states()?,
            texts: texts.collect::<rusqlite::Result<_>>()?,
        })
    }
}
