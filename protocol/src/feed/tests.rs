use std::fmt::Write as _;
use std::io::Cursor;

use super::*;
use crate::entry::Scope;
use crate::name::NameError;

mod layouts;

/// Entries and report as text, for snapshots; a refusal with what was read until then.
fn render(text: &[u8], options: &Options) -> String {
    let mut out = String::new();
    let outcome = read(Cursor::new(text), options, &mut |entry| {
        let verdict = if entry.verdict == crate::entry::Verdict::Excepted { " excepted" } else { "" };
        writeln!(out, "{:4} {} {:?}{verdict}", entry.line, entry.name, entry.scope).unwrap();
    });
    let report = match outcome {
        Ok(report) => report,
        Err(error) => {
            writeln!(out, "refused: {error}").unwrap();
            *error.report
        }
    };
    writeln!(
        out,
        "{}: {} lines, {} entries ({} excepted), {} ignored, {} rejected, {} guarded",
        report.format,
        report.lines,
        report.entries,
        report.excepted,
        report.ignored,
        report.rejected,
        report.guarded
    )
    .unwrap();
    for guarded in &report.guarded_lines {
        writeln!(out, "{:4} guarded {}, asked for {:?}", guarded.line, guarded.name, guarded.asked).unwrap();
    }
    for rejected in &report.rejected_lines {
        writeln!(
            out,
            "{:4} {} [{}] {}",
            rejected.line,
            rejected.text,
            rejected.reason.slug(),
            rejected.reason
        )
        .unwrap();
    }
    out
}

fn auto(text: &[u8]) -> String {
    render(text, &Options::default())
}

/// Entries as `name scope`, one a line.
fn entries(format: Format, text: &str) -> Vec<String> {
    let mut entries = Vec::new();
    let options = Options { format, ..Options::default() };
    // A refusal is no matter here: these feeds are a line long.
    let _ = read(Cursor::new(text), &options, &mut |entry| {
        let verdict = if entry.verdict == crate::entry::Verdict::Excepted { " excepted" } else { "" };
        entries.push(format!("{} {:?}{verdict}", entry.name, entry.scope));
    });
    entries
}

/// The reasons of a feed's rejected lines, refused or not.
fn reasons(format: Format, text: &str) -> Vec<Reason> {
    let options = Options { format, ..Options::default() };
    let report = match read(Cursor::new(text), &options, &mut |_| {}) {
        Ok(report) => report,
        Err(error) => *error.report,
    };
    report.rejected_lines.iter().map(|line| line.reason).collect()
}

fn refusal(options: &Options, text: &[u8]) -> Refusal {
    read(Cursor::new(text), options, &mut |_| {}).expect_err("refused").refusal
}

#[test]
fn a_plain_list_is_read_as_its_layout_says() {
    insta::assert_snapshot!(auto(include_bytes!("fixtures/plain.txt")));
}

#[test]
fn a_hosts_list_is_read_as_its_layout_says() {
    insta::assert_snapshot!(auto(include_bytes!("fixtures/hosts.txt")));
}

#[test]
fn an_adblock_list_is_read_as_its_layout_says() {
    insta::assert_snapshot!(auto(include_bytes!("fixtures/adblock.txt")));
}

#[test]
fn a_dnsmasq_list_is_read_as_its_layout_says() {
    insta::assert_snapshot!(auto(include_bytes!("fixtures/dnsmasq.conf")));
}

#[test]
fn a_response_policy_zone_is_read_as_its_layout_says() {
    insta::assert_snapshot!(auto(include_bytes!("fixtures/rpz.zone")));
}

#[test]
fn a_response_policy_zone_without_a_name_is_read_as_its_layout_says() {
    insta::assert_snapshot!(auto(include_bytes!("fixtures/rpz-short.zone")));
}

#[test]
fn plain_names_have_the_feeds_scope_and_wildcards_their_own() {
    let options = Options { format: Format::Plain, matching: Scope::Exact, ..Options::default() };
    let text = render(b"evil.example\n*.x.example\n.y.example\n", &options);
    assert!(text.contains("evil.example Exact"), "{text}");
    assert!(text.contains("x.example Subdomains"), "{text}");
    assert!(text.contains("y.example Both"), "{text}");
}

#[test]
fn an_exception_for_a_public_suffix_keeps_its_scope() {
    for (format, line, entry) in [
        (Format::Adblock, "@@||co.uk^", "co.uk Both excepted"),
        (Format::Dnsmasq, "server=/github.io/#", "github.io Both excepted"),
        (Format::Rpz, "*.gov.uk CNAME rpz-passthru.", "gov.uk Subdomains excepted"),
    ] {
        assert_eq!(entries(format, line), [entry], "{line}");
    }
}

#[test]
fn a_list_without_the_guard_keeps_public_suffixes_as_they_are_written() {
    let text = render(b"github.io\n*.co.uk\n", &Options { guard: false, ..Options::default() });
    assert!(text.contains("github.io Both") && text.contains("co.uk Subdomains"), "{text}");
    assert!(text.contains("0 guarded"), "{text}");
}

#[test]
fn a_machines_own_names_are_ignored_and_names_that_begin_like_them_are_not() {
    let own = "::1 ip6-localhost IP6-loopback.\nff02::2 ip6-allrouters\nff00::0 ip6-mcastprefix\n";
    assert_eq!(reasons(Format::Hosts, own), []);
    assert_eq!(entries(Format::Hosts, own), [""; 0]);
    let other = "0.0.0.0 ip6-login.evil.example ip6-localhost.evil.example";
    assert_eq!(
        entries(Format::Hosts, other),
        ["ip6-login.evil.example Exact", "ip6-localhost.evil.example Exact"]
    );
}

#[test]
fn a_line_too_long_is_rejected_and_the_next_one_read() {
    let mut text = "a".repeat(100_000);
    text.push_str("\nevil.example\n");
    assert_eq!(entries(Format::Plain, &text), ["evil.example Both"]);
    let options = Options { format: Format::Plain, ..Options::default() };
    let report = read(Cursor::new(&text), &options, &mut |_| {}).unwrap();
    assert_eq!((report.lines, report.rejected), (2, 1));
    assert_eq!(report.rejected_lines[0].reason, Reason::LineTooLong);
    assert!(report.rejected_lines[0].text.len() < 210);
}

#[test]
fn a_long_comment_is_no_rejected_line() {
    let text = format!("# {}\nevil.example\n", "x".repeat(50_000));
    assert_eq!(reasons(Format::Plain, &text), []);
    assert_eq!(entries(Format::Plain, &text), ["evil.example Both"]);
}

#[test]
fn only_the_first_rejected_lines_are_kept_and_all_are_counted() {
    let mut text = "a..b\n".repeat(150);
    text.push_str(&"evil.example\n".repeat(150));
    let report = read(Cursor::new(&text), &Options::default(), &mut |_| {}).unwrap();
    assert_eq!((report.rejected, report.rejected_lines.len()), (150, 100));
    assert_eq!(report.rejected_by_reason, [(Reason::Name(NameError::EmptyLabel), 150)]);
}

#[test]
fn a_web_page_is_refused_whatever_the_format() {
    let page = b"\n\n<!DOCTYPE html>\n<html><body>\nevil.example\n</body></html>\n";
    for format in Format::ALL {
        assert!(
            matches!(refusal(&Options { format, ..Options::default() }, page), Refusal::Html),
            "{format}"
        );
    }
}

#[test]
fn packed_and_utf16_bodies_are_refused_with_the_remedy() {
    for body in [&b"\x1f\x8b\x08\x00rest"[..], b"\xff\xfee\x00v\x00", b"PK\x03\x04"] {
        assert!(matches!(refusal(&Options::default(), body), Refusal::NotText(_)));
    }
}

#[test]
fn more_than_half_rejected_refuses_the_feed_and_half_does_not() {
    let options = Options { format: Format::Plain, ..Options::default() };
    let half = b"a..b\nevil.example\n";
    assert!(read(Cursor::new(half), &options, &mut |_| {}).is_ok());
    let more = b"a..b\nevil.example\nc..d\n";
    assert!(matches!(refusal(&options, more), Refusal::MostlyRejected { rejected: 2, of: 3 }));
}

#[test]
fn a_feed_larger_than_the_limit_is_refused_and_one_of_its_size_is_not() {
    let text = b"evil.example\n";
    let exact = Options { bytes_max: text.len() as u64, ..Options::default() };
    assert!(read(Cursor::new(text), &exact, &mut |_| {}).is_ok());
    let less = Options { bytes_max: text.len() as u64 - 1, ..Options::default() };
    assert!(matches!(refusal(&less, text), Refusal::TooLarge { bytes_max: 12 }));
}

#[test]
fn a_feed_with_too_many_entries_is_refused() {
    let options = Options { entries_max: 2, ..Options::default() };
    assert!(read(Cursor::new("a.example\nb.example\n"), &options, &mut |_| {}).is_ok());
    assert!(matches!(
        refusal(&options, b"a.example\nb.example\nc.example\nd.example\n"),
        Refusal::TooMany { entries_max: 2 }
    ));
}

#[test]
fn an_endless_line_ends_at_the_size_limit() {
    let options = Options { bytes_max: 1 << 20, ..Options::default() };
    let endless = std::io::BufReader::new(std::io::repeat(b'a'));
    let error = read(endless, &options, &mut |_| {}).expect_err("refused");
    assert!(matches!(error.refusal, Refusal::TooLarge { .. }));
}

#[test]
fn an_empty_feed_is_a_feed_without_entries() {
    let report = read(Cursor::new(""), &Options::default(), &mut |_| {}).unwrap();
    assert_eq!((report.format, report.entries, report.rejected), (Format::Plain, 0, 0));
}

#[test]
fn formats_are_named_as_they_are_shown() {
    for format in Format::ALL {
        assert_eq!(format.to_string().parse(), Ok(format));
    }
    assert_eq!("newlineDelimited".parse(), Ok(Format::Plain));
    assert!("tsv".parse::<Format>().is_err());
}

#[test]
fn every_format_is_told_by_its_first_lines() {
    let cases = [
        ("evil.example\n*.x.example\n", Format::Plain),
        ("0.0.0.0 evil.example\n127.0.0.1 localhost\n", Format::Hosts),
        ("! list\n||evil.example^\n", Format::Adblock),
        ("[Adblock Plus 2.0]\nevil.example\n", Format::Adblock),
        ("server=/evil.example/\nno-resolv\n", Format::Dnsmasq),
        ("evil.example CNAME .\n", Format::Rpz),
        ("$TTL 5\n", Format::Rpz),
        ("# nothing but comments\n", Format::Plain),
    ];
    for (text, format) in cases {
        assert_eq!(
            read(Cursor::new(text), &Options::default(), &mut |_| {}).unwrap().format,
            format,
            "{text}"
        );
    }
}

#[test]
fn names_and_hosts_lines_with_rules_among_them_are_an_adblock_list() {
    let text = format!("{}||evil.example^\n", "0.0.0.0 a.example\n".repeat(8));
    assert_eq!(read(Cursor::new(&text), &Options::default(), &mut |_| {}).unwrap().format, Format::Adblock);
}

#[test]
fn a_stray_rule_does_not_make_a_plain_list_an_adblock_list() {
    let text = format!("{}||evil.example^\n", "a.example\n".repeat(100));
    let report = read(Cursor::new(&text), &Options::default(), &mut |_| {}).unwrap();
    assert_eq!((report.format, report.rejected), (Format::Plain, 1));
}

#[test]
fn a_rule_that_switches_off_another_takes_out_nothing() {
    let text = "0.0.0.0 evil.example\n||evil.example^$badfilter\n@@||x.example^$third-party,badfilter\n";
    assert_eq!(entries(Format::Adblock, text), ["evil.example Exact"]);
    assert_eq!(reasons(Format::Adblock, text), [Reason::AdblockBadfilter; 2]);
}

#[test]
fn an_open_parenthesis_costs_its_own_line_only() {
    let mut zone = String::from("first.example ( CNAME .\n");
    for number in 0..100 {
        writeln!(zone, "n{number}.example CNAME .").unwrap();
    }
    assert_eq!(entries(Format::Rpz, &zone).len(), 100);
    assert_eq!(reasons(Format::Rpz, &zone), [Reason::RpzParentheses]);
    let closing = "a.example CNAME .\n ) \nb.example CNAME .\n";
    assert_eq!(entries(Format::Rpz, closing).len(), 2);
    assert_eq!(reasons(Format::Rpz, closing), [Reason::RpzParentheses]);
}

#[test]
fn a_zone_named_by_its_soa_has_relative_and_absolute_owners() {
    let zone = "rpz.example. IN SOA a. b. 1 2 3 4 5\nevil.example CNAME .\nx.example.rpz.example. CNAME .\n";
    assert_eq!(entries(Format::Rpz, zone), ["evil.example Exact", "x.example Exact"]);
}

#[test]
fn a_zone_in_one_of_the_root_has_owners_with_its_name() {
    let zone = "$ORIGIN .\nrpz.example IN SOA a. b. 1 2 3 4 5\nevil.example.rpz.example CNAME .\n";
    assert_eq!(entries(Format::Rpz, zone), ["evil.example Exact"]);
}

#[test]
fn further_records_of_a_trigger_add_no_entry() {
    let zone = "x.example A 192.0.2.1\n AAAA 2001:db8::1\nx.example MX 1 mail.example.\n";
    assert_eq!(entries(Format::Rpz, zone), ["x.example Exact"]);
}

#[test]
fn a_trigger_that_only_asks_for_tcp_lists_nothing() {
    let zone = "*.slow.example CNAME RPZ-TCP-Only.\nslow.example CNAME rpz-tcp-only\n";
    assert_eq!(entries(Format::Rpz, zone), [""; 0]);
    assert_eq!(reasons(Format::Rpz, zone), [Reason::RpzTcpOnly; 2]);
}

#[test]
fn line_numbers_are_those_of_the_file_in_every_format() {
    for (format, line) in [
        (Format::Plain, "evil.example"),
        (Format::Hosts, "0.0.0.0 evil.example"),
        (Format::Adblock, "||evil.example^"),
        (Format::Dnsmasq, "local=/evil.example/"),
        (Format::Rpz, "evil.example CNAME ."),
    ] {
        let text = format!("\u{feff}\r\n\r\n{line}\r\n");
        let mut seen = Vec::new();
        let options = Options { format, ..Options::default() };
        read(Cursor::new(text), &options, &mut |entry| seen.push(entry.line)).unwrap();
        assert_eq!(seen, [3], "{format}");
    }
}

#[test]
fn a_line_is_shown_as_it_stands_in_the_feed() {
    let text = "a.example\r\n  ||evil.example^  \r\nesc\u{1b}[0m\n";
    assert_eq!(line(Cursor::new(text), 2).unwrap().as_deref(), Some("||evil.example^"));
    assert_eq!(line(Cursor::new(text), 3).unwrap().as_deref(), Some("esc\\u{1b}[0m"));
    assert_eq!(line(Cursor::new(text), 4).unwrap(), None);
}

proptest::proptest! {
    /// Whatever the bytes: no panic, entries are normal names, and the report adds up.
    #[test]
    fn any_bytes_are_read_in_every_format(
        text in "([a-zA-Z0-9.*|@^$/=#!;()\" \\t\r\n-]|CNAME|SOA|\\$ORIGIN|address=/|0\\.0\\.0\\.0 |\\PC){0,200}",
        junk in proptest::collection::vec(proptest::num::u8::ANY, 0..40),
    ) {
        let mut bytes = text.into_bytes();
        bytes.extend(junk);
        for format in Format::ALL {
            let options = Options { format, ..Options::default() };
            // JSON counts elements.
            let lines = bytes.split(|byte| *byte == b'\n' || (format == Format::Json && *byte == b',')).count();
            let mut count = 0;
            let outcome = read(Cursor::new(&bytes), &options, &mut |entry| {
                count += 1;
                let again = crate::name::normalize(entry.name, &mut String::new()).map(str::to_owned);
                assert_eq!(again.as_deref(), Ok(entry.name));
                assert!(entry.line >= 1 && entry.line as usize <= lines);
            });
            let report = outcome.unwrap_or_else(|error| *error.report);
            proptest::prop_assert_eq!(report.entries, count);
            let by_reason: u64 = report.rejected_by_reason.iter().map(|(_, count)| count).sum();
            proptest::prop_assert_eq!(report.rejected, by_reason);
            proptest::prop_assert!(report.rejected_lines.iter().all(|line| line.line >= 1));
        }
    }
}
