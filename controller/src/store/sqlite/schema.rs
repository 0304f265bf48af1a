//! Tables of a file, and the way from each version to the next. Why they are as they are:
//! `docs/decisions/051-embedded-store.md`.

// Files of the version that had a row for each value of a document.
mod version_1;

use rusqlite::{Connection, Transaction};

/// A way from one version to the next.
type Step = fn(&Transaction<'_>) -> rusqlite::Result<()>;

/// Each step leads from the version of its place to the next one; what was released is never changed.
const STEPS: &[Step] =
    &[|file| file.execute_batch(version_1::TABLES), |file| version_1::take_over(file, TABLES)];

const TABLES: &str = "
    -- What a document is called and to whom it belongs.
    CREATE TABLE identity (
        seq INTEGER PRIMARY KEY,
        space TEXT NOT NULL,
        id TEXT NOT NULL,
        cluster TEXT NOT NULL,
        time INTEGER NOT NULL,
        alert_group TEXT
    );
    -- What documents that arrived one after the other are filtered and counted by, in columns; `id` is the first's seq.
    CREATE TABLE block (
        id INTEGER PRIMARY KEY,
        last INTEGER NOT NULL,
        rows INTEGER NOT NULL,
        live INTEGER NOT NULL,
        oldest INTEGER NOT NULL,
        newest INTEGER NOT NULL,
        bytes INTEGER NOT NULL,
        is_sealed INTEGER NOT NULL
    );
    -- The columns of the blocks: 32 numbers for each block, from 32 times its id.
    CREATE TABLE part (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL);
    -- Documents of sealed blocks by the hash of their ids.
    CREATE TABLE key (hash INTEGER NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (hash, seq)) WITHOUT ROWID;
";

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
    if version > 0 && version < VERSION {
        let file = connection.path().unwrap_or_default();
        tracing::warn!(
            "{file} is of schema {version} and is brought to schema {VERSION}, which takes a minute for each few hundred \
             thousand documents and as much free disk as the file has; until then the store is not ready"
        );
    }
    let done = usize::try_from(version).unwrap_or_default();
    for (step, next) in STEPS.iter().zip(1_i64..).skip(done) {
        let transaction = connection.transaction()?;
        step(&transaction)?;
        transaction.pragma_update(None, "user_version", next)?;
        transaction.commit()?;
    }
    if version > 0 && version < VERSION {
        tracing::info!("the store's file is of schema {VERSION} now");
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
