//! Which format the first lines are in, and what is no feed at all.

use std::io::{self, BufRead, Read};

use super::report::Refusal;
use super::{Format, hosts, plain};

/// Lines that say something, as many as are looked at.
const SIGNIFICANT_LINES: usize = 200;
/// Where the head ends at the latest, in bytes: some lists open with pages of comments.
const HEAD_BYTES_MAX: u64 = 256 * 1024;
/// What a page starts with.
const HTML: [&str; 6] = ["<!doctype", "<html", "<head", "<body", "<?xml", "<!--"];
/// First bytes of what is no text; gzip here means that it is packed twice.
const NOT_TEXT: [(&[u8], &str); 5] = [
    (b"\x1f\x8b", "it is gzip data; unpack it first"),
    (b"PK\x03\x04", "it is a zip archive; unpack it first"),
    (b"\x28\xb5\x2f\xfd", "it is zstd data; unpack it first"),
    (b"\xff\xfe", "it is UTF-16; save it as UTF-8"),
    (b"\xfe\xff", "it is UTF-16; save it as UTF-8"),
];

/// Takes the first lines off the source.
pub(super) fn head(source: &mut dyn BufRead) -> Result<Vec<u8>, io::Error> {
    let mut head = Vec::new();
    let mut significant = 0;
    let mut bounded = source.take(HEAD_BYTES_MAX);
    while significant < SIGNIFICANT_LINES {
        let start = head.len();
        if bounded.read_until(b'\n', &mut head)? == 0 {
            break;
        }
        if head.get(start..).is_some_and(is_significant) {
            significant += 1;
        }
    }
    Ok(head)
}

/// Why a body with this head is no feed.
pub(super) fn refuse(head: &[u8]) -> Option<Refusal> {
    if let Some((_, what)) = NOT_TEXT.iter().find(|(magic, _)| head.starts_with(magic)) {
        return Some(Refusal::NotText(what));
    }
    let first = head.split(|byte| *byte == b'\n').find(|line| is_significant(line))?;
    let first = String::from_utf8_lossy(first);
    let first = first.trim_start_matches('\u{feff}').trim_start();
    let is_html =
        HTML.iter().any(|tag| first.get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag)));
    is_html.then_some(Refusal::Html)
}

/// The format that most of the head's lines are in; plain where none says anything.
pub(super) fn format(head: &[u8]) -> Format {
    let mut votes = Votes::default();
    for line in String::from_utf8_lossy(head).lines().take(SIGNIFICANT_LINES * 50) {
        votes.count(line.trim_start_matches('\u{feff}').trim());
    }
    votes.winner()
}

/// Neither blank nor a comment in any of the formats.
fn is_significant(line: &[u8]) -> bool {
    let text = line.trim_ascii();
    !text.is_empty() && !text.starts_with(b"#") && !text.starts_with(b"!") && !text.starts_with(b";")
}

/// Lines by the format that they can only be in.
#[derive(Default)]
struct Votes {
    plain: u32,
    hosts: u32,
    adblock: u32,
    dnsmasq: u32,
    rpz: u32,
    /// A line that only one format has says it alone.
    certain: Option<Format>,
}

impl Votes {
    fn count(&mut self, line: &str) {
        if !is_significant(line.as_bytes()) {
            return;
        }
        if let Some(format) = certain(line) {
            self.certain.get_or_insert(format);
            return;
        }
        match likely(line) {
            Some(Format::Hosts) => self.hosts += 1,
            Some(Format::Adblock) => self.adblock += 1,
            Some(Format::Dnsmasq) => self.dnsmasq += 1,
            Some(Format::Rpz) => self.rpz += 1,
            Some(Format::Plain) => self.plain += 1,
            Some(Format::Csv | Format::Json | Format::Auto) | None => {}
        }
    }

    fn winner(&self) -> Format {
        if let Some(format) = self.certain {
            return format;
        }
        // An adblock list may be hosts lines and names for the most part; no other list has rules among them.
        if self.adblock * 10 > self.plain + self.hosts {
            let others = self.dnsmasq.max(self.rpz);
            if self.adblock > others {
                return Format::Adblock;
            }
        }
        let votes = [
            (self.plain, Format::Plain),
            (self.hosts, Format::Hosts),
            (self.dnsmasq, Format::Dnsmasq),
            (self.rpz, Format::Rpz),
        ];
        // The last of equals wins: the one whose lines look like nothing else.
        votes
            .iter()
            .filter(|(count, _)| *count > 0)
            .max_by_key(|(count, _)| *count)
            .map_or(Format::Plain, |(_, format)| *format)
    }
}

/// The format that has such a line, where no other does.
fn certain(line: &str) -> Option<Format> {
    let starts = |start: &str| line.get(..start.len()).is_some_and(|text| text.eq_ignore_ascii_case(start));
    if starts("[adblock") || starts("[adguard") || starts("[ublock") {
        Some(Format::Adblock)
    } else if starts("$ttl ") || starts("$origin ") {
        Some(Format::Rpz)
    } else {
        None
    }
}

/// The format that a line looks like.
fn likely(line: &str) -> Option<Format> {
    if line.starts_with("||") || line.starts_with("@@") || line.contains("##") {
        return Some(Format::Adblock);
    }
    if ["local=/", "server=/", "address=/"].iter().any(|option| line.starts_with(option)) {
        return Some(Format::Dnsmasq);
    }
    let item = plain::without_comment(line);
    let mut words = item.split_ascii_whitespace();
    let first = words.next()?;
    let rest = words.clone();
    match words.next() {
        None => first.contains('.').then_some(Format::Plain),
        Some(_) if hosts::address(first).is_some() => Some(Format::Hosts),
        Some(_) => rest.take(4).any(is_record_word).then_some(Format::Rpz),
    }
}

fn is_record_word(word: &str) -> bool {
    ["CNAME", "SOA", "IN", "A", "AAAA", "TXT"].iter().any(|known| word.eq_ignore_ascii_case(known))
}
