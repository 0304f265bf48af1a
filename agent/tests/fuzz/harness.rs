//! Runs a target over a seed corpus and over mutations of it; the same inputs in every run.
//!
//! `NAMEWARDEN_FUZZ_RUNS` sets how many mutations are tried (by default a few thousand), `NAMEWARDEN_FUZZ_SEED` which.
//! The input that a target fails on is printed in hexadecimal; it belongs into the corpus.

use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::{env, fs};

/// Inputs grow no longer than this.
const LENGTH_MAX: usize = 8192;

/// The files of `corpus/<name>`.
pub fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(name);
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// Runs `target` on each seed, then on so many mutations.
pub fn fuzz(seeds: &[Vec<u8>], runs: usize, mut target: impl FnMut(&[u8])) {
    let runs = setting("NAMEWARDEN_FUZZ_RUNS").unwrap_or(runs);
    let mut random = Random(setting("NAMEWARDEN_FUZZ_SEED").unwrap_or(1) as u64);
    for seed in seeds {
        attempt(seed, &mut target);
    }
    for _ in 0..runs {
        let mut input = seeds[random.below(seeds.len())].clone();
        for _ in 0..=random.below(6) {
            mutate(&mut input, &seeds[random.below(seeds.len())], &mut random);
        }
        input.truncate(LENGTH_MAX);
        attempt(&input, &mut target);
    }
}

fn setting(name: &str) -> Option<usize> {
    env::var(name).ok().map(|value| value.parse().unwrap())
}

fn attempt(input: &[u8], target: &mut impl FnMut(&[u8])) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| target(input))) {
        let mut hex = String::new();
        for byte in input {
            write!(hex, "{byte:02x}").unwrap();
        }
        eprintln!("the target fails on: {hex}");
        resume_unwind(panic);
    }
}

/// Changes the input in one of the ways that find the most: values at the edge, pieces moved, cut, doubled, or taken from
/// another seed.
fn mutate(input: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    const EDGES: &[u8] = &[0, 1, 0x3F, 0x40, 0x7F, 0x80, 0xC0, 0xFF, b'\n', b'.', b'*', b'|'];
    if input.is_empty() {
        input.push(0);
    }
    let at = random.below(input.len());
    let length = 1 + random.below(16).min(input.len() - at - 1);
    match random.below(8) {
        0 => input[at] ^= 1 << random.below(8),
        1 => input[at] = EDGES[random.below(EDGES.len())],
        2 => input[at] = u8::try_from(random.below(256)).unwrap(),
        3 => input.truncate(at),
        4 => _ = input.drain(at..at + length),
        5 => {
            let piece = input[at..at + length].to_vec();
            let target = random.below(input.len());
            input.splice(target..target, piece);
        }
        6 => {
            let from = random.below(other.len().max(1));
            let piece = other[from.min(other.len())..].iter().take(length * 4).copied().collect::<Vec<_>>();
            input.splice(at..at, piece);
        }
        _ => input.insert(at, EDGES[random.below(EDGES.len())]),
    }
}

/// The generator of Marsaglia's xorshift.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).unwrap()
    }
}
