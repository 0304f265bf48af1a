//! DNS messages -> IP packets as networks carry them: fragments, options, extension headers; TCP split, doubled, shuffled.

use crate::dice::Dice;
use crate::message::message;

/// The size of a fragment's data: a multiple of eight.
const FRAGMENT: usize = 512;

/// Client and server of an exchange, and which version of IP they speak.
#[derive(Clone, Copy)]
struct Ends {
    v6: bool,
    client: u8,
    port: u16,
}

/// IP packets of random exchanges: so many over UDP and so many connections over TCP.
pub fn packets(dice: &mut Dice, udp: usize, tcp: usize) -> Vec<Vec<u8>> {
    let mut packets = Vec::new();
    for number in 0..udp {
        let ends = ends(dice, number);
        let id = u16::try_from(number).unwrap();
        for response in [false, true] {
            let size = if dice.chance(10) { 30 } else { 6 };
            let message = message(dice, id, response, size);
            packets.extend(datagrams(dice, ends, response, &message));
        }
    }
    for number in 0..tcp {
        let ends = ends(dice, number);
        packets.extend(connection(dice, ends));
    }
    packets
}

fn ends(dice: &mut Dice, number: usize) -> Ends {
    Ends { v6: dice.chance(50), client: 1 + dice.u8() % 200, port: 1024 + u16::try_from(number).unwrap() }
}

/// A UDP datagram as packets.
fn datagrams(dice: &mut Dice, ends: Ends, response: bool, message: &[u8]) -> Vec<Vec<u8>> {
    let length = u16::try_from(8 + message.len()).unwrap();
    let mut udp = ports(ends, response);
    udp.extend_from_slice(&length.to_be_bytes());
    udp.extend_from_slice(&[0, 0]);
    udp.extend_from_slice(message);
    let split = dice.chance(70);
    carried(dice, ends, response, 17, &udp, split)
}

/// A datagram or segment as one packet, or as fragments in any order, one of them twice.
fn carried(
    dice: &mut Dice,
    ends: Ends,
    response: bool,
    protocol: u8,
    payload: &[u8],
    split: bool,
) -> Vec<Vec<u8>> {
    if payload.len() <= FRAGMENT || !split {
        return vec![whole(dice, ends, response, protocol, payload)];
    }
    let identification = dice.u16();
    let pieces = payload.len().div_ceil(FRAGMENT);
    let mut fragments: Vec<Vec<u8>> = payload
        .chunks(FRAGMENT)
        .enumerate()
        .map(|(index, piece)| {
            fragment(ends, response, protocol, identification, index, index + 1 < pieces, piece)
        })
        .collect();
    if dice.chance(50) {
        dice.shuffle(&mut fragments);
    }
    if dice.chance(20) {
        let twice = fragments[0].clone();
        fragments.insert(1, twice);
    }
    fragments
}

fn ports(ends: Ends, response: bool) -> Vec<u8> {
    let (client, server) = (ends.port.to_be_bytes(), 53_u16.to_be_bytes());
    if response { [server, client].concat() } else { [client, server].concat() }
}

fn addresses(ends: Ends, response: bool) -> (Vec<u8>, Vec<u8>) {
    let (client, server) = if ends.v6 {
        let address = |last| [&[0x20, 1, 0x0D, 0xB8][..], &[0; 11], &[last]].concat();
        (address(ends.client), address(253))
    } else {
        (vec![192, 0, 2, ends.client], vec![192, 0, 2, 253])
    };
    if response { (server, client) } else { (client, server) }
}

/// An IP packet, sometimes with options or extension headers.
fn whole(dice: &mut Dice, ends: Ends, response: bool, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let extras = dice.chance(20);
    if !ends.v6 {
        let options: &[u8] = if extras { &[1, 1, 1, 0] } else { &[] };
        return ipv4(ends, response, [0, 0], [0, 0], protocol, options, payload);
    }
    // Hop-by-hop options of padding, then destination options of padding.
    let chain = [60, 0, 1, 4, 0, 0, 0, 0, protocol, 0, 1, 4, 0, 0, 0, 0];
    if extras {
        return ipv6(ends, response, 0, &[&chain, payload].concat());
    }
    ipv6(ends, response, protocol, payload)
}

fn fragment(
    ends: Ends,
    response: bool,
    protocol: u8,
    id: u16,
    index: usize,
    more: bool,
    piece: &[u8],
) -> Vec<u8> {
    let units = u16::try_from(index * FRAGMENT / 8).unwrap();
    if ends.v6 {
        let place = units << 3 | u16::from(more);
        let header = [[protocol, 0], place.to_be_bytes(), [0, 7], id.to_be_bytes()].concat();
        return ipv6(ends, response, 44, &[&header, piece].concat());
    }
    let place = units | u16::from(more) << 13;
    ipv4(ends, response, id.to_be_bytes(), place.to_be_bytes(), protocol, &[], piece)
}

fn ipv4(
    ends: Ends,
    response: bool,
    id: [u8; 2],
    place: [u8; 2],
    protocol: u8,
    options: &[u8],
    payload: &[u8],
) -> Vec<u8> {
    let words = u8::try_from(5 + options.len() / 4).unwrap();
    let length = u16::try_from(20 + options.len() + payload.len()).unwrap();
    let (source, destination) = addresses(ends, response);
    let mut bytes = vec![0x40 | words, 0];
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(&[id[0], id[1], place[0], place[1], 64, protocol, 0, 0]);
    bytes.extend_from_slice(&[source, destination].concat());
    bytes.extend_from_slice(&[options, payload].concat());
    bytes
}

fn ipv6(ends: Ends, response: bool, next: u8, payload: &[u8]) -> Vec<u8> {
    let (source, destination) = addresses(ends, response);
    let mut bytes = vec![0x60, 0, 0, 0];
    bytes.extend_from_slice(&u16::try_from(payload.len()).unwrap().to_be_bytes());
    bytes.extend_from_slice(&[next, 64]);
    bytes.extend_from_slice(&[source, destination].concat());
    bytes.extend_from_slice(payload);
    bytes
}

/// One segment: place in the stream, flags, data.
struct Piece {
    response: bool,
    sequence: u32,
    acknowledged: u32,
    flags: u8,
    data: Vec<u8>,
}

/// A connection: handshake, several queries and answers, each stream cut at will; end.
fn connection(dice: &mut Dice, ends: Ends) -> Vec<Vec<u8>> {
    let mut next = [dice.u32(), dice.u32()];
    let mut pieces = Vec::new();
    for (response, flags) in [(false, 2), (true, 0x12)] {
        let side = usize::from(response);
        pieces.push(Piece {
            response,
            sequence: next[side],
            acknowledged: next[1 - side],
            flags,
            data: Vec::new(),
        });
        next[side] = next[side].wrapping_add(1);
    }
    for _ in 0..=dice.below(3) {
        for response in [false, true] {
            let stream = stream(dice, response);
            pieces.extend(segments(dice, &mut next, response, &stream));
        }
    }
    if dice.chance(20) {
        // All of the connection in any order, but for its first two segments and its last two.
        dice.shuffle(&mut pieces[2..]);
    }
    for response in [false, true] {
        let side = usize::from(response);
        pieces.push(Piece {
            response,
            sequence: next[side],
            acknowledged: next[1 - side],
            flags: 0x11,
            data: Vec::new(),
        });
        next[side] = next[side].wrapping_add(1);
    }
    pieces.iter().flat_map(|piece| tcp(dice, ends, piece)).collect()
}

/// One to three messages, each after its length.
fn stream(dice: &mut Dice, response: bool) -> Vec<u8> {
    let mut stream = Vec::new();
    for _ in 0..=dice.below(3) {
        let size = dice.pick(&[4, 6, 40]);
        let id = dice.u16();
        let message = message(dice, id, response, size);
        stream.extend_from_slice(&u16::try_from(message.len()).unwrap().to_be_bytes());
        stream.extend_from_slice(&message);
    }
    stream
}

/// A stream in pieces: one, many, a length by itself; then some sent again, or out of order.
fn segments(dice: &mut Dice, next: &mut [u32; 2], response: bool, stream: &[u8]) -> Vec<Piece> {
    let side = usize::from(response);
    let largest = dice.pick(&[65_000, 1400, 1400, 300]);
    let mut cuts: Vec<&[u8]> = stream.chunks(largest).collect();
    if dice.chance(30) {
        let (length, rest) = cuts[0].split_at(2);
        cuts.splice(0..1, [length, rest]);
    }
    let mut pieces = Vec::new();
    for data in cuts {
        let piece = |sequence| Piece {
            response,
            sequence,
            acknowledged: next[1 - side],
            flags: 0x18,
            data: data.to_vec(),
        };
        pieces.push(piece(next[side]));
        if dice.chance(10) {
            pieces.push(piece(next[side]));
        }
        next[side] = next[side].wrapping_add(u32::try_from(data.len()).unwrap());
    }
    if dice.chance(40) {
        dice.shuffle(&mut pieces);
    }
    pieces
}

fn tcp(dice: &mut Dice, ends: Ends, piece: &Piece) -> Vec<Vec<u8>> {
    let mut segment = ports(ends, piece.response);
    segment.extend_from_slice(&piece.sequence.to_be_bytes());
    segment.extend_from_slice(&piece.acknowledged.to_be_bytes());
    segment.extend_from_slice(&[0x50, piece.flags, 0xFF, 0xFF, 0, 0, 0, 0]);
    segment.extend_from_slice(&piece.data);
    let split = dice.chance(10);
    carried(dice, ends, piece.response, 6, &segment, split)
}
