//! UDP in IP packets made by hand, to be sent on raw sockets: IPv4 with options, IPv6 with extension headers.
//!
//! What stands between the IP header and UDP's is given in pieces. For IPv4 each is a part of the options, in all a
//! multiple of four bytes. For IPv6 each is an extension header: its number, then its bytes after the first, which
//! names the next header.

use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

const UDP: u8 = 17;
/// Sockets of this protocol take whole IP packets.
const IPPROTO_RAW: i32 = 255;

/// Bytes between IP header and UDP header, in pieces.
pub type Between<'a> = &'a [Vec<u8>];

/// Sends one UDP datagram as a whole IP packet on a raw socket of the calling thread's namespace.
///
/// # Errors
/// The kernel's, where it refuses the packet.
pub fn send_udp(source: SocketAddr, target: SocketAddr, between: Between<'_>, data: &[u8]) -> io::Result<()> {
    let domain = if target.is_ipv6() { Domain::IPV6 } else { Domain::IPV4 };
    let socket = Socket::new(domain, Type::RAW, Some(Protocol::from(IPPROTO_RAW)))?;
    let to = SockAddr::from(SocketAddr::new(target.ip(), 0));
    socket.send_to(&packet(source, target, between, data), &to).map(drop)
}

/// The packet.
fn packet(source: SocketAddr, target: SocketAddr, between: Between<'_>, data: &[u8]) -> Vec<u8> {
    let udp = datagram(source, target, data);
    match (source.ip(), target.ip()) {
        (IpAddr::V4(source), IpAddr::V4(target)) => {
            let options = between.concat();
            let length = 20 + options.len() + udp.len();
            let words = u8::try_from(5 + options.len() / 4).unwrap_or(15);
            let mut packet = vec![0x40 | words, 0];
            packet.extend_from_slice(&short(length));
            // Identification, flags, time to live, protocol; the kernel fills in the checksum.
            packet.extend_from_slice(&[0, 0, 0, 0, 64, UDP, 0, 0]);
            packet.extend_from_slice(&[source.octets(), target.octets()].concat());
            packet.extend_from_slice(&[options, udp].concat());
            packet
        }
        (source, target) => {
            let numbers = between.iter().filter_map(|header| header.first().copied()).chain([UDP]);
            let numbers: Vec<u8> = numbers.collect();
            let mut body = Vec::new();
            for (header, next) in between.iter().zip(numbers.iter().skip(1)) {
                body.push(*next);
                body.extend_from_slice(header.get(1..).unwrap_or_default());
            }
            body.extend_from_slice(&udp);
            let mut packet = vec![0x60, 0, 0, 0];
            packet.extend_from_slice(&short(body.len()));
            packet.extend_from_slice(&[numbers.first().copied().unwrap_or(UDP), 64]);
            packet.extend_from_slice(&[octets(source), octets(target), body].concat());
            packet
        }
    }
}

/// UDP header and data, with the checksum that IPv6 demands.
fn datagram(source: SocketAddr, target: SocketAddr, data: &[u8]) -> Vec<u8> {
    let length = short(8 + data.len());
    let mut udp = [source.port().to_be_bytes(), target.port().to_be_bytes(), length, [0, 0]].concat();
    udp.extend_from_slice(data);
    let pseudo = [octets(source.ip()), octets(target.ip()), vec![0, UDP], length.to_vec()].concat();
    let sum = match checksum(&[&pseudo, &udp]) {
        0 => u16::MAX,
        sum => sum,
    };
    udp.splice(6..8, sum.to_be_bytes());
    udp
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

fn short(length: usize) -> [u8; 2] {
    u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes()
}

/// The Internet's checksum (RFC 1071) of parts, each of even length but the last.
pub fn checksum(parts: &[&[u8]]) -> u16 {
    let mut sum: u32 = parts.iter().flat_map(|part| part.chunks(2)).map(word_of).sum();
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    !u16::try_from(sum).unwrap_or(u16::MAX)
}

/// Two bytes as a number; a last single byte is the upper half.
fn word_of(bytes: &[u8]) -> u32 {
    bytes.iter().zip([8, 0]).map(|(byte, shift)| u32::from(*byte) << shift).sum()
}
