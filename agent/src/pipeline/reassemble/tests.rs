//! Streams cut, doubled, shuffled and torn in every way; the messages that come out, and that every byte is accounted.

use std::net::SocketAddr;

use proptest::prelude::*;

use super::super::packet::{Direction, Origin, Segment, Transport};
use super::*;

const SECOND: u64 = 1_000_000_000;
const SYN: Segment = Segment { sequence: 0, syn: true, fin: false, rst: false };
const PLAIN: Segment = Segment { sequence: 0, syn: false, fin: false, rst: false };

/// A reassembler, the messages that came out of it, and the frames that completed them.
struct Bench {
    stage: Reassembler,
    messages: Vec<Vec<u8>>,
    frames: Vec<u64>,
    frame: u64,
}

impl Bench {
    fn new(limits: Limits) -> Self {
        Self { stage: Reassembler::new(limits), messages: Vec::new(), frames: Vec::new(), frame: 0 }
    }

    fn opened() -> Self {
        let mut bench = Self::new(Limits::LIVE);
        bench.syn(7, 999);
        bench
    }

    fn syn(&mut self, socket: u64, sequence: u32) {
        self.send(socket, Direction::Egress, 0, Segment { sequence, ..SYN }, &[]);
    }

    fn data(&mut self, sequence: u32, payload: &[u8]) {
        self.send(7, Direction::Egress, 0, Segment { sequence, ..PLAIN }, payload);
    }

    fn at(&mut self, time: u64, sequence: u32, payload: &[u8]) {
        self.send(7, Direction::Egress, time, Segment { sequence, ..PLAIN }, payload);
    }

    fn send(&mut self, socket: u64, direction: Direction, time: u64, segment: Segment, payload: &[u8]) {
        self.frame += 1;
        let packet = Packet {
            time: Timestamp(time),
            transport: Transport::Tcp,
            direction,
            source: SocketAddr::from(([10, 0, 0, 1], 40_000)),
            destination: SocketAddr::from(([10, 0, 0, 2], 53)),
            origin: Origin { socket, ..Origin::default() },
            segment: Some(segment),
            frame: self.frame,
            payload,
        };
        let (messages, frames) = (&mut self.messages, &mut self.frames);
        self.stage.segment(&packet, &mut |message| {
            messages.push(message.bytes.to_vec());
            frames.push(message.frame);
        });
    }

    fn expire(&mut self, now: u64) {
        let (messages, frames) = (&mut self.messages, &mut self.frames);
        self.stage.expire(Timestamp(now), &mut |message| {
            messages.push(message.bytes.to_vec());
            frames.push(message.frame);
        });
    }

    /// Every byte handed in is in exactly one count, or held.
    fn assert_accounted(&self) {
        let counts = self.stage.counts();
        let known = counts.message_bytes
            + counts.duplicate_bytes
            + counts.skipped_bytes
            + counts.lost_bytes
            + counts.muted_bytes
            + self.stage.counts().held_bytes;
        assert_eq!(counts.bytes, known, "{counts:?}");
    }
}

/// A message with one question; `extra` bytes follow it.
fn query(id: u16, extra: usize) -> Vec<u8> {
    let mut bytes = id.to_be_bytes().to_vec();
    bytes.extend_from_slice(&[1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    bytes.extend_from_slice(b"\x07example\x03net\x00\x00\x01\x00\x01");
    bytes.extend(std::iter::repeat_n(0xAB, extra));
    bytes
}

fn framed(messages: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for message in messages {
        bytes.extend_from_slice(&u16::try_from(message.len()).unwrap().to_be_bytes());
        bytes.extend_from_slice(message);
    }
    bytes
}

#[test]
fn several_messages_in_one_segment_are_handed_on_without_being_copied() {
    let messages = [query(1, 0), query(2, 5), query(3, 0)];
    let stream = framed(&messages);
    let mut stage = Reassembler::new(Limits::LIVE);
    let mut inside = 0;
    let packet = Packet {
        time: Timestamp(0),
        transport: Transport::Tcp,
        direction: Direction::Egress,
        source: SocketAddr::from(([10, 0, 0, 1], 1)),
        destination: SocketAddr::from(([10, 0, 0, 2], 53)),
        origin: Origin::default(),
        segment: Some(PLAIN),
        frame: 0,
        payload: &stream,
    };
    stage.segment(&packet, &mut |message| {
        inside += usize::from(stream.as_ptr_range().contains(&message.bytes.as_ptr()));
    });
    assert_eq!(inside, 3);
    assert_eq!((stage.counts().messages, stage.counts().held_bytes), (3, 0));
}

#[test]
fn a_udp_datagram_passes_through() {
    let mut stage = Reassembler::new(Limits::LIVE);
    let packet = Packet {
        time: Timestamp(4),
        transport: Transport::Udp,
        direction: Direction::Ingress,
        source: SocketAddr::from(([10, 0, 0, 1], 53)),
        destination: SocketAddr::from(([10, 0, 0, 2], 5000)),
        origin: Origin::default(),
        segment: None,
        frame: 3,
        payload: b"datagram",
    };
    let mut seen = Vec::new();
    stage.segment(&packet, &mut |message| seen.push((message.bytes.to_vec(), message.frame)));
    assert_eq!(seen, [(b"datagram".to_vec(), 3)]);
    assert_eq!(stage.counts().datagrams, 1);
}

#[test]
fn a_length_prefix_in_segments_of_its_own_is_put_together() {
    let message = query(1, 0);
    let stream = framed(std::slice::from_ref(&message));
    let mut bench = Bench::opened();
    bench.data(1000, &stream[..1]);
    bench.data(1001, &stream[1..2]);
    bench.data(1002, &stream[2..]);
    assert_eq!((bench.messages, bench.frames), (vec![message], vec![4]));
}

#[test]
fn a_message_of_the_largest_size_arrives_in_many_segments_across_the_wrap_of_the_sequence_number() {
    let message = query(1, 65_535 - 29);
    assert_eq!(message.len(), 65_535);
    let stream = framed(std::slice::from_ref(&message));
    let mut bench = Bench::new(Limits::LIVE);
    let start = u32::MAX - 30_000;
    bench.syn(7, start.wrapping_sub(1));
    let mut sequence = start;
    for piece in stream.chunks(1448) {
        bench.data(sequence, piece);
        sequence = sequence.wrapping_add(1448);
    }
    assert!(bench.messages == [message], "one message, byte for byte");
    bench.assert_accounted();
}

#[test]
fn retransmitted_and_overlapping_bytes_are_dropped() {
    let messages = [query(1, 0), query(2, 0)];
    let stream = framed(&messages);
    let mut bench = Bench::opened();
    bench.data(1000, &stream[..20]);
    bench.data(1000, &stream[..20]);
    bench.data(1010, &stream[10..40]);
    bench.data(1000, &stream);
    bench.data(1000, &stream);
    assert_eq!(bench.messages, messages);
    assert_eq!(bench.stage.counts().duplicate_bytes, 20 + 10 + 40 + stream.len() as u64);
    bench.assert_accounted();
}

#[test]
fn segments_out_of_order_wait_and_the_frame_is_the_one_that_filled_the_hole() {
    let messages = [query(1, 0), query(2, 0)];
    let stream = framed(&messages);
    let mut bench = Bench::opened();
    bench.data(1040, &stream[40..]);
    bench.data(1010, &stream[10..40]);
    assert_eq!(bench.messages.len(), 0);
    bench.data(1000, &stream[..10]);
    assert_eq!((bench.messages.as_slice(), bench.frames.as_slice()), (&messages[..], &[4, 4][..]));
    assert_eq!(bench.stage.counts().reordered, 2);
    bench.assert_accounted();
}

#[test]
fn a_stream_older_than_the_agent_is_joined_at_the_next_message() {
    let mut bench = Bench::new(Limits::LIVE);
    let messages = [query(1, 100), query(2, 0)];
    let stream = framed(&messages);
    bench.data(5000, &stream[60..131]);
    bench.data(5071, &stream[131..]);
    assert_eq!(bench.messages, messages[1..]);
    let counts = bench.stage.counts();
    assert_eq!((counts.resynchronised, counts.skipped_bytes), (1, 71));
    bench.assert_accounted();
}

#[test]
fn a_stream_older_than_the_agent_is_joined_at_a_length_prefix_in_its_own_segment() {
    let mut bench = Bench::new(Limits::LIVE);
    let stream = framed(&[query(1, 0)]);
    bench.data(5000, &stream[..2]);
    bench.data(5002, &stream[2..]);
    assert_eq!(bench.messages, [query(1, 0)]);
}

/// A message of a zone transfer: no question, many records of fixed form.
fn transfer(id: u16, records: u16) -> Vec<u8> {
    let [high, low] = records.to_be_bytes();
    let mut bytes = id.to_be_bytes().to_vec();
    bytes.extend_from_slice(&[0x84, 0, 0, 0, high, low, 0, 0, 0, 0]);
    for number in 0..records {
        let [b, c] = number.to_be_bytes();
        bytes.extend_from_slice(b"\x03www\x07example\x03net\x00\x00\x01\x00\x01\x00\x00\x0e\x10\x00\x04");
        bytes.extend_from_slice(&[10, 0, b, c]);
    }
    bytes
}

#[test]
fn a_stream_whose_messages_start_within_segments_is_joined_all_the_same() {
    let messages = [query(1, 300), query(2, 700), query(3, 0), query(4, 10)];
    let stream = framed(&messages);
    let mut bench = Bench::new(Limits::LIVE);
    // Every segment but the last ends within a message.
    let cuts = [100, 500, 1_020, stream.len()];
    for pair in cuts.windows(2) {
        bench.data(u32::try_from(pair[0]).unwrap(), &stream[pair[0]..pair[1]]);
    }
    assert_eq!(bench.messages, messages[1..]);
    assert_eq!(bench.stage.counts().resynchronised, 1);
    bench.assert_accounted();
}

#[test]
fn a_zone_transfer_is_joined_at_its_next_message() {
    let messages: Vec<_> = (0..8).map(|id| transfer(id, 400)).collect();
    let stream = framed(&messages);
    let mut bench = Bench::new(Limits::LIVE);
    for (number, piece) in stream[9_000..].chunks(1448).enumerate() {
        bench.data(u32::try_from(number * 1448).unwrap(), piece);
    }
    assert_eq!(bench.messages, messages[1..]);
    bench.assert_accounted();
}

#[test]
fn what_looked_like_a_message_and_was_none_is_skipped_and_the_next_one_found() {
    let mut bench = Bench::new(Limits::LIVE);
    let rubbish = [&framed(&[query(1, 50)])[..60], &[0xFF; 40]].concat();
    bench.data(0, &rubbish[..50]);
    bench.data(50, &rubbish[50..]);
    bench.data(100, &framed(&[query(2, 0)]));
    assert_eq!(bench.messages, [query(2, 0)]);
    assert_eq!((bench.stage.counts().resynchronised, bench.stage.counts().skipped_bytes), (1, 100));
    bench.assert_accounted();
}

#[test]
fn a_start_that_a_search_found_is_given_up_at_the_first_message_that_makes_no_sense() {
    let mut bench = Bench::new(Limits::LIVE);
    let mut stream = framed(&[query(1, 0)]);
    stream.extend_from_slice(&framed(&[vec![0x7F; 40]]));
    bench.data(0, &stream[..31]);
    bench.data(31, &stream[31..]);
    bench.data(73, &[&[9; 5], framed(&[query(2, 0)]).as_slice()].concat());
    assert_eq!(bench.messages, [query(1, 0), query(2, 0)]);
    assert_eq!(bench.stage.counts().resynchronised, 2);
    bench.assert_accounted();
}

#[test]
fn a_few_empty_messages_do_not_hide_a_stream() {
    let mut bench = Bench::opened();
    for number in 0..100 {
        bench.data(1000 + 2 * number, &[0, 0]);
    }
    bench.data(1200, &framed(&[query(1, 0)]));
    assert_eq!(bench.messages, [query(1, 0)]);
    assert_eq!(bench.stage.not_dns(), [0; 0]);
    bench.assert_accounted();
}

#[test]
fn a_keep_alive_probe_does_not_spoil_an_unknown_stream() {
    let mut bench = Bench::new(Limits::LIVE);
    bench.data(4999, &[]);
    bench.data(4999, &[0]);
    bench.data(5000, &framed(&[query(1, 0)]));
    assert_eq!(bench.messages, [query(1, 0)]);
}

#[test]
fn a_hole_that_stays_is_given_up_counted_and_the_stream_goes_on_behind_it() {
    let mut bench = Bench::opened();
    let first = framed(&[query(1, 0)]);
    bench.at(0, 1000, &first[..20]);
    bench.at(SECOND / 2, 1100, &framed(&[query(2, 0)]));
    bench.expire(SECOND);
    assert_eq!(bench.messages.len(), 0, "a hole is waited for");
    bench.at(SECOND / 2, 1131, &framed(&[query(3, 0)]));
    bench.expire(SECOND / 2 + SECOND);
    assert_eq!(bench.messages, [query(2, 0), query(3, 0)]);
    assert_eq!(bench.frames, [3, 4], "each in its own frame");
    let counts = bench.stage.counts();
    assert_eq!((counts.gaps, counts.gap_bytes, counts.lost_bytes), (1, 80, 20));
    bench.assert_accounted();
}

#[test]
fn a_hole_is_not_waited_for_until_a_clock_that_was_set_back_catches_up() {
    let mut bench = Bench::opened();
    bench.at(100 * SECOND, 1100, &framed(&[query(2, 0)]));
    bench.expire(100 * SECOND);
    bench.expire(99 * SECOND + SECOND / 2);
    assert_eq!(bench.messages.len(), 0, "clocks may differ a little");
    bench.expire(10 * SECOND);
    assert_eq!(bench.messages, [query(2, 0)]);
    bench.assert_accounted();
}

#[test]
fn what_waits_behind_a_hole_is_bounded() {
    let mut bench = Bench::new(Limits { ahead_bytes: 10_000, ..Limits::LIVE });
    bench.syn(7, 999);
    for number in 0..100 {
        bench.data(2000 + number * 502, &framed(&[query(1, 471)]));
        assert!(bench.stage.cost <= 10_000);
    }
    assert_eq!((bench.stage.counts().gaps, bench.messages.len()), (1, 100));
    bench.assert_accounted();
}

#[test]
fn memory_of_all_streams_is_bounded_and_the_greediest_pay() {
    let mut bench = Bench::new(Limits { total_bytes: 200_000, ..Limits::LIVE });
    let whole = framed(&[query(1, 0)]);
    bench.syn(7, 999);
    bench.data(1000, &whole[..10]);
    let large = framed(&[query(1, 60_000)]);
    for socket in 100..150 {
        bench.syn(socket, 999);
        let segment = Segment { sequence: 1000, ..PLAIN };
        bench.send(socket, Direction::Egress, 0, segment, &large[..50_000]);
        assert!(bench.stage.cost <= 200_000);
    }
    bench.data(1010, &whole[10..]);
    assert_eq!(bench.messages, [query(1, 0)], "the small stream survived");
    assert!(bench.stage.counts().evicted >= 40);
    bench.assert_accounted();
}

#[test]
fn connections_are_bounded_and_silent_ones_forgotten() {
    let mut bench = Bench::new(Limits { connections: 10, ..Limits::LIVE });
    for socket in 0..100 {
        bench.syn(socket, 5);
        assert!(bench.stage.counts().connections <= 10);
    }
    assert_eq!(bench.stage.counts().evicted, 90);
    bench.expire(Limits::LIVE.idle_age_ns + 1);
    assert_eq!((bench.stage.counts().connections, bench.stage.counts().idle), (0, 10));
}

#[test]
fn only_silent_connections_are_forgotten_after_the_clock_was_set_back() {
    let (later, earlier) = (9000 * SECOND, 1000 * SECOND);
    let mut bench = Bench::new(Limits::LIVE);
    for socket in [7, 8] {
        bench.send(socket, Direction::Egress, later, Segment { sequence: 999, ..SYN }, &[]);
    }
    bench.expire(later);
    bench.at(earlier, 1000, &framed(&[query(1, 0)]));
    bench.expire(earlier);
    assert_eq!((bench.stage.counts().connections, bench.stage.counts().idle), (1, 1));
    bench.expire(earlier + Limits::LIVE.idle_age_ns + 1);
    assert_eq!((bench.stage.counts().connections, bench.stage.counts().idle), (0, 2));
}

#[test]
fn a_new_syn_starts_the_stream_anew() {
    let mut bench = Bench::opened();
    bench.data(1000, &framed(&[query(1, 0)])[..20]);
    bench.syn(7, 80_000);
    bench.data(80_001, &framed(&[query(2, 0)]));
    assert_eq!(bench.messages, [query(2, 0)]);
    assert_eq!(bench.stage.counts().lost_bytes, 20);
    bench.assert_accounted();
}

#[test]
fn a_repeated_syn_changes_nothing() {
    let mut bench = Bench::opened();
    let stream = framed(&[query(1, 0)]);
    bench.data(1000, &stream[..20]);
    bench.syn(7, 999);
    bench.data(1020, &stream[20..]);
    assert_eq!(bench.messages, [query(1, 0)]);
}

#[test]
fn data_that_overtook_its_syn_is_kept() {
    let mut bench = Bench::new(Limits::LIVE);
    let stream = framed(&[query(1, 0)]);
    bench.data(1000, &stream[..20]);
    bench.syn(7, 999);
    bench.data(1020, &stream[20..]);
    assert_eq!(bench.messages, [query(1, 0)]);
}

#[test]
fn data_in_the_syn_is_read() {
    let mut bench = Bench::new(Limits::LIVE);
    let segment = Segment { sequence: 999, ..SYN };
    bench.send(7, Direction::Egress, 0, segment, &framed(&[query(1, 0)]));
    bench.data(1031, &framed(&[query(2, 0)]));
    assert_eq!(bench.messages, [query(1, 0), query(2, 0)]);
}

#[test]
fn fin_and_rst_let_go_of_what_is_unfinished() {
    for ending in [Segment { fin: true, ..PLAIN }, Segment { rst: true, ..PLAIN }] {
        let mut bench = Bench::opened();
        bench.data(1000, &framed(&[query(1, 0)])[..20]);
        bench.send(7, Direction::Egress, 0, Segment { sequence: 1020, ..ending }, &[]);
        assert_eq!((bench.stage.counts().held_bytes, bench.stage.counts().lost_bytes), (0, 20));
        bench.assert_accounted();
    }
}

#[test]
fn a_retransmission_after_the_end_is_not_a_second_message() {
    let mut bench = Bench::opened();
    let stream = framed(&[query(1, 0)]);
    for _ in 0..2 {
        bench.send(7, Direction::Egress, 0, Segment { sequence: 1000, fin: true, ..PLAIN }, &stream);
    }
    assert_eq!(bench.messages, [query(1, 0)]);
}

#[test]
fn a_message_from_before_the_first_segment_seen_is_still_read_once() {
    let mut bench = Bench::new(Limits::LIVE);
    let (first, second) = (framed(&[query(1, 0)]), framed(&[query(2, 0)]));
    bench.data(2031, &second);
    bench.data(2000, &first);
    bench.data(2000, &first);
    assert_eq!(bench.messages, [query(2, 0), query(1, 0)]);
    bench.assert_accounted();
}

#[test]
fn both_directions_of_a_socket_are_streams_of_their_own() {
    let mut bench = Bench::opened();
    let stream = framed(&[query(1, 0)]);
    bench.send(7, Direction::Ingress, 0, Segment { sequence: 1000, ..SYN }, &[]);
    bench.send(7, Direction::Ingress, 0, Segment { sequence: 1001, ..PLAIN }, &stream[..9]);
    bench.data(1000, &stream);
    bench.send(7, Direction::Ingress, 0, Segment { sequence: 1010, ..PLAIN }, &stream[9..]);
    assert_eq!(bench.messages, [query(1, 0), query(1, 0)]);
}

#[test]
fn bulk_data_is_shown_not_to_be_dns_and_muted() {
    let mut bench = Bench::opened();
    let mut sequence = 1000;
    for _ in 0..1000 {
        bench.data(sequence, &[0x47; 1448]);
        sequence += 1448;
    }
    assert_eq!(bench.stage.not_dns(), [7]);
    assert_eq!(bench.stage.not_dns(), [0; 0], "told once");
    assert_eq!(bench.stage.counts().not_dns, 1);
    assert!(bench.stage.counts().muted_bytes > 1_000_000);
    bench.assert_accounted();
}

#[test]
fn bulk_data_of_a_stream_older_than_the_agent_is_muted_too() {
    let mut bench = Bench::new(Limits::LIVE);
    for number in 0..1000 {
        bench.data(1000 + number * 1448, &[0xFF; 1448]);
    }
    assert_eq!(bench.stage.not_dns(), [7]);
    bench.assert_accounted();
}

#[test]
fn rubbish_that_a_dns_server_answers_does_not_hide_the_socket() {
    let mut bench = Bench::opened();
    let mut sequence = 1000;
    bench.send(7, Direction::Ingress, 0, Segment { sequence: 1, ..SYN }, &[]);
    let formerr = framed(&[vec![0, 1, 0x81, 1, 0, 0, 0, 0, 0, 0, 0, 0]]);
    bench.send(7, Direction::Ingress, 0, Segment { sequence: 2, ..PLAIN }, &formerr);
    for _ in 0..20 {
        let rubbish = framed(&[vec![0x7F; 40]]);
        bench.data(sequence, &rubbish);
        sequence += 42;
    }
    bench.data(sequence, &framed(&[query(9, 0)]));
    assert_eq!(bench.stage.not_dns(), [0; 0]);
    assert_eq!(bench.messages.last(), Some(&query(9, 0)));
}

#[test]
fn a_message_with_absurd_counts_is_handed_on() {
    let mut bench = Bench::opened();
    let mut message = query(1, 0);
    message[4..12].fill(0xFF);
    bench.data(1000, &framed(std::slice::from_ref(&message)));
    assert_eq!(bench.messages, [message]);
    assert_eq!(bench.stage.counts().implausible, 1);
}

#[test]
fn a_prefix_too_short_for_a_header_is_counted_and_the_next_message_read() {
    let mut bench = Bench::opened();
    bench.data(1000, &framed(&[vec![1, 2, 3], Vec::new(), query(1, 0)]));
    assert_eq!(bench.messages, [query(1, 0)]);
    assert_eq!((bench.stage.counts().short, bench.stage.counts().skipped_bytes), (2, 7));
    bench.assert_accounted();
}

/// Pieces of a stream: where each starts and ends; the whole stream is covered, some pieces come twice or overlap, and
/// none comes more than a few places before or after its turn.
fn pieces(length: usize) -> impl Strategy<Value = Vec<(usize, usize)>> {
    let cut = (1..200_usize, 0..30_usize, 0..4_u8, 0..6_usize);
    prop::collection::vec(cut, 1..60).prop_map(move |cuts| {
        let (mut at, mut pieces) = (0, Vec::new());
        for turn in 0.. {
            let (size, overlap, twice, late) = cuts[turn % cuts.len()];
            let end = length.min(at + size);
            for copy in 0..=u8::from(twice == 0) {
                pieces.push((turn + late * usize::from(copy + 1), at.saturating_sub(overlap), end));
            }
            at = end;
            if at == length {
                break;
            }
        }
        pieces.sort_by_key(|piece| piece.0);
        pieces.into_iter().map(|(_, start, end)| (start, end)).collect()
    })
}

/// The last bytes before a message and the first of it can look like a header whose name is not there yet.
#[test]
fn a_header_without_its_name_hides_no_message() {
    let messages = [query(1, 1132), query(5, 483), query(6, 0)];
    let stream = framed(&messages);
    let mut bench = Bench::new(Limits::LIVE);
    let starts = 2 + messages[0].len();
    let cuts = [starts - 600, starts + 9, starts + 245, stream.len()];
    for cut in cuts.windows(2) {
        bench.data(u32::try_from(cut[0]).unwrap(), &stream[cut[0]..cut[1]]);
    }
    assert_eq!(bench.messages, messages[1..]);
    bench.assert_accounted();
}

proptest! {
    #[test]
    fn any_splitting_reordering_and_doubling_gives_the_same_messages(
        (sizes, order) in prop::collection::vec(0..400_usize, 1..12).prop_flat_map(|sizes| {
            let length = sizes.iter().map(|size| size + 31).sum::<usize>();
            (Just(sizes), pieces(length))
        }),
        start in any::<u32>(),
    ) {
        let messages: Vec<Vec<u8>> =
            sizes.iter().zip(1..).map(|(size, id)| query(id, *size)).collect();
        let stream = framed(&messages);
        let mut bench = Bench::new(Limits::LIVE);
        bench.syn(7, start.wrapping_sub(1));
        for (from, to) in order {
            let sequence = start.wrapping_add(u32::try_from(from).unwrap());
            bench.data(sequence, &stream[from..to]);
        }
        prop_assert_eq!(&bench.messages, &messages);
        prop_assert_eq!(bench.stage.counts().held_bytes, 0);
        bench.assert_accounted();
    }

    #[test]
    fn a_stream_joined_anywhere_gives_no_message_that_is_none_and_all_from_the_second_start_on(
        sizes in prop::collection::vec(0..1500_usize, 4..10),
        cuts in prop::collection::vec(20..1448_usize, 1..20),
        joined in 0..2000_usize,
    ) {
        let messages: Vec<Vec<u8>> = sizes.iter().zip(1..).map(|(size, id)| query(id, *size)).collect();
        let stream = framed(&messages);
        let joined = joined.min(stream.len());
        let mut bench = Bench::new(Limits::LIVE);
        let mut at = joined;
        for cut in cuts.iter().cycle() {
            let end = stream.len().min(at + cut);
            bench.data(u32::try_from(at).unwrap(), &stream[at..end]);
            at = end;
            if at == stream.len() {
                break;
            }
        }
        let starts = messages.iter().scan(0, |start, message| {
            let this = *start;
            *start += 2 + message.len();
            Some(this)
        });
        let wanted = starts.filter(|start| *start >= joined).count();
        prop_assert!(bench.messages.len() >= wanted.saturating_sub(1), "{} of {wanted}", bench.messages.len());
        prop_assert_eq!(&bench.messages[..], &messages[messages.len() - bench.messages.len()..]);
        bench.assert_accounted();
    }

    #[test]
    fn any_segments_are_taken_without_a_panic_and_every_byte_is_accounted(
        segments in prop::collection::vec(
            (0..4_u64, any::<bool>(), 0..8_u8, prop_oneof![0..3000_u32, any::<u32>()],
             prop::collection::vec(prop_oneof![Just(0_u8), Just(12), any::<u8>()], 0..60)), 0..120)
    ) {
        let mut bench = Bench::new(Limits { connections: 3, ahead_bytes: 600, total_bytes: 900, ..Limits::LIVE });
        for (index, (socket, out, flags, sequence, payload)) in segments.into_iter().enumerate() {
            let direction = if out { Direction::Egress } else { Direction::Ingress };
            let segment = Segment { sequence, syn: flags == 1, fin: flags == 2, rst: flags == 3 };
            let time = index as u64 * SECOND / 10;
            bench.send(socket, direction, time, segment, &payload);
            bench.expire(time);
            bench.assert_accounted();
            prop_assert!(bench.stage.cost <= 900);
        }
        bench.stage.finish(&mut |_| ());
        prop_assert_eq!(bench.stage.counts().held_bytes, 0);
        bench.assert_accounted();
    }
}
