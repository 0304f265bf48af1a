//! Records built byte for byte; what comes out, and what is counted.

use namewarden_agent_common::record::{FLAG_MARKED, FLAG_OWNER};
use zerocopy::{FromZeros, IntoBytes};

use super::*;

const CLOCK: WallOffset = WallOffset(1_000_000);

const NOTHING: [Seen; 0] = [];

/// A packet as it was handed on, payload copied.
#[derive(Debug, PartialEq)]
struct Seen {
    payload: Vec<u8>,
    segment: Option<Segment>,
    source: SocketAddr,
}

fn header() -> RecordHeader {
    let mut header = RecordHeader::new_zeroed();
    header.time_boot_ns = 5_000_000_000;
    header.socket_cookie = 7;
    header.cgroup_id = 99;
    header.flags = FLAG_EGRESS | FLAG_MARKED | FLAG_OWNER;
    header.version = RECORD_VERSION;
    header.ip_version = 4;
    header.protocol = UDP;
    header.source_address[..4].copy_from_slice(&[10, 0, 0, 1]);
    header.destination_address[..4].copy_from_slice(&[10, 0, 0, 2]);
    header.source_port = 40_000_u16.to_be_bytes();
    header.destination_port = 53_u16.to_be_bytes();
    header
}

fn record(mut header: RecordHeader, whole: usize, offset: usize, chunk: &[u8]) -> Vec<u8> {
    header.payload_length = u32::try_from(whole).unwrap();
    header.chunk_offset = u32::try_from(offset).unwrap();
    header.chunk_length = u32::try_from(chunk.len()).unwrap();
    [header.as_bytes(), chunk].concat()
}

fn feed(decoder: &mut Decoder, bytes: &[u8]) -> Vec<Seen> {
    let mut seen = Vec::new();
    decoder.record(bytes, CLOCK, &mut |packet| seen.push(keep(packet)));
    seen
}

fn keep(packet: &Packet<'_>) -> Seen {
    Seen { payload: packet.payload.to_vec(), segment: packet.segment, source: packet.source }
}

fn payloads(seen: &[Seen]) -> Vec<&[u8]> {
    seen.iter().map(|packet| packet.payload.as_slice()).collect()
}

#[test]
fn a_record_becomes_a_packet_with_all_that_the_kernel_said() {
    let mut head = header();
    head.pid = 12;
    head.tid = 13;
    head.thread_name[..4].copy_from_slice(b"curl");
    head.owner_cgroup_id = 98;
    let mut calls = 0;
    Decoder::new().record(&record(head, 3, 0, b"abc"), CLOCK, &mut |packet| {
        calls += 1;
        assert_eq!(packet.time, Timestamp(5_001_000_000));
        assert_eq!(packet.transport, Transport::Udp);
        assert_eq!(packet.direction, Direction::Egress);
        assert_eq!(packet.source.to_string(), "10.0.0.1:40000");
        assert_eq!(packet.destination.to_string(), "10.0.0.2:53");
        assert_eq!((packet.origin.cgroup_id, packet.origin.owner_cgroup_id), (99, 98));
        assert_eq!((packet.origin.pid, packet.origin.tid, packet.origin.socket), (12, 13, 7));
        assert_eq!(&packet.origin.thread_name[..5], b"curl\0");
        assert!(!packet.origin.server);
        assert_eq!((packet.segment, packet.frame, packet.payload), (None, 0, &b"abc"[..]));
    });
    assert_eq!(calls, 1);
}

#[test]
fn a_record_shorter_than_it_says_is_counted_and_refused() {
    let mut decoder = Decoder::new();
    let whole = record(header(), 3, 0, b"abc");
    for length in 0..whole.len() {
        assert_eq!(feed(&mut decoder, &whole[..length]), NOTHING);
    }
    assert_eq!(decoder.counts().short, whole.len() as u64);
    assert_eq!(decoder.counts().packets, 0);
}

#[test]
fn records_of_another_version_family_or_protocol_are_foreign() {
    let mut decoder = Decoder::new();
    for change in [
        |header: &mut RecordHeader| header.version = 9,
        |header: &mut RecordHeader| header.ip_version = 5,
        |header: &mut RecordHeader| header.protocol = 132,
    ] {
        let mut head = header();
        change(&mut head);
        assert_eq!(feed(&mut decoder, &record(head, 3, 0, b"abc")), NOTHING);
    }
    assert_eq!(feed(&mut decoder, &record(header(), 2, 0, b"abc")), NOTHING, "chunk beyond the packet");
    assert_eq!(decoder.counts().foreign, 4);
}

#[test]
fn bytes_of_the_slot_beyond_the_chunk_are_left_out() {
    let mut bytes = record(header(), 3, 0, b"abc");
    bytes.extend_from_slice(&[0xEE; 125]);
    assert_eq!(payloads(&feed(&mut Decoder::new(), &bytes)), [b"abc"]);
}

#[test]
fn chunks_of_one_packet_are_joined_with_others_between_them() {
    let mut decoder = Decoder::new();
    let mut other = header();
    other.cpu = 1;
    assert_eq!(feed(&mut decoder, &record(header(), 6, 0, b"ab")), NOTHING);
    assert_eq!(feed(&mut decoder, &record(other, 4, 0, b"xy")), NOTHING);
    assert_eq!(feed(&mut decoder, &record(header(), 6, 2, b"cd")), NOTHING);
    assert_eq!(payloads(&feed(&mut decoder, &record(header(), 6, 4, b"ef"))), [b"abcdef"]);
    assert_eq!(payloads(&feed(&mut decoder, &record(other, 4, 2, b"z!"))), [b"xyz!"]);
    assert_eq!((decoder.counts().chunks, decoder.counts().joined), (5, 2));
}

#[test]
fn a_packet_that_lost_a_chunk_is_handed_on_up_to_the_hole() {
    let mut decoder = Decoder::new();
    feed(&mut decoder, &record(header(), 6, 0, b"ab"));
    assert_eq!(payloads(&feed(&mut decoder, &record(header(), 6, 4, b"ef"))), [b"ab"]);
    assert_eq!((decoder.counts().incomplete, decoder.counts().orphans), (1, 1));
}

#[test]
fn a_packet_whose_chunks_are_overdue_is_handed_on_as_it_is() {
    let mut decoder = Decoder::new();
    feed(&mut decoder, &record(header(), 6, 0, b"ab"));
    let mut seen = Vec::new();
    decoder.expire(Timestamp(6_000_999_999), &mut |packet| seen.push(keep(packet)));
    assert_eq!(seen, NOTHING, "not yet overdue");
    decoder.expire(Timestamp(6_001_000_000), &mut |packet| seen.push(keep(packet)));
    assert_eq!(payloads(&seen), [b"ab"]);
    assert_eq!(decoder.counts().incomplete, 1);
}

#[test]
fn a_packet_that_waits_for_chunks_does_not_wait_for_a_clock_that_was_set_back() {
    let mut decoder = Decoder::new();
    feed(&mut decoder, &record(header(), 6, 0, b"ab"));
    let mut seen = Vec::new();
    decoder.expire(Timestamp(4_500_000_000), &mut |packet| seen.push(keep(packet)));
    assert_eq!(seen, NOTHING, "clocks may differ a little");
    decoder.expire(Timestamp(1_000_000_000), &mut |packet| seen.push(keep(packet)));
    assert_eq!(payloads(&seen), [b"ab"]);
}

#[test]
fn a_full_table_lets_the_oldest_packet_go() {
    let mut decoder = Decoder::new();
    let mut seen = Vec::new();
    for socket in 0..40 {
        let mut head = header();
        head.socket_cookie = socket;
        seen.extend(feed(&mut decoder, &record(head, 6, 0, &[u8::try_from(socket).unwrap()])));
    }
    assert_eq!(payloads(&seen), [[0], [1], [2], [3], [4], [5], [6], [7]]);
    assert_eq!(decoder.counts().incomplete, 8);
}

#[test]
fn datagrams_that_the_kernel_coalesced_are_split_again() {
    let mut head = header();
    head.gso_size = 3;
    assert_eq!(
        payloads(&feed(&mut Decoder::new(), &record(head, 8, 0, b"abcdefgh"))),
        [&b"abc"[..], b"def", b"gh"]
    );
    let mut decoder = Decoder::new();
    feed(&mut decoder, &record(head, 8, 0, b"abcd"));
    assert_eq!(payloads(&feed(&mut decoder, &record(head, 8, 4, b"efgh"))), [&b"abc"[..], b"def", b"gh"]);
    assert_eq!(decoder.counts().packets, 3);
}

#[test]
fn chunks_of_a_tcp_packet_are_segments_at_their_own_sequence_number() {
    let mut head = header();
    head.protocol = TCP;
    head.tcp_sequence = u32::MAX;
    head.tcp_flags = TCP_FIN;
    let mut decoder = Decoder::new();
    let first = feed(&mut decoder, &record(head, 5, 0, b"abc"));
    let second = feed(&mut decoder, &record(head, 5, 3, b"de"));
    let plain = Segment { sequence: u32::MAX, syn: false, fin: false, rst: false };
    assert_eq!((first[0].segment, payloads(&first)[0]), (Some(plain), &b"abc"[..]));
    assert_eq!(second[0].segment, Some(Segment { sequence: 2, fin: true, ..plain }));
    assert_eq!(decoder.counts().chunks, 0, "TCP chunks are not held");
}

#[test]
fn an_ipv4_mapped_address_is_shown_as_ipv4() {
    let mut head = header();
    head.ip_version = 6;
    head.source_address = Ipv4Addr::new(192, 0, 2, 9).to_ipv6_mapped().octets();
    let seen = feed(&mut Decoder::new(), &record(head, 3, 0, b"abc"));
    assert_eq!(seen[0].source.to_string(), "192.0.2.9:40000");
}

#[test]
fn a_packet_cut_at_64_kib_is_complete_when_all_that_was_copied_is_there() {
    let mut head = header();
    head.flags |= FLAG_TRUNCATED;
    let mut decoder = Decoder::new();
    assert_eq!(feed(&mut decoder, &record(head, 70_000, 0, &vec![1; 65_000])), NOTHING);
    let seen = feed(&mut decoder, &record(head, 70_000, 65_000, &[2; 536]));
    assert_eq!(seen[0].payload.len(), 65_536);
    assert_eq!((decoder.counts().truncated, decoder.counts().joined), (1, 1));
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic_and_every_record_is_accounted(
        records in proptest::collection::vec(
            (proptest::collection::vec(proptest::num::u8::ANY, 0..300), proptest::bool::ANY), 0..40)
    ) {
        let mut decoder = Decoder::new();
        let mut handed_on = 0;
        for (mut bytes, ours) in records {
            if ours && bytes.len() >= 128 {
                let mut head = RecordHeader::read_from_prefix(&bytes).unwrap().0;
                head.version = RECORD_VERSION;
                head.ip_version = 4 + (head.ip_version & 2);
                head.protocol = if head.protocol & 1 == 0 { UDP } else { TCP };
                head.chunk_length %= 200;
                head.chunk_offset %= 100;
                head.payload_length = head.chunk_offset + head.chunk_length + head.payload_length % 3;
                bytes[..128].copy_from_slice(head.as_bytes());
            }
            decoder.record(&bytes, CLOCK, &mut |_| handed_on += 1);
        }
        decoder.expire(Timestamp(u64::MAX), &mut |_| handed_on += 1);
        let counts = decoder.counts();
        proptest::prop_assert_eq!(counts.packets, handed_on);
        let kinds = counts.short + counts.foreign + counts.whole + counts.segments + counts.chunks;
        proptest::prop_assert_eq!(counts.records, kinds);
        let chunks = counts.joined + counts.incomplete + counts.merged + counts.orphans;
        proptest::prop_assert_eq!((counts.chunks, counts.waiting), (chunks, 0));
        let packets = counts.whole + counts.segments + counts.joined + counts.incomplete + counts.coalesced;
        proptest::prop_assert_eq!(counts.packets, packets);
    }
}
