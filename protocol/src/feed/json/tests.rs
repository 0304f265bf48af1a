use std::io::{BufReader, Cursor};

use super::*;
use crate::feed::{FeedReport, Format, Options, read};

fn parse(path: &str, text: &str) -> (Vec<String>, Result<FeedReport, Refusal>) {
    let options = Options { format: Format::Json, json: path.parse().unwrap(), ..Options::default() };
    let mut entries = Vec::new();
    let outcome = read(Cursor::new(text), &options, &mut |entry| {
        entries.push(format!("{} {}", entry.line, entry.name));
    });
    (entries, outcome.map_err(|error| error.refusal))
}

fn entries(path: &str, text: &str) -> Vec<String> {
    parse(path, text).0
}

fn refusal(path: &str, text: &str) -> Refusal {
    parse(path, text).1.unwrap_err()
}

#[test]
fn a_path_leads_to_strings_and_to_lists_of_strings() {
    let two = ["1 a.example", "2 b.example"];
    for (path, text) in [
        ("$", r#"["a.example","b.example"]"#),
        ("$.", r#"["a.example","b.example"]"#),
        ("$[*]", r#"["a.example","b.example"]"#),
        ("$.a", r#"{"x":["no.example"],"a":["a.example","b.example"]}"#),
        ("$.a.b", r#"{"b":["no.example"],"a":{"x":1,"b":["a.example","b.example"]}}"#),
        ("$[\"a\"]", r#"{"a":["a.example","b.example"]}"#),
        ("$[\"a \\\"b\\\"]\"].c", r#"{"a \"b\"]":{"c":["a.example","b.example"]}}"#),
        ("$.items[*].domain", r#"{"items":[{"domain":"a.example"},{"x":2},{"domain":"b.example"}]}"#),
        ("$[*].domain", r#"[{"domain":"a.example"},{"domain":"b.example","other":"no.example"}]"#),
        ("$.a[*]", r#"{"a":["a.example","b.example"]}"#),
        ("$.a[*]", r#"{"a":[["a.example"],["b.example"]]}"#),
        ("$.a.*", r#"{"a":{"x":"a.example","y":"b.example"}}"#),
        ("$[1].d", r#"[{"d":"no.example"},{"d":["a.example","b.example"]}]"#),
    ] {
        assert_eq!(entries(path, text), two, "{path} in {text}");
    }
    assert_eq!(entries("$", r#""a.example""#), ["1 a.example"]);
}

#[test]
fn what_is_no_string_is_rejected_with_its_number() {
    let text = r#"["a.example",5,null,{"x":[1]},["no.example"],true,"b.example","c.example","d.example","e.example"]"#;
    let (entries, report) = parse("$", text);
    assert_eq!(entries, ["1 a.example", "7 b.example", "8 c.example", "9 d.example", "10 e.example"]);
    let report = report.unwrap();
    let rejected: Vec<_> = report.rejected_lines.iter().map(|line| (line.line, line.text.as_str())).collect();
    let words = ["(a number)", "(null)", "(an object)", "(a list in the list)", "(true or false)"];
    assert_eq!(rejected, (2..).zip(words).collect::<Vec<_>>());
    assert_eq!((report.lines, report.entries, report.rejected), (10, 5, 5));
}

#[test]
fn names_are_judged_as_in_any_list() {
    let (entries, report) = parse("$", r#"["*.a.example"," B.example. ","co.uk","http://x.example/"]"#);
    assert_eq!(entries, ["1 a.example", "2 b.example", "3 co.uk"]);
    let report = report.unwrap();
    assert_eq!(report.guarded, 1);
    assert_eq!(report.rejected_lines[0].reason, Reason::Url);
}

#[test]
fn a_path_that_leads_nowhere_refuses_the_feed() {
    for (path, text) in [
        ("$.domains", r#"{"error":"no such key"}"#),
        ("$.a.b", r#"{"a":["x.example"]}"#),
        ("$.a[*].b", r#"{"a":[{"c":1}]}"#),
        ("$[3]", r#"["x.example"]"#),
        ("$.a", "[]"),
    ] {
        let refusal = refusal(path, text);
        assert!(matches!(&refusal, Refusal::NoMatch { path: said } if said == path), "{path}: {refusal}");
    }
}

#[test]
fn an_empty_list_is_a_feed_without_entries() {
    for (path, text) in [("$", "[]"), ("$.a", r#"{"a":[]}"#), ("$.a[*].b", r#"{"a":[]}"#)] {
        assert_eq!(parse(path, text).1.unwrap().entries, 0, "{path} in {text}");
    }
}

#[test]
fn a_document_that_is_no_json_is_refused() {
    for text in ["", "a.example\n", "[\"a.example\"", "[\"a.example\"] trailing", "{\"a\":}"] {
        assert!(matches!(refusal("$", text), Refusal::Json(_)), "{text:?}");
    }
}

#[test]
fn nesting_and_strings_are_bounded() {
    let deep = "[".repeat(1 << 20);
    let said = refusal("$.a", &deep).to_string();
    assert!(said.contains("more than 100 levels"), "{said}");
    let long = format!("[\"{}\"]", "a".repeat(1 << 20));
    let said = refusal("$", &long).to_string();
    assert!(said.contains("longer than 16 KiB"), "{said}");
    let many = format!("[{}\"a.example\"]", "\"b.example\",".repeat(50_000));
    assert_eq!(entries("$", &many).len(), 50_001);
}

#[test]
fn a_feed_with_too_many_entries_is_refused_before_its_end() {
    let options = Options { format: Format::Json, entries_max: 2, ..Options::default() };
    let text = r#"["a.example","b.example","c.example","d.example"#;
    let error = read(Cursor::new(text), &options, &mut |_| {}).unwrap_err();
    assert!(matches!(error.refusal, Refusal::TooMany { entries_max: 2 }));
}

#[test]
fn a_document_larger_than_the_limit_is_refused_for_its_size() {
    let options = Options { format: Format::Json, bytes_max: 20, ..Options::default() };
    let error = read(Cursor::new(r#"["a.example","b.example"]"#), &options, &mut |_| {}).unwrap_err();
    assert!(matches!(error.refusal, Refusal::TooLarge { bytes_max: 20 }));
}

#[test]
fn a_byte_order_mark_does_no_harm_however_the_bytes_come_in() {
    let text = "\u{feff}[\"a.example\", \"b.example\"]\n";
    let options = Options { format: Format::Json, ..Options::default() };
    for piece in 1..6 {
        let report = read(BufReader::with_capacity(piece, Cursor::new(text)), &options, &mut |_| {}).unwrap();
        assert_eq!(report.entries, 2, "pieces of {piece}");
    }
}

#[test]
fn a_path_that_is_not_understood_is_refused_with_the_reason() {
    for (path, what) in [
        ("", "must begin with `$`"),
        ("domains", "must begin with `$`"),
        ("$domains", "begins with `.` or `[`"),
        ("$..domain", "every depth"),
        ("$.a.", "a name is missing"),
        ("$.a[?(@.b)]", "filters"),
        ("$[?@.b == 1]", "filters"),
        ("$['a']", "double quotes"),
        ("$[\"a]", "does not close"),
        ("$[\"a\"", "does not close"),
        ("$[a]", "a number or a string"),
        ("$[-1]", "a number or a string"),
        ("$[0:2]", "a number or a string"),
        ("$.a b", "in brackets"),
    ] {
        let error = path.parse::<JsonPath>().unwrap_err().to_string();
        assert!(error.contains(what), "{path}: {error}");
    }
    assert!(format!("${}", ".a".repeat(33)).parse::<JsonPath>().is_err());
}
