//! Any file is either refused or safe: bytes changed, cut and added at random, with and without a digest that fits.

use std::io::{Seek as _, Write as _};

use proptest::sample::Index;
use zerocopy::{FromBytes as _, IntoBytes as _};

use super::*;
use crate::threat_set::layout::{HEADER_DIGESTED, Header};

/// A file with several feeds, exceptions and runs.
fn sound() -> Vec<u8> {
    let mut builder = Builder::new(KEY, 5, 6);
    let feeds = ["one", "two", "three"].map(|name| builder.feed(info(name)).unwrap());
    for number in 0..200u32 {
        let name = format!("n{}.example", number % 90);
        let scope = [Scope::Exact, Scope::Subdomains, Scope::Both][number as usize % 3];
        let verdict = if number % 7 == 0 { Verdict::Excepted } else { Verdict::Listed };
        builder.add(feeds[number as usize / 90], &entry(&name, scope, verdict, number + 1));
    }
    builder.allow(&listed("allowed.example", Scope::Both));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sound.set");
    builder.write(&path).unwrap();
    fs::read(&path).unwrap()
}

fn opened(bytes: &[u8]) -> Result<ThreatSet, OpenError> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file.rewind().unwrap();
    ThreatSet::from_file(file)
}

/// Gives a damaged file the digest and the length that it would have, so that the other checks are reached.
fn forge(bytes: &mut [u8]) {
    use sha2::{Digest as _, Sha256};
    let length = bytes.len() as u64;
    let Ok((header, rest)) = Header::mut_from_prefix(bytes) else { return };
    header.file_bytes = length.into();
    let digest = Sha256::new().chain_update(&*rest).chain_update(&header.as_bytes()[..HEADER_DIGESTED]);
    header.digest = digest.finalize().into();
}

/// Asks a set for everything it can be asked for.
fn ask(set: &ThreatSet) {
    let hashes: Vec<u64> = set.tables.hashes().iter().map(|hash| hash.get()).collect();
    for hash in hashes.into_iter().chain([0, 1, u64::MAX, 1 << 63]) {
        set.probe(hash);
    }
    for number in 0..100 {
        set.find(&format!("a.n{number}.example"));
        set.find(&format!("n{number}.example"));
    }
    set.find("allowed.example");
    assert_eq!(set.feeds().count(), (0..=u16::MAX).filter(|id| set.feed(FeedId(*id)).is_some()).count());
    assert!(set.len() <= set.tables.hashes().len());
}

#[test]
fn sound_file_opens_and_finds() {
    let set = opened(&sound()).unwrap();
    assert_eq!(set.find("a.n1.example").unwrap().listings.len(), 2);
    assert_eq!(set.unreadable(), 0);
    ask(&set);
}

#[test]
fn every_changed_byte_is_refused() {
    let bytes = sound();
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << (at % 8);
        assert!(opened(&damaged).is_err(), "byte {at}");
    }
}

#[test]
fn every_cut_is_refused() {
    let bytes = sound();
    for length in 0..bytes.len() {
        assert!(opened(&bytes[..length]).is_err(), "{length} bytes");
    }
}

#[test]
fn refusal_says_what_is_wrong() {
    let bytes = sound();
    let refusal = |at: usize, to: u8| {
        let mut damaged = bytes.clone();
        damaged[at] = to;
        forge(&mut damaged);
        opened(&damaged).unwrap_err()
    };
    assert!(matches!(refusal(0, b'X'), OpenError::Magic { found } if found[0] == b'X'));
    assert!(matches!(refusal(8, 99), OpenError::Version { found: 99, supported: 1 }));
    assert!(matches!(refusal(12, 9), OpenError::Count { what: "the shards' bits", found: 9 }));
    assert!(matches!(refusal(120, 0), OpenError::Count { .. } | OpenError::Shard { .. }));
    let last = bytes.len() - 1;
    assert!(matches!(refusal(last, b'x'), OpenError::Feeds(_)));
    let mut longer = bytes.clone();
    longer.push(0);
    let found = longer.len() as u64;
    assert!(
        matches!(opened(&longer).unwrap_err(), OpenError::Length { expected, found: is } if expected + 1 == found && is == found)
    );
    let mut wrong = bytes.clone();
    wrong[90] ^= 1;
    assert!(matches!(opened(&wrong).unwrap_err(), OpenError::Digest { .. }));
}

/// The first shard's parts, by the layout that the module describes.
const COUNT_AT: usize = 120;
const SEGMENT_LENGTH_AT: usize = COUNT_AT + 8;
const HASHES_AT: usize = COUNT_AT + 24;

fn forged(change: impl FnOnce(&mut Vec<u8>)) -> OpenError {
    let mut bytes = sound();
    change(&mut bytes);
    forge(&mut bytes);
    opened(&bytes).unwrap_err()
}

#[test]
fn hashes_out_of_order_or_twice_are_refused() {
    let order =
        |error| matches!(error, OpenError::Shard { shard: 0, fault: ShardFault::Order { position: 1 } });
    assert!(order(forged(|bytes| bytes[HASHES_AT..HASHES_AT + 16].rotate_left(8))));
    assert!(order(forged(|bytes| bytes.copy_within(HASHES_AT..HASHES_AT + 8, HASHES_AT + 8))));
}

#[test]
fn filter_of_impossible_shape_is_refused() {
    let error = forged(|bytes| bytes[SEGMENT_LENGTH_AT] = 3);
    let fault = ShardFault::Filter { segment_length: 3, segment_count: 3 };
    assert!(matches!(error, OpenError::Shard { shard: 0, fault: is } if is == fault), "{error}");
}

#[test]
fn shard_of_more_hashes_than_the_header_has_is_refused() {
    let error = forged(|bytes| bytes[COUNT_AT + 1] = 1);
    let too_many = |fault| matches!(fault, ShardFault::TooMany { what: "hashes", .. });
    assert!(matches!(error, OpenError::Shard { shard: 0, fault } if too_many(fault)), "{error}");
}

#[test]
fn value_of_a_feed_that_is_not_there_or_of_no_scope_is_refused() {
    let set = opened(&sound()).unwrap();
    let values_at = usize::try_from(set.listed[0].values_at).unwrap();
    // A value that is no run: its top bit is clear.
    let bytes = sound();
    let position = (0..set.listed[0].count).find(|at| bytes[values_at + at * 8 + 7] < 128).unwrap();
    let place = values_at + position * 8;
    let error = forged(|bytes| bytes[place..place + 8].copy_from_slice(&(9u64 << 32).to_le_bytes()));
    assert!(matches!(error, OpenError::Feed { feed: 9, feeds: 3 }), "{error}");
    let bits = 3u64 << 48;
    let error = forged(|bytes| bytes[place..place + 8].copy_from_slice(&bits.to_le_bytes()));
    let fault = ShardFault::Value { position: position as u64, bits };
    assert!(matches!(error, OpenError::Shard { shard: 0, fault: is } if is == fault), "{error}");
}

#[test]
fn file_that_shrinks_under_a_set_is_counted_not_a_crash() {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&sound()).unwrap();
    let set = ThreatSet::from_file(file.try_clone().unwrap()).unwrap();
    file.set_len(0).unwrap();
    assert_eq!(set.find("a.n1.example"), None);
    assert!(set.unreadable() > 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn damaged_file_with_a_digest_that_fits_is_refused_or_safe(
        changes in prop::collection::vec((any::<Index>(), prop_oneof![any::<u8>(), Just(0), Just(0xff), Just(1)]), 1..6),
        in_front in any::<bool>(),
        cut in prop::option::weighted(0.2, any::<Index>()),
    ) {
        let mut bytes = sound();
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        // Heads are few among many bytes: half of the damage goes there.
        let reach = if in_front { bytes.len().min(160) } else { bytes.len() };
        for (at, byte) in changes {
            if reach > 0 {
                bytes[at.index(reach)] = byte;
            }
        }
        forge(&mut bytes);
        if let Ok(set) = opened(&bytes) {
            ask(&set);
        }
    }

    #[test]
    fn random_bytes_behind_a_header_are_refused(tail in prop::collection::vec(any::<u8>(), 0..500)) {
        let mut bytes = sound();
        bytes.truncate(120);
        bytes.extend(tail);
        forge(&mut bytes);
        prop_assert!(opened(&bytes).is_err());
    }
}
