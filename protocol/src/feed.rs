//! Text of a feed in any format -> entries, rejected lines and why.
//!
//! In: bytes that anyone may have written. Out: entries one by one, borrowed (names are millions), then a report that
//! adds up: every line is an entry, rejected with a reason, or ignored because it says nothing about names.
//! A bad line never spoils the rest. Nothing in a list may become an alert that the list did not mean: what a line
//! asks for beyond listing a name (a modifier, an upstream, an address trigger) rejects it.
//! Memory is bounded by one line and the report, whatever the feed's size.

// Counts, rejected lines, reasons, and why a whole feed is refused.
mod report;

// Why a line is not taken.
mod reason;

// Bytes -> lines of bounded length.
mod lines;

// What a parser does with a line: offer a name, ignore it, reject it.
mod intake;

// Entries that are public suffixes.
mod guard;

// Which format the first lines are in; what is no feed at all.
mod detect;

// One name of a list that says nothing else about it.
mod item;

// A name a line.
mod plain;

// hosts(5): an address and the names it stands for.
mod hosts;

// Filter lists of ad blockers.
mod adblock;

// dnsmasq's configuration.
mod dnsmasq;

// Response policy zones.
mod rpz;

// A field of each record of CSV.
mod csv;

// The strings of a JSON document that a path leads to.
mod json;

// How a feed is to be read.
mod options;

use std::fmt;
use std::io::{self, BufRead, Cursor, Read};
use std::str::FromStr;

use crate::entry::Entry;
use intake::{Intake, Line};
use lines::Lines;

pub use csv::{BadCsv, Column, Csv, CsvSettings, RecordSize};
pub use json::{BadPath, JsonPath};
pub use options::{Options, Urls};
pub use reason::Reason;
pub use report::{FeedError, FeedReport, GuardedLine, Refusal, RejectedLine, RejectedLines};

/// How a feed writes its names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// A name a line; `*.x` for the names below `x`. Also called `newlineDelimited`.
    #[serde(alias = "newlineDelimited")]
    Plain,
    /// hosts(5): `0.0.0.0 x y`.
    Hosts,
    /// Filter lists: `||x^`, `@@||x^`, hosts lines and plain names.
    Adblock,
    /// dnsmasq's configuration: `local=/x/`, `address=/x/0.0.0.0`.
    Dnsmasq,
    /// Response policy zone.
    Rpz,
    /// Records of fields, one of which is the name ([`Csv`]).
    Csv,
    /// A document with a path to the names ([`JsonPath`]).
    Json,
    /// The first lines decide.
    Auto,
}

impl Format {
    /// Every format, in the order in which help and documents name them.
    pub const ALL: [Self; 8] = [
        Self::Plain,
        Self::Hosts,
        Self::Adblock,
        Self::Dnsmasq,
        Self::Rpz,
        Self::Csv,
        Self::Json,
        Self::Auto,
    ];

    /// The word for it on the command line and in resources.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Hosts => "hosts",
            Self::Adblock => "adblock",
            Self::Dnsmasq => "dnsmasq",
            Self::Rpz => "rpz",
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Auto => "auto",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// A word that names no format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown feed format `{0}`: use one of plain, hosts, adblock, dnsmasq, rpz, csv, json, auto")]
pub struct UnknownFormat(pub String);

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.eq_ignore_ascii_case("newlineDelimited") {
            return Ok(Self::Plain);
        }
        Self::ALL
            .into_iter()
            .find(|format| format.as_str().eq_ignore_ascii_case(text))
            .ok_or_else(|| UnknownFormat(text.to_owned()))
    }
}

/// Reads a whole feed and hands each entry to `each` as it is met.
///
/// After an error the entries handed out so far must be dropped by the caller: the feed as a whole is refused.
pub fn read(
    mut source: impl BufRead,
    options: &Options,
    each: &mut impl FnMut(Entry<'_>),
) -> Result<FeedReport, FeedError> {
    read_dyn(&mut source, options, each)
}

/// The text of one line of a feed as a person may be shown it: bounded, control characters escaped.
pub fn line(mut source: impl BufRead, number: u32) -> io::Result<Option<String>> {
    let mut lines = Lines::new(&mut source);
    while let Some(line) = lines.next()? {
        if line.number == number {
            return Ok(Some(report::bounded(line.shown().trim())));
        }
    }
    Ok(None)
}

fn read_dyn(
    source: &mut dyn BufRead,
    options: &Options,
    each: &mut dyn FnMut(Entry<'_>),
) -> Result<FeedReport, FeedError> {
    let mut report = FeedReport::new(options);
    // One byte more than allowed, so that "all of it" and "too much" can be told apart.
    let mut source = source.take(options.bytes_max.saturating_add(1));
    let head = match detect::head(&mut source) {
        Ok(head) => head,
        Err(refusal) => return Err(report.refuse(refusal.into())),
    };
    if let Some(refusal) = detect::refuse(&head) {
        return Err(report.refuse(refusal));
    }
    report.format = match options.format {
        Format::Auto => detect::format(&head),
        format => format,
    };
    let mut intake = Intake::new(report, options, each);
    let mut body = Cursor::new(head).chain(&mut source);
    let outcome = match intake.format() {
        Format::Json => json::read(&mut body, &options.json, &mut intake),
        _ => each_line(&mut body, options, &mut intake),
    };
    let too_large = source.limit() == 0;
    let report = intake.finish();
    match outcome {
        // What a document that was cut off here breaks is no news.
        Err(Refusal::Json(_)) if too_large => {
            Err(report.refuse(Refusal::TooLarge { bytes_max: options.bytes_max }))
        }
        Err(refusal) => Err(report.refuse(refusal)),
        Ok(()) if too_large => Err(report.refuse(Refusal::TooLarge { bytes_max: options.bytes_max })),
        Ok(()) if report.mostly_rejected() => {
            let (rejected, of) = (report.rejected, report.rejected + report.entries);
            Err(report.refuse(Refusal::MostlyRejected { rejected, of }))
        }
        Ok(()) => Ok(report),
    }
}

/// Drives the parser of the report's format over every line.
fn each_line(source: &mut dyn BufRead, options: &Options, intake: &mut Intake<'_>) -> Result<(), Refusal> {
    let mut parser = Parser::new(intake.format(), options);
    let mut lines = Lines::new(source);
    while let Some(line) = lines.next()? {
        intake.count_line(line.bytes.len());
        let text = match line.text() {
            Ok(text) => text,
            Err(reason) => {
                intake.at(line.number, &line.shown()).reject(reason);
                continue;
            }
        };
        parser.line(text, &mut intake.at(line.number, text))?;
        if intake.is_full() {
            return Err(Refusal::TooMany { entries_max: intake.entries_max() });
        }
    }
    parser.finish(&mut intake.at(0, ""))
}

/// The parser of one format with what it must remember between lines.
enum Parser {
    Plain,
    Hosts,
    Adblock,
    Dnsmasq,
    Rpz(Box<rpz::Rpz>),
    Csv(Box<csv::Records>),
}

impl Parser {
    fn new(format: Format, options: &Options) -> Self {
        match format {
            Format::Hosts => Self::Hosts,
            Format::Adblock => Self::Adblock,
            Format::Dnsmasq => Self::Dnsmasq,
            Format::Rpz => Self::Rpz(Box::new(rpz::Rpz::new())),
            Format::Csv => Self::Csv(Box::new(csv::Records::new(&options.csv))),
            // A document is not read by lines.
            Format::Plain | Format::Json | Format::Auto => Self::Plain,
        }
    }

    fn line(&mut self, text: &str, line: &mut Line<'_, '_>) -> Result<(), Refusal> {
        match self {
            Self::Plain => plain::parse(text, line),
            Self::Hosts => hosts::parse(text, line),
            Self::Adblock => adblock::parse(text, line),
            Self::Dnsmasq => dnsmasq::parse(text, line),
            Self::Rpz(rpz) => rpz.line(text, line),
            Self::Csv(records) => return records.line(text, line),
        }
        Ok(())
    }

    /// The end of the feed: what is still open is judged.
    fn finish(&mut self, line: &mut Line<'_, '_>) -> Result<(), Refusal> {
        match self {
            Self::Rpz(rpz) => rpz.finish(line),
            Self::Csv(records) => return records.finish(line),
            Self::Plain | Self::Hosts | Self::Adblock | Self::Dnsmasq => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
