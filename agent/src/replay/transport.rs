//! UDP or TCP header -> ports, place in the stream, payload.

use etherparse::{IpNumber, TcpSlice, UdpHeaderSlice, ip_number};

use super::Skipped;
use crate::pipeline::packet::{Segment, Transport};

/// A UDP datagram or TCP segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unit<'p> {
    pub(super) transport: Transport,
    pub(super) source_port: u16,
    pub(super) destination_port: u16,
    pub(super) segment: Option<Segment>,
    pub(super) payload: &'p [u8],
}

/// Reads the header of a transport protocol.
pub(super) fn read(protocol: u8, bytes: &[u8]) -> Result<Unit<'_>, Skipped> {
    let unit = match IpNumber(protocol) {
        ip_number::UDP => udp(bytes),
        ip_number::TCP => tcp(bytes),
        _ => return Err(Skipped::NotTransport),
    };
    unit.ok_or(Skipped::Malformed)
}

fn udp(bytes: &[u8]) -> Option<Unit<'_>> {
    let header = UdpHeaderSlice::from_slice(bytes).ok()?;
    let start = header.slice().len();
    // 0 where the network card splits the datagrams, or in a jumbogram.
    let end = match usize::from(header.length()) {
        0 => bytes.len(),
        length => length.min(bytes.len()),
    };
    Some(Unit {
        transport: Transport::Udp,
        source_port: header.source_port(),
        destination_port: header.destination_port(),
        segment: None,
        payload: bytes.get(start..end)?,
    })
}

fn tcp(bytes: &[u8]) -> Option<Unit<'_>> {
    let segment = TcpSlice::from_slice(bytes).ok()?;
    Some(Unit {
        transport: Transport::Tcp,
        source_port: segment.source_port(),
        destination_port: segment.destination_port(),
        segment: Some(Segment {
            sequence: segment.sequence_number(),
            syn: segment.syn(),
            fin: segment.fin(),
            rst: segment.rst(),
        }),
        payload: segment.payload(),
    })
}
