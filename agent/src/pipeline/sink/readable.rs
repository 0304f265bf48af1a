//! One line for a person: when, how bad, who, what was asked and answered, why it is listed. Columns line up; the name
//! is never cut.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use namewarden_protocol::document::{Action, Dns, Document};

use crate::pipeline::printable::printable;

const DIM: Style = Style::new().dimmed();
const BOLD: Style = Style::new().bold();
const WORKLOAD: Style = AnsiColor::Cyan.on_default();
const LISTED: Style = AnsiColor::Yellow.on_default();

const WORKLOAD_WIDTH: usize = 20;
/// The kernel keeps 15 bytes of a process's name.
const PROCESS_WIDTH: usize = 15;
const NAME_WIDTH: usize = 30;
const ANSWER_WIDTH: usize = 15;

/// The line of a document, without its end.
pub(super) fn line(document: &Document, colour: bool) -> String {
    let mut line = Line { text: String::new(), colour };
    line.part(DIM, &clock(document));
    match document.event.action {
        Action::ListedName => listed(&mut line, document),
        Action::DnsLog => log(&mut line, document),
        Action::LimitReached | Action::Unlogged | Action::CaptureGap => {
            line.part(BOLD, &pad("note", 8));
            line.part(Style::new(), &printable(&document.message));
        }
    }
    line.text.truncate(line.text.trim_end().len());
    line.text
}

/// Severity, workload, process, name, answer, listing.
fn listed(line: &mut Line, document: &Document) {
    let (word, style) = severity(document.event.severity.unwrap_or_default());
    line.part(style, &pad(word, 8));
    who(line, document);
    line.part(BOLD, &pad(&names(document), NAME_WIDTH));
    let repeats = document.namewarden.count.filter(|_| document.event.id.contains('-'));
    let answer = match (repeats, &document.dns) {
        (Some(count), _) if count > 0 => format!("{count} times more"),
        (_, Some(dns)) => answer(dns),
        (_, None) => String::new(),
    };
    line.part(Style::new(), &pad(&answer, ANSWER_WIDTH));
    if let Some(threat) = &document.threat {
        line.part(LISTED, &printable(&threat.indicator.name));
        line.part(DIM, &printable(&format!("({})", threat.feed.name.join(", "))));
    }
}

/// Workload, process, question, answer, latency.
fn log(line: &mut Line, document: &Document) {
    line.part(DIM, &pad("dns", 8));
    who(line, document);
    let kind =
        document.dns.as_ref().and_then(|dns| dns.question.as_ref()).map_or("", |question| &question.kind);
    line.part(Style::new(), &pad(&format!("{} {kind}", names(document)), NAME_WIDTH));
    line.part(Style::new(), &pad(&document.dns.as_ref().map(answer).unwrap_or_default(), ANSWER_WIDTH));
    if let Some(count) = document.namewarden.count.filter(|count| *count > 1) {
        line.part(DIM, &format!("{count} times"));
    }
    let latency = document.namewarden.latency.map(|latency| latency.mean).or(document.event.duration);
    if let Some(latency) = latency {
        line.part(DIM, &format!("{}.{:03} ms", latency / 1_000_000, latency / 1_000 % 1_000));
    }
}

fn who(line: &mut Line, document: &Document) {
    line.part(WORKLOAD, &pad(&cut(&workload(document), WORKLOAD_WIDTH), WORKLOAD_WIDTH));
    let name = document
        .process
        .as_ref()
        .and_then(|process| process.name.clone().or_else(|| process.thread.as_ref()?.name.clone()));
    line.part(Style::new(), &pad(&printable(name.as_deref().unwrap_or("-")), PROCESS_WIDTH));
}

/// Container's short id, pod's UID, unit, or the client's address.
fn workload(document: &Document) -> String {
    let container = document.container.as_ref().map(|container| container.id.chars().take(12).collect());
    let pod = || Some(document.kubernetes.as_ref()?.pod.uid.clone());
    let unit = || Some(document.service.as_ref()?.name.clone());
    let host = || {
        document.namewarden.cgroup.as_deref().map(|path| if path == "/" { "host" } else { path }.to_owned())
    };
    let address = || Some(document.client?.ip.to_string());
    let workload: Option<String> = container.or_else(pod).or_else(unit).or_else(host).or_else(address);
    printable(workload.as_deref().unwrap_or("-"))
}

/// The name asked for, and the one that matched where it is another.
fn names(document: &Document) -> String {
    let asked =
        document.dns.as_ref().and_then(|dns| dns.question.as_ref()).map_or("", |question| &question.name);
    let matched = document.threat.as_ref().and_then(|threat| threat.enrichments.first());
    match matched.map(|enrichment| enrichment.matched.atomic.as_str()) {
        Some(matched) if matched != asked => printable(&format!("{asked} > {matched}")),
        _ => printable(asked),
    }
}

/// First address and how many more, or the response code.
fn answer(dns: &Dns) -> String {
    match (&dns.response_code, dns.resolved_ip.as_slice()) {
        (None, _) => "no answer".to_owned(),
        (Some(_), [only]) => only.to_string(),
        (Some(_), [first, more @ ..]) => format!("{first} +{}", more.len()),
        (Some(code), []) if code == "NOERROR" && dns.answers.is_empty() => "no data".to_owned(),
        (Some(code), []) => printable(code),
    }
}

/// As the reference's user interface cuts the range.
fn severity(severity: u8) -> (&'static str, Style) {
    match severity {
        90.. => ("critical", AnsiColor::BrightRed.on_default().bold()),
        70..=89 => ("high", AnsiColor::Red.on_default()),
        40..=69 => ("medium", AnsiColor::Yellow.on_default()),
        _ => ("low", AnsiColor::Blue.on_default()),
    }
}

/// `15:04:05.678`, UTC.
fn clock(document: &Document) -> String {
    document.timestamp.to_string().chars().skip(11).take(12).collect()
}

fn pad(text: &str, width: usize) -> String {
    format!("{text:width$}")
}

/// Cuts the middle out of what is too long.
fn cut(text: &str, width: usize) -> String {
    let length = text.chars().count();
    if length <= width {
        return text.to_owned();
    }
    let (head, tail) = (width / 2, width - width / 2 - 1);
    text.chars().take(head).chain(['…']).chain(text.chars().skip(length - tail)).collect()
}

struct Line {
    text: String,
    colour: bool,
}

impl Line {
    /// Adds a column and two blanks; what pads it is not coloured.
    fn part(&mut self, style: Style, text: &str) {
        let word = text.trim_end();
        let blanks = text.len() - word.len() + 2;
        // Writing to a string cannot fail.
        let _ = if self.colour && style != Style::new() {
            write!(self.text, "{style}{word}{style:#}{:blanks$}", "")
        } else {
            write!(self.text, "{word}{:blanks$}", "")
        };
    }
}
