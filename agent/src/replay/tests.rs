//! Capture files built byte for byte: formats, links, headers, fragments, and files that lie.

use etherparse::PacketBuilder;
use proptest::prelude::*;

use super::*;

const PORTS: &[u16] = &[53];
const SECONDS: u32 = 1_700_000_000;
const QUESTION: &[u8] = b"pretend this is a question";

/// A frame as it came out: number, time, addresses, payload.
#[derive(Debug, PartialEq)]
struct Seen {
    frame: u64,
    nanoseconds: u64,
    source: String,
    destination: String,
    payload: Vec<u8>,
}

fn replay(file: &[u8]) -> (Vec<Seen>, Result<ReplayCounts, ReplayError>) {
    let mut seen = Vec::new();
    let counts = read(file, PORTS, &mut |packet| {
        seen.push(Seen {
            frame: packet.frame,
            nanoseconds: packet.time.0,
            source: packet.source.to_string(),
            destination: packet.destination.to_string(),
            payload: packet.payload.to_vec(),
        });
    });
    (seen, counts)
}

fn ip4(payload: &[u8]) -> Vec<u8> {
    let builder = PacketBuilder::ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64).udp(4000, 53);
    let mut bytes = Vec::new();
    builder.write(&mut bytes, payload).unwrap();
    bytes
}

fn ip6_udp() -> Vec<u8> {
    let mut udp = vec![0x0F, 0xA0, 0, 53];
    udp.extend_from_slice(&u16::try_from(QUESTION.len() + 8).unwrap().to_be_bytes());
    udp.extend_from_slice(&[0, 0]);
    udp.extend_from_slice(QUESTION);
    udp
}

/// An IPv6 packet: what the base header says comes next, then those bytes.
fn ip6(next: u8, rest: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x60, 0, 0, 0];
    bytes.extend_from_slice(&u16::try_from(rest.len()).unwrap().to_be_bytes());
    bytes.extend_from_slice(&[next, 64]);
    bytes.extend_from_slice(&[0xFD; 16]);
    bytes.extend_from_slice(&[0xFE; 16]);
    bytes.extend_from_slice(rest);
    bytes
}

fn pcap(link: u32, frames: &[Vec<u8>]) -> Vec<u8> {
    let mut file = [0xA1B2_C3D4_u32.to_le_bytes(), [2, 0, 4, 0]].concat();
    file.extend_from_slice(&[0; 8]);
    file.extend_from_slice(&0x0004_0000_u32.to_le_bytes());
    file.extend_from_slice(&link.to_le_bytes());
    for frame in frames {
        let length = u32::try_from(frame.len()).unwrap();
        for word in [SECONDS, 123_456, length, length] {
            file.extend_from_slice(&word.to_le_bytes());
        }
        file.extend_from_slice(frame);
    }
    file
}

/// A block of pcapng, its words in either byte order.
fn block(kind: u32, big_endian: bool, words: &[u32], bytes: &[u8]) -> Vec<u8> {
    let word = |value: u32| if big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
    let padding = bytes.len().next_multiple_of(4) - bytes.len();
    let length = u32::try_from(12 + 4 * words.len() + bytes.len() + padding).unwrap();
    let mut block = [word(kind), word(length)].concat();
    block.extend(words.iter().flat_map(|value| word(*value)));
    block.extend_from_slice(bytes);
    block.extend(std::iter::repeat_n(0, padding));
    block.extend_from_slice(&word(length));
    block
}

fn section(big_endian: bool) -> Vec<u8> {
    let version = if big_endian { 0x0001_0000 } else { 1 };
    block(0x0A0D_0D0A, big_endian, &[0x1A2B_3C4D, version, u32::MAX, u32::MAX], &[])
}

fn interface(big_endian: bool, link: u16, resolution: u8) -> Vec<u8> {
    let link = if big_endian { u32::from(link) << 16 } else { u32::from(link) };
    let mut option = if big_endian { vec![0, 9, 0, 1] } else { vec![9, 0, 1, 0] };
    option.extend_from_slice(&[resolution, 0, 0, 0, 0, 0, 0, 0]);
    block(1, big_endian, &[link, 0], &option)
}

fn enhanced(big_endian: bool, index: u32, ticks: u64, frame: &[u8]) -> Vec<u8> {
    let length = u32::try_from(frame.len()).unwrap();
    let (high, low) = (u32::try_from(ticks >> 32).unwrap(), u32::try_from(ticks & 0xFFFF_FFFF).unwrap());
    block(6, big_endian, &[index, high, low, length, length], frame)
}

fn payloads(seen: &[Seen]) -> Vec<&[u8]> {
    seen.iter().map(|seen| seen.payload.as_slice()).collect()
}

#[test]
fn a_pcap_record_becomes_a_packet_with_frame_time_and_addresses() {
    let (seen, counts) = replay(&pcap(101, &[ip4(b"one"), ip4(b"two")]));
    let expected = |frame, payload: &[u8]| Seen {
        frame,
        nanoseconds: u64::from(SECONDS) * 1_000_000_000 + 123_456_000,
        source: "10.0.0.1:4000".into(),
        destination: "10.0.0.2:53".into(),
        payload: payload.to_vec(),
    };
    assert_eq!(seen, [expected(1, b"one"), expected(2, b"two")]);
    let counts = counts.unwrap();
    assert_eq!((counts.frames, counts.packets, counts.cut_short), (2, 2, false));
}

#[test]
fn byte_orders_and_nanoseconds_of_pcap_are_told_by_its_magic() {
    let little = pcap(101, &[ip4(QUESTION)]);
    let mut big = little.clone();
    for word in [0..4, 16..20, 20..24, 24..28, 28..32, 32..36, 36..40] {
        big[word].reverse();
    }
    big[4..8].copy_from_slice(&[0, 2, 0, 4]);
    assert_eq!(replay(&big).0, replay(&little).0);
    let mut nanoseconds = little;
    nanoseconds[..4].copy_from_slice(&0xA1B2_3C4D_u32.to_le_bytes());
    assert_eq!(replay(&nanoseconds).0[0].nanoseconds % 1_000_000_000, 123_456);
}

#[test]
fn interfaces_of_pcapng_have_their_own_link_type_and_clock_in_either_byte_order() {
    for big in [false, true] {
        let ethernet = [&[0; 12][..], &[8, 0], &ip4(b"ethernet")].concat();
        let file = [
            section(big),
            interface(big, 101, 6),
            interface(big, 1, 9),
            interface(big, 101, 0x8A),
            enhanced(big, 1, 5_000_000_001, &ethernet),
            block(5, big, &[0, 0, 0], &[]),
            enhanced(big, 0, 5_000_001, &ip4(b"raw")),
            enhanced(big, 2, 5 << 10 | 512, &ip4(b"binary clock")),
        ];
        let (seen, counts) = replay(&file.concat());
        assert_eq!(payloads(&seen), [&b"ethernet"[..], b"raw", b"binary clock"]);
        let times: Vec<u64> = seen.iter().map(|seen| seen.nanoseconds).collect();
        assert_eq!(times, [5_000_000_001, 5_000_001_000, 5_500_000_000]);
        assert_eq!(counts.unwrap().frames, 3);
    }
}

#[test]
fn simple_and_obsolete_packet_blocks_are_read_and_a_new_section_forgets_the_interfaces() {
    let packet = ip4(QUESTION);
    let length = u32::try_from(packet.len()).unwrap();
    let file = [
        section(false),
        interface(false, 101, 6),
        block(3, false, &[length], &packet),
        block(2, false, &[0, 0, 77, length, length], &packet),
        section(true),
        enhanced(true, 0, 0, &packet),
    ];
    let (seen, counts) = replay(&file.concat());
    assert_eq!(payloads(&seen), [QUESTION, QUESTION]);
    assert_eq!((seen[0].nanoseconds, seen[1].nanoseconds), (0, 77_000));
    assert_eq!(counts.unwrap().unknown_link, 1);
}

#[test]
fn every_link_type_leads_to_the_packet() {
    let packet = ip4(QUESTION);
    let with = |head: &[u8]| [head, &packet].concat();
    let mac = [2; 12];
    for (link, frame) in [
        (1, with(&[&mac[..], &[8, 0]].concat())),
        (1, with(&[&mac[..], &[0x81, 0, 0, 5, 8, 0]].concat())),
        (1, with(&[&mac[..], &[0x88, 0xA8, 0, 5, 0x81, 0, 0, 6, 8, 0]].concat())),
        (113, with(&[0, 0, 0, 1, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0, 8, 0])),
        (276, with(&[8, 0, 0, 0, 0, 0, 0, 2, 0, 1, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0])),
        (101, packet.clone()),
        (12, packet.clone()),
        (228, packet.clone()),
        (0, with(&[2, 0, 0, 0])),
        (108, with(&[0, 0, 0, 2])),
    ] {
        let (seen, _) = replay(&pcap(link, &[frame]));
        assert_eq!(payloads(&seen), [QUESTION], "link type {link}");
    }
    assert_eq!(replay(&pcap(147, std::slice::from_ref(&packet))).1.unwrap().unknown_link, 1);
}

#[test]
fn padding_of_short_ethernet_frames_is_no_payload() {
    let mut frame = [&[2; 12][..], &[8, 0], &ip4(b"tiny")].concat();
    frame.resize(60, 0);
    assert_eq!(payloads(&replay(&pcap(1, &[frame])).0), [b"tiny"]);
}

#[test]
fn options_and_extension_headers_are_stepped_over() {
    let mut with_options = ip4(QUESTION);
    with_options[0] = 0x46;
    with_options[3] += 4;
    with_options.splice(20..20, [1, 1, 1, 0]);
    let hop = [60, 0, 1, 4, 0, 0, 0, 0];
    let destination = [43, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let routing = [44, 0, 0, 0, 0, 0, 0, 0];
    let atomic_fragment = [17, 0, 0, 0, 0, 0, 0, 9];
    let chain = [&hop[..], &destination, &routing, &atomic_fragment, &ip6_udp()].concat();
    let (seen, counts) = replay(&pcap(101, &[with_options, ip6(0, &chain)]));
    assert_eq!(payloads(&seen), [QUESTION, QUESTION]);
    assert_eq!(counts.unwrap().fragments, 0, "a datagram in one fragment is whole");
}

/// Fragments of an IPv6 datagram by offset and whether more follow.
fn ip6_fragment(offset: u16, more: bool, bytes: &[u8]) -> Vec<u8> {
    let place = (offset | u16::from(more)).to_be_bytes();
    ip6(44, &[&[17, 0, place[0], place[1], 0, 0, 0, 9], bytes].concat())
}

#[test]
fn fragments_are_joined_in_any_order_and_the_frame_is_the_one_that_completed_it() {
    let whole = ip6_udp();
    let pieces = [
        ip6_fragment(24, false, &whole[24..]),
        ip6_fragment(0, true, &whole[..8]),
        ip6_fragment(8, true, &whole[8..24]),
    ];
    let (seen, counts) = replay(&pcap(101, &pieces));
    assert_eq!((payloads(&seen), seen[0].frame), (vec![QUESTION], 3));
    let counts = counts.unwrap();
    assert_eq!((counts.fragments, counts.joined, counts.fragments_dropped), (3, 1, 0));
}

#[test]
fn a_fragment_that_came_twice_does_no_harm_but_one_that_overlaps_spoils_its_datagram() {
    let whole = ip6_udp();
    let (first, last) = (ip6_fragment(0, true, &whole[..16]), ip6_fragment(16, false, &whole[16..]));
    let twice = [first.clone(), first.clone(), last.clone()];
    assert_eq!(payloads(&replay(&pcap(101, &twice)).0), [QUESTION]);
    let overlapping = [first.clone(), ip6_fragment(8, true, b"different"[..8].as_ref()), last, first];
    let (seen, counts) = replay(&pcap(101, &overlapping));
    assert_eq!((seen.len(), counts.unwrap().fragments_dropped), (0, 4));
}

#[test]
fn fragments_of_too_many_datagrams_are_bounded() {
    let frames: Vec<Vec<u8>> = (0..3000_u16)
        .map(|id| {
            let mut packet = ip4(&[7; 1400]);
            packet[4..6].copy_from_slice(&id.to_be_bytes());
            packet[6] = 0x20;
            packet
        })
        .collect();
    let counts = replay(&pcap(101, &frames)).1.unwrap();
    assert_eq!((counts.fragments, counts.fragments_dropped), (3000, 3000 - 1024));
}

#[test]
fn frames_of_other_ports_protocols_and_addresses_are_counted_apart() {
    let mut other_port = ip4(QUESTION);
    other_port[22..24].copy_from_slice(&[0, 54]);
    let mut icmp = ip4(QUESTION);
    icmp[9] = 1;
    let mut bad_header = ip4(QUESTION);
    bad_header[0] = 0x44;
    let short_udp = ip6(17, &[0, 53, 0]);
    let frames = [other_port, icmp, bad_header, short_udp, vec![0xFF; 40], ip4(QUESTION)];
    let counts = replay(&pcap(101, &frames)).1.unwrap();
    assert_eq!((counts.other_port, counts.not_transport, counts.malformed), (1, 1, 2));
    assert_eq!((counts.not_ip, counts.packets, counts.frames), (1, 1, 6));
}

#[test]
fn a_file_cut_anywhere_gives_all_frames_before_the_cut() {
    let file = pcap(101, &[ip4(b"one"), ip4(b"two")]);
    let frame = (file.len() - 24) / 2;
    for length in 24..=file.len() {
        let (seen, counts) = replay(&file[..length]);
        assert_eq!(seen.len(), (length - 24) / frame);
        assert_eq!(counts.unwrap().cut_short, !(length - 24).is_multiple_of(frame));
    }
}

#[test]
fn what_is_no_capture_file_is_refused_in_one_sentence() {
    for bytes in [&b""[..], b"GIF89a and then some more bytes", &[0; 100]] {
        let error = replay(bytes).1.unwrap_err();
        assert_eq!(error.to_string(), "it is neither a pcap nor a pcapng file");
    }
}

#[test]
fn a_record_that_claims_gigabytes_is_refused_without_reading_them() {
    let mut file = pcap(101, &[ip4(b"one"), ip4(b"two")]);
    let second = 24 + (file.len() - 24) / 2;
    file[second + 8..second + 12].fill(0xFF);
    let (seen, counts) = replay(&file);
    assert_eq!(seen.len(), 1, "what precedes it is read");
    assert!(matches!(counts, Err(ReplayError::TooLarge { length: 4_294_967_311, .. })));
    let lying = [section(false), vec![6, 0, 0, 0, 0xFC, 0xFF, 0xFF, 0x7F, 0, 0, 0, 0]].concat();
    assert!(matches!(replay(&lying).1, Err(ReplayError::TooLarge { offset: 28, .. })));
}

#[test]
fn a_block_that_contradicts_itself_is_refused() {
    let mut captured_too_long = enhanced(false, 0, 0, &ip4(QUESTION));
    captured_too_long[20] = 0xFF;
    for damaged in [
        captured_too_long,
        vec![1, 0, 0, 0, 13, 0, 0, 0, 0, 0, 0, 0, 0],
        vec![1, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0],
    ] {
        let file = [section(false), interface(false, 101, 6), damaged].concat();
        assert!(matches!(replay(&file).1, Err(ReplayError::Damaged { offset: 60 })), "{:?}", replay(&file).1);
    }
}

#[test]
fn both_directions_of_a_pair_of_endpoints_share_a_socket() {
    let answer = {
        let builder = PacketBuilder::ipv4([10, 0, 0, 2], [10, 0, 0, 1], 64).udp(53, 4000);
        let mut bytes = Vec::new();
        builder.write(&mut bytes, b"answer").unwrap();
        bytes
    };
    let mut seen = Vec::new();
    read(pcap(101, &[ip4(QUESTION), answer]).as_slice(), PORTS, &mut |packet| {
        seen.push((packet.origin.socket, packet.direction));
    })
    .unwrap();
    assert_eq!(seen[0].0, seen[1].0);
    assert_eq!((seen[0].1, seen[1].1), (Direction::Egress, Direction::Ingress));
}

proptest! {
    #[test]
    fn any_bytes_are_refused_or_read_and_every_frame_is_accounted(
        file in prop::collection::vec(any::<u8>(), 0..400),
        pcapng in any::<bool>(),
        link in prop::sample::select(vec![0_u32, 1, 101, 108, 113, 276]),
        frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..90), 0..6),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let _any = replay(&file);
        let frames: Vec<Vec<u8>> = frames.into_iter().map(|mut frame| {
            if frame.len() > 40 {
                frame[0] = if frame[0] & 1 == 0 { 0x45 } else { 0x60 };
                frame[6] &= 0x6F;
            }
            frame
        }).collect();
        let mut built = if pcapng {
            let mut file = [section(false), interface(false, u16::try_from(link).unwrap(), 6)].concat();
            file.extend(frames.iter().flat_map(|frame| enhanced(false, 0, 1, frame)));
            file
        } else {
            pcap(link, &frames)
        };
        for (index, value) in flips {
            let at = index.index(built.len());
            built[at] = value;
        }
        if let Ok(counts) = replay(&built).1 {
            let known = counts.packets + counts.unknown_link + counts.not_ip + counts.not_transport
                + counts.other_port + counts.malformed + counts.fragments;
            prop_assert_eq!(counts.frames + counts.joined, known);
        }
    }
}
