//! The bytes of a document, refused where a string, a number or the nesting is larger than any list's: the reader behind
//! holds one string and one level at a time, and neither may be the size of the feed.

use std::io::{self, BufRead, Read};

use super::super::lines::LINE_BYTES_MAX;

/// Lists and objects inside each other.
const DEPTH_MAX: u32 = 100;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads from a source and checks what it passes on.
pub struct Bounded<'s> {
    source: &'s mut dyn BufRead,
    /// Checked bytes that wait to be read.
    checked: Vec<u8>,
    at: usize,
    begun: bool,
    depth: u32,
    in_string: bool,
    escaped: bool,
    /// Bytes of the string, or the number or word, so far.
    token: usize,
    /// What is wrong behind the checked bytes.
    fault: Option<&'static str>,
}

impl<'s> Bounded<'s> {
    pub fn new(source: &'s mut dyn BufRead) -> Self {
        Self {
            source,
            checked: Vec::new(),
            at: 0,
            begun: false,
            depth: 0,
            in_string: false,
            escaped: false,
            token: 0,
            fault: None,
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        self.checked.clear();
        self.at = 0;
        if let Some(fault) = self.fault {
            return Err(io::Error::new(io::ErrorKind::InvalidData, fault));
        }
        if !self.begun {
            self.begun = true;
            // A source of small pieces may part the mark, so it is put together first.
            (&mut self.source).take(BYTE_ORDER_MARK.len() as u64).read_to_end(&mut self.checked)?;
            if self.checked == BYTE_ORDER_MARK {
                self.checked.clear();
            }
        }
        if self.checked.is_empty() {
            let piece = self.source.fill_buf()?;
            self.checked.extend_from_slice(piece);
            let length = piece.len();
            self.source.consume(length);
        }
        // What stands before a fault is passed on, or the size of the pieces would matter.
        let checked = std::mem::take(&mut self.checked);
        let sound = checked.iter().position(|byte| !self.check(*byte)).unwrap_or(checked.len());
        self.checked = checked;
        self.checked.truncate(sound);
        Ok(())
    }

    /// Whether the next byte is within the bounds.
    #[inline]
    fn check(&mut self, byte: u8) -> bool {
        self.token += 1;
        if self.in_string {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
        } else {
            match byte {
                b'"' => {
                    self.in_string = true;
                    self.token = 0;
                }
                b'[' | b'{' => {
                    self.depth += 1;
                    self.token = 0;
                }
                b']' | b'}' => {
                    self.depth = self.depth.saturating_sub(1);
                    self.token = 0;
                }
                b',' | b':' | b' ' | b'\t' | b'\r' | b'\n' => self.token = 0,
                _ => {}
            }
        }
        if self.token > LINE_BYTES_MAX {
            self.fault = Some("a string or number in it is longer than 16 KiB");
        }
        if self.depth > DEPTH_MAX {
            self.fault = Some("it is nested more than 100 levels deep");
        }
        self.fault.is_none()
    }
}

impl Read for Bounded<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // Twice where the fault is the first byte of a piece: nothing would look like the end.
        while self.at == self.checked.len() {
            self.fill()?;
            if self.checked.is_empty() && self.fault.is_none() {
                return Ok(0);
            }
        }
        let mut rest = self.checked.get(self.at..).unwrap_or_default();
        let count = rest.read(buffer)?;
        self.at += count;
        Ok(count)
    }
}
