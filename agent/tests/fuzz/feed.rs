//! Input: the text of a feed, read as each format in turn.

use namewarden_protocol::entry::Scope;
use namewarden_protocol::feed::{self, Csv, CsvSettings, Format, Options, Urls};
use namewarden_protocol::name;

use crate::harness::{corpus, fuzz};

/// Every format as it is by default, and those that have settings with others.
fn ways() -> Vec<Options> {
    let mut ways: Vec<_> =
        Format::ALL.into_iter().map(|format| Options { format, ..Options::default() }).collect();
    let lenient =
        Options { matching: Scope::Subdomains, urls: Urls::Host, guard: false, ..Options::default() };
    ways.push(Options { format: Format::Plain, ..lenient.clone() });
    let table = CsvSettings {
        field_name: Some("domain".to_owned()),
        header: true,
        column_delimiter: Some(";".to_owned()),
        comment_delimiter: Some("#".to_owned()),
        disable_record_size_validation: true,
        ..CsvSettings::default()
    };
    ways.push(Options { format: Format::Csv, csv: Csv::try_from(&table).unwrap(), ..lenient.clone() });
    ways.push(Options { format: Format::Json, json: "$.items[*].domain".parse().unwrap(), ..lenient });
    ways
}

/// Only normalised names come out, each from a line that exists, and as many as the report says.
fn target(ways: &[Options], input: &[u8]) {
    for options in ways {
        let format = options.format;
        let (mut entries, mut last_line) = (0, 0);
        let mut buffer = String::new();
        let read = feed::read(input, options, &mut |entry| {
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

/// How many entries each way finds in the corpus: one that finds none is not tried.
fn entries(ways: &[Options], seeds: &[Vec<u8>]) -> Vec<u64> {
    let found = |options: &Options, seed: &Vec<u8>| {
        feed::read(seed.as_slice(), options, &mut |_| {}).map_or(0, |report| report.entries)
    };
    ways.iter().map(|options| seeds.iter().map(|seed| found(options, seed)).sum()).collect()
}

#[test]
fn no_feed_yields_a_name_that_is_not_normalised() {
    let (ways, seeds) = (ways(), corpus("feed"));
    let found = entries(&ways, &seeds);
    assert!(found.iter().all(|entries| *entries > 0), "{found:?}");
    fuzz(&seeds, 6_000, |input| target(&ways, input));
}
