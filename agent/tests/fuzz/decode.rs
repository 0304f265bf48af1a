//! Input: records, each after its length in two bytes.

use namewarden_agent::pipeline::decode::{Decoder, WallOffset};
use namewarden_agent::pipeline::packet::Timestamp;
use namewarden_agent_common::record::{RECORD_VERSION, RecordHeader};
use zerocopy::{FromZeros, IntoBytes};

use crate::harness::fuzz;

/// Neither panics nor loses a record, nor hands on more bytes than came in.
fn target(input: &[u8]) {
    let mut decoder = Decoder::new();
    let (mut records, mut handed_on, mut rest) = (0, 0, input);
    while let Some((length, after)) = rest.split_first_chunk::<2>() {
        let length = usize::from(u16::from_be_bytes(*length)).min(after.len());
        let (record, after) = after.split_at(length);
        decoder.record(record, WallOffset(1), &mut |packet| handed_on += packet.payload.len());
        records += 1;
        rest = after;
    }
    decoder.expire(Timestamp(u64::MAX), &mut |packet| handed_on += packet.payload.len());
    let counts = decoder.counts();
    assert_eq!(counts.records, records);
    assert_eq!(counts.bytes, handed_on as u64);
    assert!(handed_on <= input.len());
    assert_eq!(counts.short + counts.foreign + counts.chunks + counts.whole + counts.segments, records);
}

fn record(protocol: u8, payload_length: u32, chunk_offset: u32, gso_size: u16, chunk: &[u8]) -> Vec<u8> {
    let mut header = RecordHeader::new_zeroed();
    header.version = RECORD_VERSION;
    header.ip_version = 4;
    header.protocol = protocol;
    header.payload_length = payload_length;
    header.chunk_offset = chunk_offset;
    header.chunk_length = u32::try_from(chunk.len()).unwrap();
    header.gso_size = gso_size;
    let length = u16::try_from(128 + chunk.len()).unwrap();
    [&length.to_be_bytes(), header.as_bytes(), chunk].concat()
}

#[test]
fn no_record_makes_the_decoder_panic_or_go_uncounted() {
    let chunks = [record(17, 8, 0, 0, b"abcd"), record(17, 8, 4, 0, b"efgh")].concat();
    let seeds = [
        record(17, 4, 0, 0, b"abcd"),
        record(17, 9, 0, 4, b"abcdefghi"),
        record(6, 4, 0, 0, b"abcd"),
        chunks,
    ];
    fuzz(&seeds, 20_000, target);
}
