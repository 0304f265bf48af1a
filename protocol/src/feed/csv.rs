//! CSV (RFC 4180): a record a line, one of its fields the name; quoted fields may hold delimiters and line breaks.
//!
//! Read line by line, so that memory is bounded by one record and each has the number of its first line. Beyond the RFC:
//! white space before a quoted field does not matter (`"a", "b"`), nor what follows its closing quote. A quote that never
//! closes costs its own line.

// What the feed's settings say, checked.
mod layout;

// A record -> fields.
mod record;

pub use layout::{BadCsv, Column, Csv, CsvSettings, RecordSize};

use super::intake::Line;
use super::item;
use super::reason::Reason;
use super::report::{Refusal, bounded};
use record::{Fields, OpenQuote};

/// Lines of a record; one that goes on longer has a quote too much.
const RECORD_LINES_MAX: usize = 16;

/// What must be remembered between lines.
pub(super) struct Records {
    layout: Csv,
    /// Position of the name's field; `None` until the header was read.
    column: Option<u32>,
    /// Fields that a record must have; `None` where any number will do, or the first record has still to say it.
    size: Option<u32>,
    header_is_due: bool,
    /// Lines of a record with an open quote.
    open: Vec<(u32, String)>,
    value: String,
    /// The other fields, one after the other.
    skipped: String,
}

impl Records {
    pub(super) fn new(layout: &Csv) -> Self {
        Self {
            layout: layout.clone(),
            column: match layout.column() {
                Column::Number(number) => Some(*number),
                Column::Name(_) => None,
            },
            size: match layout.record_size() {
                RecordSize::Exactly(size) => Some(size),
                RecordSize::Detected | RecordSize::Any => None,
            },
            header_is_due: layout.header(),
            open: Vec::new(),
            value: String::new(),
            skipped: String::new(),
        }
    }

    /// Takes the next line; a header without the column that is asked for refuses the feed.
    pub(super) fn line(&mut self, text: &str, line: &mut Line<'_, '_>) -> Result<(), Refusal> {
        if self.open.is_empty() {
            if self.says_nothing(text) {
                return Ok(());
            }
            if let Ok(outcome) = self.record(text, line) {
                return outcome;
            }
            self.open.push((line.number(), text.to_owned()));
            return Ok(());
        }
        self.open.push((line.number(), text.to_owned()));
        let joined = self.open.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>().join("\n");
        let first = self.open.first().map_or(line.number(), |(number, _)| *number);
        match self.record(&joined, &mut line.showing(first, &joined)) {
            Ok(outcome) => {
                self.open.clear();
                outcome
            }
            Err(OpenQuote) if self.open.len() >= RECORD_LINES_MAX => self.give_up(line),
            Err(OpenQuote) => Ok(()),
        }
    }

    /// The end of the feed: a quote still open never closes.
    pub(super) fn finish(&mut self, line: &mut Line<'_, '_>) -> Result<(), Refusal> {
        self.give_up(line)
    }

    /// The first line of the open record has a quote too much; those behind it are read again, each by itself, so that
    /// no line is read more often than a record has lines.
    fn give_up(&mut self, line: &mut Line<'_, '_>) -> Result<(), Refusal> {
        for (position, (number, text)) in std::mem::take(&mut self.open).into_iter().enumerate() {
            if self.says_nothing(&text) {
                continue;
            }
            let mut line = line.showing(number, &text);
            let again = if position == 0 { Err(OpenQuote) } else { self.record(&text, &mut line) };
            match again {
                Ok(outcome) => outcome?,
                Err(OpenQuote) => line.reject(Reason::CsvQuote),
            }
        }
        Ok(())
    }

    fn says_nothing(&self, text: &str) -> bool {
        text.trim().is_empty() || self.layout.is_comment(text)
    }

    /// Takes a whole record.
    fn record(&mut self, text: &str, line: &mut Line<'_, '_>) -> Result<Result<(), Refusal>, OpenQuote> {
        if self.header_is_due {
            return self.header(text);
        }
        let mut fields = Fields::new(text, self.layout.delimiter());
        let mut count = 0;
        let mut found = false;
        loop {
            let wanted = self.column == Some(count);
            let field = if wanted { &mut self.value } else { &mut self.skipped };
            if !fields.next(field)? {
                break;
            }
            found |= wanted;
            count += 1;
        }
        if self.size.is_none() && self.layout.record_size() == RecordSize::Detected {
            self.size = Some(count);
        }
        if self.size.is_some_and(|size| size != count) {
            line.reject(Reason::CsvRecordSize);
        } else if found {
            item::offer(self.value.trim(), line);
        } else {
            line.reject(Reason::CsvColumn);
        }
        Ok(Ok(()))
    }

    /// Finds the column by its name.
    fn header(&mut self, text: &str) -> Result<Result<(), Refusal>, OpenQuote> {
        let mut names = Vec::new();
        let mut fields = Fields::new(text, self.layout.delimiter());
        let mut name = String::new();
        while fields.next(&mut name)? {
            names.push(name.trim().to_owned());
        }
        self.header_is_due = false;
        if self.layout.record_size() == RecordSize::Detected {
            self.size = u32::try_from(names.len()).ok();
        }
        if let Column::Name(wanted) = self.layout.column() {
            let position = names.iter().position(|name| name == wanted.trim());
            let Some(position) = position.and_then(|position| u32::try_from(position).ok()) else {
                let (column, header) = (bounded(wanted), bounded(&names.join(", ")));
                return Ok(Err(Refusal::NoColumn { column, header }));
            };
            self.column = Some(position);
        }
        Ok(Ok(()))
    }
}

#[cfg(test)]
mod tests;
