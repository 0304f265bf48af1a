//! Response policy zones (draft-vixie-dnsop-dns-rpz): a zone file whose owner names are triggers.
//!
//! `x CNAME .` lists `x` alone, `*.x CNAME .` the names below; whatever else a record makes of the name (NODATA, drop,
//! a redirect, local data) lists it too; `rpz-passthru.` excepts it. `rpz-tcp-only.` and triggers on addresses and name
//! servers are rejected with the reason. Owners may be relative, absolute or left out; records may span lines in
//! parentheses.

// One record -> owner, type, first word of its data.
mod record;

// The zone's names: `$ORIGIN`, apex, owner -> trigger.
mod zone;

use super::intake::{Line, Reach};
use super::reason::Reason;
use crate::entry::{Scope, Verdict};
use record::Record;
use zone::Zone;

/// The longest record in parentheses, in lines: an SOA takes 6; a stray parenthesis must not swallow the list.
const GROUP_LINES_MAX: u32 = 32;

/// What is remembered from line to line.
pub(super) struct Rpz {
    zone: Zone,
    /// The trigger of the last record and what was made of it: further records of it (AAAA after A) add nothing.
    last: Option<(String, Verdict)>,
    /// A record whose parentheses are still open.
    open: Option<Group>,
}

/// The lines of a record in parentheses, without the parentheses.
struct Group {
    text: String,
    number: u32,
    lines: u32,
}

impl Rpz {
    pub(super) fn new() -> Self {
        Self { zone: Zone::default(), last: None, open: None }
    }

    pub(super) fn line(&mut self, text: &str, line: &mut Line<'_, '_>) {
        let balance = record::strip_comment(text);
        match (self.open.take(), balance.depth) {
            (None, 0) => self.record(balance.text, line),
            (None, depth) if depth > 0 => {
                self.open = Some(Group { text: balance.text.to_owned(), number: line.number(), lines: 1 });
            }
            (None, _) => line.reject(Reason::RpzParentheses),
            (Some(group), depth) => self.go_on(group, balance.text, depth, line),
        }
    }

    /// A line inside parentheses.
    fn go_on(&mut self, mut group: Group, text: &str, depth: i32, line: &mut Line<'_, '_>) {
        group.lines += 1;
        if depth < 0 {
            group.text.push(' ');
            group.text.push_str(text);
            let first = group.text.lines().next().unwrap_or_default();
            self.record(&group.text, &mut line.showing(group.number, first));
        } else if group.lines >= GROUP_LINES_MAX || depth > 0 {
            self.give_up(&group, line);
            // This line is read as if the group had never been opened.
            self.line(text, line);
        } else {
            group.text.push('\n');
            group.text.push_str(text);
            self.open = Some(group);
        }
    }

    /// At the end of the zone: a group still open was no group.
    pub(super) fn finish(&mut self, line: &mut Line<'_, '_>) {
        if let Some(group) = self.open.take() {
            self.give_up(&group, line);
        }
    }

    /// Rejects the line that opened a group without an end and reads the lines after it on their own.
    fn give_up(&mut self, group: &Group, line: &mut Line<'_, '_>) {
        for (text, number) in group.text.split('\n').zip(group.number..) {
            if number == group.number {
                line.showing(number, text).reject(Reason::RpzParentheses);
            } else {
                self.record(text, &mut line.showing(number, text));
            }
        }
    }

    /// One whole record or directive.
    fn record(&mut self, text: &str, line: &mut Line<'_, '_>) {
        if text.trim().is_empty() {
            return;
        }
        if text.starts_with('$') {
            match self.zone.directive(text) {
                Ok(()) => line.ignore(),
                Err(reason) => line.reject(reason),
            }
            return;
        }
        let Some(record) = Record::parse(text) else {
            return line.reject(Reason::RpzRecord);
        };
        if let Some(owner) = record.owner {
            self.zone.set_owner(owner, record.kind);
        }
        if record.is_infrastructure() || self.zone.is_apex() {
            return line.ignore();
        }
        match self.zone.trigger() {
            Ok(trigger) => take(&mut self.last, trigger, &record, line),
            Err(reason) => line.reject(reason),
        }
    }
}

/// Lists or excepts what a trigger names.
fn take(last: &mut Option<(String, Verdict)>, trigger: &str, record: &Record<'_>, line: &mut Line<'_, '_>) {
    if let Some(reason) = foreign_trigger(trigger) {
        return line.reject(reason);
    }
    let Some(verdict) = verdict(trigger, record) else {
        return line.reject(Reason::RpzTcpOnly);
    };
    if last.as_ref().is_some_and(|(name, same)| name == trigger && *same == verdict) {
        return line.ignore();
    }
    let known = last.get_or_insert_with(|| (String::new(), verdict));
    known.0.clear();
    known.0.push_str(trigger);
    known.1 = verdict;
    let (name, scope) = match trigger.strip_prefix("*.") {
        Some(name) => (name, Scope::Subdomains),
        None => (trigger, Scope::Exact),
    };
    line.offer(name, scope, verdict, Reach::Written);
}

/// Passthru, in its own spelling or the older one (a CNAME to itself), excepts; everything else lists, but for
/// `rpz-tcp-only`, which keeps nobody from the name.
fn verdict(trigger: &str, record: &Record<'_>) -> Option<Verdict> {
    let target = record.data.strip_suffix('.').unwrap_or(record.data);
    let is = |action: &str| target.eq_ignore_ascii_case(action);
    if !record.kind.eq_ignore_ascii_case("CNAME") {
        return Some(Verdict::Listed);
    }
    if is("rpz-tcp-only") {
        return None;
    }
    Some(if is("rpz-passthru") || is(trigger) { Verdict::Excepted } else { Verdict::Listed })
}

/// Triggers that are no question: the answer's address, the client's, a name server's.
fn foreign_trigger(trigger: &str) -> Option<Reason> {
    let last = trigger.rsplit('.').next()?;
    let known = ["rpz-ip", "rpz-client-ip", "rpz-nsdname", "rpz-nsip"];
    known.iter().any(|kind| last.eq_ignore_ascii_case(kind)).then_some(Reason::RpzTrigger)
}
