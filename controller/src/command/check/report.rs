//! What `check` says of one feed or one list: for people, and as JSON.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::time::Duration;

use namewarden_protocol::entry::{Scope, Verdict};
use namewarden_protocol::feed::FeedReport;
use serde::Serialize;

use crate::feed::definition::{Definition, HeaderValue};
use crate::feed::period::period_text;
use crate::feed::resource::RejectedLine;

/// Rejected and guarded lines shown.
const LINES_MAX: usize = 10;

/// One feed or one list.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum Report {
    /// A resource of a manifest.
    Feed(Box<FeedPart>),
    /// A list.
    List(Box<ListPart>),
    /// A file that holds neither.
    Nothing {
        /// The file.
        file: String,
        /// What it is.
        note: &'static str,
    },
}

/// Something to be said of what is valid in itself.
#[derive(Debug)]
pub enum Warning {
    /// The controller will not do as it says.
    Refusal(String),
    /// A person should know.
    Note(String),
}

/// A resource of a manifest.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FeedPart {
    file: String,
    /// Missing where it is the whole file, or a document without a name.
    name: Option<String>,
    #[serde(skip)]
    is_document: bool,
    /// Why it is refused; empty where it is not.
    refused: Vec<String>,
    /// Why it contributes nothing though it is valid.
    unsupported: Option<String>,
    /// Why it will have no list though it is valid.
    problems: Vec<String>,
    notes: Vec<String>,
    enabled: bool,
    location: String,
    period_seconds: Option<u64>,
    format: String,
    severity: u8,
    techniques: Vec<String>,
    /// Names of headers, and where a value is read from.
    headers: Vec<String>,
}

/// A list.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ListPart {
    location: String,
    /// Why it is refused as a whole.
    refused: Option<String>,
    /// Where the list is one that the controller would not fetch.
    problems: Vec<String>,
    notes: Vec<String>,
    format: String,
    lines: u64,
    entries: u64,
    #[serde(flatten)]
    listed: Listed,
    ignored: u64,
    rejected: u64,
    rejected_by_reason: Vec<(String, u64)>,
    rejected_lines: Vec<RejectedLine>,
    guarded: u64,
    guarded_names: Vec<String>,
}

/// Entries by what they speak of.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Listed {
    /// Their own name.
    pub exact: u64,
    /// The names below.
    pub subdomains: u64,
    /// Both.
    pub both: u64,
    /// Exceptions.
    pub excepted: u64,
    /// The first entries.
    pub sample: Vec<Sample>,
}

/// An entry.
#[derive(Debug, Serialize)]
pub struct Sample {
    /// Its normal form.
    pub name: String,
    /// Which names it speaks of.
    pub scope: Scope,
    /// Listed or excepted.
    pub verdict: Verdict,
    /// Where it stands.
    pub line: u32,
}

impl Report {
    /// A resource that is valid.
    pub fn of_feed(file: &str, definition: &Definition) -> Self {
        let pull = definition.pull();
        let header = |(name, value): &(String, HeaderValue)| match value {
            HeaderValue::Text(_) => name.clone(),
            HeaderValue::From(reference) => format!("{name} from {reference}"),
        };
        Self::Feed(Box::new(FeedPart {
            file: file.to_owned(),
            name: Some(definition.name.clone()),
            is_document: true,
            unsupported: definition.unsupported.clone(),
            problems: Vec::new(),
            notes: Vec::new(),
            enabled: definition.enabled,
            location: definition.location(),
            period_seconds: pull.map(|pull| pull.period.as_secs()),
            format: definition
                .reading
                .format
                .names()
                .first()
                .copied()
                .unwrap_or("newlineDelimited")
                .to_owned(),
            severity: definition.info.severity,
            techniques: definition.info.techniques.to_vec(),
            headers: pull.map(|pull| pull.headers.iter().map(header).collect()).unwrap_or_default(),
            refused: Vec::new(),
        }))
    }

    /// A resource, or a file of them, that is not.
    pub fn refused_manifest(file: &str, name: Option<&str>, refused: Vec<String>) -> Self {
        Self::Feed(Box::new(FeedPart {
            file: file.to_owned(),
            name: name.map(str::to_owned),
            refused,
            ..FeedPart::default()
        }))
    }

    /// A document without a name; the others of its file count.
    pub fn refused_document(file: &str, reason: &str) -> Self {
        let refused = vec![reason.to_owned()];
        Self::Feed(Box::new(FeedPart {
            file: file.to_owned(),
            refused,
            is_document: true,
            ..FeedPart::default()
        }))
    }

    /// A list, read to its end or to where it was refused.
    pub fn of_list(location: &str, report: &FeedReport, listed: Listed, refused: Option<String>) -> Self {
        let by_reason = report.rejected_by_reason.iter();
        let rejected = report.rejected_lines.iter().take(LINES_MAX);
        Self::List(Box::new(ListPart {
            location: location.to_owned(),
            refused,
            problems: Vec::new(),
            notes: Vec::new(),
            format: report.format.to_string(),
            lines: report.lines,
            entries: report.entries,
            listed,
            ignored: report.ignored,
            rejected: report.rejected,
            rejected_by_reason: by_reason.map(|(reason, count)| (reason.to_string(), *count)).collect(),
            rejected_lines: rejected
                .map(|line| RejectedLine {
                    line: line.line.into(),
                    text: line.text.clone(),
                    reason: line.reason.to_string(),
                })
                .collect(),
            guarded: report.guarded,
            guarded_names: report
                .guarded_lines
                .iter()
                .take(LINES_MAX)
                .map(|line| line.name.clone())
                .collect(),
        }))
    }

    /// Whether nothing of it is refused.
    pub fn is_good(&self) -> bool {
        match self {
            Self::Feed(feed) => feed.refused.is_empty() && feed.problems.is_empty(),
            Self::List(list) => list.refused.is_none() && list.problems.is_empty(),
            Self::Nothing { .. } => true,
        }
    }

    /// Says more of it.
    pub fn warn(&mut self, warning: Option<Warning>) {
        let (problems, notes) = match self {
            Self::Feed(feed) => (&mut feed.problems, &mut feed.notes),
            Self::List(list) => (&mut list.problems, &mut list.notes),
            Self::Nothing { .. } => return,
        };
        match warning {
            Some(Warning::Refusal(text)) => problems.push(text),
            Some(Warning::Note(text)) => notes.push(text),
            None => {}
        }
    }
}

/// Says of each feed that stands there already that only one of them counts.
pub fn tell_of_doubles(reports: &mut [Report]) {
    let mut seen = BTreeMap::new();
    for report in reports {
        let Report::Feed(feed) = &*report else { continue };
        let Some(name) = feed.name.clone() else { continue };
        let file = feed.file.clone();
        match seen.entry(name) {
            Entry::Vacant(entry) => drop(entry.insert(file)),
            Entry::Occupied(entry) => report.warn(Some(Warning::Refusal(format!(
                "a feed of this name is defined in {} already: of a folder the first one counts, of an API server the one \
                 applied last; give one of them another name",
                entry.get()
            )))),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Feed(feed) => feed.fmt(to),
            Self::List(list) => list.fmt(to),
            Self::Nothing { file, note } => writeln!(to, "{file}: {note}"),
        }
    }
}

impl fmt::Display for FeedPart {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nameless = if self.is_document { "(a document)" } else { "(whole file)" };
        let name = self.name.as_deref().unwrap_or(nameless);
        if !self.refused.is_empty() {
            writeln!(to, "{}: {name}: refused", self.file)?;
            return self.refused.iter().try_for_each(|reason| writeln!(to, "  {reason}"));
        }
        let mode = if self.enabled { "enabled" } else { "disabled" };
        let verdict = match (&self.unsupported, self.problems.is_empty()) {
            (Some(_), _) => "accepted, but nothing is screened by it",
            (None, false) => "valid, but of no use as it is",
            (None, true) => "good",
        };
        writeln!(to, "{}: {name}: {verdict}, {mode}, from {}", self.file, self.location)?;
        self.problems.iter().chain(&self.notes).try_for_each(|text| writeln!(to, "  {text}"))?;
        if let Some(seconds) = self.period_seconds {
            writeln!(to, "  every {}, format {}", period_text(Duration::from_secs(seconds)), self.format)?;
        }
        writeln!(to, "  severity {}, techniques {}", self.severity, self.techniques.join(" "))?;
        self.headers.iter().try_for_each(|header| writeln!(to, "  header {header}"))?;
        self.unsupported.iter().try_for_each(|reason| writeln!(to, "  contributes nothing: {reason}"))
    }
}

impl fmt::Display for ListPart {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Listed { exact, subdomains, both, excepted, sample } = &self.listed;
        match &self.refused {
            Some(reason) => writeln!(to, "{}: refused: {reason}", self.location)?,
            None if self.problems.is_empty() => {
                writeln!(to, "{}: good, format {}", self.location, self.format)?;
            }
            None => {
                writeln!(to, "{}: out of the controller's reach, format {}", self.location, self.format)?;
            }
        }
        self.problems.iter().chain(&self.notes).try_for_each(|text| writeln!(to, "  {text}"))?;
        writeln!(to, "  {} entries of {} lines, {} ignored", self.entries, self.lines, self.ignored)?;
        writeln!(
            to,
            "  scopes: {both} name and below, {exact} name only, {subdomains} below only; {excepted} exceptions"
        )?;
        if self.guarded > 0 {
            let names = self.guarded_names.join(" ");
            writeln!(to, "  {} public suffixes, kept for their own name only: {names}", self.guarded)?;
        }
        if self.rejected > 0 {
            writeln!(to, "  {} rejected:", self.rejected)?;
        }
        for (reason, count) in &self.rejected_by_reason {
            writeln!(to, "    {count} x {reason}")?;
        }
        for line in &self.rejected_lines {
            writeln!(to, "    line {}: {}", line.line, line.text)?;
        }
        for entry in sample {
            let verdict = if entry.verdict == Verdict::Excepted { "excepted " } else { "" };
            let scope = match entry.scope {
                Scope::Exact => "name only",
                Scope::Subdomains => "below only",
                Scope::Both => "name and below",
            };
            writeln!(to, "  line {}: {verdict}{} ({scope})", entry.line, entry.name)?;
        }
        Ok(())
    }
}
