//! Documents that a server refuses for good, each with the reason: NDJSON beside the spool, for a person to read. Two files
//! of a bounded size, the older of which gives way.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::Serialize;

/// A file becomes no larger, unless one document is.
const BYTES_MAX: u64 = 16 << 20;

/// It is said no more often.
const SILENCE: Duration = Duration::from_secs(60);

/// The file.
#[derive(Debug)]
pub struct DeadLetters {
    path: PathBuf,
    open: Option<(File, u64)>,
    /// When it was last said, and how many came since.
    said: Option<Instant>,
    unsaid: u64,
}

#[derive(Serialize)]
struct Letter<'a> {
    status: u16,
    reason: &'a str,
    stream: &'a str,
}

impl DeadLetters {
    /// A file at `path`, made when it is needed.
    pub fn new(path: PathBuf) -> Self {
        Self { path, open: None, said: None, unsaid: 0 }
    }

    /// Keeps one document, and says so: at once, then once in a while.
    pub fn keep(&mut self, stream: &str, status: u16, reason: &str, document: &[u8]) {
        let written = self.write(stream, status, reason, document);
        self.unsaid += 1;
        if self.said.is_some_and(|at| at.elapsed() < SILENCE) {
            return;
        }
        let (count, path) = (std::mem::take(&mut self.unsaid), self.path.display());
        match written {
            Ok(()) => tracing::warn!(
                "{count} documents were refused, the last with {status}: {reason}; they are in {path}"
            ),
            Err(error) => {
                tracing::error!(
                    "{count} documents were refused, the last with {status}: {reason}; they cannot be kept in {path}: {error}"
                );
            }
        }
        self.said = Some(Instant::now());
    }

    /// Appends one document.
    fn write(&mut self, stream: &str, status: u16, reason: &str, document: &[u8]) -> io::Result<()> {
        let mut line = serde_json::to_vec(&Letter { status, reason, stream })?;
        // The document is JSON as it was sent: it becomes the last member.
        line.pop();
        line.extend_from_slice(b",\"document\":");
        line.extend_from_slice(document);
        line.extend_from_slice(b"}\n");
        let (mut file, mut length) = match self.open.take() {
            Some(open) => open,
            None => self.open_file()?,
        };
        if length > 0 && length + line.len() as u64 > BYTES_MAX {
            fs::rename(&self.path, self.path.with_extension("ndjson.1"))?;
            (file, length) = self.open_file()?;
        }
        file.write_all(&line)?;
        self.open = Some((file, length + line.len() as u64));
        Ok(())
    }

    fn open_file(&self) -> io::Result<(File, u64)> {
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(&self.path)?;
        let length = file.metadata()?.len();
        Ok((file, length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_is_one_line_with_the_reason_and_the_document() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("refused.ndjson");
        let mut letters = DeadLetters::new(path.clone());
        letters.write("s", 400, "no \"date\"", b"{\"a\": 1}").unwrap();
        letters.write("s", 413, "too large", b"{}").unwrap();
        assert_eq!(
            fs::read_to_string(path).unwrap(),
            "{\"status\":400,\"reason\":\"no \\\"date\\\"\",\"stream\":\"s\",\"document\":{\"a\": 1}}\n\
             {\"status\":413,\"reason\":\"too large\",\"stream\":\"s\",\"document\":{}}\n"
        );
    }

    #[test]
    fn the_older_file_gives_way() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("refused.ndjson");
        let document = format!("\"{}\"", "x".repeat(7 << 20));
        let mut letters = DeadLetters::new(path.clone());
        (0..5).for_each(|_| letters.write("s", 400, "r", document.as_bytes()).unwrap());
        let sizes =
            [path.clone(), path.with_extension("ndjson.1")].map(|path| fs::metadata(path).unwrap().len());
        assert!(sizes.iter().all(|size| *size > 0 && *size <= BYTES_MAX), "{sizes:?}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
