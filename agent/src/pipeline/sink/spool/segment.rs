//! A run of records in one file, or in memory where the disk takes nothing.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Where its bytes are.
#[derive(Debug)]
enum Store {
    File { file: Arc<File>, path: PathBuf },
    Memory(Vec<u8>),
}

/// A run of records with numbers that rise by one.
#[derive(Debug)]
pub struct Segment {
    store: Store,
    /// Number of its first record.
    pub first: u64,
    /// Number behind its last record.
    pub end: u64,
    /// Bytes that hold records.
    pub bytes: u64,
    /// When its first record was written.
    pub since: SystemTime,
}

impl Segment {
    /// An empty one in a new file.
    pub fn create(path: PathBuf, first: u64, now: SystemTime) -> io::Result<Self> {
        // What workloads ask for is nobody else's business.
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(&path)?;
        Ok(Self {
            store: Store::File { file: Arc::new(file), path },
            first,
            end: first,
            bytes: 0,
            since: now,
        })
    }

    /// An empty one in memory.
    pub fn in_memory(first: u64, now: SystemTime) -> Self {
        Self { store: Store::Memory(Vec::new()), first, end: first, bytes: 0, since: now }
    }

    /// One that an earlier run left; how many records it holds is the caller's to find out.
    pub fn found(path: &Path, first: u64) -> io::Result<Self> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        Ok(Self {
            store: Store::File { file: Arc::new(file), path: path.to_owned() },
            first,
            end: first,
            bytes: metadata.len(),
            since: metadata.created().or_else(|_| metadata.modified())?,
        })
    }

    /// Whether it is gone with the process.
    pub fn is_in_memory(&self) -> bool {
        matches!(self.store, Store::Memory(_))
    }

    /// Its file, to be synchronised.
    pub fn file(&self) -> Option<Arc<File>> {
        match &self.store {
            Store::File { file, .. } => Some(Arc::clone(file)),
            Store::Memory(_) => None,
        }
    }

    /// Appends whole records, all or none of them.
    pub fn append(&mut self, records: &[u8], count: u64) -> io::Result<()> {
        match &mut self.store {
            Store::Memory(bytes) => bytes.extend_from_slice(records),
            Store::File { file, .. } => {
                let written = file.write_all_at(records, self.bytes);
                if written.is_err() {
                    // What is left behind the last record is cut off by the next one, or by whoever reads it.
                    let _ = file.set_len(self.bytes);
                    return written;
                }
            }
        }
        self.bytes += records.len() as u64;
        self.end += count;
        Ok(())
    }

    /// So many of its bytes from `offset` on, or fewer at its end.
    pub fn read(&self, offset: u64, most: usize) -> io::Result<Vec<u8>> {
        let length = usize::try_from(self.bytes.saturating_sub(offset)).unwrap_or(usize::MAX).min(most);
        match &self.store {
            Store::Memory(bytes) => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX);
                Ok(bytes.get(start..start.saturating_add(length)).unwrap_or_default().to_vec())
            }
            Store::File { file, .. } => {
                let mut bytes = vec![0; length];
                file.read_exact_at(&mut bytes, offset)?;
                Ok(bytes)
            }
        }
    }

    /// Time since its first record was written.
    pub fn age(&self, now: SystemTime) -> Duration {
        now.duration_since(self.since).unwrap_or_default()
    }

    /// Removes its file; one that stays costs disk, and is looked up at the next start.
    pub fn remove(self) {
        if let Store::File { path, .. } = self.store
            && let Err(error) = fs::remove_file(&path)
        {
            tracing::debug!(%error, path = %path.display(), "cannot remove a file of the spool");
        }
    }
}

/// A number with its sum, in one file that is overwritten in place: losing it costs questions, no document.
#[derive(Debug)]
pub struct Mark {
    file: File,
}

impl Mark {
    /// Opens the file, and reads the number where it is whole.
    pub fn open(path: &Path) -> io::Result<(Self, Option<u64>)> {
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        let mut bytes = [0; 12];
        let whole = file.read_exact_at(&mut bytes, 0).is_ok();
        let (number, sum) = bytes.split_first_chunk::<8>().unwrap_or((&[0; 8], &[]));
        let number = (whole && sum == check(number)).then(|| u64::from_le_bytes(*number));
        Ok((Self { file }, number))
    }

    /// Writes the number.
    pub fn write(&self, number: u64) -> io::Result<()> {
        let number = number.to_le_bytes();
        let mut bytes = Vec::with_capacity(12);
        bytes.write_all(&number)?;
        bytes.write_all(&check(&number))?;
        self.file.write_all_at(&bytes, 0)
    }
}

fn check(number: &[u8]) -> [u8; 4] {
    let mut sum = flate2::Crc::new();
    sum.update(number);
    sum.sum().to_le_bytes()
}
