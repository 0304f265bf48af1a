//! Threat sets on the wire, mutated: refused, or a set file that is sound; nothing is left behind, nothing panics.
//!
//! Each run is the same unless `NAMEWARDEN_FUZZ_SEED` says otherwise; `NAMEWARDEN_FUZZ_RUNS` makes it longer. A failure
//! prints its input in hexadecimal, which becomes a test.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a harness may stop where it is wrong itself"
)]

use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;

use namewarden_protocol::entry::{Entry, Scope, Verdict};
use namewarden_protocol::threat_set::wire::{Kind, announced, apply_delta, apply_full, delta, full};
use namewarden_protocol::threat_set::{Builder, FeedInfo, SetKey, ThreatSet};
use sha2::{Digest as _, Sha256};

/// Bytes that the checksum does not cover, itself at their end.
const UNCHECKED: usize = 48;
/// Values at the edge.
const EDGES: [u8; 6] = [0, 1, 0x7f, 0x80, 0xfe, 0xff];

/// A generator of numbers, the same for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap_or_default() % bound.max(1)
    }

    fn byte(&mut self) -> u8 {
        match self.below(2) {
            0 => EDGES[self.below(EDGES.len())],
            _ => u8::try_from(self.below(256)).unwrap(),
        }
    }
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap())
}

/// `count` names from number `first` on; each letter is a feed that has fewer of them than the one before.
fn set(feeds: &str, first: u32, count: u32) -> ThreatSet {
    let mut builder = Builder::new(SetKey([3; 16]), 1, count.into()).without_lines();
    for (letter, step) in feeds.chars().zip(1..) {
        let name = letter.to_string().into();
        let info = FeedInfo { name, description: "".into(), severity: 1, techniques: [].into() };
        let feed = builder.feed(info).unwrap();
        for number in (first..first + count).step_by(step) {
            let name = format!("n{number}.evil.example");
            let verdict = if number % 5 == 0 { Verdict::Excepted } else { Verdict::Listed };
            builder.add(feed, &Entry { name: &name, scope: Scope::Both, verdict, line: 1 });
        }
    }
    builder.build().unwrap()
}

/// A seed with up to four things done to it.
fn mutate(seeds: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut bytes = seeds[random.below(seeds.len())].clone();
    for _ in 0..=random.below(4) {
        // The head and the lengths of frames are few among many bytes: half of the damage goes to the front.
        let reach = if random.below(2) == 0 { bytes.len().min(320) } else { bytes.len() };
        let at = random.below(reach);
        let end = (at + random.below(16)).min(bytes.len());
        match random.below(6) {
            0..=2 if at < bytes.len() => bytes[at] = random.byte(),
            3 => drop(bytes.drain(at..end)),
            4 => {
                let piece = bytes[at..end].to_vec();
                drop(bytes.splice(at..at, piece));
            }
            _ => {
                let other = &seeds[random.below(seeds.len())];
                let from = random.below(other.len());
                drop(bytes.splice(at..end, other[from..].iter().copied().take(end - at)));
            }
        }
    }
    bytes
}

/// Applies the bytes under the checksum that fits, or nothing behind it would ever be reached. Says whether that worked.
fn target(input: &[u8], sets: [&ThreatSet; 2], folder: &Path) -> bool {
    let mut bytes = input.to_vec();
    if let Some((front, rest)) = bytes.split_at_mut_checked(UNCHECKED) {
        front[UNCHECKED - 32..].copy_from_slice(&Sha256::digest(&*rest));
    }
    let path = folder.join("applied.set");
    let applied = match announced(&bytes).map(|announced| announced.kind) {
        Err(error) => Err(error),
        Ok(Kind::Full) => apply_full(&bytes, &path),
        Ok(Kind::Delta { base }) => {
            let known = sets.into_iter().find(|set| set.id() == base);
            apply_delta(&bytes, known.unwrap_or(sets[0]), &path)
        }
    };
    if let Ok(id) = applied {
        assert_eq!(ThreatSet::open(&path).unwrap().id(), id);
        std::fs::remove_file(&path).unwrap();
    }
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), 0, "nothing is left behind");
    applied.is_ok()
}

#[test]
fn any_published_set_is_refused_or_makes_a_sound_file() {
    let folder = tempfile::tempdir().unwrap();
    let (base, new) = (set("abc", 0, 60), set("cxa", 20, 70));
    let seeds = [full(&base), full(&new), full(&set("", 0, 0)), delta(&base, &new), delta(&new, &base)];
    let seeds = seeds.map(Result::unwrap);
    for seed in &seeds {
        assert!(target(seed, [&base, &new], folder.path()), "a seed is sound");
    }
    let mut random = Random(0x9e37_79b9_7f4a_7c15 ^ (setting("NAMEWARDEN_FUZZ_SEED").unwrap_or(1) << 1 | 1));
    for _ in 0..setting("NAMEWARDEN_FUZZ_RUNS").unwrap_or(2000) {
        let input = mutate(&seeds, &mut random);
        let attempt = AssertUnwindSafe(|| target(&input, [&base, &new], folder.path()));
        if let Err(panic) = catch_unwind(attempt) {
            let hex = input.iter().fold(String::new(), |mut hex, byte| {
                write!(hex, "{byte:02x}").unwrap();
                hex
            });
            eprintln!("input: {hex}");
            resume_unwind(panic);
        }
    }
}
