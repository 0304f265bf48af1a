//! Findings of hand-made messages.

use namewarden_protocol::entry::{Entry, Verdict};
use namewarden_protocol::threat_set::{Builder, FeedInfo, SetKey};

use super::*;
use crate::pipeline::screen::{Part, Section};

fn findings(message: &[u8], candidates: &[Candidate], set: &ThreatSet) -> Vec<Finding> {
    super::findings(message, candidates, set, &mut MatchingCounts::default())
}

fn feed(name: &str) -> FeedInfo {
    FeedInfo {
        name: name.into(),
        description: format!("about {name}").into(),
        severity: 80,
        techniques: ["T1568".to_owned()].into(),
    }
}

fn listed(name: &str, scope: Scope, line: u32) -> Entry<'_> {
    Entry { name, scope, verdict: Verdict::Listed, line }
}

/// A message that is nothing but names, one behind the other, and where each begins.
fn message(names: &[&[&[u8]]]) -> (Vec<u8>, Vec<Candidate>) {
    let mut bytes = Vec::new();
    let mut candidates = Vec::new();
    for (index, labels) in names.iter().enumerate() {
        let section = if index == 0 { Section::Question } else { Section::Answer };
        let place = Place { section, part: Part::Owner, rr_type: 1 };
        candidates.push(Candidate { offset: u32::try_from(bytes.len()).unwrap(), place });
        for label in *labels {
            bytes.push(u8::try_from(label.len()).unwrap());
            bytes.extend(*label);
        }
        bytes.push(0);
    }
    (bytes, candidates)
}

fn two_feeds() -> ThreatSet {
    let mut builder = Builder::new(SetKey([1; 16]), 4, 2);
    let [first, second] = ["first", "second"].map(|name| builder.feed(feed(name)).unwrap());
    builder.add(first, &listed("evil.example", Scope::Both, 3));
    builder.add(second, &listed("evil.example", Scope::Subdomains, 8));
    builder.add(second, &listed("bad.example", Scope::Exact, 9));
    builder.build().unwrap()
}

#[test]
fn finding_says_entry_name_place_and_every_feed() {
    let set = two_feeds();
    let (bytes, candidates) = message(&[&[b"WWW", b"eviL", b"example"]]);
    let listing = |name: &str, scope, line| FeedListing {
        name: name.into(),
        description: format!("about {name}").into(),
        severity: 80,
        techniques: ["T1568".to_owned()].into(),
        scope,
        line,
    };
    let expected = Finding {
        entry: "evil.example".to_owned(),
        name: "www.evil.example".to_owned(),
        place: candidates[0].place,
        exact: false,
        feeds: vec![listing("first", Scope::Both, 3), listing("second", Scope::Subdomains, 8)],
        set: set.id(),
    };
    assert_eq!(findings(&bytes, &candidates, &set), [expected]);
}

#[test]
fn one_finding_for_each_winning_entry_with_the_first_place() {
    let set = two_feeds();
    let names: [&[&[u8]]; 4] =
        [&[b"evil", b"example"], &[b"bad", b"example"], &[b"a", b"evil", b"example"], &[b"bad", b"example"]];
    let (bytes, candidates) = message(&names);
    let found = findings(&bytes, &candidates, &set);
    let summary: Vec<_> =
        found.iter().map(|one| (one.entry.as_str(), one.exact, one.place.section)).collect();
    assert_eq!(summary, [("evil.example", true, Section::Question), ("bad.example", true, Section::Answer)]);
}

#[test]
fn candidate_that_is_not_listed_after_all_is_no_finding() {
    let set = two_feeds();
    let (bytes, candidates) = message(&[&[b"a", b"bad", b"example"]]);
    assert_eq!(findings(&bytes, &candidates, &set), []);
}

#[test]
fn bytes_of_no_host_name_are_escaped_and_part_nothing() {
    let set = two_feeds();
    let (bytes, candidates) = message(&[&[b"a.b\\ \xff", b"evil", b"example"], &[b"evil.example"]]);
    let found = findings(&bytes, &candidates, &set);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].name, "a\\.b\\\\\\032\\255.evil.example", "as other names of documents are written");
}

#[test]
fn candidate_beyond_the_message_is_no_finding() {
    let candidate = Candidate {
        offset: 4000,
        place: Place { section: Section::Question, part: Part::Owner, rr_type: 1 },
    };
    assert_eq!(findings(&[0; 12], &[candidate], &two_feeds()), []);
}

#[test]
fn every_candidate_is_a_finding_or_counted() {
    let (bytes, mut candidates) = message(&[
        &[b"evil", b"example"],
        &[b"a", b"evil", b"example"],
        &[b"below", b"bad", b"example"],
        &[b"bad", b"example"],
    ]);
    candidates.push(Candidate { offset: 9_999, ..candidates[0] });
    let mut counts = MatchingCounts::default();
    assert_eq!(super::findings(&bytes, &candidates, &two_feeds(), &mut counts).len(), 2);
    let expected = MatchingCounts { candidates: 5, unreadable: 1, unlisted: 1, repeated: 1, findings: 2 };
    assert_eq!(counts, expected);
}
