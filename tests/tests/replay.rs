//! `replay --messages` against tshark on generated captures: every message and every field of it equal.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "every function here is part of a test, also where the linter cannot see it"
)]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufWriter;

use namewarden_tests::differential::{Compared, compare};

use crate::capture::{Format, LINKS, Link};
use crate::dice::Dice;

// The same random numbers in every run.
#[path = "replay/dice.rs"]
mod dice;

// Random well-formed messages.
#[path = "replay/message.rs"]
mod message;

// Messages -> IP packets.
#[path = "replay/traffic.rs"]
mod traffic;

// IP packets -> capture files.
#[path = "replay/capture.rs"]
mod capture;

/// Writes a capture, compares it, says what was in it.
fn compared(seed: u64, format: Format, links: &[Link]) -> Compared {
    let packets = traffic::packets(&mut Dice::new(seed), 140, 30);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("generated");
    let mut out = BufWriter::new(File::create(&path).unwrap());
    capture::write(&mut out, format, links, &packets).unwrap();
    out.into_inner().unwrap();
    compare(&path).unwrap_or_else(|error| panic!("seed {seed}: {error:#}"))
}

#[test]
fn every_message_of_every_link_type_is_read_as_tshark_reads_it() {
    let mut types = BTreeMap::new();
    for (index, (name, link)) in LINKS.iter().enumerate() {
        let format = Format::Pcap { big_endian: index % 2 == 1, nanoseconds: index % 3 != 1 };
        let compared = compared(index as u64, format, &[*link]);
        // Half of the packets are of a version of IP that the link does not carry.
        let least = if name.starts_with("raw IP") { 150 } else { 400 };
        assert!(compared.messages > least, "{name}: {compared:?}");
        for (kind, count) in compared.types {
            *types.entry(kind).or_insert(0) += count;
        }
    }
    let rare: Vec<_> = types.iter().filter(|(_, count)| **count < 40).collect();
    assert!(rare.is_empty() && types.len() > 55, "{rare:?} of {} types", types.len());
}

#[test]
fn pcapng_with_all_link_types_and_clocks_at_once_is_read_as_tshark_reads_it() {
    let links: Vec<Link> = LINKS.iter().map(|(_, link)| *link).collect();
    for format in
        [Format::Pcapng { big_endian: false }, Format::Pcapng { big_endian: true }, Format::Sections]
    {
        let compared = compared(77, format, &links);
        assert!(compared.messages > 400, "{format:?}: {compared:?}");
    }
}
