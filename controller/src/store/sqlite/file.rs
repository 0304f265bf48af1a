//! One file: opened, checked, brought to the current version; set aside where it is damaged.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::schema::{self, MigrationError};
use crate::store::Stream;

/// How long a file is checked at the start; what was not looked at then is found when it is read.
const CHECK_PATIENCE: Duration = Duration::from_secs(10);
/// Steps of `SQLite` between two looks at the clock.
const STEPS: i32 = 10_000;
/// Bytes of a page: several documents fit into one.
const PAGE_BYTES: u32 = 16_384;
/// Pages of the log that are written back together: hot pages are written once for many commits.
const CHECKPOINT_PAGES: u32 = 4096;
/// KiB of pages that the writer keeps in memory.
const WRITER_CACHE_KIB: i32 = 32 * 1024;
/// KiB of pages that a reader keeps in memory.
const READER_CACHE_KIB: i32 = 8 * 1024;
/// How long a connection waits for a lock: there is one writer, so only recovery ever takes one.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);

/// Why there is no file.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The folder, or a file in it.
    #[error("{path}: {error}", path = path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// The system's word.
        error: io::Error,
    },
    /// What `SQLite` says.
    #[error("{path}: {error}", path = path.display())]
    Sqlite {
        /// Which.
        path: PathBuf,
        /// Its word.
        error: MigrationError,
    },
}

/// Opens the file of a stream for writing. One that is damaged is set aside, and a new one begun.
pub fn open(folder: &Path, stream: Stream) -> Result<Connection, FileError> {
    let path = path(folder, stream);
    match opened(&path, stream) {
        Ok(connection) => Ok(connection),
        Err(error) if is_damaged(&error) => {
            set_aside(&path, &error.to_string())?;
            opened(&path, stream).map_err(|error| FileError::Sqlite { path, error })
        }
        Err(error) => Err(FileError::Sqlite { path, error }),
    }
}

/// The file of a stream.
pub fn path(folder: &Path, stream: Stream) -> PathBuf {
    folder.join(format!("{}.db", stream.name()))
}

/// Opens it for reading, beside the writer.
pub fn reader(folder: &Path, stream: Stream) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path(folder, stream), flags)?;
    connection.busy_timeout(LOCK_PATIENCE)?;
    connection.pragma_update(None, "cache_size", -READER_CACHE_KIB)?;
    connection.pragma_update(None, "temp_store", "memory")?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

fn opened(path: &Path, stream: Stream) -> Result<Connection, MigrationError> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(LOCK_PATIENCE)?;
    // Both take effect in a new file only, before its first table.
    connection.pragma_update(None, "page_size", PAGE_BYTES)?;
    connection.pragma_update(None, "auto_vacuum", "incremental")?;
    connection.query_row("PRAGMA journal_mode = wal", [], |_| Ok(()))?;
    // What an agent was told is kept survives the machine's end; of DNS logs the last second may be lost then.
    let synchronous = if stream == Stream::Alerts { "full" } else { "normal" };
    connection.pragma_update(None, "synchronous", synchronous)?;
    connection.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
    connection.pragma_update(None, "temp_store", "memory")?;
    connection.query_row(&format!("PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}"), [], |_| Ok(()))?;
    connection.set_prepared_statement_cache_capacity(32);
    check(&mut connection, path)?;
    schema::migrate(&mut connection)?;
    Ok(connection)
}

/// Looks through the file, as far as time allows; the error says what is wrong with it.
pub fn check(connection: &mut Connection, path: &Path) -> rusqlite::Result<()> {
    let began = Instant::now();
    connection.progress_handler(STEPS, Some(move || began.elapsed() > CHECK_PATIENCE))?;
    let found = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0));
    connection.progress_handler(0, None::<fn() -> bool>)?;
    match found {
        Ok(said) if said == "ok" => Ok(()),
        Ok(said) => Err(rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT),
            Some(said.trim().replace('\n', " ")),
        )),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => {
            tracing::info!(
                "{} is too large to be checked whole at the start: it is sound as far as was seen in {} s",
                path.display(),
                CHECK_PATIENCE.as_secs()
            );
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// Whether the error speaks of the file's contents.
pub fn is_corrupt(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

fn is_damaged(error: &MigrationError) -> bool {
    matches!(error, MigrationError::Sqlite(error) if is_corrupt(error))
}

/// Renames a damaged file and what belongs to it, for a person to look at.
pub fn set_aside(path: &Path, reason: &str) -> Result<(), FileError> {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let aside = path.with_extension(format!("db.damaged-{seconds}"));
    for suffix in ["-wal", ""] {
        let with = |path: &Path| PathBuf::from(format!("{}{suffix}", path.display()));
        match fs::rename(with(path), with(&aside)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(FileError::Io { path: with(path), error });
            }
            _ => {}
        }
    }
    // It only says how the log was shared; a new one is made.
    let _ = fs::remove_file(format!("{}-shm", path.display()));
    tracing::error!(
        "{} is damaged ({reason}): it was set aside as {}, and a new one is begun; what it held is not searched any more",
        path.display(),
        aside.display()
    );
    Ok(())
}
