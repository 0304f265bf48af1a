use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;
use proptest::sample::Index;
use tempfile::TempDir;

use super::head::Head;
use super::*;
use crate::entry::{Entry, Scope, Verdict};
use crate::threat_set::{Builder, FeedInfo, ThreatSet};

const KEY: SetKey = SetKey(*b"0123456789abcdef");

/// Entries of a feed: name, scope, whether they are exceptions.
type Entries = Vec<(String, Scope, bool)>;

/// What a set is made of: feeds by name with their entries, and the allow list.
#[derive(Clone, Debug, Default)]
struct Content {
    feeds: Vec<(u8, Entries)>,
    allowed: Vec<String>,
    retracted: Option<u8>,
}

fn info(name: u8) -> FeedInfo {
    FeedInfo {
        name: format!("feed-{name}").into(),
        description: "\"ü\"".into(),
        severity: name,
        techniques: ["T1071.004".to_owned()].into(),
    }
}

fn entry(name: &str, scope: Scope, excepted: bool) -> Entry<'_> {
    let verdict = if excepted { Verdict::Excepted } else { Verdict::Listed };
    Entry { name, scope, verdict, line: 7 }
}

fn builder(content: &Content, number: u64) -> Builder {
    let mut builder = Builder::new(KEY, 3, number).without_lines();
    for (name, entries) in &content.feeds {
        let feed = builder.feed(info(*name)).unwrap();
        for (name, scope, excepted) in entries {
            builder.add(feed, &entry(name, *scope, *excepted));
        }
        if content.retracted == Some(*name) {
            builder.retract(feed);
        }
    }
    for name in &content.allowed {
        builder.allow(&entry(name, Scope::Both, true));
    }
    builder
}

/// A set with its file, in a folder of its own.
struct Made {
    folder: TempDir,
    set: ThreatSet,
}

impl Made {
    fn new(content: &Content, number: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("made.set");
        builder(content, number).write(&path).unwrap();
        Self { set: ThreatSet::open(&path).unwrap(), folder }
    }

    fn file(&self) -> Vec<u8> {
        fs::read(self.folder.path().join("made.set")).unwrap()
    }

    fn target(&self) -> PathBuf {
        self.folder.path().join("applied.set")
    }

    /// Nothing but the set itself is in the folder.
    fn is_alone(&self) -> bool {
        fs::read_dir(self.folder.path()).unwrap().count() == 1
    }
}

fn listed(names: impl IntoIterator<Item = String>) -> Entries {
    names.into_iter().map(|name| (name, Scope::Both, false)).collect()
}

fn numbered(numbers: std::ops::Range<u32>) -> Entries {
    listed(numbers.map(|number| format!("n{number}.example")))
}

/// Several feeds that share names, every scope, exceptions, an allow list.
fn rich() -> Content {
    let scopes = [Scope::Exact, Scope::Subdomains, Scope::Both];
    let feed = |start: usize| {
        let entry = |number: usize| {
            (format!("n{}.example", number % 90), scopes[number % 3], number.is_multiple_of(7))
        };
        (start..start + 80).map(entry).collect()
    };
    Content {
        feeds: vec![(1, feed(0)), (2, feed(40)), (3, feed(60))],
        allowed: vec!["fine.example".to_owned()],
        retracted: None,
    }
}

/// The same with feeds in another order, one gone, one new, and other entries.
fn richer() -> Content {
    let Content { mut feeds, .. } = rich();
    feeds.reverse();
    feeds.remove(1);
    feeds[0].1.truncate(50);
    feeds[1].1.extend(numbered(200..230));
    feeds.insert(1, (9, numbered(60..100)));
    Content { feeds, allowed: vec!["fine.example".to_owned(), "good.example".to_owned()], retracted: None }
}

fn scopes() -> impl Strategy<Value = Scope> {
    prop_oneof![Just(Scope::Exact), Just(Scope::Subdomains), Just(Scope::Both)]
}

fn contents() -> impl Strategy<Value = Content> {
    let entries = prop::collection::vec(("[abc]{1,2}[.](example|test)", scopes(), any::<bool>()), 0..30);
    let feeds = prop::collection::vec((0u8..6, entries), 0..5);
    let allowed = prop::collection::vec("[abc]{1,2}[.](example|test)", 0..3);
    (feeds, allowed, prop::option::weighted(0.2, 0u8..6)).prop_map(|(feeds, allowed, retracted)| Content {
        feeds,
        allowed,
        retracted,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn base_and_delta_make_the_new_set_byte_for_byte(before in contents(), after in contents()) {
        let (base, new) = (Made::new(&before, 1), Made::new(&after, 2));
        let bytes = delta(&base.set, &new.set).unwrap();
        prop_assert_eq!(apply_delta(&bytes, &base.set, &new.target()).unwrap(), new.set.id());
        prop_assert_eq!(fs::read(new.target()).unwrap(), new.file());
    }

    #[test]
    fn full_makes_the_set_byte_for_byte(content in contents()) {
        let made = Made::new(&content, 1);
        let bytes = full(&made.set).unwrap();
        prop_assert_eq!(apply_full(&bytes, &made.target()).unwrap(), made.set.id());
        prop_assert_eq!(fs::read(made.target()).unwrap(), made.file());
    }

    #[test]
    fn an_imported_set_finds_what_it_found(content in contents(), asked in prop::collection::vec("([abc][.])?[abc]{1,2}[.](example|test)", 30)) {
        let made = Made::new(&content, 1);
        let mut builder = Builder::new(KEY, 1, 1);
        builder.import(&made.set).unwrap();
        let imported = builder.build().unwrap();
        prop_assert_eq!(imported.len(), made.set.len());
        for name in &asked {
            prop_assert_eq!(by_name(&imported, name), by_name(&made.set, name), "{}", name);
        }
    }

    #[test]
    fn forged_bytes_are_refused_or_make_a_sound_set(
        whole in any::<bool>(),
        changes in prop::collection::vec((any::<Index>(), prop_oneof![any::<u8>(), Just(0), Just(0xff), Just(1)]), 1..5),
        in_front in any::<bool>(),
        cut in prop::option::weighted(0.2, any::<Index>()),
    ) {
        let (base, new) = (Made::new(&rich(), 1), Made::new(&richer(), 2));
        let mut bytes = if whole { full(&new.set).unwrap() } else { delta(&base.set, &new.set).unwrap() };
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let reach = if in_front { bytes.len().min(400) } else { bytes.len() };
        for (at, byte) in changes {
            if reach > 0 {
                bytes[at.index(reach)] = byte;
            }
        }
        forge(&mut bytes);
        let applied = apply(&bytes, &base.set, &new);
        if applied.is_ok() {
            prop_assert!(ThreatSet::open(&new.target()).is_ok());
        } else {
            prop_assert!(new.is_alone(), "nothing is left behind");
        }
    }
}

/// Names of the feeds that list a name, by which entry.
fn by_name(set: &ThreatSet, name: &str) -> Option<(String, Vec<(String, Scope)>)> {
    let found = set.find(name)?;
    let feed = |id| set.feed(id).unwrap().name.to_string();
    let by = found.listings.iter().map(|listing| (feed(listing.feed), listing.scope)).collect();
    Some((found.entry.to_owned(), by))
}

fn apply(bytes: &[u8], base: &ThreatSet, new: &Made) -> Result<SetId, ApplyError> {
    apply_full(bytes, &new.target()).or_else(|_| apply_delta(bytes, base, &new.target()))
}

/// Gives changed bytes the checksum that they would have, so that the other checks are reached.
fn forge(bytes: &mut [u8]) {
    use sha2::{Digest as _, Sha256};
    if bytes.len() >= 48 {
        let checksum = Sha256::digest(&bytes[48..]);
        bytes[16..48].copy_from_slice(&checksum);
    }
}

#[test]
fn every_changed_byte_is_refused_and_leaves_nothing_behind() {
    let (base, new) = (Made::new(&rich(), 1), Made::new(&richer(), 2));
    for bytes in [full(&new.set).unwrap(), delta(&base.set, &new.set).unwrap()] {
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << (at % 8);
            assert!(apply(&damaged, &base.set, &new).is_err(), "byte {at}");
        }
        assert!(new.is_alone());
    }
}

#[test]
fn every_cut_and_every_extension_is_refused() {
    let (base, new) = (Made::new(&rich(), 1), Made::new(&richer(), 2));
    for bytes in [full(&new.set).unwrap(), delta(&base.set, &new.set).unwrap()] {
        for length in 0..bytes.len() {
            assert!(apply(&bytes[..length], &base.set, &new).is_err(), "{length} bytes");
        }
        let mut longer = bytes.clone();
        longer.push(0);
        assert!(apply(&longer, &base.set, &new).is_err());
        forge(&mut longer);
        assert!(apply(&longer, &base.set, &new).is_err(), "with a checksum that fits");
        assert!(new.is_alone());
    }
}

#[test]
fn announced_says_which_set_and_from_where() {
    let (base, new) = (Made::new(&rich(), 1), Made::new(&richer(), 2));
    let whole = announced(&full(&new.set).unwrap()).unwrap();
    assert_eq!(whole, Announced { id: new.set.id(), key: KEY, kind: Kind::Full });
    let change = announced(&delta(&base.set, &new.set).unwrap()).unwrap();
    assert_eq!(change.kind, Kind::Delta { base: base.set.id() });
    assert_eq!(change.id, new.set.id());
}

#[test]
fn refusal_says_what_is_wrong() {
    let (base, new) = (Made::new(&rich(), 1), Made::new(&richer(), 2));
    let (whole, change) = (full(&new.set).unwrap(), delta(&base.set, &new.set).unwrap());
    let refusal = |bytes: &[u8], at: usize, to: u8| {
        let mut damaged = bytes.to_vec();
        damaged[at] = to;
        forge(&mut damaged);
        apply_full(&damaged, &new.target()).unwrap_err()
    };
    assert!(matches!(refusal(&whole, 0, b'X'), ApplyError::Magic { found } if found[0] == b'X'));
    assert!(matches!(refusal(&whole, 8, 9), ApplyError::Version { found: (9, _), .. }));
    assert!(matches!(refusal(&whole, 12, 9), ApplyError::Version { found: (_, 9), .. }));
    assert!(matches!(refusal(&whole, 48, 9), ApplyError::Kind { .. }));
    assert!(matches!(
        refusal(&whole, 52, 9),
        ApplyError::Count { what: "the shards' bits", found: 9, most: 8 }
    ));
    assert!(matches!(refusal(&whole, 80, 0), ApplyError::Digest { .. }), "another digest is announced");
    assert!(matches!(refusal(&change, 52, 0), ApplyError::Kind { expected: "a full set" }));
    let mut flipped = whole.clone();
    *flipped.last_mut().unwrap() ^= 1;
    assert!(matches!(apply_full(&flipped, &new.target()), Err(ApplyError::Checksum { .. })));
    let error = apply_delta(&change, &new.set, &new.target()).unwrap_err();
    assert!(
        matches!(error, ApplyError::Base { expected, found } if expected == base.set.id() && found == new.set.id())
    );
    assert!(matches!(
        apply_delta(&whole, &base.set, &new.target()),
        Err(ApplyError::Kind { expected: "a delta" })
    ));
}

#[test]
fn what_was_in_place_stays_when_bytes_are_refused() {
    let made = Made::new(&rich(), 1);
    let mut bytes = full(&made.set).unwrap();
    bytes[80] ^= 1;
    forge(&mut bytes);
    fs::write(made.target(), "before").unwrap();
    assert!(matches!(apply_full(&bytes, &made.target()), Err(ApplyError::Digest { .. })));
    assert_eq!(fs::read(made.target()).unwrap(), b"before");
}

#[test]
fn announced_counts_are_bounded_before_anything_is_held() {
    let made = Made::new(&rich(), 1);
    let mut bytes = full(&made.set).unwrap();
    let added = size_of::<Head>() - 48;
    bytes[added..added + 8].copy_from_slice(&u64::MAX.to_le_bytes());
    forge(&mut bytes);
    let error = apply_full(&bytes, &made.target()).unwrap_err();
    assert!(matches!(error, ApplyError::Count { found: u64::MAX, most: HASHES_MAX, .. }), "{error}");
}

#[test]
fn feeds_that_unpack_to_more_than_they_may_are_refused() {
    let made = Made::new(&rich(), 1);
    let mut bytes = Head::room();
    columns::pack(&vec![b' '; usize::try_from(FEED_BYTES_MAX).unwrap() + 1], &mut bytes).unwrap();
    let bytes = Head::new(&made.set, None).seal(bytes);
    let error = apply_full(&bytes, &made.target()).unwrap_err();
    assert!(matches!(error, ApplyError::Count { what: "its table of feeds", .. }), "{error}");
}

#[test]
fn hashes_that_all_fall_into_one_shard_are_refused() {
    let made = Made::new(&Content { feeds: vec![(1, numbered(0..300_000))], ..Content::default() }, 1);
    assert!(made.set.shard_bits() > 2);
    let mut head = Head::new(&made.set, None);
    head.added = [300_000.into(), 0.into()];
    let mut bytes = Head::room();
    feeds::put(&made.set, &mut bytes).unwrap();
    let mut packer = entries::EntryPacker::new().unwrap();
    let mark = crate::threat_set::layout::Mark::new(0, Scope::Both, 0);
    (0..300_000).for_each(|hash| packer.push(hash, &[mark]).unwrap());
    packer.finish(&mut bytes).unwrap();
    let error = apply_full(&head.seal(bytes), &made.target()).unwrap_err();
    assert!(matches!(error, ApplyError::Damaged("its hashes are uneven")), "{error}");
}

#[test]
fn a_set_with_lines_and_one_without_a_file_do_not_travel() {
    let mut builder = Builder::new(KEY, 1, 1);
    let feed = builder.feed(info(1)).unwrap();
    builder.add(feed, &entry("evil.example", Scope::Both, false));
    let set = builder.build().unwrap();
    assert!(matches!(full(&set), Err(EncodeError::Lines)));
    let empty = ThreatSet::empty(KEY);
    assert!(matches!(full(&empty), Err(EncodeError::NoFile)));
    assert!(matches!(delta(&set, &empty), Err(EncodeError::NoFile)));
}

#[test]
fn sets_of_two_keys_have_no_delta_and_do_not_join() {
    let made = Made::new(&rich(), 1);
    let other = Builder::new(SetKey([1; 16]), 1, 1).build().unwrap();
    assert!(matches!(delta(&other, &made.set), Err(EncodeError::OtherKey)));
    let error = Builder::new(SetKey([1; 16]), 1, 1).import(&made.set).unwrap_err();
    assert!(matches!(error, crate::threat_set::BuildError::OtherKey), "{error}");
}

#[test]
fn a_delta_from_nothing_is_the_whole_set() {
    let made = Made::new(&rich(), 1);
    let empty = ThreatSet::empty(KEY);
    let bytes = delta(&empty, &made.set).unwrap();
    assert_eq!(apply_delta(&bytes, &empty, &made.target()).unwrap(), made.set.id());
    assert_eq!(fs::read(made.target()).unwrap(), made.file());
}

#[test]
fn a_delta_may_replace_its_own_base() {
    let (base, new) = (Made::new(&rich(), 1), Made::new(&richer(), 2));
    let path = base.folder.path().join("made.set");
    let bytes = delta(&base.set, &new.set).unwrap();
    apply_delta(&bytes, &base.set, &path).unwrap();
    assert_eq!(base.file(), new.file());
}

#[test]
fn a_feed_that_comes_first_or_goes_changes_little_for_the_others() {
    let many = (5, numbered(0..50_000));
    let base = Made::new(&Content { feeds: vec![many.clone()], ..Content::default() }, 1);
    let more = Content { feeds: vec![(1, numbered(60_000..60_010)), many], ..Content::default() };
    let new = Made::new(&more, 2);
    for (from, to) in [(&base, &new), (&new, &base)] {
        let bytes = delta(&from.set, &to.set).unwrap();
        assert!(bytes.len() < 1500, "{} bytes", bytes.len());
        apply_delta(&bytes, &from.set, &to.target()).unwrap();
        assert_eq!(fs::read(to.target()).unwrap(), to.file());
    }
}

#[test]
fn feeds_that_share_names_and_change_places_change_little() {
    let [one, two] = [(1, numbered(0..20_000)), (2, numbered(0..10_000))];
    let base = Made::new(&Content { feeds: vec![one.clone(), two.clone()], ..Content::default() }, 1);
    let new = Made::new(&Content { feeds: vec![two, one], ..Content::default() }, 2);
    let bytes = delta(&base.set, &new.set).unwrap();
    assert!(bytes.len() < 1000, "{} bytes", bytes.len());
    apply_delta(&bytes, &base.set, &new.target()).unwrap();
    assert_eq!(fs::read(new.target()).unwrap(), new.file());
}

#[test]
fn a_set_of_many_shards_travels_in_under_seven_bytes_a_domain_and_a_small_change_in_little() {
    let entries = numbered(0..200_000);
    let base = Made::new(&Content { feeds: vec![(1, entries.clone())], ..Content::default() }, 1);
    let mut changed = entries;
    changed.drain(1000..1200);
    changed.extend(numbered(200_000..200_200));
    let new = Made::new(&Content { feeds: vec![(1, changed)], ..Content::default() }, 2);
    assert!(base.set.shard_bits() > 1);
    let bytes = full(&base.set).unwrap();
    assert!(bytes.len() < 7 * 200_000, "{} bytes", bytes.len());
    apply_full(&bytes, &base.target()).unwrap();
    assert_eq!(fs::read(base.target()).unwrap(), base.file());
    let bytes = delta(&base.set, &new.set).unwrap();
    assert!(bytes.len() < 4000, "{} bytes", bytes.len());
    apply_delta(&bytes, &base.set, &new.target()).unwrap();
    assert_eq!(fs::read(new.target()).unwrap(), new.file());
}

#[test]
fn imported_feeds_stand_beside_those_of_the_builder() {
    let made = Made::new(&rich(), 1);
    let mut builder = Builder::new(KEY, 1, 1);
    let own = builder.feed(info(77)).unwrap();
    builder.add(own, &entry("n1.example", Scope::Both, false));
    builder.import(&made.set).unwrap();
    let set = builder.build().unwrap();
    let names: Vec<_> = set.feeds().map(|feed| feed.name.to_string()).collect();
    assert_eq!(names, ["feed-77", "feed-1", "feed-2", "feed-3"]);
    let (_, by) = by_name(&set, "a.n1.example").unwrap();
    assert_eq!(by.first().unwrap().0, "feed-77");
    assert!(by.len() > 1, "{by:?}");
    assert_eq!(
        set.find("n1.example").unwrap().listings.first().unwrap().line,
        7,
        "own feeds keep their lines"
    );
    assert_eq!(by_name(&set, "a.fine.example"), None);
}

/// The file is made anew on the other side: where this digest changes (another filter, another layout), the set file's
/// version must change too, or no reader of the version before could apply what this one publishes.
#[test]
fn the_file_of_a_known_set_is_the_same_in_every_release_of_this_layout() {
    let made = Made::new(&rich(), 1);
    assert_eq!(made.set.id().to_string(), "3.1-2a577591916a");
}
