//! What a parser does with a line: offer a name, ignore it, reject it; here it is normalised, guarded and counted.

use super::reason::Reason;
use super::report::FeedReport;
use super::{Format, Options, Urls, guard};
use crate::entry::{Entry, Scope, Verdict};
use crate::name;

/// Where every line's outcome goes.
pub(super) struct Intake<'i> {
    report: FeedReport,
    options: &'i Options,
    each: &'i mut dyn FnMut(Entry<'_>),
    name: String,
}

/// The line that is being parsed.
pub(super) struct Line<'l, 'i> {
    intake: &'l mut Intake<'i>,
    number: u32,
    text: &'l str,
}

/// Whether the list itself says that an entry covers more than its own name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// The format's syntax says so for this name: `||x^`, `*.x`, `local=/x/`.
    Written,
    /// Only the feed's setting does.
    Assumed,
}

impl<'i> Intake<'i> {
    pub(super) fn new(report: FeedReport, options: &'i Options, each: &'i mut dyn FnMut(Entry<'_>)) -> Self {
        Self { report, options, each, name: String::with_capacity(name::NAME_BYTES_MAX) }
    }

    pub(super) fn format(&self) -> Format {
        self.report.format
    }

    pub(super) fn entries_max(&self) -> u64 {
        self.options.entries_max
    }

    /// Whether the feed has more entries than allowed.
    pub(super) fn is_full(&self) -> bool {
        self.report.entries > self.options.entries_max
    }

    pub(super) fn count_line(&mut self, bytes: usize) {
        self.report.lines += 1;
        self.report.bytes += bytes as u64;
    }

    /// The line that what follows is about; `text` is what a report shows of it.
    pub(super) fn at<'l>(&'l mut self, number: u32, text: &'l str) -> Line<'l, 'i> {
        Line { intake: self, number, text }
    }

    pub(super) fn finish(self) -> FeedReport {
        self.report
    }
}

impl<'i> Line<'_, 'i> {
    /// Its number, from 1.
    pub(super) fn number(&self) -> u32 {
        self.number
    }

    /// What a name alone lists.
    pub(super) fn matching(&self) -> Scope {
        self.intake.options.matching
    }

    /// What a URL is taken for.
    pub(super) fn urls(&self) -> Urls {
        self.intake.options.urls
    }

    /// Another line of the same feed, for what only this one decides.
    pub(super) fn showing<'m>(&'m mut self, number: u32, text: &'m str) -> Line<'m, 'i> {
        Line { intake: self.intake, number, text }
    }

    /// Takes a name as the list wrote it.
    pub(super) fn offer(&mut self, text: &str, scope: Scope, verdict: Verdict, reach: Reach) {
        let Intake { report, options, each, name } = &mut *self.intake;
        let name = match name::normalize(text, name) {
            Ok(name) => name,
            Err(error) => return report.reject(self.number, self.text, Reason::Name(error)),
        };
        // Narrowed, an exception would leave alerts that its author took out.
        let guarded = options.guard && verdict == Verdict::Listed;
        let kept = if guarded { guard::scope(name, scope, reach) } else { scope };
        if kept != scope {
            report.guard(self.number, name, scope);
        }
        report.entries += 1;
        report.excepted += u64::from(verdict == Verdict::Excepted);
        each(Entry { name, scope: kept, verdict, line: self.number });
    }

    /// The line, or one item of it, says nothing about names and is right to.
    pub(super) fn ignore(&mut self) {
        self.intake.report.ignored += 1;
    }

    /// The line, or one item of it, is not understood or asks for more than a listing.
    pub(super) fn reject(&mut self, reason: Reason) {
        self.intake.report.reject(self.number, self.text, reason);
    }
}
