//! An event as one line: when, how bad, who, which name, which entry of which feed. As wide as the terminal; what is too long
//! is cut, a name at its beginning, for what it belongs to stands at its end.

use std::fmt::Write as _;

use jiff::{Timestamp, tz::TimeZone};
use namewarden_protocol::printable;

use super::event::Event;

/// Where no terminal says.
const WIDTH: usize = 110;
/// A narrower one may wrap.
const NARROWEST: usize = 70;
/// A narrower one has no column for the entry: it stands beside the feed, where the end of the name does not say it.
const NARROW: usize = 100;
const TIME: usize = 14;
const SEVERITY: usize = 4;
/// Two blanks between columns.
const GAP: &str = "  ";

/// The widths of the columns.
#[derive(Clone, Debug)]
pub struct Table {
    zone: TimeZone,
    workload: usize,
    name: usize,
    /// None in a narrow table.
    entry: Option<usize>,
    /// State, feed, repeats: not cut but by the end of the line.
    rest: usize,
}

impl Table {
    /// As wide as the terminal that standard output is, in this machine's time.
    pub fn of_terminal() -> Self {
        let size = rustix::termios::tcgetwinsize(std::io::stdout());
        let of_terminal = size.ok().map(|size| usize::from(size.ws_col));
        let told = || std::env::var("COLUMNS").ok()?.parse().ok();
        let width = of_terminal.or_else(told).filter(|columns| *columns > 0).unwrap_or(WIDTH);
        Self::new(width, TimeZone::system())
    }

    fn new(width: usize, zone: TimeZone) -> Self {
        let is_narrow = width < NARROW;
        let gaps = if is_narrow { 4 } else { 5 };
        let room = width.max(NARROWEST) - TIME - SEVERITY - gaps * GAP.len();
        let workload = room * 28 / 100;
        let name = room * if is_narrow { 38 } else { 32 } / 100;
        let entry = (!is_narrow).then_some(room * 20 / 100);
        Self { zone, workload, name, entry, rest: room - workload - name - entry.unwrap_or_default() }
    }

    /// The names of the columns.
    pub fn header(&self) -> String {
        let columns = [("TIME", TIME), ("SEV", SEVERITY), ("WORKLOAD", self.workload), ("NAME", self.name)];
        let entry = self.entry.map(|width| ("ENTRY", width));
        let columns = columns.into_iter().chain(entry);
        let columns: Vec<_> = columns.map(|(title, width)| format!("{title:width$}{GAP}")).collect();
        format!("{}FEED", columns.concat())
    }

    /// The line of an event, without its end.
    pub fn line(&self, event: &Event) -> String {
        let time = self.time(&event.text("@timestamp"));
        let severity = event.number("event.severity").map_or("", word);
        let workload = cut_end(&printable(&event.workload()), self.workload);
        let first = format!("{time:TIME$}{GAP}{severity:SEVERITY$}{GAP}{workload:0$}{GAP}", self.workload);
        let action = event.text("event.action");
        let line = if action == "listed-name" {
            let name = cut_start(&printable(&event.name()), self.name);
            let entry = printable(&event.text("threat.indicator.name"));
            let (column, within) = match self.entry {
                Some(width) => (format!("{:width$}{GAP}", cut_start(&entry, width)), String::new()),
                None if event.name().ends_with(&entry) => (String::new(), String::new()),
                None => (String::new(), format!("{entry} in ")),
            };
            let rest = cut_end(&format!("{}{within}{}", state(event), rest(event)), self.rest);
            format!("{first}{name:0$}{GAP}{column}{rest}", self.name)
        } else {
            let entry = self.entry.map_or(0, |width| width + GAP.len());
            let room = self.name + entry + self.rest + GAP.len();
            let message = format!("{}{}", state(event), printable(&event.text("message")));
            format!("{first}{}", cut_end(&message, room))
        };
        line.trim_end().to_owned()
    }

    fn time(&self, text: &str) -> String {
        let time = text.parse::<Timestamp>().ok();
        time.map_or_else(
            || "-".to_owned(),
            |time| time.to_zoned(self.zone.clone()).strftime("%m-%d %H:%M:%S").to_string(),
        )
    }
}

/// `dismissed `, where somebody said something of the group: before what may be cut.
fn state(event: &Event) -> String {
    let said = event.annotation.as_ref().filter(|said| said.state != "new");
    said.map(|said| printable(&said.state) + " ").unwrap_or_default()
}

/// `urlhaus +1 41 more`
fn rest(event: &Event) -> String {
    let feeds = event.texts("threat.feed.name");
    let mut rest = feeds.first().map(|feed| printable(feed)).unwrap_or_default();
    if feeds.len() > 1 {
        let _ = write!(rest, " +{}", feeds.len() - 1);
    }
    match event.number("namewarden.count") {
        Some(count) if event.is_repeat() => _ = write!(rest, " {count} more"),
        Some(count) if count > 1 => _ = write!(rest, " ×{count}"),
        _ => {}
    }
    rest
}

const fn word(severity: u64) -> &'static str {
    match severity {
        90.. => "crit",
        70..=89 => "high",
        40..=69 => "med",
        _ => "low",
    }
}

fn cut_end(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

fn cut_start(text: &str, width: usize) -> String {
    let length = text.chars().count();
    if length <= width {
        return text.to_owned();
    }
    std::iter::once('…').chain(text.chars().skip(length + 1 - width)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn event(document: Value) -> Event {
        Event { id: "1".to_owned(), annotation: None, document }
    }

    fn alert(name: &str) -> Event {
        event(
            json!({ "@timestamp": "2026-11-22T15:00:00.000000000Z", "event": { "action": "listed-name", "severity": 75 },
            "kubernetes": { "namespace": "shop", "pod": { "name": "cart-7d9f" } }, "dns": { "question": { "name": name } },
            "threat": { "indicator": { "name": "evil.example" }, "feed": { "name": ["urlhaus", "ours"] } },
            "namewarden": { "count": 42 } }),
        )
    }

    #[test]
    fn a_line_says_when_how_bad_who_and_what() {
        let table = Table::new(110, TimeZone::UTC);
        let lines = [table.header(), table.line(&alert("a.evil.example"))].join("\n");
        let expected = "\
TIME            SEV   WORKLOAD                NAME                        ENTRY             FEED
11-22 15:00:00  high  shop/cart-7d9f          a.evil.example              evil.example      urlhaus +1 ×42";
        assert_eq!(lines, expected);
    }

    #[test]
    fn a_narrow_line_leaves_out_what_the_end_of_the_name_says() {
        let table = Table::new(80, TimeZone::UTC);
        let lines =
            [table.header(), table.line(&alert("a.evil.example")), table.line(&alert("www.shop.example"))];
        let expected = "\
TIME            SEV   WORKLOAD         NAME                  FEED
11-22 15:00:00  high  shop/cart-7d9f   a.evil.example        urlhaus +1 ×42
11-22 15:00:00  high  shop/cart-7d9f   www.shop.example      evil.example in ur…";
        assert_eq!(lines.join("\n"), expected);
    }

    #[test]
    fn a_later_document_of_a_group_says_how_often_it_happened_again() {
        let mut again = alert("evil.example");
        again.document["event"]["id"] = "a-1".into();
        again.document["namewarden"] = json!({ "group": "a", "count": 1 });
        let line = Table::new(110, TimeZone::UTC).line(&again);
        assert!(line.ends_with("urlhaus +1 1 more"), "{line}");
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        let long = format!("{}.evil.example", "x".repeat(200));
        let flood = event(
            json!({ "event": { "action": "flood" }, "message": "y".repeat(300), "host": { "name": "z".repeat(99) } }),
        );
        for width in [70, 80, 110, 200] {
            let table = Table::new(width, TimeZone::UTC);
            for line in [table.header(), table.line(&alert(&long)), table.line(&flood)] {
                assert!(line.chars().count() <= width, "{width}: {line}");
            }
        }
        let line = Table::new(80, TimeZone::UTC).line(&alert(&long));
        assert!(line.contains("…") && line.contains("x.evil.example"), "{line}");
    }

    #[test]
    fn what_others_wrote_reaches_no_terminal_as_it_is() {
        let line = Table::new(200, TimeZone::UTC).line(&alert("a\u{1b}[2Jb\u{202e}"));
        assert!(line.contains("a\\u{1b}[2Jb\\u{202e}"), "{line}");
    }

    #[test]
    fn what_is_said_of_a_group_stands_before_the_feed() {
        let said = super::super::event::Annotation {
            state: "dismissed".to_owned(),
            by: "ann".to_owned(),
            reason: String::new(),
        };
        let line =
            Table::new(200, TimeZone::UTC).line(&Event { annotation: Some(said), ..alert("evil.example") });
        assert!(line.ends_with("  dismissed urlhaus +1 ×42"), "{line}");
    }
}
