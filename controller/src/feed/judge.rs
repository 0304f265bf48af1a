//! One list judged: read to its end, counted, hashed; or refused, and why.
//!
//! The same reading as when the set is compiled, only that the entries go nowhere.

use std::io::{self, BufRead, BufReader, Read};

use namewarden_protocol::entry::Entry;
use namewarden_protocol::feed::{self, FeedReport};
use sha2::{Digest as _, Sha256};

use super::copy::{Summary, hex};
use super::definition::Reading;
use super::resource::RejectedLine;

/// How many rejected lines a status shows.
const LINES_SHOWN_MAX: usize = 10;

/// How large a feed may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// In bytes, after decompression.
    pub bytes_max: u64,
    /// In entries.
    pub entries_max: u64,
}

/// A list that is good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// What was found.
    pub summary: Summary,
    /// SHA-256 of its bytes, in hexadecimal digits.
    pub digest: String,
}

/// A list that is refused as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Why, in a sentence.
    pub reason: String,
    /// What was found up to there.
    pub summary: Summary,
}

/// Reads a list to its end.
pub fn judge(source: impl Read, reading: &Reading, limits: Limits) -> Result<Judged, Refused> {
    let mut hashing = Hashing { source, digest: Sha256::new() };
    let report = read(BufReader::with_capacity(64 * 1024, &mut hashing), reading, limits, &mut |_| {})?;
    // A format may end before the bytes do.
    io::copy(&mut hashing, &mut io::sink()).map_err(|error| Refused::unreadable(&error))?;
    Ok(Judged { summary: summary(&report), digest: hex(&hashing.digest.finalize()) })
}

/// Reads a list and hands each entry to `each`; after a refusal they count for nothing.
pub fn read(
    source: impl BufRead,
    reading: &Reading,
    limits: Limits,
    each: &mut dyn FnMut(Entry<'_>),
) -> Result<FeedReport, Refused> {
    feed::read(source, &reading.options(limits), &mut |entry| each(entry))
        .map_err(|error| Refused { reason: error.refusal.to_string(), summary: summary(&error.report) })
}

impl Refused {
    fn unreadable(error: &io::Error) -> Self {
        Self { reason: format!("it could not be read: {error}"), summary: Summary::default() }
    }
}

fn summary(report: &FeedReport) -> Summary {
    Summary {
        format: report.format.to_string(),
        entries: report.entries,
        rejected: report.rejected,
        rejected_lines: report.rejected_lines.iter().take(LINES_SHOWN_MAX).map(rejected).collect(),
        guarded: report.guarded,
    }
}

fn rejected(line: &feed::RejectedLine) -> RejectedLine {
    RejectedLine { line: line.line.into(), text: line.text.clone(), reason: line.reason.to_string() }
}

/// Hashes what is read.
struct Hashing<R> {
    source: R,
    digest: Sha256,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        self.digest.update(buffer.get(..count).unwrap_or_default());
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { bytes_max: 1 << 20, entries_max: 1000 };

    #[test]
    fn a_list_is_counted_and_hashed_whole() {
        let text = "# list\nevil.example\nbad host name\nco.uk\n";
        let judged = judge(text.as_bytes(), &Reading::default(), LIMITS).unwrap();
        assert_eq!((judged.summary.entries, judged.summary.rejected, judged.summary.guarded), (2, 1, 1));
        assert_eq!(judged.summary.rejected_lines[0].line, 3);
        assert_eq!(judged.digest, hex(&Sha256::digest(text)));
    }

    #[test]
    fn a_web_page_is_refused() {
        let page = "<!DOCTYPE html>\n<html><body>Log in</body></html>\n";
        let refused = judge(page.as_bytes(), &Reading::default(), LIMITS).unwrap_err();
        assert!(refused.reason.contains("HTML"), "{}", refused.reason);
    }

    #[test]
    fn a_list_that_is_mostly_rejected_shows_its_lines() {
        let refused = judge(&b"a b\nc d\nevil.example\n"[..], &Reading::default(), LIMITS).unwrap_err();
        assert_eq!(refused.summary.rejected_lines.len(), 2);
    }
}
