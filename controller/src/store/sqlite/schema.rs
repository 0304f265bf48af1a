//! Tables and indices of a file, and the way from each version to the next. Why they are as they are:
//! `docs/decisions/051-embedded-store.md`.

use rusqlite::Connection;

/// Each step leads from the version of its place to the next one; what was released is never changed.
const STEPS: &[&str] = &["
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
"];

/// The version that this program writes.
#[expect(clippy::cast_possible_wrap, reason = "a handful of steps")]
pub const VERSION: i64 = STEPS.len() as i64;

/// Brings a file to the current version, each step whole or not at all.
///
/// # Errors
/// What is wrong, also where the file is newer than this program.
pub fn migrate(connection: &mut Connection) -> Result<(), MigrationError> {
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if version > VERSION {
        return Err(MigrationError::Newer { version });
    }
    let done = usize::try_from(version).unwrap_or_default();
    for (step, next) in STEPS.iter().zip(1_i64..).skip(done) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", next)?;
        transaction.commit()?;
    }
    Ok(())
}

/// Why a file is not of the current version.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// Written by a newer program.
    #[error(
        "it was written by a newer version (its schema is {version}, this program's {VERSION}); use that version, or give \
         --store another folder"
    )]
    Newer {
        /// Its version.
        version: i64,
    },
    /// `SQLite`'s word.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
}
