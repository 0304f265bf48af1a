//! How fast a feed is read: `feed_speed FILE [FORMAT]` reads it five times and prints the best time and what came out.
//!
//! Without a file it makes a plain list of a million names itself, as long as those of real lists, and prints the
//! figure for `cargo xtask bench` too: a line of JSON, in milliseconds.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead, BufReader, Cursor};
use std::time::Instant;

use namewarden_protocol::feed::{self, Format, Options};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next();
    let format = arguments.next().map_or(Ok(Format::Auto), |text| text.parse())?;
    let made = if file.is_none() { names(1_000_000)? } else { String::new() };
    let options = Options { format, ..Options::default() };
    let mut best = f64::INFINITY;
    let mut last = None;
    for _ in 0..5 {
        let source: Box<dyn BufRead> = match &file {
            Some(path) => Box::new(BufReader::with_capacity(1 << 16, File::open(path)?)),
            None => Box::new(Cursor::new(made.as_bytes())),
        };
        let start = Instant::now();
        let mut bytes = 0_usize;
        let report = feed::read(source, &options, &mut |entry| bytes += entry.name.len())?;
        best = best.min(start.elapsed().as_secs_f64());
        last = Some((report, bytes));
    }
    if let Some((report, bytes)) = last {
        println!(
            "{}: {} lines, {} entries, {} rejected, {} guarded, {bytes} bytes of names: {best:.3} s",
            report.format, report.lines, report.entries, report.rejected, report.guarded
        );
        if file.is_none() {
            println!("{{\"name\":\"feed_parse_1m\",\"value\":{:.1}}}", best * 1e3);
        }
    }
    Ok(())
}

/// Names of 2 to 4 labels, 22 bytes on average, drawn by a fixed generator.
fn names(count: u32) -> Result<String, std::fmt::Error> {
    const ENDS: [&str; 6] = ["com", "net", "co.uk", "top", "duckdns.org", "com.br"];
    let mut text = String::with_capacity(count as usize * 26);
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for number in 0..count {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let end = ENDS.get((state >> 33) as usize % ENDS.len()).copied().unwrap_or("com");
        match state >> 62 {
            0 => writeln!(text, "{:x}.{end}", state >> 16)?,
            1 => writeln!(text, "www.{:x}-{number}.{end}", state >> 40)?,
            _ => writeln!(text, "{:x}.cdn{number}.{end}", state >> 44)?,
        }
    }
    Ok(text)
}
