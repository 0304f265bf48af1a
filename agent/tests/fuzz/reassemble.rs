//! Input: segments, each of socket and flags (one byte), sequence number (two), length (one) and data.

use std::net::SocketAddr;

use namewarden_agent::pipeline::packet::{Direction, Origin, Packet, Segment, Timestamp, Transport};
use namewarden_agent::pipeline::reassemble::{Limits, Reassembler};

use crate::harness::fuzz;

const LIMITS: Limits = Limits { connections: 3, ahead_bytes: 600, total_bytes: 2000, ..Limits::LIVE };

/// Neither panics nor loses a byte: each is in a message, in exactly one count, or held within the bounds.
fn target(input: &[u8]) {
    let mut stage = Reassembler::new(LIMITS);
    let (mut rest, mut time, mut handed_on) = (input, 0, 0);
    while let Some(([kind, high, low, length], after)) = rest.split_first_chunk::<4>() {
        let (payload, after) = after.split_at(usize::from(*length).min(after.len()));
        rest = after;
        time += 40_000_000;
        let packet = packet(*kind, u16::from_be_bytes([*high, *low]), payload, time);
        stage.expire(packet.time, &mut |message| handed_on += 2 + message.bytes.len());
        stage.segment(&packet, &mut |message| handed_on += 2 + message.bytes.len());
        check(&stage, handed_on);
        assert!(stage.counts().held_bytes <= 2000);
    }
    stage.finish(&mut |message| handed_on += 2 + message.bytes.len());
    check(&stage, handed_on);
    assert_eq!(stage.counts().held_bytes, 0);
}

fn check(stage: &Reassembler, handed_on: usize) {
    let counts = stage.counts();
    assert_eq!(counts.message_bytes, handed_on as u64);
    let known = counts.message_bytes
        + counts.duplicate_bytes
        + counts.skipped_bytes
        + counts.lost_bytes
        + counts.muted_bytes
        + stage.counts().held_bytes;
    assert_eq!(counts.bytes, known, "{counts:?}");
}

fn packet(kind: u8, sequence: u16, payload: &[u8], time: u64) -> Packet<'_> {
    // Numbers around the wrap, or the same numbers again.
    let sequence = u32::from(sequence).wrapping_sub(if kind & 0x80 == 0 { 0 } else { 300 });
    Packet {
        time: Timestamp(time),
        transport: Transport::Tcp,
        direction: if kind & 8 == 0 { Direction::Egress } else { Direction::Ingress },
        source: SocketAddr::from(([10, 0, 0, 1], 4000)),
        destination: SocketAddr::from(([10, 0, 0, 2], 53)),
        origin: Origin { socket: u64::from(kind & 7), ..Origin::default() },
        segment: Some(Segment {
            sequence,
            syn: kind & 0x10 != 0,
            fin: kind & 0x20 != 0,
            rst: kind & 0x40 != 0,
        }),
        frame: 0,
        payload,
    }
}

#[test]
fn no_segments_make_the_reassembler_panic_or_lose_a_byte() {
    let message = b"\0\x1d\0\x01\x01\0\0\x01\0\0\0\0\0\0\x07example\x03net\0\0\x01\0\x01";
    let segment = |kind: u8, sequence: u16, data: &[u8]| {
        let sequence = sequence.to_be_bytes();
        [&[kind, sequence[0], sequence[1], u8::try_from(data.len()).unwrap()], data].concat()
    };
    let in_order =
        [segment(0x10, 0, b""), segment(0, 1, &message[..9]), segment(0, 10, &message[9..])].concat();
    let reordered =
        [segment(0x90, 299, b""), segment(0x80, 310, &message[10..]), segment(0x80, 300, &message[..10])];
    let twice = [segment(1, 50, message), segment(1, 50, message), segment(0x21, 81, message)].concat();
    let rubbish = segment(2, 7, &[0x47; 200]).repeat(12);
    fuzz(&[in_order, reordered.concat(), twice, rubbish], 20_000, target);
}
