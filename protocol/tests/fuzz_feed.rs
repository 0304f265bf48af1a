//! Feed parsers against mutated lists: no panic, only normal names, a report that adds up, and no line that costs
//! another one its entries.
//!
//! Each run is the same unless `NAMEWARDEN_FUZZ_SEED` says otherwise; `NAMEWARDEN_FUZZ_RUNS` makes it longer. A failure
//! prints its input, which becomes a fixture.

#![expect(clippy::indexing_slicing, reason = "a harness may stop where it is wrong itself")]

use std::collections::BTreeSet;
use std::io::{BufReader, Cursor};

use namewarden_protocol::feed::{self, FeedReport, Format, Options};
use namewarden_protocol::name;

/// The corpus: every fixture of the parsers with its format.
const SEEDS: [(Format, &[u8]); 9] = [
    (Format::Plain, include_bytes!("../src/feed/fixtures/plain.txt")),
    (Format::Hosts, include_bytes!("../src/feed/fixtures/hosts.txt")),
    (Format::Adblock, include_bytes!("../src/feed/fixtures/adblock.txt")),
    (Format::Dnsmasq, include_bytes!("../src/feed/fixtures/dnsmasq.conf")),
    (Format::Rpz, include_bytes!("../src/feed/fixtures/rpz.zone")),
    (Format::Rpz, include_bytes!("../src/feed/fixtures/rpz-short.zone")),
    (Format::Csv, include_bytes!("../src/feed/fixtures/threatfox.csv")),
    (Format::Csv, include_bytes!("../src/feed/fixtures/phishtank.csv")),
    (Format::Json, include_bytes!("../src/feed/fixtures/phishtank.json")),
];

/// The seeds in front whose lines stand alone.
const LINES: usize = 6;

/// What lists are made of, and what breaks them.
const WORDS: [&str; 34] = [
    "||",
    "@@||",
    "^",
    "$important",
    "$badfilter",
    "##",
    "/",
    "*.",
    ".",
    "..",
    "#",
    "!",
    ";",
    "(",
    ")",
    "\"",
    "\\",
    " CNAME .",
    " CNAME rpz-passthru.",
    "$ORIGIN ",
    "$TTL 1",
    "@ SOA a. b. 1 2 3 4 5",
    "0.0.0.0 ",
    "::1%x ",
    "local=/",
    "server=/",
    "address=/",
    "xn--",
    "ü",
    "\u{feff}",
    "\u{202e}",
    "\0",
    "\r",
    "evil.example",
];

/// A generator of numbers, the same for the same seed.
struct Random(u64);

impl Random {
    fn new() -> Self {
        let seed = std::env::var("NAMEWARDEN_FUZZ_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
        Self(0x9e37_79b9_7f4a_7c15 ^ (seed << 1 | 1))
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap_or_default() % bound.max(1)
    }
}

fn runs() -> usize {
    std::env::var("NAMEWARDEN_FUZZ_RUNS").ok().and_then(|text| text.parse().ok()).unwrap_or(600)
}

/// A list with up to eight things done to it.
fn mutate(random: &mut Random) -> Vec<u8> {
    let mut bytes = SEEDS[random.below(SEEDS.len())].1.to_vec();
    for _ in 0..=random.below(8) {
        let at = random.below(bytes.len() + 1);
        let end = (at + random.below(40)).min(bytes.len());
        match random.below(6) {
            0 => drop(bytes.splice(at..at, WORDS[random.below(WORDS.len())].bytes())),
            1 => drop(bytes.drain(at..end)),
            2 => bytes.insert(at, u8::try_from(random.below(256)).unwrap_or_default()),
            3 => bytes.insert(at, b'\n'),
            4 => {
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece.repeat(random.below(700)));
            }
            _ => {
                let other = SEEDS[random.below(SEEDS.len())].1;
                let from = random.below(other.len());
                bytes.splice(at..end, other[from..].iter().copied().take(200));
            }
        }
    }
    bytes
}

/// Entries as text with their lines, and the report, refused or not.
fn read(format: Format, source: impl std::io::BufRead) -> (Vec<(u32, String)>, FeedReport) {
    let options = Options { format, ..Options::default() };
    let mut entries = Vec::new();
    let outcome = feed::read(source, &options, &mut |entry| {
        let mut again = String::new();
        assert_eq!(name::normalize(entry.name, &mut again), Ok(entry.name), "an entry is a normal name");
        entries.push((entry.line, format!("{} {:?} {:?}", entry.name, entry.scope, entry.verdict)));
    });
    (entries, outcome.unwrap_or_else(|error| *error.report))
}

/// Runs `property`, and shows the input where it does not hold.
fn hold(input: &[u8], property: impl Fn() + std::panic::UnwindSafe) {
    if let Err(panic) = std::panic::catch_unwind(property) {
        eprintln!("input: {}", String::from_utf8_lossy(input).escape_debug());
        std::panic::resume_unwind(panic);
    }
}

#[test]
fn whatever_the_bytes_entries_are_normal_and_the_report_adds_up() {
    let mut random = Random::new();
    for _ in 0..runs() {
        let input = mutate(&mut random);
        hold(&input, || {
            for format in Format::ALL {
                // JSON counts elements.
                let ends = |byte: &u8| *byte == b'\n' || (format == Format::Json && *byte == b',');
                let lines = input.split(ends).count();
                let (entries, report) = read(format, Cursor::new(&input));
                assert_eq!(report.entries, entries.len() as u64);
                assert!(report.lines <= lines as u64);
                assert!(entries.iter().all(|(line, _)| *line >= 1 && *line as usize <= lines));
                let by_reason: u64 = report.rejected_by_reason.iter().map(|(_, count)| count).sum();
                assert_eq!(report.rejected, by_reason);
                assert!(report.rejected_lines.len() <= 100);
                for rejected in &report.rejected_lines {
                    assert!(rejected.line >= 1 && rejected.line as usize <= lines);
                    assert!(rejected.text.chars().all(|character| !character.is_control()));
                }
            }
        });
    }
}

#[test]
fn how_the_bytes_come_in_does_not_matter() {
    let mut random = Random::new();
    for _ in 0..runs() / 3 {
        let input = mutate(&mut random);
        let piece = 1 + random.below(9);
        hold(&input, || {
            for format in Format::ALL {
                let whole = read(format, Cursor::new(&input));
                let pieces = read(format, BufReader::with_capacity(piece, Cursor::new(&input)));
                assert_eq!(whole, pieces, "{format} in pieces of {piece} bytes");
            }
        });
    }
}

/// A line may except names, name a zone or take the place of an owner; whatever else it is, the others keep theirs.
#[test]
fn a_bad_line_costs_no_other_line_its_entries() {
    let mut random = Random::new();
    for _ in 0..runs() {
        // A JSON document has no lines, and a quoted field of CSV may take in the next one.
        let (format, seed) = SEEDS[random.below(LINES)];
        let mutated = mutate(&mut random);
        let bad = mutated.split(|byte| *byte == b'\n').nth(random.below(20)).unwrap_or_default();
        let upper = String::from_utf8_lossy(bad).to_uppercase();
        if upper.contains('$') || upper.contains("SOA") || bad.is_empty() {
            continue;
        }
        // Not inside the zone's own group, which a line would be part of, nor before what leaves its owner out.
        let places: Vec<_> =
            (1..seed.len()).filter(|at| seed[at - 1] == b'\n' && !seed[*at].is_ascii_whitespace()).collect();
        let at = places[random.below(places.len())];
        let mut input = seed.to_vec();
        input.splice(at..at, bad.iter().copied().chain(*b"\n"));
        hold(&input, || {
            let before: BTreeSet<_> =
                read(format, Cursor::new(seed)).0.into_iter().map(|entry| entry.1).collect();
            let after: BTreeSet<_> =
                read(format, Cursor::new(&input)).0.into_iter().map(|entry| entry.1).collect();
            let lost: Vec<_> = before.difference(&after).collect();
            assert!(lost.is_empty(), "{format}: {lost:?} lost by {:?}", String::from_utf8_lossy(bad));
        });
    }
}
