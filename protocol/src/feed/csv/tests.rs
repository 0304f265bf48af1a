use std::io::Cursor;

use proptest::prelude::*;

use super::*;
use crate::feed::{FeedReport, Format, Options, Refusal, read};

fn settings(field_num: u32) -> CsvSettings {
    CsvSettings { field_num: Some(field_num), ..CsvSettings::default() }
}

fn named(field_name: &str) -> CsvSettings {
    CsvSettings { field_name: Some(field_name.to_owned()), header: true, ..CsvSettings::default() }
}

/// Entries as `line name`, and the report or why the feed is refused.
fn parse(text: &str, settings: &CsvSettings) -> (Vec<String>, Result<FeedReport, Refusal>) {
    let csv = Csv::try_from(settings).unwrap();
    let options = Options { format: Format::Csv, csv, ..Options::default() };
    let mut entries = Vec::new();
    let outcome = read(Cursor::new(text), &options, &mut |entry| {
        entries.push(format!("{} {}", entry.line, entry.name));
    });
    (entries, outcome.map_err(|error| error.refusal))
}

fn entries(text: &str, settings: &CsvSettings) -> Vec<String> {
    parse(text, settings).0
}

fn reasons(text: &str, settings: &CsvSettings) -> Vec<(u32, Reason)> {
    let report = parse(text, settings).1.unwrap();
    report.rejected_lines.iter().map(|line| (line.line, line.reason)).collect()
}

#[test]
fn a_field_is_counted_from_0() {
    let text = "a.example,b.example\nc.example,d.example\n";
    assert_eq!(entries(text, &settings(0)), ["1 a.example", "2 c.example"]);
    assert_eq!(entries(text, &settings(1)), ["1 b.example", "2 d.example"]);
}

#[test]
fn a_field_is_found_by_its_name_in_the_header() {
    let text = "id, domain ,x\n1,a.example,\n2,b.example,\n";
    assert_eq!(entries(text, &named("domain")), ["2 a.example", "3 b.example"]);
}

#[test]
fn a_header_is_no_entry_where_the_field_has_a_number() {
    let text = "domain.example\na.example\n";
    let with = CsvSettings { header: true, ..settings(0) };
    assert_eq!(entries(text, &with), ["2 a.example"]);
}

#[test]
fn a_header_without_the_column_refuses_the_feed_and_says_what_it_has() {
    let (_, outcome) = parse("id,host\n1,a.example\n", &named("domain"));
    assert_eq!(outcome.unwrap_err().to_string(), "its header has no field `domain`; it has: id, host");
}

#[test]
fn delimiters_are_the_settings() {
    let text = "; a comment\nx|a.example\n ; another\ny|b.example\n";
    let settings = CsvSettings {
        column_delimiter: Some("|".to_owned()),
        comment_delimiter: Some(";".to_owned()),
        ..settings(1)
    };
    assert_eq!(entries(text, &settings), ["2 a.example", "4 b.example"]);
}

#[test]
fn without_a_comment_delimiter_every_line_is_a_record() {
    let report = parse("# a comment\na.example\nb.example\n", &settings(0)).1.unwrap();
    assert_eq!((report.entries, report.rejected), (2, 1));
}

#[test]
fn tabs_and_characters_of_several_bytes_part_fields_too() {
    for delimiter in ["\t", "§", " "] {
        let text = format!("x{delimiter}a.example\n");
        let settings = CsvSettings { column_delimiter: Some(delimiter.to_owned()), ..settings(1) };
        assert_eq!(entries(&text, &settings), ["1 a.example"], "{delimiter:?}");
    }
}

#[test]
fn quoted_fields_hold_delimiters_quotes_and_line_breaks() {
    let text =
        "\"a, \"\"b\"\"\",one.example\n\"two\nlines\r\nor three\",two.example\n\"\",\"three.example\"\n";
    assert_eq!(entries(text, &settings(1)), ["1 one.example", "2 two.example", "5 three.example"]);
}

#[test]
fn spaces_before_a_quote_do_not_matter() {
    let text = "\"x\", \"one.example\", \"a,b\"\n\"y\",  \"two.example\" , \"c\"\n";
    assert_eq!(entries(text, &settings(1)), ["1 one.example", "2 two.example"]);
}

#[test]
fn a_quote_that_never_closes_costs_its_own_line() {
    let text = "1,a.example\n\"2,b.example\n3,c.example\n4,d.example\n";
    assert_eq!(entries(text, &settings(1)), ["1 a.example", "3 c.example", "4 d.example"]);
    assert_eq!(reasons(text, &settings(1)), [(2, Reason::CsvQuote)]);
    let rest: Vec<String> = (0..100).map(|number| format!("{number},n{number}.example\n")).collect();
    let long = format!("0,first.example\n\"1,lost.example\n{}", rest.concat());
    let (entries, report) = parse(&long, &settings(1));
    assert_eq!((entries.len(), report.unwrap().rejected), (101, 1));
}

#[test]
fn lines_that_each_leave_a_quote_open_are_rejected_each_and_read_a_few_times_at_most() {
    let any = CsvSettings { disable_record_size_validation: true, ..settings(0) };
    // In the middle of a quoted field such a line closes it and opens another.
    let text = format!("{}{}", "a.example\n".repeat(20_000), "b.example,\"y\",\"z\n".repeat(20_000));
    let report = parse(&text, &any).1.unwrap();
    assert_eq!((report.entries, report.rejected_by_reason), (20_000, vec![(Reason::CsvQuote, 20_000)]));
}

#[test]
fn records_of_another_size_are_rejected_unless_any_will_do() {
    let text = "a.example,1\nb.example\nc.example,2\nd.example,3,4\ne.example,5\n";
    let wrong = [(2, Reason::CsvRecordSize), (4, Reason::CsvRecordSize)];
    assert_eq!(reasons(text, &settings(0)), wrong, "as many as the first record has");
    assert_eq!(reasons(text, &CsvSettings { record_size: Some(2), ..settings(0) }), wrong);
    let any = CsvSettings { disable_record_size_validation: true, ..settings(0) };
    assert_eq!(entries(text, &any).len(), 5);
    let second = CsvSettings { disable_record_size_validation: true, ..settings(1) };
    let report = parse("x,a.example\nb\ny,c.example\n", &second).1.unwrap();
    assert_eq!(report.rejected_by_reason, [(Reason::CsvColumn, 1)]);
}

#[test]
fn a_header_says_how_many_fields_there_are() {
    let text = "id,domain\n1,a.example\n2,b.example,x\n3,c.example\n";
    assert_eq!(reasons(text, &named("domain")), [(3, Reason::CsvRecordSize)]);
}

#[test]
fn settings_that_contradict_each_other_are_refused_with_the_remedy() {
    let with = |change: fn(&mut CsvSettings)| {
        let mut settings = settings(0);
        change(&mut settings);
        Csv::try_from(&settings).unwrap_err()
    };
    assert_eq!(with(|csv| csv.field_num = None), BadCsv::NoField);
    assert_eq!(with(|csv| csv.field_name = Some("x".to_owned())), BadCsv::TwoFields);
    assert_eq!(with(|csv| (csv.field_num, csv.field_name) = (None, Some("x".to_owned()))), BadCsv::NoHeader);
    for (value, what) in [("", "none"), ("||", "two"), ("\"", "a quote"), ("\n", "a line end")] {
        let csv = CsvSettings { column_delimiter: Some(value.to_owned()), ..settings(0) };
        let error = Csv::try_from(&csv).unwrap_err();
        assert!(matches!(error, BadCsv::Delimiter { setting: "columnDelimiter", .. }), "{what}: {error}");
    }
    assert!(matches!(
        with(|csv| csv.comment_delimiter = Some("//".to_owned())),
        BadCsv::Delimiter { setting: "commentDelimiter", .. }
    ));
    assert_eq!(with(|csv| csv.comment_delimiter = Some(",".to_owned())), BadCsv::SameDelimiter(','));
    assert_eq!(with(|csv| csv.record_size = Some(0)), BadCsv::EmptyRecord);
    assert_eq!(
        with(|csv| (csv.record_size, csv.disable_record_size_validation) = (Some(1), true)),
        BadCsv::TwoSizes
    );
    let outside = with(|csv| (csv.field_num, csv.record_size) = (Some(2), Some(2)));
    assert_eq!(outside.to_string(), "csv's `fieldNum` 2 counts from 0: a record of 2 fields has 0 to 1");
}

/// A field that an independent writer quotes as it must.
fn field() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z]{1,3}", "[a-z,\" ]{0,6}", Just("two\nlines".to_owned())]
}

proptest! {
    /// What is written by RFC 4180 is read back, whatever the fields hold.
    #[test]
    fn fields_agree_with_an_independent_reader(
        records in prop::collection::vec(prop::collection::vec(field(), 3), 1..6),
    ) {
        let mut writer = ::csv::WriterBuilder::new().quote_style(::csv::QuoteStyle::Always).from_writer(Vec::new());
        for record in &records {
            writer.write_record(record).unwrap();
        }
        let text = String::from_utf8(writer.into_inner().unwrap()).unwrap();
        let mut reader = ::csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
        let theirs: Vec<Vec<String>> =
            reader.records().map(|record| record.unwrap().iter().map(str::to_owned).collect()).collect();
        let mut ours = Vec::new();
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            let mut record = line.to_owned();
            while split(&record).is_none() {
                record = format!("{record}\n{}", lines.next().unwrap());
            }
            ours.extend(split(&record));
        }
        prop_assert_eq!(ours, theirs);
    }
}

fn split(text: &str) -> Option<Vec<String>> {
    let mut fields = Fields::new(text, ',');
    let (mut all, mut field) = (Vec::new(), String::new());
    while fields.next(&mut field).ok()? {
        all.push(field.clone());
    }
    Some(all)
}
