//! Which files are manifests, and what is to be said of the feeds in them.

use std::fs::File;
use std::io::{self, Read as _};
use std::net::IpAddr;
use std::path::Path;

use namewarden_protocol::obtain::address::{Forbidden, Reach};
use reqwest::Url;
use serde_json::Value;

use super::report::{Report, Warning};
use crate::feed::definition::Definition;
use crate::feed::source::manifests::file::{Contents, parse};

/// A manifest is no larger, in bytes.
const BYTES_MAX: u64 = 16 << 20;

/// A file's feeds, where it is a manifest; one that cannot be read as it is says why.
///
/// # Errors
/// The file cannot be read.
pub fn read(path: &Path, file: &mut File) -> io::Result<Option<Result<Contents, String>>> {
    let ending = path.extension().unwrap_or_default();
    let is_yaml = ending == "yaml" || ending == "yml";
    if !is_yaml && ending != "json" {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    file.take(BYTES_MAX + 1).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let says_so = ["GlobalThreatFeed", "apiVersion"].iter().any(|word| text.contains(word));
    let is_manifest = says_so || is_yaml && !is_text(&text);
    if !is_manifest {
        return Ok(None);
    }
    if bytes.len() as u64 > BYTES_MAX {
        return Ok(Some(Err(format!("a manifest larger than {BYTES_MAX} bytes is not read"))));
    }
    let read = parse(&text).map_err(|reason| format!("it cannot be read as YAML: {reason}"));
    Ok(Some(read))
}

/// Whether a file whose name says YAML is a list: names in lines are YAML too, of one long text.
fn is_text(text: &str) -> bool {
    let documents: Result<Vec<Value>, _> = serde_saphyr::from_multiple(text);
    documents.is_ok_and(|documents| documents.iter().all(|document| !document.is_object()))
}

/// What is said of each feed of a manifest.
pub fn reports(target: &str, contents: &Contents, reach: Option<Reach>) -> Vec<Report> {
    let feeds = contents.feeds.iter().map(|resource| match Definition::new(resource) {
        Ok(definition) => {
            let mut report = Report::of_feed(target, &definition);
            report.warn(definition.pull().and_then(|pull| out_of_reach(&pull.url, reach)));
            report
        }
        Err(reasons) => Report::refused_manifest(target, resource.metadata.name.as_deref(), reasons),
    });
    let unusable = contents
        .unusable
        .iter()
        .map(|feed| Report::refused_manifest(target, Some(&feed.name), vec![feed.reason.clone()]));
    let faults = contents.faults.iter().map(|fault| Report::refused_document(target, fault));
    let mut reports: Vec<_> = feeds.chain(unusable).chain(faults).collect();
    if reports.is_empty() {
        reports.push(Report::Nothing { file: target.to_owned(), note: "no GlobalThreatFeed is in it" });
    }
    reports
}

/// Why a controller does not fetch from the address that a URL names; names are not looked up.
///
/// Without a reach given, this machine itself is within reach where feeds come from a folder, and not in a cluster.
pub fn out_of_reach(url: &Url, reach: Option<Reach>) -> Option<Warning> {
    let address = named(url)?;
    let check = |reach: Reach| reach.check(address).err();
    let text = |refused: Forbidden| refused.to_string();
    match reach {
        Some(reach) => check(reach).map(text).map(Warning::Refusal),
        None => match check(Reach::Loopback) {
            Some(refused) => Some(Warning::Refusal(text(refused))),
            None => {
                check(Reach::Network).map(|refused| Warning::Note(format!("in a cluster {}", text(refused))))
            }
        },
    }
}

fn named(url: &Url) -> Option<IpAddr> {
    let host = url.host_str()?.trim_matches(['[', ']']).trim_end_matches('.');
    if host == "localhost" || host.ends_with(".localhost") {
        return Some(IpAddr::from([127, 0, 0, 1]));
    }
    host.parse().ok()
}
