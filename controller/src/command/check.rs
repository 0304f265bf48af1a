//! `check`: what would be made of manifests or lists, without a controller, a cluster or a trace on disk.
//!
//! A file that holds a GlobalThreatFeed is a manifest; any other file, and whatever a URL leads to, is a list. URLs in
//! manifests are not asked.

// What is printed.
mod report;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{BufReader, Read, Seek as _};
use std::path::Path;
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

use crate::feed::definition::Definition;
use crate::feed::source::manifests::file::{Contents, parse};
use report::{Listed, Report, Sample};

/// Refused: a list, or a manifest.
const REFUSED: u8 = 1;
/// A manifest is no larger.
const MANIFEST_BYTES_MAX: u64 = 16 << 20;
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
    pub feed_ca: Option<std::path::PathBuf>,

    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Prints what would be made of each; the worst decides the exit status.
pub fn run(arguments: &CheckArgs) -> anyhow::Result<ExitCode> {
    let reports: Vec<_> = arguments
        .targets
        .iter()
        .map(|target| check(target, arguments))
        .collect::<anyhow::Result<Vec<_>>>()?
        .into_iter()
        .flatten()
        .collect();
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

fn check(target: &str, arguments: &CheckArgs) -> anyhow::Result<Vec<Report>> {
    if target.starts_with("http://") || target.starts_with("https://") {
        let url = Url::parse(target).context("one of the URLs is not valid")?;
        return Ok(vec![check_url(&url, arguments)?]);
    }
    let path = Path::new(target);
    let cannot = || format!("cannot read {target}");
    let mut file = File::open(path).with_context(cannot)?;
    if let Some(contents) = manifest(path, &mut file) {
        return Ok(match contents {
            Ok(contents) => of_manifest(target, &contents),
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
    Ok(check_list(&Shown(url).to_string(), body, arguments))
}

/// A file's feeds, where it is a manifest; one that looks like a manifest and cannot be read as one says why.
fn manifest(path: &Path, file: &mut File) -> Option<Result<Contents, String>> {
    let ending = path.extension()?;
    if !["yaml", "yml", "json"].iter().any(|known| ending == *known) {
        return None;
    }
    let mut text = String::new();
    let read = file.take(MANIFEST_BYTES_MAX).read_to_string(&mut text);
    (read.is_ok() && text.contains("GlobalThreatFeed")).then(|| parse(&text))
}

fn of_manifest(target: &str, contents: &Contents) -> Vec<Report> {
    let feeds = contents.feeds.iter().map(|resource| match Definition::new(resource) {
        Ok(definition) => Report::of_feed(target, &definition),
        Err(reasons) => Report::refused_manifest(target, resource.metadata.name.as_deref(), reasons),
    });
    let unusable = contents
        .unusable
        .iter()
        .map(|feed| Report::refused_manifest(target, Some(&feed.name), vec![feed.reason.clone()]));
    feeds.chain(unusable).collect()
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
