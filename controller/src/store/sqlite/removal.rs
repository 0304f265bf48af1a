//! Documents taken out, with everything that is known of them, within the transaction that is open.
//!
//! A row of a block is marked as gone; the block goes with its last row, and the keys of all its documents with it, in order.

use std::collections::HashSet;

use rusqlite::{Connection, OptionalExtension as _, Row};

use super::{
    block::{GONE, Number},
    blocks::{self, Head, Opened},
    hash, rows,
};

/// A group, by cluster and name.
type Group = (String, String);

/// Takes rows of a block out, by their places; says how many.
pub fn remove(connection: &Connection, head: Head, rows: &[usize]) -> rusqlite::Result<u64> {
    let block = Opened::new(connection, head);
    let (seqs, mut states) = (block.numbers(Number::Seq)?, block.states()?);
    let (mut groups, mut removed) = (HashSet::new(), 0_u32);
    for row in rows {
        let (Some(seq), Some(state)) = (seqs.get(*row), states.get_mut(*row)) else { continue };
        if std::mem::replace(state, GONE) == GONE {
            continue;
        }
        removed += 1;
        groups.extend(forget(connection, *seq)?);
    }
    if usize::try_from(removed).unwrap_or(usize::MAX) == head.live {
        drop_block(&block)?;
    } else {
        let times = block.numbers(Number::Time)?;
        let mut live = times.iter().zip(&states).filter(|(_, state)| **state != GONE);
        let oldest = live.next().map_or(head.oldest, |(time, _)| *time);
        blocks::set_states(connection, head.id, &states)?;
        connection
            .prepare_cached("UPDATE block SET live = live - ?2, oldest = ?3 WHERE id = ?1")?
            .execute(rusqlite::params![head.id, removed, oldest])?;
    }
    forget_groups(connection, groups)?;
    Ok(removed.into())
}

/// Takes a document out; its group, where something is said of it.
fn forget(connection: &Connection, seq: i64) -> rusqlite::Result<Option<Group>> {
    let mut said = connection.prepare_cached(
        "SELECT a.cluster, a.alert_group FROM identity i JOIN annotation a
         ON a.cluster = i.cluster AND a.alert_group = i.alert_group WHERE i.seq = ?1",
    )?;
    let group = said.query_row([seq], group).optional()?;
    connection.prepare_cached("DELETE FROM identity WHERE seq = ?1")?.execute([seq])?;
    connection.prepare_cached("DELETE FROM document WHERE seq = ?1")?.execute([seq])?;
    Ok(group)
}

fn drop_block(block: &Opened<'_>) -> rusqlite::Result<()> {
    if block.head.is_sealed {
        let (ids, seqs) = (block.numbers(Number::Id)?, block.numbers(Number::Seq)?);
        let mut keys: Vec<(i64, i64)> = ids.into_iter().zip(seqs).collect();
        keys.sort_unstable();
        let mut statement =
            block.connection.prepare_cached("DELETE FROM key WHERE hash = ?1 AND seq = ?2")?;
        for (hash, seq) in keys {
            statement.execute([hash, seq])?;
        }
    }
    blocks::remove(block.connection, block.head.id)
}

fn group(row: &Row<'_>) -> rusqlite::Result<Group> {
    Ok((row.get(0)?, row.get(1)?))
}

/// Takes out what was said of groups that no document is left of.
fn forget_groups(connection: &Connection, mut groups: HashSet<Group>) -> rusqlite::Result<()> {
    let mut statement =
        connection.prepare_cached("SELECT cluster, alert_group FROM identity WHERE seq = ?1")?;
    for head in blocks::heads(connection)? {
        if groups.is_empty() {
            return Ok(());
        }
        let hashes: HashSet<i64> = groups.iter().map(|(cluster, name)| hash::group(cluster, name)).collect();
        for (_, seq) in rows::of_groups(&Opened::new(connection, head), |hash| hashes.contains(&hash))? {
            groups.remove(&statement.query_row([seq], group)?);
        }
    }
    for (cluster, name) in groups {
        connection
            .prepare_cached("DELETE FROM annotation WHERE cluster = ?1 AND alert_group = ?2")?
            .execute([cluster, name])?;
    }
    Ok(())
}
