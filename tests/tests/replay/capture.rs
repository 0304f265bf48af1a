//! IP packets -> capture files of every format and link type.

use std::io::{self, Write};

/// A kind of link: number of its type, and the header that it puts before a packet of IPv4 or IPv6; no header where it
/// carries no such packet.
#[derive(Clone, Copy)]
pub struct Link {
    pub number: u16,
    v4: Option<&'static [u8]>,
    v6: Option<&'static [u8]>,
}

/// A link that carries both.
const fn link(number: u16, v4: &'static [u8], v6: &'static [u8]) -> Link {
    Link { number, v4: Some(v4), v6: Some(v6) }
}

const MAC: [u8; 12] = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];

/// Every link type that `replay` reads, with and without VLAN tags.
pub const LINKS: &[(&str, Link)] = &[
    ("ethernet", link(1, &[8, 0], &[0x86, 0xDD])),
    ("vlan", link(1, &[0x81, 0, 0, 7, 8, 0], &[0x81, 0, 0, 7, 0x86, 0xDD])),
    (
        "qinq",
        link(1, &[0x88, 0xA8, 0, 9, 0x81, 0, 0, 7, 8, 0], &[0x88, 0xA8, 0, 9, 0x81, 0, 0, 7, 0x86, 0xDD]),
    ),
    (
        "cooked",
        link(
            113,
            &[0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 8, 0],
            &[0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 0x86, 0xDD],
        ),
    ),
    (
        "cooked vlan",
        link(
            113,
            &[0, 4, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 0x81, 0, 0, 7, 8, 0],
            &[0, 4, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 0x81, 0, 0, 7, 0x86, 0xDD],
        ),
    ),
    (
        "cooked2",
        link(
            276,
            &[8, 0, 0, 0, 0, 0, 0, 2, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0],
            &[0x86, 0xDD, 0, 0, 0, 0, 0, 2, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0],
        ),
    ),
    (
        "cooked2 vlan",
        link(
            276,
            &[0x81, 0, 0, 0, 0, 0, 0, 2, 0, 1, 4, 6, 2, 0, 0, 0, 0, 1, 0, 0, 0, 7, 8, 0],
            &[0x81, 0, 0, 0, 0, 0, 0, 2, 0, 1, 4, 6, 2, 0, 0, 0, 0, 1, 0, 0, 0, 7, 0x86, 0xDD],
        ),
    ),
    ("raw", link(101, &[], &[])),
    ("raw of BSD", link(12, &[], &[])),
    ("raw of OpenBSD", link(14, &[], &[])),
    ("raw IPv4", Link { number: 228, v4: Some(&[]), v6: None }),
    ("raw IPv6", Link { number: 229, v4: None, v6: Some(&[]) }),
    ("null", link(0, &[2, 0, 0, 0], &[30, 0, 0, 0])),
    ("null of FreeBSD", link(0, &[2, 0, 0, 0], &[28, 0, 0, 0])),
    ("loop", link(108, &[0, 0, 0, 2], &[0, 0, 0, 30])),
];

impl Link {
    /// The packet as a frame; none where the link does not carry its version of IP.
    fn frame(&self, packet: &[u8]) -> Option<Vec<u8>> {
        let head = if packet[0] >> 4 == 4 { self.v4 } else { self.v6 };
        let mac: &[u8] = if self.number == 1 { &MAC } else { &[] };
        Some([mac, head?, packet].concat())
    }
}

/// Formats of capture files.
#[derive(Clone, Copy, Debug)]
pub enum Format {
    /// pcap: byte order and clock.
    Pcap { big_endian: bool, nanoseconds: bool },
    /// pcapng, each interface with a clock of its own.
    Pcapng { big_endian: bool },
    /// pcapng of two sections, each in its own byte order and with its own interfaces, as files put one behind the other.
    Sections,
}

/// `if_tsresol` of an interface, none for microseconds, and how its ticks are counted from nanoseconds.
struct Clock(Option<u8>, fn(u64) -> u64);

/// The clocks of interfaces in turn.
const CLOCKS: [Clock; 4] = [
    Clock(Some(9), |nanoseconds| nanoseconds),
    Clock(None, |nanoseconds| nanoseconds / 1000),
    // Two to the power of minus 20.
    Clock(Some(0x94), |nanoseconds| u64::try_from((u128::from(nanoseconds) << 20) / 1_000_000_000).unwrap()),
    Clock(Some(3), |nanoseconds| nanoseconds / 1_000_000),
];

/// Seconds of the first frame; each is 1,000,001 ns later than the one before (1,000 microseconds in a coarse clock).
const FIRST: u64 = 1_700_000_000;

/// Writes packets as frames of these links in turn. pcap can have only one.
pub fn write(out: &mut impl Write, format: Format, links: &[Link], packets: &[Vec<u8>]) -> io::Result<()> {
    match format {
        Format::Pcap { big_endian, nanoseconds } => pcap(out, big_endian, nanoseconds, links[0], packets),
        Format::Pcapng { big_endian } => pcapng(out, big_endian, links, packets),
        Format::Sections => {
            let (first, second) = packets.split_at(packets.len() / 2);
            let (some, others) = links.split_at(links.len() / 2);
            pcapng(out, false, some, first)?;
            pcapng(out, true, others, second)
        }
    }
}

fn word(big_endian: bool, value: u32) -> [u8; 4] {
    if big_endian { value.to_be_bytes() } else { value.to_le_bytes() }
}

fn pcap(
    out: &mut impl Write,
    big_endian: bool,
    nanoseconds: bool,
    link: Link,
    packets: &[Vec<u8>],
) -> io::Result<()> {
    let magic = if nanoseconds { 0xA1B2_3C4D } else { 0xA1B2_C3D4 };
    let version = if big_endian { 0x0002_0004 } else { 0x0004_0002 };
    for value in [magic, version, 0, 0, 262_144, u32::from(link.number)] {
        out.write_all(&word(big_endian, value))?;
    }
    let frames = packets.iter().filter_map(|packet| link.frame(packet));
    for (frame, number) in frames.zip(0_u64..) {
        let length = u32::try_from(frame.len()).unwrap();
        let time = number * 1_000_001;
        let fraction = time % 1_000_000_000 / if nanoseconds { 1 } else { 1000 };
        let seconds = FIRST + time / 1_000_000_000;
        for value in [u32::try_from(seconds).unwrap(), u32::try_from(fraction).unwrap(), length, length] {
            out.write_all(&word(big_endian, value))?;
        }
        out.write_all(&frame)?;
    }
    Ok(())
}

fn pcapng(out: &mut impl Write, big_endian: bool, links: &[Link], packets: &[Vec<u8>]) -> io::Result<()> {
    let half = |high: u16, low: u16| {
        let (first, second) = if big_endian { (high, low) } else { (low, high) };
        u32::from(first) << 16 | u32::from(second)
    };
    let version = half(1, 0);
    block(out, big_endian, 0x0A0D_0D0A, &[0x1A2B_3C4D, version, u32::MAX, u32::MAX], &[])?;
    for (link, Clock(resolution, _)) in links.iter().zip(CLOCKS.iter().cycle()) {
        // if_tsresol where there is one, then the end of the options.
        let option = resolution.map(|resolution| {
            let head = if big_endian { [0, 9, 0, 1] } else { [9, 0, 1, 0] };
            [&head[..], &[resolution, 0, 0, 0, 0, 0, 0, 0]].concat()
        });
        block(out, big_endian, 1, &[half(link.number, 0), 0], &option.unwrap_or_default())?;
    }
    for (packet, number) in packets.iter().zip(0_usize..) {
        // The next interface that carries such a packet.
        let framed = (number..number + links.len())
            .map(|number| number % links.len())
            .find_map(|interface| Some((interface, links[interface].frame(packet)?)));
        let (interface, frame) = framed.unwrap();
        let length = u32::try_from(frame.len()).unwrap();
        let ticks = CLOCKS[interface % CLOCKS.len()].1(FIRST * 1_000_000_000 + number as u64 * 1_000_001);
        let (high, low) = (u32::try_from(ticks >> 32).unwrap(), u32::try_from(ticks & 0xFFFF_FFFF).unwrap());
        if number % 5 == 4 {
            // The packet block that the enhanced one replaced: its interface has 16 bits.
            let words = [half(u16::try_from(interface).unwrap(), 0), high, low, length, length];
            block(out, big_endian, 2, &words, &frame)?;
        } else {
            let words = [u32::try_from(interface).unwrap(), high, low, length, length];
            block(out, big_endian, 6, &words, &frame)?;
        }
    }
    Ok(())
}

fn block(out: &mut impl Write, big_endian: bool, kind: u32, words: &[u32], bytes: &[u8]) -> io::Result<()> {
    let padding = bytes.len().next_multiple_of(4) - bytes.len();
    let length = u32::try_from(12 + 4 * words.len() + bytes.len() + padding).unwrap();
    for value in [&[kind, length], words].concat() {
        out.write_all(&word(big_endian, value))?;
    }
    out.write_all(bytes)?;
    out.write_all(&vec![0; padding])?;
    out.write_all(&word(big_endian, length))
}
