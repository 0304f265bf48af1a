//! Rows of one document: put in, taken out again, within the transaction that is open.

use rusqlite::{Connection, params};

use crate::store::facts::Facts;

/// What a term is a value of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum TermField {
    /// The question's name, or the entry.
    Domain = 1,
    /// The pod's namespace.
    Namespace = 2,
    /// The pod's name, or its UID.
    Pod = 3,
    /// A feed.
    Feed = 4,
}

/// A document with what of it is searched.
#[derive(Debug)]
pub struct Prepared {
    /// Third part of the data stream's name.
    pub namespace: String,
    /// Its `_id`.
    pub id: String,
    /// What is searched.
    pub facts: Facts,
    /// The document.
    pub source: bytes::Bytes,
}

/// Puts a document in, unless there is one of its id; says whether it did.
pub fn insert(connection: &Connection, document: &Prepared, seq: i64) -> rusqlite::Result<bool> {
    let Prepared { namespace, id, facts, source } = document;
    let time = i64::try_from(facts.time.0).unwrap_or(i64::MAX);
    let state = match &facts.group {
        Some(group) => state_of(connection, &facts.cluster, group)?,
        None => 0,
    };
    let feeds = (!facts.feeds.is_empty()).then(|| serde_json::to_string(&facts.feeds).unwrap_or_default());
    let inserted = connection
        .prepare_cached(
            "INSERT INTO fact VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)
             ON CONFLICT (id, space) DO NOTHING",
        )?
        .execute(params![
            seq,
            namespace,
            id,
            facts.cluster,
            time,
            facts.action,
            facts.severity,
            state,
            facts.group,
            facts.namespace,
            facts.pod,
            facts.pod_uid,
            facts.node,
            facts.question,
            facts.entry,
            feeds
        ])?;
    if inserted == 0 {
        return Ok(false);
    }
    // Checked to be UTF-8 where its facts were read.
    let text = std::str::from_utf8(source).unwrap_or_default();
    connection.prepare_cached("INSERT INTO document VALUES (?1, ?2)")?.execute(params![seq, text])?;
    let mut term = connection.prepare_cached("INSERT OR IGNORE INTO term VALUES (?1, ?2, ?3, ?4, ?5)")?;
    for (field, value) in terms(facts) {
        term.execute(params![facts.cluster, field as u8, value, time, seq])?;
    }
    Ok(true)
}

/// Values that a document is found by; one may come twice.
fn terms(facts: &Facts) -> impl Iterator<Item = (TermField, &str)> {
    let named = [
        (TermField::Domain, &facts.question),
        (TermField::Domain, &facts.entry),
        (TermField::Namespace, &facts.namespace),
        (TermField::Pod, &facts.pod),
        (TermField::Pod, &facts.pod_uid),
    ];
    let named = named.into_iter().filter_map(|(field, value)| Some((field, value.as_deref()?)));
    named.chain(facts.feeds.iter().map(|feed| (TermField::Feed, feed.as_str())))
}

fn state_of(connection: &Connection, cluster: &str, group: &str) -> rusqlite::Result<i64> {
    let mut known =
        connection.prepare_cached("SELECT state FROM annotation WHERE cluster = ?1 AND alert_group = ?2")?;
    let mut rows = known.query([cluster, group])?;
    rows.next()?.map_or(Ok(0), |row| row.get(0))
}

/// Takes documents out, and what was said of groups that no document is left of; says how many it took.
pub fn remove(connection: &Connection, seqs: &[i64]) -> rusqlite::Result<u64> {
    let mut removed = 0;
    for &seq in seqs {
        let facts = connection
            .prepare_cached(
                "DELETE FROM fact WHERE seq = ?1
                 RETURNING cluster, time, alert_group, namespace, pod, pod_uid, question, entry, feeds",
            )?
            .query_row([seq], facts_of)?;
        connection.prepare_cached("DELETE FROM document WHERE seq = ?1")?.execute([seq])?;
        let mut term = connection.prepare_cached(
            "DELETE FROM term WHERE cluster = ?1 AND field = ?2 AND value = ?3 AND time = ?4 AND seq = ?5",
        )?;
        let time = i64::try_from(facts.time.0).unwrap_or(i64::MAX);
        for (field, value) in terms(&facts) {
            term.execute(params![facts.cluster, field as u8, value, time, seq])?;
        }
        if let Some(group) = &facts.group {
            connection
                .prepare_cached(
                    "DELETE FROM annotation WHERE cluster = ?1 AND alert_group = ?2
                     AND NOT EXISTS (SELECT 1 FROM fact WHERE cluster = ?1 AND alert_group = ?2)",
                )?
                .execute([&facts.cluster, group])?;
        }
        removed += 1;
    }
    Ok(removed)
}

fn facts_of(row: &rusqlite::Row<'_>) -> rusqlite::Result<Facts> {
    let feeds: Option<String> = row.get(8)?;
    Ok(Facts {
        cluster: row.get(0)?,
        time: namewarden_protocol::document::Time(u64::try_from(row.get::<_, i64>(1)?).unwrap_or_default()),
        group: row.get(2)?,
        namespace: row.get(3)?,
        pod: row.get(4)?,
        pod_uid: row.get(5)?,
        question: row.get(6)?,
        entry: row.get(7)?,
        feeds: feeds.and_then(|feeds| serde_json::from_str(&feeds).ok()).unwrap_or_default(),
        ..Facts::default()
    })
}
