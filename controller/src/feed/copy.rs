//! What is kept of each feed on disk: its last good copy, and what was found in it.
//!
//! Copies are named by their digest (`copies/<sha256>`), written whole, never changed; a record a feed
//! (`records/<feed>.json`) says which copy is its last good one and how it is read. A record is replaced in one step,
//! so that bytes and what is known of them never come apart. What no record names is removed.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::definition::Reading;
use super::push::Revision;
use super::resource::RejectedLine;

/// The longest part of a feed's name in a file's name: endings are added to it, 255 bytes are the most.
const NAME_BYTES_MAX: usize = 200;

/// What is known of a feed's last good copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The feed.
    pub feed: String,
    /// What it was read from.
    pub provenance: Provenance,
    /// SHA-256 of the copy, in hexadecimal digits.
    pub digest: String,
    /// How it is read.
    pub reading: Reading,
    /// What was found in it.
    pub summary: Summary,
    /// When the feed was last seen to be so, seconds of the Unix epoch.
    pub synced_at: u64,
}

/// What a copy was read from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Provenance {
    /// A server.
    Pulled {
        /// SHA-256 of the URL: the URL itself may hold a password.
        url: String,
        /// The server's `ETag`.
        etag: Option<String>,
        /// The server's `Last-Modified`.
        last_modified: Option<String>,
    },
    /// A document.
    Pushed(Revision),
}

/// What was found in a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// The format that it was read in.
    pub format: String,
    /// Names, exceptions too.
    pub entries: u64,
    /// Lines, or items of them, that were rejected.
    pub rejected: u64,
    /// The first of them.
    pub rejected_lines: Vec<RejectedLine>,
    /// Entries that count for their own name only, because they are public suffixes.
    pub guarded: u64,
}

/// The copies and records of all feeds.
#[derive(Debug)]
pub struct Shelf {
    copies: PathBuf,
    records: PathBuf,
    drafts: AtomicU64,
    /// Held while copies and records do not agree for a moment.
    changing: Mutex<()>,
}

/// A copy in the making; removed when it never becomes one.
#[derive(Debug)]
pub struct Draft {
    file: File,
    path: PathBuf,
}

impl Shelf {
    /// The shelf of a state folder, made where it is missing; what an earlier run left half done is removed.
    pub fn open(state: &Path) -> io::Result<Self> {
        let (copies, records) = (state.join("copies"), state.join("records"));
        fs::create_dir_all(&copies)?;
        fs::create_dir_all(&records)?;
        for path in files(&copies)?.into_iter().chain(files(&records)?) {
            if path.extension().is_some_and(|extension| extension == "draft" || extension == "new") {
                fs::remove_file(path)?;
            }
        }
        Ok(Self { copies, records, drafts: AtomicU64::new(0), changing: Mutex::new(()) })
    }

    /// Every record whose copy is there, by feed.
    pub fn records(&self) -> io::Result<BTreeMap<String, Record>> {
        let mut records = BTreeMap::new();
        for path in files(&self.records)? {
            let read = fs::read(&path).and_then(|text| Ok(serde_json::from_slice::<Record>(&text)?));
            match read {
                Ok(record) if self.copy_path(&record.digest).is_file() => {
                    records.insert(record.feed.clone(), record);
                }
                Ok(record) => tracing::warn!(feed = record.feed, "its last good copy is gone from the disk"),
                Err(error) => tracing::warn!("cannot read the record {}: {error}", path.display()),
            }
        }
        Ok(records)
    }

    /// A feed's record.
    pub fn record(&self, feed: &str) -> io::Result<Option<Record>> {
        match fs::read(self.record_path(feed)) {
            Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// An empty draft.
    pub fn draft(&self) -> io::Result<Draft> {
        let number = self.drafts.fetch_add(1, Ordering::Relaxed);
        let path = self.copies.join(format!("{number}.draft"));
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(&path)?;
        Ok(Draft { file, path })
    }

    /// Makes a draft the feed's last good copy.
    pub fn keep(&self, draft: &Draft, record: &Record) -> io::Result<()> {
        draft.file.sync_all()?;
        let _changing = self.changing();
        fs::rename(&draft.path, self.copy_path(&record.digest))?;
        sync_folder(&self.copies)?;
        self.describe(record)
    }

    /// Writes a record whose copy is there already.
    pub fn describe(&self, record: &Record) -> io::Result<()> {
        write_whole(&self.record_path(&record.feed), &serde_json::to_vec(record)?)
    }

    /// Drops what is kept of a feed; its copy goes with the next [`Self::sweep`].
    pub fn forget(&self, feed: &str) -> io::Result<()> {
        match fs::remove_file(self.record_path(feed)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Removes every copy that no record names.
    pub fn sweep(&self) -> io::Result<()> {
        let _changing = self.changing();
        let named: BTreeSet<_> = self.records()?.into_values().map(|record| record.digest).collect();
        for path in files(&self.copies)? {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if path.extension().is_none() && !named.contains(&*name) {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    /// A copy from its start; each reader has a place of its own.
    pub fn reader(&self, digest: &str) -> io::Result<BufReader<File>> {
        Ok(BufReader::with_capacity(64 * 1024, File::open(self.copy_path(digest))?))
    }

    fn changing(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn copy_path(&self, digest: &str) -> PathBuf {
        self.copies.join(digest)
    }

    fn record_path(&self, feed: &str) -> PathBuf {
        self.records.join(format!("{}.json", file_key(feed)))
    }
}

impl Draft {
    /// Brings it to the disk.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    /// The draft from its start; each reader has a place of its own.
    pub fn reader(&self) -> io::Result<BufReader<File>> {
        Ok(BufReader::with_capacity(64 * 1024, File::open(&self.path)?))
    }
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // A draft that became a copy is no longer there; any other is of no use.
        let _ = fs::remove_file(&self.path);
    }
}

/// A feed's name as a file's: long names are cut, their digest keeps them apart.
pub fn file_key(feed: &str) -> String {
    if feed.len() <= NAME_BYTES_MAX {
        return feed.to_owned();
    }
    let digest = hex(&Sha256::digest(feed.as_bytes()));
    let start = feed.get(..NAME_BYTES_MAX - 17).unwrap_or_default();
    format!("{start}_{}", digest.get(..16).unwrap_or_default())
}

/// Lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = std::fmt::Write::write_fmt(&mut text, format_args!("{byte:02x}"));
        text
    })
}

/// Writes a file beside its place and renames it: whoever reads it sees the old or the new content.
pub fn write_whole(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    path.parent().map_or(Ok(()), sync_folder)
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect()
}
