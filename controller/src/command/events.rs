//! `events`: security events of a controller's store, printed and followed.

// An event as it is printed.
mod event;

// A line a person reads.
mod table;

// Comma-separated values.
mod csv;

use std::collections::HashSet;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use jiff::{Span, Timestamp, Zoned};
use serde::Deserialize;

use super::client::{Client, ConnectArgs, Missed};
use event::Event;
use table::Table;

/// Documents of a page.
const PAGE: &str = "1000";
/// How often it is asked for what is new.
const PAUSE: Duration = Duration::from_millis(250);
/// How long a controller that does not answer is left alone.
const REST: Duration = Duration::from_secs(5);

/// Options of `events`.
#[derive(Debug, Args)]
pub struct EventsArgs {
    /// Which controller, and who asks.
    #[command(flatten)]
    pub connect: ConnectArgs,

    /// From when on: a time (2026-11-22T15:00:00Z), a day, or how long ago (90m, 24h, 7d).
    #[arg(long, env = "NAMEWARDEN_EVENTS_SINCE", default_value = "24h", value_name = "TIME")]
    pub since: String,

    /// Until when, likewise (default: to the end).
    #[arg(long, env = "NAMEWARDEN_EVENTS_UNTIL", value_name = "TIME", conflicts_with = "follow")]
    pub until: Option<String>,

    /// Of pods of this namespace.
    #[arg(long, env = "NAMEWARDEN_EVENTS_NAMESPACE", value_name = "NAME")]
    pub namespace: Option<String>,

    /// Of the pod of this name or UID.
    #[arg(long, env = "NAMEWARDEN_EVENTS_POD", value_name = "NAME|UID")]
    pub pod: Option<String>,

    /// Where this name was asked for, or this entry met.
    #[arg(long, env = "NAMEWARDEN_EVENTS_DOMAIN", value_name = "NAME")]
    pub domain: Option<String>,

    /// Where this feed lists the entry.
    #[arg(long, env = "NAMEWARDEN_EVENTS_FEED", value_name = "NAME")]
    pub feed: Option<String>,

    /// At least this severe, 1 to 100.
    #[arg(
        long,
        env = "NAMEWARDEN_EVENTS_SEVERITY",
        value_parser = clap::value_parser!(u8).range(1..=100),
        value_name = "SEVERITY"
    )]
    pub severity: Option<u8>,

    /// Of groups in this state: new, acknowledged, dismissed. Repeatable.
    #[arg(long, env = "NAMEWARDEN_EVENTS_STATE", value_delimiter = ',', value_name = "STATE")]
    pub state: Vec<crate::store::State>,

    /// Cluster that they are of (default: the controller's).
    #[arg(long, env = "NAMEWARDEN_EVENTS_CLUSTER", value_name = "NAME")]
    pub cluster: Option<String>,

    /// Goes on with what comes in, however old it is, until it is ended.
    #[arg(long, short = 'f')]
    pub follow: bool,

    /// How they are printed: as lines for a person, as the documents themselves (one a line), or as CSV with a header.
    #[arg(long, short = 'o', env = "NAMEWARDEN_EVENTS_OUTPUT", value_enum, default_value_t = Output::Table)]
    pub output: Output,
}

/// How events are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// A line each, as wide as the terminal.
    Table,
    /// A JSON document each.
    Json,
    /// Comma-separated values (RFC 4180).
    Csv,
}

/// Prints events, the oldest first.
pub fn run(arguments: &EventsArgs) -> anyhow::Result<ExitCode> {
    let client = Client::new(&arguments.connect)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let printed = runtime.block_on(async {
        let mut printer = Printer::new(arguments.output, io::stdout().lock());
        print(&client, arguments, &mut printer).await
    });
    match printed {
        // Whoever read has seen enough.
        Err(error) if is_broken_pipe(&error) => Ok(ExitCode::SUCCESS),
        printed => printed.map(|()| ExitCode::SUCCESS),
    }
}

/// A page of events.
#[derive(Debug, Deserialize)]
struct Page {
    /// In the order that was asked for.
    events: Vec<Event>,
    /// Where the next page begins.
    next: Option<String>,
    /// Where the order of arrival goes on.
    arrived: String,
}

async fn page(client: &Client, query: &[(&'static str, String)]) -> Result<Page, Missed> {
    client.get(&["v1", "events"], query).await
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

async fn print<W: Write>(
    client: &Client,
    arguments: &EventsArgs,
    printer: &mut Printer<W>,
) -> anyhow::Result<()> {
    let filter = filter(arguments);
    let mut range = vec![("since", time(&arguments.since, "--since")?)];
    if let Some(until) = &arguments.until {
        range.push(("until", time(until, "--until")?));
    }
    let (mut arrived, mut after) = (None, None::<String>);
    // What is told by a later page may have come in behind `arrived`, and would be told twice.
    let mut told = HashSet::new();
    loop {
        let mut query = [range.clone(), vec![("order", "oldest".to_owned())]].concat();
        query.extend(after.take().map(|after| ("after", after)));
        let page = page(client, &[filter.clone(), query].concat()).await?;
        // Once it is known that there is an answer.
        if arrived.is_none() {
            printer.begin()?;
        }
        for event in &page.events {
            printer.print(event)?;
            if arguments.follow && arrived.is_some() {
                told.insert(event.id.clone());
            }
        }
        arrived.get_or_insert(page.arrived);
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    printer.flush()?;
    if !arguments.follow {
        return Ok(());
    }
    follow(client, &filter, arrived.unwrap_or_default(), told, printer).await
}

async fn follow<W: Write>(
    client: &Client,
    filter: &[(&'static str, String)],
    mut after: String,
    told: HashSet<String>,
    printer: &mut Printer<W>,
) -> anyhow::Result<()> {
    loop {
        let query = [("order", "arrival".to_owned()), ("after", after.clone())];
        let Page { events, next, .. } = match page(client, &[filter, &query].concat()).await {
            Ok(page) => page,
            Err(error) if error.is_lasting() => return Err(error.into()),
            Err(error) => {
                tracing::warn!("{error}; asking again");
                tokio::time::sleep(REST).await;
                continue;
            }
        };
        for event in events.iter().filter(|event| !told.contains(&event.id)) {
            printer.print(event)?;
        }
        printer.flush()?;
        after = next.unwrap_or(after);
        if events.is_empty() {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// What is asked for in every request.
fn filter(arguments: &EventsArgs) -> Vec<(&'static str, String)> {
    let states: Vec<_> = arguments.state.iter().map(|state| state.name()).collect();
    let severity = arguments.severity.map(|severity| severity.to_string());
    let parts = [
        ("cluster", arguments.cluster.clone()),
        ("namespace", arguments.namespace.clone()),
        ("pod", arguments.pod.clone()),
        ("domain", arguments.domain.clone()),
        ("feed", arguments.feed.clone()),
        ("severity", severity),
        ("state", (!states.is_empty()).then(|| states.join(","))),
        ("limit", Some(PAGE.to_owned())),
    ];
    parts.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// A time, a day, or how long ago, as the controller takes it.
fn time(text: &str, option: &str) -> anyhow::Result<String> {
    let text = text.trim();
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time.to_string());
    }
    let now = Zoned::now();
    if let Ok(ago) = text.parse::<Span>()
        && !ago.is_negative()
    {
        let then = now.checked_sub(ago).with_context(|| format!("{option} {text}: that is too long ago"))?;
        return Ok(then.timestamp().to_string());
    }
    let civil = text.parse::<jiff::civil::DateTime>().ok();
    match civil.and_then(|time| time.to_zoned(now.time_zone().clone()).ok()) {
        Some(time) => Ok(time.timestamp().to_string()),
        None => bail!(
            "{option} {text:?} is no time; give 2026-11-22T15:00:00Z, a day, or how long ago: 90m, 24h, 7d"
        ),
    }
}

/// Writes events as they are wanted.
struct Printer<W> {
    output: Output,
    table: Table,
    to: W,
}

impl<W: Write> Printer<W> {
    fn new(output: Output, to: W) -> Self {
        Self { output, table: Table::of_terminal(), to }
    }

    fn begin(&mut self) -> io::Result<()> {
        match self.output {
            Output::Table => writeln!(self.to, "{}", self.table.header()),
            Output::Csv => write!(self.to, "{}", csv::header()),
            Output::Json => Ok(()),
        }
    }

    fn print(&mut self, event: &Event) -> io::Result<()> {
        match self.output {
            Output::Table => writeln!(self.to, "{}", self.table.line(event)),
            Output::Csv => write!(self.to, "{}", csv::record(event)),
            Output::Json => writeln!(self.to, "{}", event.document),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_each_form() {
        assert_eq!(time("2026-11-22T16:00:00+01:00", "--since").unwrap(), "2026-11-22T15:00:00Z");
        let ago = |text| {
            let then: Timestamp = time(text, "--since").unwrap().parse().unwrap();
            (Timestamp::now().as_second() - then.as_second() + 30) / 60
        };
        assert_eq!((ago("90m"), ago("24h")), (90, 24 * 60));
        // Where clocks are set, a day has an hour more or less.
        assert!((7 * 24 * 60 - 60..=7 * 24 * 60 + 60).contains(&ago("7d")));
        assert!(time("2026-11-22", "--since").is_ok() && time("2026-11-22 15:00", "--since").is_ok());
        for text in ["", "soon", "-1h", "24"] {
            let error = time(text, "--until").unwrap_err().to_string();
            assert!(error.starts_with("--until"), "{error}");
        }
    }
}
