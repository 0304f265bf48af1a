//! A file that documents are appended to, and that is moved away when it is full: by the agent, or by whoever looks after logs.
//!
//! `PATH` becomes `PATH.1`, that one `PATH.2`, and so on; the oldest is replaced. Each step is one rename: whoever reads finds each
//! document in one file, whole. What was moved away by others (logrotate, with or without a signal) is noticed before each
//! write and opened anew; what was cut short (copytruncate) goes on at its new end.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use super::destination::write_rest;

/// When files are moved away, and how many are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// Size that a file does not exceed, unless one document alone does.
    pub bytes: u64,
    /// Files that are kept, the one that is written to among them; two at least.
    pub files: u32,
}

/// What rotation did to all files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileCounts {
    /// Files moved away because they were full.
    pub rotations: u64,
    /// Documents in the oldest files, which were replaced.
    pub removed_documents: u64,
    /// Times that a full file could not be moved away; it is written on to.
    pub failures: u64,
}

/// Counted by writers.
#[derive(Debug, Default)]
pub(super) struct Tally {
    rotations: AtomicU64,
    removed_documents: AtomicU64,
    failures: AtomicU64,
}

impl Tally {
    pub(super) fn counts(&self) -> FileCounts {
        FileCounts {
            rotations: self.rotations.load(Relaxed),
            removed_documents: self.removed_documents.load(Relaxed),
            failures: self.failures.load(Relaxed),
        }
    }
}

/// The file.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    rotation: Option<Rotation>,
    tally: Arc<Tally>,
    /// When it could not be moved away last: that was said, and is tried again after a while.
    stuck: Option<Instant>,
}

/// Between two tries to move away a file that cannot be.
const STUCK: Duration = Duration::from_mins(1);

impl LogFile {
    /// Opens it; it grows for ever.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            file: append(path)?,
            rotation: None,
            tally: Arc::default(),
            stuck: None,
        })
    }

    pub(super) fn set_rotation(&mut self, rotation: Option<Rotation>, tally: Arc<Tally>) {
        (self.rotation, self.tally) = (rotation, tally);
    }

    /// Writes lines from where `done` says, each into one file; after an error the next call goes on there.
    pub(super) fn write(&mut self, lines: &[u8], done: &mut usize) -> io::Result<()> {
        let mut rotation = self.rotation.filter(|_| self.stuck.is_none_or(|since| since.elapsed() >= STUCK));
        loop {
            if was_moved(&self.path, &self.file) {
                self.file = append(&self.path)?;
                *done = start_of_line(lines, *done);
            }
            let end = match rotation {
                Some(rotation) => fit(&self.file, lines, *done, rotation.bytes)?,
                None => lines.len(),
            };
            if end > *done {
                write_rest(&mut self.file, lines.get(..end).unwrap_or(lines), done)?;
            } else if let Some(Err(error)) = rotation.map(|rotation| self.rotate(rotation)) {
                // Better too large a file than no documents.
                self.tally.failures.fetch_add(1, Relaxed);
                if self.stuck.replace(Instant::now()).is_none() {
                    tracing::warn!(%error, "{} is full and cannot be moved away: it is written on to", self.path.display());
                }
                rotation = None;
            }
            if *done >= lines.len() {
                return Ok(());
            }
        }
    }

    fn rotate(&mut self, rotation: Rotation) -> io::Result<()> {
        if was_moved(&self.path, &self.file) {
            // Whoever writes to the same file did it.
            self.file = append(&self.path)?;
            return Ok(());
        }
        // The file itself is moved, not what may lead to it.
        let path = fs::canonicalize(&self.path)?;
        let last = rotation.files.max(2) - 1;
        let hole = (1..last).find(|number| !moved(&path, *number).exists()).unwrap_or(last);
        let removed = documents(&moved(&path, hole));
        for number in (0..hole).rev() {
            fs::rename(moved(&path, number), moved(&path, number + 1))?;
            if number + 1 == hole {
                self.tally.removed_documents.fetch_add(removed, Relaxed);
            }
        }
        self.tally.rotations.fetch_add(1, Relaxed);
        self.stuck = None;
        self.file = append(&self.path)?;
        Ok(())
    }
}

/// `dns.json` -> `dns.json.2`; 0 is the file itself.
fn moved(path: &Path, number: u32) -> PathBuf {
    if number == 0 {
        return path.to_owned();
    }
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

/// Lines of a file; none where there is no file.
fn documents(path: &Path) -> u64 {
    let Ok(mut file) = File::open(path) else { return 0 };
    let (mut buffer, mut lines) = (vec![0; 64 << 10], 0);
    loop {
        match file.read(&mut buffer) {
            Ok(read) if read > 0 => {
                let read = buffer.get(..read).unwrap_or_default();
                lines += read.split(|byte| *byte == b'\n').count() as u64 - 1;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(_) | Err(_) => return lines,
        }
    }
}

/// How far lines may be written to a file that is to hold so many bytes: whole lines, and of an empty file one at least.
fn fit(file: &File, lines: &[u8], done: usize, bytes: u64) -> io::Result<usize> {
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Ok(lines.len());
    }
    let rest = lines.get(done..).unwrap_or_default();
    let is_inside = start_of_line(lines, done) < done;
    let room = usize::try_from(bytes.saturating_sub(metadata.len())).unwrap_or(usize::MAX).min(rest.len());
    let whole = rest.get(..room).and_then(|fitting| fitting.iter().rposition(|byte| *byte == b'\n'));
    let first = || rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |end| end + 1);
    Ok(match whole {
        Some(end) => done + end + 1,
        // What is begun is ended, and a document that is too large for every file has one of its own.
        None if is_inside || metadata.len() == 0 => done + first(),
        None => done,
    })
}

/// Where the line begins in which `done` is: what begins in the old file is written anew in the new one.
fn start_of_line(lines: &[u8], done: usize) -> usize {
    let before = lines.get(..done).unwrap_or_default();
    before.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1)
}

/// Opens a file that its group may read: what workloads ask for is nobody else's business. A line that a writer before
/// left unfinished is ended.
fn append(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o640);
    let Ok(mut file) = options.clone().read(true).open(path) else { return options.open(path) };
    let metadata = file.metadata()?;
    if metadata.is_file() && metadata.len() > 0 {
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            file.write_all(b"\n")?;
        }
    }
    Ok(file)
}

/// Whether the path names another file by now, or none.
fn was_moved(path: &Path, file: &File) -> bool {
    let (Ok(opened), Ok(named)) = (file.metadata(), fs::metadata(path)) else { return true };
    (opened.dev(), opened.ino()) != (named.dev(), named.ino())
}

#[cfg(test)]
mod tests;
