//! `check`: what would be made of manifests or lists, without a controller, a cluster or a trace on disk.
//!
//! A YAML or JSON file of resources is a manifest, a broken YAML file too; any other file, and whatever a URL leads to, is a
//! list. URLs in manifests are not asked.

// What is a manifest, and what it says.
mod manifest;

// What is printed.
mod report;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{BufReader, Read, Seek as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use namewarden_protocol::entry::{Entry, Scope, Verdict};
use namewarden_protocol::feed::{self, Format};
use namewarden_protocol::obtain::address::Reach;
use namewarden_protocol::obtain::client;
use namewarden_protocol::obtain::fetch::Fetcher;
use namewarden_protocol::obtain::request::{Request, Shown};
use reqwest::Url;

use crate::feed::source::manifests::STATUS_ENDING;
use report::{Listed, Report, Sample};

/// Refused: a list, or a manifest.
const REFUSED: u8 = 1;
/// Entries shown of each list.
const SAMPLES: usize = 10;

/// Options of `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Manifests, lists, or http(s) URLs of lists.
    #[arg(required = true, value_name = "FILE|URL")]
    pub targets: Vec<String>,

    /// Format of the lists: plain, hosts, adblock, dnsmasq, rpz, or auto.
    #[arg(long, env = "NAMEWARDEN_CHECK_FORMAT", default_value = "auto", value_name = "FORMAT")]
    pub format: Format,

    /// Which names a plain line speaks of: both, exact or subdomains.
    #[arg(long, env = "NAMEWARDEN_CHECK_MATCHING", value_parser = scope, default_value = "both", value_name = "SCOPE")]
    pub matching: Scope,

    /// More certificate authorities (PEM) for https.
    #[arg(long, env = "NAMEWARDEN_FEED_CA", value_name = "PATH")]
    pub feed_ca: Option<PathBuf>,

    /// Which addresses the controller's feeds may lead to, as in `run`; those that a URL names are compared with it.
    #[arg(long, env = "NAMEWARDEN_FEED_REACH", value_name = "network|loopback|any")]
    pub feed_reach: Option<Reach>,

    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Prints what would be made of each; the worst decides the exit status.
pub fn run(arguments: &CheckArgs) -> anyhow::Result<ExitCode> {
    let reports = check_all(arguments)?;
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&reports)?);
    } else {
        for report in &reports {
            print!("{report}");
        }
    }
    let is_good = reports.iter().all(Report::is_good);
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::from(REFUSED) })
}

fn check_all(arguments: &CheckArgs) -> anyhow::Result<Vec<Report>> {
    let mut reports = Vec::new();
    for target in &arguments.targets {
        reports.extend(check(target, arguments)?);
    }
    report::tell_of_doubles(&mut reports);
    Ok(reports)
}

fn check(target: &str, arguments: &CheckArgs) -> anyhow::Result<Vec<Report>> {
    if target.starts_with("http://") || target.starts_with("https://") {
        let url = Url::parse(target).context("one of the URLs is not valid")?;
        return Ok(vec![check_url(&url, arguments)?]);
    }
    if target.ends_with(STATUS_ENDING) {
        let note = "a status that a controller wrote, no manifest";
        return Ok(vec![Report::Nothing { file: target.to_owned(), note }]);
    }
    let cannot = || format!("cannot read {target}");
    let mut file = File::open(target).with_context(cannot)?;
    if let Some(contents) = manifest::read(Path::new(target), &mut file).with_context(cannot)? {
        return Ok(match contents {
            Ok(contents) => manifest::reports(target, &contents, arguments.feed_reach),
            Err(reason) => vec![Report::refused_manifest(target, None, vec![reason])],
        });
    }
    file.rewind().with_context(cannot)?;
    Ok(vec![check_list(target, file, arguments)])
}

fn check_url(url: &Url, arguments: &CheckArgs) -> anyhow::Result<Report> {
    let settings = client::Settings {
        authorities: arguments.feed_ca.clone(),
        // Whoever asks for a URL by hand may reach whatever the machine reaches.
        reach: Reach::Any,
        ..client::Settings::default()
    };
    let fetcher = Fetcher::new(&settings)?;
    let mut body = tempfile().context("cannot keep what the server sends")?;
    let bytes_max = feed::Options::default().bytes_max;
    fetcher
        .fetch(&Request { url, headers: &[], known: None, bytes_max }, &mut body)
        .with_context(|| format!("cannot fetch {}", Shown(url)))?;
    body.rewind()?;
    let mut report = check_list(&Shown(url).to_string(), body, arguments);
    report.warn(manifest::out_of_reach(url, arguments.feed_reach));
    Ok(report)
}

fn check_list(target: &str, source: impl Read, arguments: &CheckArgs) -> Report {
    let options =
        feed::Options { format: arguments.format, matching: arguments.matching, ..feed::Options::default() };
    let mut listed = Listed::default();
    let outcome = feed::read(BufReader::new(source), &options, &mut |entry| count(&entry, &mut listed));
    match outcome {
        Ok(report) => Report::of_list(target, &report, listed, None),
        Err(error) => Report::of_list(target, &error.report, listed, Some(error.refusal.to_string())),
    }
}

fn count(entry: &Entry<'_>, listed: &mut Listed) {
    *match (entry.verdict, entry.scope) {
        (Verdict::Excepted, _) => &mut listed.excepted,
        (_, Scope::Exact) => &mut listed.exact,
        (_, Scope::Subdomains) => &mut listed.subdomains,
        (_, Scope::Both) => &mut listed.both,
    } += 1;
    if listed.sample.len() < SAMPLES {
        listed.sample.push(Sample {
            name: entry.name.to_owned(),
            scope: entry.scope,
            verdict: entry.verdict,
            line: entry.line,
        });
    }
}

/// A file without a name.
fn tempfile() -> std::io::Result<File> {
    let flags = rustix::fs::MemfdFlags::CLOEXEC;
    Ok(File::from(rustix::fs::memfd_create("namewarden-check", flags)?))
}

fn scope(text: &str) -> Result<Scope, String> {
    match text {
        "exact" => Ok(Scope::Exact),
        "subdomains" => Ok(Scope::Subdomains),
        "both" => Ok(Scope::Both),
        _ => Err("use one of exact, subdomains, both".to_owned()),
    }
}
