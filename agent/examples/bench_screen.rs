//! Measures threat set and screen; one JSON line `{"name", "value", "unit"}` for each figure.
//!
//! `cargo run --profile fast --example bench_screen [-- --names N] [--huge]`: N names listed (1,000,000); `--huge` adds
//! building and loading ten million. Names are made up, deterministic and distinct, with lengths and label counts as in
//! real lists. Timed figures are the median over batches, `_min` the best batch: on a shared machine trust that one.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "figures for people, and messages far shorter than any integer"
)]

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use namewarden_agent::pipeline::screen::Screen;
use namewarden_protocol::entry::{Entry, Scope, Verdict};
use namewarden_protocol::threat_set::{Builder, Current, FeedInfo, SetKey, ThreatSet};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const KEY: SetKey = SetKey(*b"sixteen bytes 16");
const MESSAGES: u64 = 200_000;
const PASSES: usize = 15;
/// Messages timed together.
const BATCH: usize = 4000;
/// One message in a thousand asks for a listed name.
const HIT_EVERY: u64 = 1000;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let names = match arguments.iter().position(|argument| argument == "--names") {
        Some(at) => arguments.get(at + 1).context("--names takes a number")?.parse()?,
        None => 1_000_000,
    };
    let folder = std::env::temp_dir().join(format!("namewarden-bench-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let measured = measure(&folder, names, arguments.iter().any(|argument| argument == "--huge"));
    fs::remove_dir_all(&folder)?;
    measured
}

fn measure(folder: &Path, names: u64, huge: bool) -> Result<()> {
    let current = Current::from_pointee(build_and_load(folder, names, "")?);
    swap(folder, names, &current)?;
    let set = current.load_full();
    screen("screen_query", &set, &messages(names, query))?;
    screen("screen_answer", &set, &messages(names, answer))?;
    drop((current, set));
    if huge {
        let set = build_and_load(folder, 10_000_000, "_10m")?;
        screen("screen_query_10m", &set, &messages(10_000_000, query))?;
    }
    Ok(())
}

fn report(name: &str, value: f64, unit: &str) -> Result<()> {
    let line = serde_json::json!({ "name": name, "value": (value * 1000.0).round() / 1000.0, "unit": unit });
    Ok(writeln!(std::io::stdout(), "{line}")?)
}

fn build_and_load(folder: &Path, names: u64, suffix: &str) -> Result<ThreatSet> {
    let path = folder.join("current.set");
    let begin = Instant::now();
    build(names, 1, &path)?;
    report(&format!("set_build{suffix}"), milliseconds(begin.elapsed()), "ms")?;
    report(&format!("set_file{suffix}"), per_name(fs::metadata(&path)?.len(), names), "B/domain")?;
    let mut loads = Vec::new();
    for _ in 0..5 {
        let begin = Instant::now();
        let set = ThreatSet::open(&path)?;
        loads.push(milliseconds(begin.elapsed()));
        drop(set);
    }
    report_timed(&format!("set_load{suffix}"), &mut loads, "ms")?;
    let before = resident("RssAnon")?;
    let set = ThreatSet::open(&path)?;
    report(
        &format!("set_resident{suffix}"),
        per_name(resident("RssAnon")?.saturating_sub(before), names),
        "B/domain",
    )?;
    report(&format!("set_tables{suffix}"), per_name(set.resident_bytes() as u64, names), "B/domain")?;
    Ok(set)
}

fn build(names: u64, number: u64, path: &Path) -> Result<()> {
    let mut builder = Builder::new(KEY, 1, number);
    let feed = FeedInfo { name: "bench".into(), description: "".into(), severity: 75, techniques: [].into() };
    let feed = builder.feed(feed)?;
    let mut name = String::new();
    for (line, number) in (1..).zip(0..names) {
        name.clear();
        Source::new(number, Kind::Listed).name(&mut name);
        builder.add(feed, &Entry { name: &name, scope: Scope::Both, verdict: Verdict::Listed, line });
    }
    builder.write(path)?;
    Ok(())
}

/// A new set is built and loaded beside the one in use, then takes its place.
fn swap(folder: &Path, names: u64, current: &Current) -> Result<()> {
    let before = resident("VmRSS")?;
    // Resets the peak (proc(5)).
    fs::write("/proc/self/clear_refs", "5")?;
    let path = folder.join("next.set");
    build(names, 2, &path)?;
    let begin = Instant::now();
    current.store(ThreatSet::open(&path)?.into());
    report("set_swap", milliseconds(begin.elapsed()), "ms")?;
    report("swap_rss_before", megabytes(before), "MB")?;
    report("swap_rss_peak", megabytes(resident("VmHWM")?), "MB")
}

fn screen(name: &str, set: &ThreatSet, messages: &Messages) -> Result<()> {
    let mut screen = Screen::new();
    let all: Vec<&[u8]> = messages.iter().collect();
    let mut batches = Vec::new();
    let mut hits = 0;
    for _ in 0..PASSES {
        for batch in all.as_chunks::<BATCH>().0 {
            let begin = Instant::now();
            for message in batch {
                hits += screen.candidates(message, set).candidates.len();
            }
            batches.push(begin.elapsed().as_secs_f64() * 1e9 / BATCH as f64);
        }
    }
    report_timed(name, &mut batches, "ns")?;
    report(&format!("{name}_hits"), hits as f64 / PASSES as f64, "candidates")?;
    let counts = screen.counts();
    report(&format!("{name}_labels"), counts.labels as f64 / counts.messages as f64, "labels/message")?;
    report(&format!("{name}_bytes"), messages.bytes.len() as f64 / messages.ends.len() as f64, "B/message")
}

fn report_timed(name: &str, passes: &mut [f64], unit: &str) -> Result<()> {
    passes.sort_by(f64::total_cmp);
    report(name, passes.get(passes.len() / 2).copied().unwrap_or(f64::NAN), unit)?;
    report(&format!("{name}_min"), passes.first().copied().unwrap_or(f64::NAN), unit)
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

fn per_name(bytes: u64, names: u64) -> f64 {
    bytes as f64 / names as f64
}

/// A figure of this process's `/proc/self/status`, in bytes.
fn resident(what: &str) -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(what)?.strip_prefix(':'));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()).context("no such line")?;
    Ok(kilobytes.parse::<u64>()? * 1024)
}

/// Distinct messages, one behind the other.
struct Messages {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Messages {
    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).filter_map(|(start, end)| self.bytes.get(start..*end))
    }
}

fn messages(names: u64, write: fn(&mut Vec<u8>, &str, u64)) -> Messages {
    let mut messages = Messages { bytes: Vec::new(), ends: Vec::new() };
    let mut name = String::new();
    for number in 0..MESSAGES {
        name.clear();
        let mut source = if number % HIT_EVERY == 0 {
            Source::new(number * 7919 % names, Kind::Listed)
        } else {
            Source::new(number, Kind::Asked)
        };
        source.name(&mut name);
        write(&mut messages.bytes, &name, number);
        messages.ends.push(messages.bytes.len());
    }
    messages
}

/// A query with EDNS.
fn query(bytes: &mut Vec<u8>, name: &str, _: u64) {
    bytes.extend([0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1]);
    push_name(bytes, name);
    bytes.extend([0, 0, 1, 0, 1]);
    bytes.extend([0, 0, 41, 16, 0, 0, 0, 0, 0, 0, 0]);
}

/// An answer of five records: two CNAMEs (the second target ends in the first's), two addresses, EDNS.
fn answer(bytes: &mut Vec<u8>, name: &str, number: u64) {
    let start = bytes.len();
    bytes.extend([0x12, 0x34, 0x81, 0x80, 0, 1, 0, 4, 0, 0, 0, 1]);
    push_name(bytes, name);
    bytes.extend([0, 0, 1, 0, 1]);
    let mut target = String::new();
    Source::new(number, Kind::Target).name(&mut target);
    let mut owner = 12;
    for edge in [None, Some(&b"edge"[..])] {
        let data = bytes.len() - start + 12;
        bytes.extend([0xc0 | (owner >> 8) as u8, owner as u8, 0, 5, 0, 1, 0, 0, 0, 60]);
        match edge {
            None => {
                bytes.extend((target.len() as u16 + 2).to_be_bytes());
                push_name(bytes, &target);
                bytes.push(0);
            }
            Some(label) => {
                bytes.extend((label.len() as u16 + 3).to_be_bytes());
                bytes.push(label.len() as u8);
                bytes.extend(label);
                bytes.extend([0xc0 | (owner >> 8) as u8, owner as u8]);
            }
        }
        owner = data;
    }
    for last in [1, 2] {
        bytes.extend([
            0xc0 | (owner >> 8) as u8,
            owner as u8,
            0,
            1,
            0,
            1,
            0,
            0,
            0,
            60,
            0,
            4,
            192,
            0,
            2,
            last,
        ]);
    }
    bytes.extend([0, 0, 41, 16, 0, 0, 0, 0, 0, 0, 0]);
}

/// Labels without the root.
fn push_name(bytes: &mut Vec<u8>, name: &str) {
    for label in name.split('.') {
        bytes.push(label.len() as u8);
        bytes.extend(label.as_bytes());
    }
}

/// Which names: no listed one is ever asked for by chance.
#[derive(Clone, Copy)]
enum Kind {
    Listed,
    Asked,
    Target,
}

impl Kind {
    fn letter(self) -> char {
        match self {
            Self::Listed => 'l',
            Self::Asked => 'a',
            Self::Target => 't',
        }
    }
}

/// Random numbers that are a function of what the name is for (splitmix64).
struct Source {
    state: u64,
    number: u64,
    kind: Kind,
}

const TOP_LEVEL: [&str; 12] =
    ["com", "com", "com", "com", "net", "org", "info", "xyz", "de", "io", "co.uk", "online"];

impl Source {
    fn new(number: u64, kind: Kind) -> Self {
        Self { state: number ^ (u64::from(u32::from(kind.letter())) << 56), number, kind }
    }

    fn next(&mut self, below: u64) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.state;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (word ^ (word >> 31)) % below
    }

    /// Three or four labels, the second-level one distinct.
    fn name(&mut self, name: &mut String) {
        for _ in 0..match self.next(10) {
            0 | 1 if matches!(self.kind, Kind::Listed) => 0,
            0..=7 => 1,
            _ => 2,
        } {
            let length = 2 + self.next(6);
            self.letters(name, length);
            name.push('.');
        }
        let length = 3 + self.next(6);
        self.letters(name, length);
        // The number in letters of its own, so that no two are equal; the kind's letter, so that none is listed by chance.
        name.push(self.kind.letter());
        let mut rest = self.number;
        while rest > 0 {
            name.push(char::from(b'a' + (rest % 26) as u8));
            rest /= 26;
        }
        name.push('.');
        let top = self.next(TOP_LEVEL.len() as u64) as usize;
        name.push_str(TOP_LEVEL.get(top).copied().unwrap_or_default());
    }

    fn letters(&mut self, name: &mut String, count: u64) {
        for _ in 0..count {
            name.push(char::from(b'a' + self.next(26) as u8));
        }
    }
}
