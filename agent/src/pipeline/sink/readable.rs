//! One line for a person: when, how bad, who, what was asked and answered, which entry of which feed. Columns line up.
//!
//! `16:21:05  high  0f3a9c2d1b7e    curl        a.evil.example → NXDOMAIN  evil.example in urlhaus`
//!
//! A line is as wide as the terminal, and at most 110 columns, where that can be helped: a long name loses its beginning, for
//! what it belongs to stands at its end. A narrow terminal leaves no room for the process. The whole of it is in the JSON.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use jiff::tz::TimeZone;
use namewarden_protocol::document::{Action, Dns, Document, Threat};
use namewarden_protocol::printable;

const DIM: Style = Style::new().dimmed();
const BOLD: Style = Style::new().bold();
const PLAIN: Style = Style::new();
const WORKLOAD: Style = AnsiColor::Cyan.on_default();
const NOTE: Style = AnsiColor::Magenta.on_default();

/// Of a line that is not for a terminal, and of the longest on one.
const WIDTH: usize = 110;
/// On less the process is left out, and an entry that the name ends with.
const WIDE_FROM: usize = 100;
/// On less lines may wrap.
const NARROWEST: usize = 60;
const CLOCK_WIDTH: usize = 8;
const SEVERITY_WIDTH: usize = 4;
/// A container's short id, and two more.
const WORKLOAD_WIDTH: usize = 14;
const PROCESS_WIDTH: usize = 10;
/// An arrow, two blanks and ` in ` stand between name, answer, entry and feed.
const SEPARATORS: usize = 3 + 2 + 4;
/// What is too long is cut to this, then, where that is not enough, to less: name, answer, entry, feed.
const SHORT: [usize; 4] = [20, 12, 14, 10];
const SHORTEST: [usize; 4] = [14, 8, 8, 5];

/// Makes lines of documents.
#[derive(Clone, Debug)]
pub(super) struct Readable {
    zone: TimeZone,
    colour: bool,
    /// `None`: what the terminal has at that moment.
    width: Option<usize>,
}

impl Readable {
    /// Lines in the local time of this machine.
    pub(super) fn local(colour: bool) -> Self {
        Self { zone: TimeZone::system(), colour, width: None }
    }

    #[cfg(test)]
    pub(super) fn utc(colour: bool, width: usize) -> Self {
        Self { zone: TimeZone::UTC, colour, width: Some(width) }
    }

    /// The line of a document, without its end.
    pub(super) fn line(&self, document: &Document) -> String {
        let width = self.width.unwrap_or_else(terminal_width).clamp(NARROWEST, WIDTH);
        let mut line = Line { text: String::new(), colour: self.colour, width, taken: 0 };
        line.column(DIM, &self.clock(document), CLOCK_WIDTH);
        match (document.event.action, &document.threat) {
            (Action::DnsLog, _) => log(&mut line, document),
            (Action::ListedName, Some(threat)) => listed(&mut line, document, threat),
            _ => note(&mut line, document),
        }
        line.text
    }

    fn clock(&self, document: &Document) -> String {
        match jiff::Timestamp::from_nanosecond(i128::from(document.timestamp.0)) {
            Ok(time) => time.to_zoned(self.zone.clone()).strftime("%H:%M:%S").to_string(),
            // u64 nanoseconds end in 2554, within what the calendar holds.
            Err(_) => "--:--:--".to_owned(),
        }
    }
}

/// `high  0f3a9c2d1b7e    curl        a.evil.example → NXDOMAIN  evil.example in urlhaus +1`
fn listed(line: &mut Line, document: &Document, threat: &Threat) {
    let (word, style) = severity(document.event.severity.unwrap_or_default());
    line.column(style, word, SEVERITY_WIDTH);
    line.column(WORKLOAD, &workload(document), WORKLOAD_WIDTH);
    line.process(PLAIN, document);
    let matched = threat.enrichments.first().map(|enrichment| &enrichment.matched);
    let asked = document.dns.as_ref().and_then(|dns| dns.question.as_ref()).map(|asked| &*asked.name);
    // Of several questions the first is written down, and any may match.
    let asked =
        if matched.is_some_and(|matched| matched.field == "dns.question.name") { None } else { asked };
    let matched = matched.map(|matched| &*matched.atomic);
    let name = asked.or(matched).unwrap_or("?");
    let entry = &*threat.indicator.name;
    // A narrow line leaves out what the end of a name that stands there says.
    let is_said = name.ends_with(entry) || matched.is_some_and(|matched| matched.ends_with(entry));
    let is_plain = entry == name || (line.is_narrow() && is_said);
    let entry = if is_plain { "listed" } else { entry };
    let (feed, others) = match &*threat.feed.name {
        [] => ("?", String::new()),
        [one] => (&**one, String::new()),
        [first, rest @ ..] => (&**first, format!(" +{}", rest.len())),
    };
    let answer = outcome(document, name, matched);
    let parts = [printable(name), answer, printable(entry), printable(feed)];
    let [name, answer, entry, feed] = fit(&parts, line.room().saturating_sub(SEPARATORS + others.len()));
    line.part(BOLD, &name);
    line.part(DIM, " → ");
    line.part(PLAIN, &answer);
    line.part(PLAIN, "  ");
    line.part(PLAIN, &entry);
    line.part(DIM, " in ");
    line.part(PLAIN, &feed);
    line.part(DIM, &others);
}

/// What stands behind the arrow: repeats, the name of the answer that matched, or the answer.
fn outcome(document: &Document, name: &str, matched: Option<&str>) -> String {
    // A later document of a group.
    let repeats = document.namewarden.count.filter(|_| document.event.id.contains('-'));
    match (repeats, matched.filter(|matched| *matched != name), &document.dns) {
        (Some(1), _, _) => "once more".to_owned(),
        (Some(count), _, _) if count > 1 => format!("{count} times more"),
        (_, Some(matched), _) => printable(matched),
        (_, None, Some(dns)) => answer(dns),
        (_, None, None) => "no answer".to_owned(),
    }
}

/// `dns   0f3a9c2d1b7e    curl        A www.example.org → 192.0.2.7  12 times  1.2 ms`, all of it dim.
fn log(line: &mut Line, document: &Document) {
    line.column(DIM, "dns", SEVERITY_WIDTH);
    line.column(DIM, &workload(document), WORKLOAD_WIDTH);
    line.process(DIM, document);
    let dns = document.dns.as_ref();
    let question = dns.and_then(|dns| dns.question.as_ref());
    let kind = printable(question.map_or("?", |question| &question.kind));
    let mut rest = format!(" → {}", dns.map_or_else(|| "no answer".to_owned(), answer));
    if let Some(count) = document.namewarden.count.filter(|count| *count > 1) {
        let _ = write!(rest, "  {count} times");
    }
    let latency = document.namewarden.latency.map(|latency| latency.mean).or(document.event.duration);
    if let Some(latency) = latency {
        let _ = write!(rest, "  {}.{} ms", latency / 1_000_000, latency / 100_000 % 10);
    }
    let taken = kind.chars().count() + 1 + rest.chars().count();
    let name = tail(
        &printable(question.map_or("?", |question| &question.name)),
        line.room().saturating_sub(taken).max(20),
    );
    line.part(DIM, &format!("{kind} {name}{rest}"));
}

/// `note  nothing was captured from ...`: the sentence says of whom.
fn note(line: &mut Line, document: &Document) {
    line.column(NOTE, "note", SEVERITY_WIDTH);
    line.part(PLAIN, &printable(&document.message));
}

/// Pod or owner by its names, container's short id, pod, unit, the host, or the client's address.
fn workload(document: &Document) -> String {
    let names = document.kubernetes.as_ref().and_then(|known| {
        let name = match (&known.pod, &known.owner) {
            (Some(pod), _) => pod.name.as_ref()?,
            (None, owner) => &owner.as_ref()?.name,
        };
        Some(format!("{}/{name}", known.namespace.as_ref()?))
    });
    let container = document.container.as_ref().map(|container| container.id.chars().take(12).collect());
    let pod = || Some(format!("pod {}", document.kubernetes.as_ref()?.pod.as_ref()?.uid.get(..8)?));
    let unit = || {
        let name = &*document.service.as_ref()?.name;
        Some(name.strip_suffix(".service").unwrap_or(name).to_owned())
    };
    let host = || {
        document.namewarden.cgroup.as_deref().map(|path| if path == "/" { "host" } else { path }.to_owned())
    };
    let address = || Some(document.client?.ip.to_string());
    let workload: Option<String> =
        names.or(container).or_else(pod).or_else(unit).or_else(host).or_else(address);
    printable(workload.as_deref().unwrap_or("-"))
}

fn process(document: &Document) -> String {
    let process = document.process.as_ref();
    let name = process.and_then(|process| process.name.as_ref().or(process.thread.as_ref()?.name.as_ref()));
    printable(name.map_or("-", |name| name))
}

/// First address and how many more, the last record, or the response code.
fn answer(dns: &Dns) -> String {
    match (&dns.response_code, &*dns.resolved_ip, dns.answers.last()) {
        (None, ..) => "no answer".to_owned(),
        (Some(_), [only], _) => only.to_string(),
        (Some(_), [first, more @ ..], _) => format!("{first} +{}", more.len()),
        (Some(code), [], None) if code == "NOERROR" => "no data".to_owned(),
        (Some(code), [], Some(last)) if code == "NOERROR" => {
            head(&printable(last.data.all().last().map_or("", |data| data)), 40)
        }
        (Some(code), [], _) => printable(code),
    }
}

/// As CVSS parts its scale.
fn severity(severity: u8) -> (&'static str, Style) {
    match severity {
        90.. => ("crit", AnsiColor::BrightRed.on_default().bold()),
        70..=89 => ("high", AnsiColor::Red.on_default()),
        40..=69 => ("med", AnsiColor::Yellow.on_default()),
        _ => ("low", AnsiColor::Blue.on_default()),
    }
}

/// Shortens until all fit: the name first, then the feed, the entry, the answer.
fn fit(parts: &[String; 4], room: usize) -> [String; 4] {
    let [mut name, mut answer, mut entry, mut feed] = parts.each_ref().map(|part| part.chars().count());
    let mut excess = (name + answer + entry + feed).saturating_sub(room);
    for [a, b, c, d] in [SHORT, SHORTEST] {
        for (length, shortest) in [(&mut name, a), (&mut feed, d), (&mut entry, c), (&mut answer, b)] {
            let less = excess.min(length.saturating_sub(shortest));
            excess -= less;
            *length -= less;
        }
    }
    let [name_text, answer_text, entry_text, feed_text] = parts;
    [tail(name_text, name), tail(answer_text, answer), tail(entry_text, entry), head(feed_text, feed)]
}

/// The beginning of what is too long.
fn head(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

/// The end of what is too long.
fn tail(text: &str, width: usize) -> String {
    let length = text.chars().count();
    if length <= width {
        return text.to_owned();
    }
    std::iter::once('…').chain(text.chars().skip(length + 1 - width.max(1))).collect()
}

/// Columns of the terminal that standard output is; of the one that it will be shown on, where `COLUMNS` says so; else those
/// of a wide one.
fn terminal_width() -> usize {
    let size = rustix::termios::tcgetwinsize(std::io::stdout());
    let of_terminal = size.ok().map(|size| usize::from(size.ws_col));
    let told = || std::env::var("COLUMNS").ok()?.parse().ok();
    of_terminal.or_else(told).filter(|columns| *columns > 0).unwrap_or(WIDTH)
}

struct Line {
    text: String,
    colour: bool,
    width: usize,
    /// Columns that are used.
    taken: usize,
}

impl Line {
    /// Columns that are left.
    fn room(&self) -> usize {
        self.width.saturating_sub(self.taken)
    }

    fn is_narrow(&self) -> bool {
        self.width < WIDE_FROM
    }

    /// Adds the process's column, where there is room for one.
    fn process(&mut self, style: Style, document: &Document) {
        if !self.is_narrow() {
            self.column(style, &process(document), PROCESS_WIDTH);
        }
    }

    /// Adds a column and two blanks; what pads it is not coloured.
    fn column(&mut self, style: Style, text: &str, width: usize) {
        let word = head(text, width);
        let blanks = width - word.chars().count() + 2;
        self.part(style, &word);
        self.part(PLAIN, &" ".repeat(blanks));
    }

    fn part(&mut self, style: Style, text: &str) {
        self.taken += text.chars().count();
        // Writing to a string cannot fail.
        let _ = if self.colour && style != PLAIN && !text.is_empty() {
            write!(self.text, "{style}{text}{style:#}")
        } else {
            write!(self.text, "{text}")
        };
    }
}
