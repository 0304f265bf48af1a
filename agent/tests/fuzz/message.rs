//! Input: one DNS message. What hickory-proto, another reader, finds in it is what ours have to find.

use hickory_proto::op::Message;
use hickory_proto::rr::{Name, RData};
use namewarden_agent::pipeline::matching::{MatchingCounts, findings};
use namewarden_agent::pipeline::parse::{self, parse};
use namewarden_agent::pipeline::screen::Screen;
use namewarden_protocol::entry::{Entry, Scope, Verdict};
use namewarden_protocol::threat_set::{Builder, FeedInfo, SetKey, ThreatSet};

use crate::harness::{corpus, fuzz};

/// Names that the corpus holds, in every scope. None has a hyphen: see `text`.
const LISTED: &[(&str, Scope)] = &[
    ("evil.example", Scope::Both),
    ("bad.test", Scope::Exact),
    ("below.test", Scope::Subdomains),
    ("net", Scope::Exact),
];

fn set() -> ThreatSet {
    let mut builder = Builder::new(SetKey([9; 16]), 1, 1);
    let feed = FeedInfo { name: "fuzz".into(), description: "".into(), severity: 75, techniques: [].into() };
    let feed = builder.feed(feed).unwrap();
    for (name, scope) in LISTED {
        builder.add(feed, &Entry { name, scope: *scope, verdict: Verdict::Listed, line: 1 });
    }
    builder.build().unwrap()
}

/// Every name of a message that hickory reads.
fn names(message: &Message) -> Vec<Name> {
    let mut names: Vec<Name> = message.queries.iter().map(|query| query.name().clone()).collect();
    for record in message.answers.iter().chain(&message.authorities).chain(&message.additionals) {
        names.push(record.name.clone());
        match &record.data {
            RData::CNAME(name) => names.push(name.0.clone()),
            RData::NS(name) => names.push(name.0.clone()),
            RData::PTR(name) => names.push(name.0.clone()),
            RData::MX(mx) => names.push(mx.exchange.clone()),
            RData::SRV(srv) => names.push(srv.target.clone()),
            RData::SOA(soa) => names.push(soa.mname.clone()),
            RData::SVCB(svcb) => names.push(svcb.target_name.clone()),
            RData::HTTPS(https) => names.push(https.0.target_name.clone()),
            _ => {}
        }
    }
    names
}

/// A name in lower case. A byte that no entry has becomes a hyphen, which none of the entries has either.
fn text(name: &Name) -> String {
    let label = |label: &[u8]| -> String {
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        label
            .iter()
            .map(|byte| if plain(byte) { char::from(byte.to_ascii_lowercase()) } else { '-' })
            .collect()
    };
    name.iter().map(label).collect::<Vec<_>>().join(".")
}

/// The screen finds every listed name that hickory finds. Says how many those were.
fn screened(input: &[u8], set: &ThreatSet, screen: &mut Screen) -> usize {
    let candidates = screen.candidates(input, set).candidates.to_vec();
    let found = findings(input, &candidates, set, &mut MatchingCounts::default());
    let Ok(message) = Message::from_vec(input) else { return 0 };
    let mut listed_names = 0;
    for name in names(&message) {
        let text = text(&name);
        if let Some(listed) = set.find(&text) {
            let entry = listed.entry;
            assert!(found.iter().any(|finding| finding.entry == entry), "{text} is not found: {found:?}");
            listed_names += 1;
        }
    }
    listed_names
}

/// Whatever hickory reads whole, parse reads whole: the same questions, and as many records in each section.
fn parsed(input: &[u8]) {
    let ours = parse(input);
    let Ok(theirs) = Message::from_vec(input) else { return };
    let records = |list: &[parse::Record]| list.iter().filter(|record| special(&record.kind)).count();
    assert_eq!(ours.id, theirs.metadata.id);
    assert_eq!(ours.question.len(), theirs.queries.len());
    for (ours, theirs) in ours.question.iter().zip(&theirs.queries) {
        assert_eq!(labels(&ours.name), theirs.name().iter().count(), "{}", ours.name);
    }
    // hickory keeps OPT and signatures of the message apart from the records.
    assert_eq!(records(&ours.answer), theirs.answers.len());
    assert_eq!(records(&ours.authority), theirs.authorities.len());
    assert_eq!(records(&ours.additional), theirs.additionals.len());
}

/// Labels of a name in presentation format: a dot inside one is escaped.
fn labels(name: &str) -> usize {
    let unescaped = name.replace(r"\\", "").replace(r"\.", "");
    if unescaped == "." { 0 } else { 1 + unescaped.matches('.').count() }
}

fn special(kind: &str) -> bool {
    !matches!(kind, "OPT" | "TSIG" | "SIG")
}

#[test]
fn the_screen_finds_every_listed_name_that_hickory_finds() {
    let (set, mut screen) = (set(), Screen::new());
    let (mut inputs, mut listed) = (0, 0);
    fuzz(&corpus("message"), 40_000, |input| {
        listed += screened(input, &set, &mut screen);
        inputs += 1;
    });
    assert!(
        listed > inputs / 20,
        "the property was seldom put to the test: {listed} names in {inputs} inputs"
    );
}

#[test]
fn parse_reads_whatever_hickory_reads() {
    fuzz(&corpus("message"), 20_000, parsed);
}
