//! Bytes -> lines of bounded length: a longer one is skipped, told of and never held in memory.

use std::borrow::Cow;
use std::io::{self, BufRead, Read};

use super::reason::Reason;

/// The longest line that is read, in bytes; dnsmasq and hosts lines may hold many names.
pub(super) const LINE_BYTES_MAX: usize = 16 * 1024;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The lines of a source, counted from 1.
pub(super) struct Lines<'s> {
    source: &'s mut dyn BufRead,
    line: Vec<u8>,
    number: u32,
}

/// One line without its end; cut off where it is too long.
pub(super) struct RawLine<'l> {
    pub(super) number: u32,
    pub(super) bytes: &'l [u8],
    too_long: bool,
}

impl<'s> Lines<'s> {
    pub(super) fn new(source: &'s mut dyn BufRead) -> Self {
        Self { source, line: Vec::with_capacity(256), number: 0 }
    }

    /// The next line, or `None` at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<RawLine<'_>>> {
        self.line.clear();
        // `take` by value would need a sized source: a reference to the reference is one.
        let mut bounded = (&mut self.source).take(LINE_BYTES_MAX as u64 + 1);
        if bounded.read_until(b'\n', &mut self.line)? == 0 {
            return Ok(None);
        }
        self.number = self.number.saturating_add(1);
        let ended = self.line.last() == Some(&b'\n');
        let too_long = !ended && self.line.len() > LINE_BYTES_MAX;
        if too_long {
            self.source.skip_until(b'\n')?;
        }
        Ok(Some(RawLine { number: self.number, bytes: trim(&self.line, self.number), too_long }))
    }
}

/// Without LF, CRLF, and the byte order mark of the first line.
fn trim(line: &[u8], number: u32) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if number == 1 { line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line) } else { line }
}

impl RawLine<'_> {
    /// The line as text, as far as it says anything.
    ///
    /// Old lists have comments in Latin-1: what follows a comment character need not be UTF-8.
    pub(super) fn text(&self) -> Result<&str, Reason> {
        let text = match std::str::from_utf8(self.bytes) {
            Ok(text) => text,
            Err(error) => self.before_comment(error.valid_up_to()).ok_or(Reason::NotUtf8)?,
        };
        let is_comment = text.trim_start().starts_with(['#', '!', ';']);
        if self.too_long && !is_comment { Err(Reason::LineTooLong) } else { Ok(text) }
    }

    /// The first `valid` bytes, where a comment has begun in them.
    fn before_comment(&self, valid: usize) -> Option<&str> {
        let text = std::str::from_utf8(self.bytes.get(..valid)?).ok()?;
        text.contains(['#', '!', ';']).then_some(text)
    }

    /// The line for a person, where it is no text.
    pub(super) fn shown(&self) -> Cow<'_, str> {
        let start = self.bytes.get(..self.bytes.len().min(super::report::TEXT_BYTES_MAX + 1));
        String::from_utf8_lossy(start.unwrap_or_default())
    }
}
