//! IP packets -> capture files of every format and link type.

use std::io::{self, Write};

/// A kind of link: number of its type, and the header that it puts before a packet of IPv4 or IPv6.
#[derive(Clone, Copy)]
pub struct Link {
    pub number: u16,
    v4: &'static [u8],
    v6: &'static [u8],
}

const MAC: [u8; 12] = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];

/// Every link type that `replay` reads, with and without VLAN tags.
pub const LINKS: &[(&str, Link)] = &[
    ("ethernet", Link { number: 1, v4: &[8, 0], v6: &[0x86, 0xDD] }),
    ("vlan", Link { number: 1, v4: &[0x81, 0, 0, 7, 8, 0], v6: &[0x81, 0, 0, 7, 0x86, 0xDD] }),
    (
        "qinq",
        Link {
            number: 1,
            v4: &[0x88, 0xA8, 0, 9, 0x81, 0, 0, 7, 8, 0],
            v6: &[0x88, 0xA8, 0, 9, 0x81, 0, 0, 7, 0x86, 0xDD],
        },
    ),
    (
        "cooked",
        Link {
            number: 113,
            v4: &[0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 8, 0],
            v6: &[0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 0x86, 0xDD],
        },
    ),
    (
        "cooked2",
        Link {
            number: 276,
            v4: &[8, 0, 0, 0, 0, 0, 0, 2, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0],
            v6: &[0x86, 0xDD, 0, 0, 0, 0, 0, 2, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0],
        },
    ),
    ("raw", Link { number: 101, v4: &[], v6: &[] }),
    ("null", Link { number: 0, v4: &[2, 0, 0, 0], v6: &[30, 0, 0, 0] }),
    ("loop", Link { number: 108, v4: &[0, 0, 0, 2], v6: &[0, 0, 0, 30] }),
];

impl Link {
    fn frame(&self, packet: &[u8]) -> Vec<u8> {
        let head = if packet[0] >> 4 == 4 { self.v4 } else { self.v6 };
        let mac: &[u8] = if self.number == 1 { &MAC } else { &[] };
        [mac, head, packet].concat()
    }
}

/// Formats of capture files.
#[derive(Clone, Copy, Debug)]
pub enum Format {
    /// pcap: byte order and clock.
    Pcap { big_endian: bool, nanoseconds: bool },
    /// pcapng, clock in nanoseconds.
    Pcapng { big_endian: bool },
}

/// Seconds of the first frame; each is 1,000,001 ns later than the one before (1,000 microseconds in a coarse clock).
const FIRST: u64 = 1_700_000_000;

/// Writes packets as frames of these links in turn. pcap can have only one.
pub fn write(out: &mut impl Write, format: Format, links: &[Link], packets: &[Vec<u8>]) -> io::Result<()> {
    match format {
        Format::Pcap { big_endian, nanoseconds } => pcap(out, big_endian, nanoseconds, links[0], packets),
        Format::Pcapng { big_endian } => pcapng(out, big_endian, links, packets),
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
    for (packet, number) in packets.iter().zip(0_u64..) {
        let frame = link.frame(packet);
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
    for link in links {
        // if_tsresol 9, then the end of the options.
        let options = if big_endian { [0, 9, 0, 1, 9, 0, 0, 0] } else { [9, 0, 1, 0, 9, 0, 0, 0] };
        block(out, big_endian, 1, &[half(link.number, 0), 0], &[&options[..], &[0; 4]].concat())?;
    }
    for (packet, number) in packets.iter().zip(0_usize..) {
        let interface = number % links.len();
        let frame = links[interface].frame(packet);
        let length = u32::try_from(frame.len()).unwrap();
        let time = FIRST * 1_000_000_000 + number as u64 * 1_000_001;
        let (high, low) = (u32::try_from(time >> 32).unwrap(), u32::try_from(time & 0xFFFF_FFFF).unwrap());
        let words = [u32::try_from(interface).unwrap(), high, low, length, length];
        block(out, big_endian, 6, &words, &frame)?;
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
