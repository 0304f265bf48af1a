//! Input: the text of a feed, read as each format in turn.

use namewarden_protocol::feed::{self, Format, Options};
use namewarden_protocol::name;

use crate::harness::{corpus, fuzz};

const FORMATS: [Format; 6] =
    [Format::Plain, Format::Hosts, Format::Adblock, Format::Dnsmasq, Format::Rpz, Format::Auto];

/// Only normalised names come out, each from a line that exists, and as many as the report says.
fn target(input: &[u8]) {
    for format in FORMATS {
        let options = Options { format, ..Options::default() };
        let (mut entries, mut last_line) = (0, 0);
        let mut buffer = String::new();
        let read = feed::read(input, &options, &mut |entry| {
            entries += 1;
            last_line = last_line.max(u64::from(entry.line));
            assert_eq!(name::normalize(entry.name, &mut buffer), Ok(entry.name), "{format}");
        });
        let report = read.unwrap_or_else(|error| *error.report);
        assert_eq!(report.entries, entries, "{format}");
        assert!(last_line <= report.lines.max(1), "{format}: line {last_line} of {}", report.lines);
        assert!(report.rejected_lines.len() <= options.lines_shown_max, "{format}");
    }
}

#[test]
fn no_feed_yields_a_name_that_is_not_normalised() {
    fuzz(&corpus("feed"), 6_000, target);
}
