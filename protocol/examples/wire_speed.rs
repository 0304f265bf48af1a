//! What it takes to publish a set and to apply it: prints the figures for `cargo xtask bench`, a line of JSON each.
//!
//! A plain list of a million names, one of a thousandth changed, and one of ten million are made on the fly, so that the
//! lists themselves are in nobody's memory. `wire_speed --small` leaves the ten million out.

use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::time::Instant;

use namewarden_protocol::feed::{self, Format, Options};
use namewarden_protocol::threat_set::{Builder, FeedInfo, SetKey, ThreatSet, wire};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const MILLION: u32 = 1_000_000;

fn main() -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name);
    let start = Instant::now();
    let (base, bytes) = publish(0..MILLION, 1, &path("base.set"))?;
    figure("publish_1m", milliseconds(start));
    figure("wire_full", ratio(bytes.len(), base.len()));
    figure("wire_full_apply", best(5, || Ok(wire::apply_full(&bytes, &path("full.set"))?))?);

    let (new, _) = publish(1000..MILLION + 1000, 2, &path("new.set"))?;
    let change = wire::delta(&base, &new)?;
    figure("wire_delta", ratio(change.len(), 1000));
    figure("wire_delta_make", best(5, || Ok(wire::delta(&base, &new)?))?);
    let applied = path("applied.set");
    figure("wire_delta_apply", best(5, || Ok(wire::apply_delta(&change, &base, &applied)?))?);
    if std::fs::read(&applied)? != std::fs::read(path("new.set"))? {
        return Err("the set applied is not the one published".into());
    }
    drop((base, new, bytes));

    if std::env::args().all(|argument| argument != "--small") {
        let start = Instant::now();
        let (set, bytes) = publish(0..10 * MILLION, 3, &path("huge.set"))?;
        figure("publish_10m", milliseconds(start) / 1e3);
        figure("publish_10m_peak", peak_megabytes()?);
        println!("10 M: {:.2} bytes a domain", ratio(bytes.len(), set.len()));
    }
    Ok(())
}

/// A list read, compiled, written, opened and put into the bytes that travel.
fn publish(numbers: std::ops::Range<u32>, set_number: u64, path: &Path) -> Outcome<(ThreatSet, Vec<u8>)> {
    let mut builder = Builder::new(SetKey(*b"0123456789abcdef"), 1, set_number).without_lines();
    let info = FeedInfo { name: "speed".into(), description: "".into(), severity: 75, techniques: [].into() };
    let id = builder.feed(info)?;
    let options = Options { format: Format::Plain, ..Options::default() };
    let list = BufReader::with_capacity(1 << 16, List { numbers, line: Vec::new(), at: 0 });
    read(list, &options, |entry| builder.add(id, &entry))?;
    builder.write(path)?;
    let set = ThreatSet::open(path)?;
    let bytes = wire::full(&set)?;
    Ok((set, bytes))
}

fn read(
    list: impl BufRead,
    options: &Options,
    mut each: impl FnMut(namewarden_protocol::entry::Entry<'_>),
) -> Outcome<()> {
    feed::read(list, options, &mut each)?;
    Ok(())
}

/// The lines of a list, made as they are read: `6b8b4567.cdn42.com`.
struct List {
    numbers: std::ops::Range<u32>,
    line: Vec<u8>,
    at: usize,
}

impl Read for List {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.line.len() {
            self.line.clear();
            self.at = 0;
            for number in self.numbers.by_ref().take(256) {
                let end = ["com", "net", "co.uk", "top", "com.br"].get(number as usize % 5).unwrap_or(&"com");
                let random = number.wrapping_mul(0x9e37_79b1);
                self.line.extend_from_slice(format!("{random:x}.cdn{number}.{end}\n").as_bytes());
            }
        }
        let mut rest = self.line.get(self.at..).unwrap_or_default();
        let count = rest.read(buffer)?;
        self.at += count;
        Ok(count)
    }
}

fn figure(name: &str, value: f64) {
    println!("{{\"name\":\"{name}\",\"value\":{value:.2}}}");
}

fn milliseconds(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e3
}

/// The best time of some rounds, in milliseconds: whatever disturbs only adds to it.
fn best<T>(rounds: u32, mut round: impl FnMut() -> Outcome<T>) -> Outcome<f64> {
    let mut best = f64::INFINITY;
    for _ in 0..rounds {
        let start = Instant::now();
        let made = round()?;
        best = best.min(milliseconds(start));
        drop(made);
    }
    Ok(best)
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
fn ratio(bytes: usize, of: usize) -> f64 {
    bytes as f64 / of as f64
}

/// The most memory that the process ever had.
fn peak_megabytes() -> Outcome<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse::<f64>()? / 1e3)
}
