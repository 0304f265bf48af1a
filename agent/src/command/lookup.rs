//! `lookup NAME...`: whether names are listed, by which feed, entry, line and scope, and what excepts them.
//!
//! The answer is the threat set's own, built from the feeds as `run` builds it. Names are only compared, never
//! resolved. Exit status: 0 when at least one of the names is listed, 1 when none is, 2 when that cannot be said: a
//! name is none, or a feed could not be used and no name is listed without it.
//! Several names are several answers: a script that needs each one reads `--json`.

// What is said of a name, for a person and for a program.
mod answer;

use std::collections::HashMap;
use std::io::Write;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use namewarden_protocol::entry::{Entry, Scope, Verdict};
use namewarden_protocol::name::{self, NameError};

use crate::args::FeedArgs;
use crate::settings::SourceSettings;
use crate::threat_source::{FeedStatus, Loaded, Purpose, ThreatSource};
use answer::{Answer, Citation, Exception};

/// Options of `lookup`.
#[derive(Clone, Debug, Args)]
pub struct LookupArgs {
    /// Names to look for, in Unicode or as A-labels.
    #[arg(required = true, value_name = "NAME")]
    pub names: Vec<String>,

    /// Print one JSON object for each name.
    #[arg(long)]
    pub json: bool,

    /// Which feeds are looked into.
    #[command(flatten, next_help_heading = "Feeds")]
    pub feeds: FeedArgs,
}

/// Looks the names up and prints what was found.
pub fn run(args: &LookupArgs) -> Result<ExitCode> {
    let SourceSettings { feeds, options } = SourceSettings::new(&args.feeds, None)?;
    if feeds.is_empty() {
        bail!("nothing to look into: give at least one --feed [NAME=]PATH|URL");
    }
    let mut source = ThreatSource::new(feeds, options)?;
    let asked: Vec<_> = args.names.iter().map(|text| Asked::new(text)).collect();
    let mut exceptions = Exceptions::new(&asked);
    let loaded = source.load_watching(&mut |feed, purpose, entry| exceptions.see(feed, purpose, entry))?;
    let incomplete = report_problems(&loaded.feeds);
    let mut output = anstream::stdout().lock();
    let mut outcome = Outcome { listed: false, failed: false };
    for (index, asked) in asked.iter().enumerate() {
        let answer = answer(asked, &loaded, &source, exceptions.of(index));
        outcome.listed |= answer.listed;
        outcome.failed |= answer.error.is_some();
        print(&answer, args.json, &mut output).context("cannot write to standard output")?;
    }
    Ok(outcome.exit_code(incomplete))
}

/// What all names together came to.
#[derive(Clone, Copy)]
struct Outcome {
    listed: bool,
    failed: bool,
}

impl Outcome {
    fn exit_code(self, incomplete: bool) -> ExitCode {
        if self.failed || (incomplete && !self.listed) {
            ExitCode::from(2)
        } else {
            ExitCode::from(u8::from(!self.listed))
        }
    }
}

/// Tells on standard error of feeds that could not be used, and whether there are any.
fn report_problems(feeds: &[FeedStatus]) -> bool {
    let mut problems = false;
    for feed in feeds.iter().filter(|feed| feed.problem.is_some()) {
        anstream::eprintln!("warning: {feed}");
        problems = true;
    }
    problems
}

fn print(answer: &Answer, json: bool, output: &mut impl Write) -> std::io::Result<()> {
    if json {
        serde_json::to_writer(&mut *output, answer)?;
        writeln!(output)
    } else {
        write!(output, "{answer}")
    }
}

/// What the set and the exceptions say of a name.
fn answer(asked: &Asked, loaded: &Loaded, source: &ThreatSource, excepted: &[Match]) -> Answer {
    let name = match &asked.name {
        Ok(name) => name,
        Err(error) => return Answer::error(&asked.text, error.to_string()),
    };
    let cite = |feed: usize, scope, line| {
        // A feed refused at its end was seen by then; nothing of it counts.
        let status = loaded.feeds.get(feed).filter(|status| status.problem.is_none())?;
        Some(Citation {
            feed: status.name.clone(),
            allow_list: status.allow_list,
            location: status.location.clone(),
            scope,
            line,
            text: source.line(feed, line),
        })
    };
    let position =
        |feed: &str| loaded.feeds.iter().position(|status| !status.allow_list && status.name == feed);
    let found = loaded.set.find(name);
    let listings = found.iter().flat_map(|listed| &listed.listings).filter_map(|listing| {
        let feed = loaded.set.feed(listing.feed)?;
        cite(position(&feed.name)?, listing.scope, listing.line)
    });
    Answer {
        asked: asked.text.clone(),
        name: Some(name.clone()),
        listed: found.is_some(),
        incomplete: loaded.feeds.iter().any(|feed| feed.problem.is_some()),
        entry: found.as_ref().map(|listed| listed.entry.to_owned()),
        exact: found.as_ref().map(|listed| listed.exact),
        listings: listings.collect(),
        excepted: excepted
            .iter()
            .filter_map(|found| {
                let citation = cite(found.feed, found.scope, found.line)?;
                Some(Exception { entry: found.entry.clone(), citation })
            })
            .collect(),
        error: None,
    }
}

/// A name as typed and as feeds know it.
struct Asked {
    text: String,
    name: Result<String, NameError>,
}

impl Asked {
    fn new(text: &str) -> Self {
        let mut buffer = String::new();
        // One label alone may be asked about: it is a name, though no feed lists it.
        let name = name::fold(text.trim(), &mut buffer).map(str::to_owned);
        Self { text: text.to_owned(), name }
    }
}

/// An entry that takes out one of the names asked about.
struct Match {
    feed: usize,
    entry: String,
    scope: Scope,
    line: u32,
}

/// What takes names out, found while the feeds are read: the set itself only says that a name is not listed.
struct Exceptions {
    /// Every name asked about and all above it -> which name, and whether it is that name itself.
    suffixes: HashMap<String, Vec<(usize, bool)>>,
    found: Vec<Vec<Match>>,
}

impl Exceptions {
    fn new(asked: &[Asked]) -> Self {
        let mut suffixes: HashMap<String, Vec<(usize, bool)>> = HashMap::new();
        for (index, asked) in asked.iter().enumerate() {
            let Ok(name) = &asked.name else { continue };
            let mut rest = Some(name.as_str());
            while let Some(suffix) = rest {
                suffixes.entry(suffix.to_owned()).or_default().push((index, suffix.len() == name.len()));
                rest = suffix.split_once('.').map(|(_, above)| above);
            }
        }
        Self { suffixes, found: asked.iter().map(|_| Vec::new()).collect() }
    }

    /// Looks at an entry that takes names out, be it of an allow list or an exception of its feed.
    fn see(&mut self, feed: usize, purpose: Purpose, entry: &Entry<'_>) {
        if purpose == Purpose::List && entry.verdict == Verdict::Listed {
            return;
        }
        for &(index, itself) in self.suffixes.get(entry.name).into_iter().flatten() {
            let covers = if itself { entry.scope.covers_itself() } else { entry.scope.covers_below() };
            let Some(found) = self.found.get_mut(index).filter(|_| covers) else { continue };
            let (entry, scope, line) = (entry.name.to_owned(), entry.scope, entry.line);
            found.push(Match { feed, entry, scope, line });
        }
    }

    fn of(&self, index: usize) -> &[Match] {
        self.found.get(index).map(Vec::as_slice).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
