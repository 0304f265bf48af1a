//! What `lookup` says of one name: a JSON object for a program, a few lines for a person.

use std::fmt::{self, Display, Formatter};

use anstyle::{AnsiColor, Style};
use namewarden_protocol::entry::Scope;
use serde::Serialize;

/// One name's answer.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// As typed.
    pub asked: String,
    /// Its normal form; missing where it is no name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whether traffic with it raises alerts.
    pub listed: bool,
    /// Whether a feed could not be used, so that "not listed" may be wrong.
    pub incomplete: bool,
    /// The entry that lists it: the name itself or one above.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entry: Option<String>,
    /// Whether the entry is the name itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exact: Option<bool>,
    /// Every feed that has the entry, with its line.
    pub listings: Vec<Citation>,
    /// What takes the name out of a feed, or out of all.
    pub excepted: Vec<Exception>,
    /// Why it is no name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A line of a feed.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Citation {
    /// Name of the feed.
    pub feed: String,
    /// Whether it is an allow list of the operator's.
    pub allow_list: bool,
    /// Path or URL, without credentials.
    pub location: String,
    /// Which names the line speaks of.
    pub scope: Scope,
    /// Its number, from 1.
    pub line: u32,
    /// Its text, bounded and escaped.
    pub text: Option<String>,
}

/// A line that takes a name out.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Exception {
    /// The name on that line, in normal form.
    pub entry: String,
    /// The line.
    #[serde(flatten)]
    pub citation: Citation,
}

impl Answer {
    /// For what is no name.
    pub fn error(asked: &str, error: String) -> Self {
        Self {
            asked: asked.to_owned(),
            name: None,
            listed: false,
            incomplete: false,
            entry: None,
            exact: None,
            listings: Vec::new(),
            excepted: Vec::new(),
            error: Some(error),
        }
    }
}

const LISTED: Style = AnsiColor::Red.on_default().bold();
const CLEAR: Style = AnsiColor::Green.on_default();
const FAINT: Style = Style::new().dimmed();

impl Display for Answer {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Some(name) = &self.name else {
            let reason = self.error.as_deref().unwrap_or_default();
            return writeln!(f, "{:?} is no domain name: {reason}", self.asked);
        };
        if let Some(entry) = &self.entry {
            writeln!(f, "{name} {LISTED}is listed{LISTED:#} as {entry}")?;
        } else if self.incomplete {
            writeln!(f, "{name} is not listed by the feeds that could be used")?;
        } else {
            writeln!(f, "{name} {CLEAR}is not listed{CLEAR:#}")?;
        }
        for listing in &self.listings {
            writeln!(f, "  by {listing}")?;
        }
        for exception in &self.excepted {
            let word = if exception.citation.allow_list { "allowed by" } else { "excepted in" };
            writeln!(f, "  {word} {}", exception.citation)?;
        }
        Ok(())
    }
}

impl Display for Citation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let kind = if self.allow_list { "allow list" } else { "feed" };
        write!(f, "{kind} {}, line {} ({})", self.feed, self.line, words(self.scope))?;
        if let Some(text) = &self.text {
            write!(f, ": {text}")?;
        }
        write!(f, "  {FAINT}{}{FAINT:#}", self.location)
    }
}

fn words(scope: Scope) -> &'static str {
    match scope {
        Scope::Exact => "this name only",
        Scope::Subdomains => "the names below it",
        Scope::Both => "the name and all below it",
    }
}
