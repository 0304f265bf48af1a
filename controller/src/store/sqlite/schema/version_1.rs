//! Version 1: a row of facts for each document, and one for each value that it was looked for by. What it holds is taken over:
//! documents stay where they are, their facts become blocks.

use namewarden_protocol::document::Time;
use rusqlite::{Row, Transaction, params};

use crate::store::{
    facts::Facts,
    sqlite::{
        block::{Block, Entry},
        blocks,
    },
};

/// Documents of a block that is made of a file of this version.
const BLOCK_ROWS: i64 = 32_768;

/// Its tables.
pub const TABLES: &str = "
    -- What came in, whole.
    CREATE TABLE document (seq INTEGER PRIMARY KEY, source TEXT NOT NULL);
    -- What is filtered and counted by: a narrow row for each document.
    CREATE TABLE fact (
        seq INTEGER PRIMARY KEY,
        space TEXT NOT NULL,
        id TEXT NOT NULL,
        cluster TEXT NOT NULL,
        time INTEGER NOT NULL,
        action TEXT,
        severity INTEGER,
        state INTEGER NOT NULL,
        alert_group TEXT,
        namespace TEXT,
        pod TEXT,
        pod_uid TEXT,
        node TEXT,
        question TEXT,
        entry TEXT,
        feeds TEXT,
        UNIQUE (id, space)
    );
    CREATE INDEX fact_time ON fact (cluster, time, severity, action, state);
    CREATE INDEX fact_group ON fact (cluster, alert_group) WHERE alert_group IS NOT NULL;
    -- Where each searched value occurs, by time.
    CREATE TABLE term (
        cluster TEXT NOT NULL,
        field INTEGER NOT NULL,
        value TEXT NOT NULL,
        time INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        PRIMARY KEY (cluster, field, value, time, seq)
    ) WITHOUT ROWID;
    -- What people say of alert groups.
    CREATE TABLE annotation (
        cluster TEXT NOT NULL,
        alert_group TEXT NOT NULL,
        state INTEGER NOT NULL,
        by TEXT NOT NULL,
        at INTEGER NOT NULL,
        reason TEXT NOT NULL,
        PRIMARY KEY (cluster, alert_group)
    ) WITHOUT ROWID;
    -- How many documents there are.
    CREATE TABLE tally (documents INTEGER NOT NULL);
    INSERT INTO tally VALUES (0);
";

/// Makes the tables of the next version of those of this one; documents, annotations and their number stay.
pub fn take_over(file: &Transaction<'_>, tables: &str) -> rusqlite::Result<()> {
    file.execute_batch(tables)?;
    file.execute_batch(
        "INSERT INTO identity SELECT seq, space, id, cluster, time, alert_group FROM fact ORDER BY seq",
    )?;
    let mut behind = i64::MIN;
    loop {
        let facts = facts(file, behind)?;
        let Some(last) = facts.last() else { break };
        behind = last.seq;
        let entries = facts.iter().map(|one| Entry {
            seq: one.seq,
            state: one.state,
            id: &one.id,
            space: &one.space,
            facts: &one.facts,
        });
        blocks::add(file, &Block::of(entries.collect()), false)?;
        blocks::seal(file)?;
    }
    file.execute_batch("DROP TABLE term; DROP TABLE fact")
}

/// A row of facts.
struct Known {
    seq: i64,
    space: String,
    id: String,
    state: u8,
    facts: Facts,
}

fn facts(file: &Transaction<'_>, behind: i64) -> rusqlite::Result<Vec<Known>> {
    let mut statement = file.prepare_cached("SELECT * FROM fact WHERE seq > ?1 ORDER BY seq LIMIT ?2")?;
    statement.query_map(params![behind, BLOCK_ROWS], known)?.collect()
}

fn known(row: &Row<'_>) -> rusqlite::Result<Known> {
    let feeds: Option<String> = row.get("feeds")?;
    let facts = Facts {
        time: Time(u64::try_from(row.get::<_, i64>("time")?).unwrap_or_default()),
        cluster: row.get("cluster")?,
        action: row.get("action")?,
        severity: row.get("severity")?,
        group: row.get("alert_group")?,
        namespace: row.get("namespace")?,
        pod: row.get("pod")?,
        pod_uid: row.get("pod_uid")?,
        node: row.get("node")?,
        question: row.get("question")?,
        entry: row.get("entry")?,
        feeds: feeds.and_then(|feeds| serde_json::from_str(&feeds).ok()).unwrap_or_default(),
    };
    let (seq, space, id, state) = (row.get("seq")?, row.get("space")?, row.get("id")?, row.get("state")?);
    Ok(Known { seq, space, id, state, facts })
}

#[cfg(test)]
mod tests;
