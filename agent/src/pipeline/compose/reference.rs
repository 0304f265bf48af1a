//! Keeps `docs/reference/documents.md` true: its examples are what this code writes, its table names every field.
//!
//! With `NAMEWARDEN_UPDATE_REFERENCE=1` the examples are written anew instead of compared.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;

use namewarden_protocol::document::mapping::FIELDS;
use namewarden_protocol::document::retroactive::{self, Author, Listed};
use serde_json::Value;

use super::tests::{alert, answered, composer, evil};
use super::*;
use crate::pipeline::attribute::{Attribution, pod};
use crate::pipeline::dns_log::{Aggregation, DnsLog, DnsLogger, Settings};
use crate::pipeline::exchange::samples::{at, unread_answer, unread_query, workload};
use crate::pipeline::flood::{Report, Volume};
use crate::pipeline::screen::Place;

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/documents.md")
}

/// The server is a pod of the node; the client is of a Deployment where the pods are counted by owner.
fn counted(aggregation: Aggregation) -> Document {
    let pods: std::sync::Arc<dyn Pods> = match aggregation {
        Aggregation::Owner => std::sync::Arc::new(Cart),
        Aggregation::Every | Aggregation::Workload => std::sync::Arc::new(pod::NoPods),
    };
    let settings = Settings { aggregation, ..Settings::default() };
    let mut logger = DnsLogger::new(settings).with_pods(std::sync::Arc::clone(&pods));
    let mut composer = composer().with_pods(pods);
    for id in 1..=3 {
        logger.message(unread_query(workload('3'), at(u64::from(id) * 10), id, "www.example"));
        logger.message(unread_answer(workload('3'), at(u64::from(id) * 12), id, "www.example", |_| ()));
    }
    let mut documents = Vec::new();
    logger.flush(at(300_000), &mut |log| documents.push(composer.log(&log, at(300_000))));
    documents.remove(0)
}

fn examples() -> Vec<(&'static str, Document)> {
    let mut repeats = alert(Saying::Repeated, answered().without_records(), evil());
    (repeats.count, repeats.first_seen, repeats.last_seen) = (41, at(60_000), at(3_500_000));
    repeats.created = at(3_600_000);
    let mut limit = alert(Saying::LeftOut { limit: 100 }, answered(), evil());
    (limit.number, limit.count, limit.last_seen, limit.created) = (1, 99_900, at(3_500_000), at(3_600_000));
    let whose = Some((workload('3'), Attribution::Cgroup));
    let unlogged = DnsLog::Unlogged { whose, count: 4_711, limit: 1_000, start: at(0), end: at(300_000) };
    let uncaptured = Volume { packets: 1_840_112, bytes: 2_664_482_176 };
    let flood = Report {
        workload: workload('3'),
        group: "0f".repeat(16),
        number: 0,
        goes_on: false,
        uncaptured,
        first_seen: at(0),
        last_seen: at(5_000),
        created: at(5_000),
    };
    vec![
        ("alert", composer().alert(&alert(Saying::First, answered(), evil()))),
        (
            "named",
            composer().with_pods(std::sync::Arc::new(Cart)).alert(&alert(Saying::First, answered(), evil())),
        ),
        ("retroactive", retroactive()),
        ("repeats", composer().alert(&repeats)),
        ("limit", composer().alert(&limit)),
        ("flood", composer().flood(&flood)),
        ("gap", composer().gap(at(0), at(8_250), at(8_251), "the agent was restarted")),
        ("dns-log", composer().log(&DnsLog::One { exchange: Box::new(answered()), folded: 0 }, at(4))),
        ("counted-dns-log", counted(Aggregation::Workload)),
        ("owner-dns-log", counted(Aggregation::Owner)),
        ("unlogged", composer().log(&unlogged, at(300_000))),
    ]
}

/// What the controller makes of the DNS log below when its name is listed later.
fn retroactive() -> Document {
    let log = composer().log(&DnsLog::One { exchange: Box::new(answered()), folded: 0 }, at(4));
    let evil = evil();
    let feed = &evil.feeds[0];
    let listed = Listed {
        named: retroactive::names(&log)[0],
        entry: &evil.entry,
        scope: feed.scope,
        feeds: vec![listed_by(feed)],
        set: Set::new(evil.set.epoch, evil.set.number + 1, &evil.set.digest),
    };
    let author = Author {
        instance: "c0a7e4f1d29b8356".to_owned(),
        version: "0.1.0".to_owned(),
        created: Time(at(7_200_000).0),
    };
    retroactive::alert(&log, &listed, &author)
}

/// Knows one pod only.
#[derive(Debug)]
struct Cart;

impl Pods for Cart {
    fn pod(&self, uid: &str) -> Option<std::sync::Arc<Pod>> {
        let container = pod::Container {
            id: "3".repeat(64),
            name: "app".to_owned(),
            image: "registry.example/shop/cart:1.2".to_owned(),
        };
        Some(std::sync::Arc::new(Pod {
            uid: uid.to_owned(),
            static_hash: None,
            namespace: "shop".to_owned(),
            name: "cart-7d9f8c-x2x4z".to_owned(),
            ip: "10.1.2.3".parse().ok(),
            owns_ip: true,
            labels: [("app".to_owned(), "cart".to_owned())].into(),
            owner: Some(pod::Owner { kind: "Deployment".to_owned(), name: "cart".to_owned() }),
            service_account: Some("cart".to_owned()),
            containers: vec![container],
            ..Pod::default()
        }))
    }

    fn pod_at(&self, address: std::net::IpAddr) -> Option<std::sync::Arc<Pod>> {
        let mut pod = Pod { namespace: "kube-system".to_owned(), ..Pod::default() };
        pod.name = "coredns-668d6bf9bc-4x7kq".to_owned();
        (address == std::net::IpAddr::from([10, 96, 0, 10])).then(|| std::sync::Arc::new(pod))
    }

    fn is_asked(&self) -> bool {
        true
    }
}

/// A document with every field that the examples happen not to have.
fn rare() -> Document {
    let mut exchange = answered();
    exchange.dns.authorities = exchange.dns.answers.clone();
    exchange.dns.additionals = exchange.dns.answers.clone();
    exchange.unchecked_names = 7;
    exchange.malformed = Some("additional at byte 99: name beyond the message".into());
    exchange.server_side = true;
    let unit = crate::pipeline::attribute::cgroup_path::workload("/system.slice/nginx.service");
    exchange.attributed.workload = std::sync::Arc::new(unit);
    let mut finding = evil();
    finding.place = Place { section: Section::Answer, part: Part::Data, rr_type: 5 };
    finding.feeds[0].description = "hosts of malware".into();
    composer().alert(&alert(Saying::First, exchange, finding))
}

/// A DNS log with what those of the examples happen not to have.
fn rare_log() -> Document {
    let log_fields = LogFields { sample: 10, ..LogFields::default() };
    composer()
        .with_log_fields(log_fields)
        .log(&DnsLog::One { exchange: Box::new(answered()), folded: 3 }, at(4))
}

/// Paths of all values, lists left out: `dns.answers.name`.
fn fields(value: &Value, path: &str, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(parts) => {
            for (name, part) in parts {
                fields(part, &if path.is_empty() { name.clone() } else { format!("{path}.{name}") }, into);
            }
        }
        Value::Array(elements) => elements.iter().for_each(|element| fields(element, path, into)),
        _ => {
            into.insert(path.to_owned());
        }
    }
}

/// The page with the examples as this code writes them.
fn with_examples(page: &str) -> String {
    let examples = examples();
    let mut fresh = String::new();
    let mut lines = page.lines().peekable();
    while let Some(line) = lines.next() {
        let _ = writeln!(fresh, "{line}");
        let Some(name) = line.strip_prefix("<!-- example: ").and_then(|rest| rest.strip_suffix(" -->"))
        else {
            continue;
        };
        let (_, document) = examples.iter().find(|(known, _)| *known == name).expect(name);
        let _ = writeln!(fresh, "```json\n{}\n```", serde_json::to_string_pretty(document).unwrap());
        if lines.next_if_eq(&"```json").is_some() {
            assert!(lines.any(|line| line == "```"), "the example of {name} has no end");
        }
    }
    fresh
}

#[test]
fn the_examples_of_the_reference_are_what_is_written() {
    let page = std::fs::read_to_string(path()).unwrap();
    let fresh = with_examples(&page);
    if std::env::var_os("NAMEWARDEN_UPDATE_REFERENCE").is_some() {
        // At once: the other tests read the page meanwhile.
        let new = path().with_extension("new");
        std::fs::write(&new, fresh).unwrap();
        std::fs::rename(new, path()).unwrap();
    } else {
        assert!(page == fresh, "write the examples anew with NAMEWARDEN_UPDATE_REFERENCE=1");
    }
}

#[test]
fn every_example_is_shown() {
    let page = std::fs::read_to_string(path()).unwrap();
    for (name, _) in examples() {
        assert!(page.contains(&format!("<!-- example: {name} -->")), "{name}");
    }
}

/// Rows of the page's table: field and type.
fn table(page: &str) -> Vec<(&str, &str)> {
    let table = page.split("\n## Fields\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let row = |line| {
        let (field, rest) = str::strip_prefix(line, "| `")?.split_once("` | ")?;
        Some((field, rest.split_once(" |")?.0))
    };
    table.lines().filter_map(row).collect()
}

#[test]
fn the_table_says_what_search_engines_are_told() {
    let page = std::fs::read_to_string(path()).unwrap();
    // Of the labels the table shows one.
    let shown: Vec<_> =
        table(&page).into_iter().map(|(field, kind)| (field.trim_end_matches(".app"), kind)).collect();
    let told: Vec<_> = FIELDS.iter().map(|(field, kind)| (*field, kind.name())).collect();
    assert_eq!(shown, told);
}

#[test]
fn the_table_names_every_field_and_no_other() {
    let page = std::fs::read_to_string(path()).unwrap();
    let listed: BTreeSet<String> = table(&page).into_iter().map(|(field, _)| field.to_owned()).collect();
    let mut written = BTreeSet::new();
    for document in examples().into_iter().map(|(_, document)| document).chain([rare(), rare_log()]) {
        fields(&serde_json::to_value(document).unwrap(), "", &mut written);
    }
    let missing: Vec<_> = written.difference(&listed).collect();
    let stale: Vec<_> = listed.difference(&written).collect();
    assert!(
        missing.is_empty() && stale.is_empty(),
        "not in the table: {missing:?}; in no document: {stale:?}"
    );
}
