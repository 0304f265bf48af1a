//! Properties of whole sets: against a naive model, and against damaged files.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use proptest::prelude::*;

use super::*;
use crate::entry::{Entry, Scope, Verdict};

mod damaged;

const KEY: SetKey = SetKey(*b"0123456789abcdef");

fn info(name: &str) -> FeedInfo {
    FeedInfo {
        name: name.into(),
        description: "".into(),
        severity: 75,
        techniques: ["T1071.004".to_owned()].into(),
    }
}

fn entry(name: &str, scope: Scope, verdict: Verdict, line: u32) -> Entry<'_> {
    Entry { name, scope, verdict, line }
}

fn listed(name: &str, scope: Scope) -> Entry<'_> {
    entry(name, scope, Verdict::Listed, 1)
}

fn one_feed(entries: &[Entry<'_>]) -> ThreatSet {
    let mut builder = Builder::new(KEY, 1, 1);
    let feed = builder.feed(info("one")).unwrap();
    for entry in entries {
        builder.add(feed, entry);
    }
    builder.build().unwrap()
}

fn entry_of<'n>(set: &ThreatSet, name: &'n str) -> Option<(&'n str, bool)> {
    set.find(name).map(|listed| (listed.entry, listed.exact))
}

#[test]
fn exact_entry_covers_itself_only() {
    let set = one_feed(&[listed("evil.example", Scope::Exact)]);
    assert_eq!(entry_of(&set, "evil.example"), Some(("evil.example", true)));
    assert_eq!(entry_of(&set, "a.evil.example"), None);
    assert_eq!(entry_of(&set, "example"), None);
}

#[test]
fn subdomains_entry_covers_what_is_below_only() {
    let set = one_feed(&[listed("evil.example", Scope::Subdomains)]);
    assert_eq!(entry_of(&set, "evil.example"), None);
    assert_eq!(entry_of(&set, "b.a.evil.example"), Some(("evil.example", false)));
    assert_eq!(entry_of(&set, "notevil.example"), None);
}

#[test]
fn guarded_public_suffix_does_not_hit_what_is_below_it() {
    let set = one_feed(&[listed("com", Scope::Exact)]);
    let hasher = set.hasher();
    let com = hasher.suffix("com").unwrap();
    assert_eq!(set.probe(com), None, "an exact entry stands under its own tag");
    assert!(set.probe(hasher.exact(com)).is_some());
    assert_eq!(entry_of(&set, "google.com"), None);
}

#[test]
fn longest_entry_wins_and_names_all_its_feeds() {
    let mut builder = Builder::new(KEY, 1, 1);
    let [broad, first, second] = ["broad", "first", "second"].map(|name| builder.feed(info(name)).unwrap());
    builder.add(broad, &entry("example", Scope::Both, Verdict::Listed, 1));
    builder.add(second, &entry("evil.example", Scope::Subdomains, Verdict::Listed, 7));
    builder.add(first, &entry("evil.example", Scope::Both, Verdict::Listed, 3));
    let set = builder.build().unwrap();
    let found = set.find("a.evil.example").unwrap();
    assert_eq!((found.entry, found.exact), ("evil.example", false));
    assert_eq!(
        found.listings,
        [
            Listing { feed: first, scope: Scope::Both, line: 3 },
            Listing { feed: second, scope: Scope::Subdomains, line: 7 }
        ]
    );
    assert_eq!(set.feed(first).unwrap().name.as_ref(), "first");
}

#[test]
fn feed_that_lists_a_name_twice_is_named_once_with_the_wider_scope_and_first_line() {
    let set = one_feed(&[
        entry("evil.example", Scope::Exact, Verdict::Listed, 2),
        entry("evil.example", Scope::Both, Verdict::Listed, 9),
        entry("evil.example", Scope::Both, Verdict::Listed, 5),
    ]);
    let found = set.find("evil.example").unwrap();
    assert_eq!(found.listings, [Listing { feed: FeedId(0), scope: Scope::Both, line: 5 }]);
}

#[test]
fn exception_wins_within_its_feed_and_leaves_the_others() {
    let mut builder = Builder::new(KEY, 1, 1);
    let [lenient, strict] = ["lenient", "strict"].map(|name| builder.feed(info(name)).unwrap());
    builder.add(lenient, &listed("a.good.evil.example", Scope::Both));
    builder.add(lenient, &entry("good.evil.example", Scope::Both, Verdict::Excepted, 2));
    builder.add(strict, &listed("evil.example", Scope::Both));
    let set = builder.build().unwrap();
    // The longest entry's feed is excepted for this name: the shorter entry of the other feed counts.
    let found = set.find("a.good.evil.example").unwrap();
    assert_eq!(found.entry, "evil.example");
    assert_eq!(found.listings, [Listing { feed: strict, scope: Scope::Both, line: 1 }]);
}

#[test]
fn allow_list_wins_over_all_feeds_within_its_scope() {
    let mut builder = Builder::new(KEY, 1, 1);
    let feed = builder.feed(info("one")).unwrap();
    builder.add(feed, &listed("example", Scope::Both));
    builder.allow(&listed("good.example", Scope::Exact));
    let set = builder.build().unwrap();
    assert_eq!(set.find("good.example"), None);
    assert_eq!(entry_of(&set, "a.good.example"), Some(("example", false)));
}

#[test]
fn excepted_name_alone_is_not_probed() {
    let set = one_feed(&[entry("good.example", Scope::Both, Verdict::Excepted, 1)]);
    assert!(set.is_empty());
    assert_eq!(set.probe(set.hasher().suffix("good.example").unwrap()), None);
}

#[test]
fn retracted_feed_leaves_nothing() {
    let mut builder = Builder::new(KEY, 1, 1);
    let [refused, kept] = ["refused", "kept"].map(|name| builder.feed(info(name)).unwrap());
    builder.add(refused, &listed("evil.example", Scope::Both));
    builder.retract(refused);
    builder.add(refused, &listed("late.example", Scope::Both));
    builder.add(kept, &listed("bad.example", Scope::Both));
    let set = builder.build().unwrap();
    assert_eq!(set.len(), 1);
    assert_eq!(set.find("evil.example"), None);
    assert_eq!(set.find("bad.example").unwrap().listings.first().unwrap().feed, kept);
    assert_eq!(set.feed(refused), None);
    assert_eq!(set.feeds().count(), 1);
}

#[test]
fn empty_set_lists_nothing() {
    let set = ThreatSet::empty(KEY);
    assert_eq!(set.len(), 0);
    assert_eq!(set.find("evil.example"), None);
    assert_eq!(set.probe(0), None);
    assert_eq!(set.probe(u64::MAX), None);
}

#[test]
fn what_is_no_name_is_not_listed() {
    let set = one_feed(&[listed("evil.example", Scope::Both)]);
    for text in ["", ".", "..", "evil.example.", "a..evil.example"] {
        assert_eq!(set.find(text), None, "{text:?}");
    }
    assert_eq!(set.find(&format!("{}evil.example", "a.".repeat(126))), None, "128 labels");
}

#[test]
fn written_file_is_private_whole_and_leaves_no_temporary_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("current.set");
    fs::write(&path, "what was there before").unwrap();
    let mut builder = Builder::new(KEY, 3, 9);
    let feed = builder.feed(info("one")).unwrap();
    builder.add(feed, &listed("evil.example", Scope::Both));
    let id = builder.write(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    let set = ThreatSet::open(&path).unwrap();
    assert_eq!(set.id(), id);
    assert_eq!((id.epoch, id.number), (3, 9));
    assert!(set.find("evil.example").is_some());
}

#[test]
fn failed_write_leaves_what_was_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("missing").join("current.set");
    let error = Builder::new(KEY, 1, 1).write(&path).unwrap_err();
    assert!(matches!(error, BuildError::Write { path: ref named, .. } if *named == path), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn digest_does_not_depend_on_the_order_of_entries() {
    let names: Vec<String> = (0..3000).map(|number| format!("n{}.example", number % 2500)).collect();
    let id = |names: &mut dyn Iterator<Item = &String>| {
        let mut builder = Builder::new(KEY, 1, 1);
        let feed = builder.feed(info("one")).unwrap();
        names.for_each(|name| builder.add(feed, &listed(name, Scope::Both)));
        builder.build().unwrap().id()
    };
    assert_eq!(id(&mut names.iter()), id(&mut names.iter().rev()));
}

#[test]
fn every_name_of_a_set_with_several_shards_is_found() {
    let names: Vec<String> = (0..150_000).map(|number| format!("n{number}.example")).collect();
    let entries: Vec<Entry<'_>> = names.iter().map(|name| listed(name, Scope::Both)).collect();
    let set = one_feed(&entries);
    assert!(set.listed.len() > 1, "several shards");
    assert_eq!(set.len(), names.len());
    for name in &names {
        assert_eq!(entry_of(&set, name), Some((name.as_str(), true)));
    }
    let strangers = (0..100_000).filter(|number| set.find(&format!("m{number}.example")).is_some());
    assert_eq!(strangers.count(), 0);
}

#[test]
fn key_does_not_appear_in_debug_output() {
    assert_eq!(format!("{KEY:?}"), "SetKey(..)");
}

/// What a set of strings would say.
#[derive(Default)]
struct Model {
    listed: HashMap<(String, usize), Vec<Scope>>,
    excepted: Vec<(String, Scope, Option<usize>)>,
}

fn covers(entry: &str, scope: Scope, name: &str) -> bool {
    match name.strip_suffix(entry) {
        Some("") => scope.covers_itself(),
        Some(above) => above.ends_with('.') && scope.covers_below(),
        None => false,
    }
}

impl Model {
    fn find(&self, name: &str, feeds: usize) -> Option<(String, Vec<usize>)> {
        let excepted = |feed: Option<usize>| {
            let mut relevant = self.excepted.iter().filter(|(_, _, of)| *of == feed);
            relevant.any(|(entry, scope, _)| covers(entry, *scope, name))
        };
        if excepted(None) {
            return None;
        }
        let dots = name.match_indices('.').map(|(at, _)| at + 1);
        std::iter::once(0).chain(dots).find_map(|start| {
            let suffix = &name[start..];
            let lists = |feed: &usize| {
                let scopes = self.listed.get(&(suffix.to_owned(), *feed));
                scopes.is_some_and(|scopes| scopes.iter().any(|scope| covers(suffix, *scope, name)))
            };
            let by: Vec<usize> = (0..feeds).filter(lists).filter(|feed| !excepted(Some(*feed))).collect();
            (!by.is_empty()).then(|| (suffix.to_owned(), by))
        })
    }
}

fn scopes() -> impl Strategy<Value = Scope> {
    prop_oneof![Just(Scope::Exact), Just(Scope::Subdomains), Just(Scope::Both)]
}

/// Names over so few labels that they meet each other.
fn names() -> impl Strategy<Value = String> {
    prop::collection::vec(prop_oneof!["a", "b", "longlabel", "com"], 1..5).prop_map(|labels| labels.join("."))
}

const FEEDS: usize = 3;

proptest! {
    #[test]
    fn find_agrees_with_a_naive_model(
        entries in prop::collection::vec((names(), scopes(), 0..FEEDS, prop::bool::weighted(0.15)), 0..40),
        allowed in prop::collection::vec((names(), scopes()), 0..3),
        asked in prop::collection::vec(names(), 50),
    ) {
        let mut model = Model::default();
        let mut builder = Builder::new(KEY, 1, 1);
        let feeds: Vec<FeedId> = (0..FEEDS).map(|feed| builder.feed(info(&feed.to_string())).unwrap()).collect();
        for (name, scope, feed, excepted) in &entries {
            let verdict = if *excepted { Verdict::Excepted } else { Verdict::Listed };
            builder.add(feeds[*feed], &entry(name, *scope, verdict, 1));
            if *excepted {
                model.excepted.push((name.clone(), *scope, Some(*feed)));
            } else {
                model.listed.entry((name.clone(), *feed)).or_default().push(*scope);
            }
        }
        for (name, scope) in &allowed {
            builder.allow(&listed(name, *scope));
            model.excepted.push((name.clone(), *scope, None));
        }
        let set = builder.build().unwrap();
        for name in asked.iter().chain(entries.iter().map(|(name, ..)| name)) {
            let found = set.find(name).map(|found| {
                let by = found.listings.iter().map(|listing| usize::from(listing.feed.0)).collect();
                (found.entry.to_owned(), by)
            });
            prop_assert_eq!(found, model.find(name, FEEDS), "{}", name);
        }
    }
}

#[test]
fn a_set_lists_more_when_an_entry_comes_or_speaks_of_more_names() {
    let more =
        |one: &[Entry<'_>], before: &[Entry<'_>]| one_feed(one).lists_more_than(&one_feed(before)).unwrap();
    let (evil, bad) = (listed("evil.example", Scope::Both), listed("bad.example", Scope::Both));
    assert!(more(&[evil, bad], &[evil]));
    assert!(more(&[bad], &[evil]));
    assert!(more(&[evil], &[]));
    assert!(!more(&[evil], &[evil, bad]));
    assert!(!more(&[], &[evil]));
    let below = listed("evil.example", Scope::Subdomains);
    assert!(more(&[evil], &[below]));
    assert!(!more(&[below], &[evil]));
    let excepted = entry("evil.example", Scope::Both, Verdict::Excepted, 2);
    assert!(more(&[evil], &[evil, excepted]), "the exception went");
    assert!(!more(&[evil, excepted], &[evil]));
}

#[test]
fn many_entries_are_compared_over_all_shards() {
    let names: Vec<_> = (0..5_000).map(|number| format!("n{number}.example")).collect();
    let entries: Vec<_> = names.iter().map(|name| listed(name, Scope::Both)).collect();
    let (all, fewer) = (one_feed(&entries), one_feed(&entries[1..]));
    assert!(all.lists_more_than(&fewer).unwrap());
    assert!(!fewer.lists_more_than(&all).unwrap());
}
