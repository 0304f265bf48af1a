//! IP header, options, extension headers -> addresses, and a whole payload or a fragment of one.
//!
//! Headers are read with etherparse one by one, because its walk goes on behind an IPv6 fragment header, into what is
//! data in every fragment but the first.

use std::net::IpAddr;

use etherparse::{
    IpAuthHeaderSlice, IpNumber, Ipv4HeaderSlice, Ipv6FragmentHeaderSlice, Ipv6HeaderSlice,
    Ipv6RawExtHeaderSlice, ip_number,
};

use super::Skipped;

/// Extension headers that one packet may carry.
const EXTENSIONS_MAX: usize = 32;

/// An IP packet: who sends what to whom.
#[derive(Clone, Copy, Debug)]
pub(super) struct Datagram<'p> {
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    pub(super) carried: Carried<'p>,
}

/// What an IP packet carries.
#[derive(Clone, Copy, Debug)]
pub(super) enum Carried<'p> {
    /// All of a transport protocol's unit.
    Whole { protocol: u8, payload: &'p [u8] },
    /// A part of one.
    Fragment(Fragment<'p>),
}

/// One fragment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fragment<'p> {
    pub(super) identification: u32,
    /// IPv4: the datagram's protocol. IPv6: the header that follows; only the first fragment's counts.
    pub(super) protocol: u8,
    /// Where it stands in the whole, in bytes.
    pub(super) offset: usize,
    pub(super) more: bool,
    pub(super) payload: &'p [u8],
}

/// Reads the headers.
pub(super) fn datagram(bytes: &[u8]) -> Result<Datagram<'_>, Skipped> {
    let read = match bytes.first().map(|byte| byte >> 4) {
        Some(4) => ipv4(bytes),
        Some(6) => ipv6(bytes),
        _ => return Err(Skipped::NotIp),
    };
    read.ok_or(Skipped::Malformed)
}

/// Steps over the headers that may stand before the transport protocol in a datagram put together from fragments.
pub(super) fn transport_of(ipv4: bool, protocol: u8, payload: &[u8]) -> Result<(u8, &[u8]), Skipped> {
    if ipv4 {
        return authenticated(IpNumber(protocol), payload).ok_or(Skipped::Malformed);
    }
    match extensions(IpNumber(protocol), payload) {
        Some(Carried::Whole { protocol, payload }) => Ok((protocol, payload)),
        _ => Err(Skipped::Malformed),
    }
}

fn ipv4(bytes: &[u8]) -> Option<Datagram<'_>> {
    let header = Ipv4HeaderSlice::from_slice(bytes).ok()?;
    let start = header.slice().len();
    // Segmentation in the network card leaves 0 here; the frame's own length is then all there is to go by.
    let end = match usize::from(header.total_len()) {
        0 => bytes.len(),
        length => length.min(bytes.len()),
    };
    let payload = bytes.get(start..end)?;
    let offset = usize::from(header.fragments_offset().value()) * 8;
    let carried = if header.more_fragments() || offset > 0 {
        Carried::Fragment(Fragment {
            identification: u32::from(header.identification()),
            protocol: header.protocol().0,
            offset,
            more: header.more_fragments(),
            payload,
        })
    } else {
        let (protocol, payload) = authenticated(header.protocol(), payload)?;
        Carried::Whole { protocol, payload }
    };
    Some(Datagram {
        source: header.source_addr().into(),
        destination: header.destination_addr().into(),
        carried,
    })
}

fn authenticated(protocol: IpNumber, payload: &[u8]) -> Option<(u8, &[u8])> {
    if protocol != ip_number::AUTH {
        return Some((protocol.0, payload));
    }
    let header = IpAuthHeaderSlice::from_slice(payload).ok()?;
    Some((header.next_header().0, payload.get(header.slice().len()..)?))
}

fn ipv6(bytes: &[u8]) -> Option<Datagram<'_>> {
    let header = Ipv6HeaderSlice::from_slice(bytes).ok()?;
    let start = header.slice().len();
    let end = match usize::from(header.payload_length()) {
        0 => bytes.len(),
        length => (start + length).min(bytes.len()),
    };
    let carried = extensions(header.next_header(), bytes.get(start..end)?)?;
    Some(Datagram {
        source: header.source_addr().into(),
        destination: header.destination_addr().into(),
        carried,
    })
}

/// Steps over extension headers up to a transport protocol or a fragment.
fn extensions(next: IpNumber, payload: &[u8]) -> Option<Carried<'_>> {
    let (mut next, mut rest) = (next, payload);
    for _ in 0..EXTENSIONS_MAX {
        let length;
        (next, length) = match next {
            ip_number::IPV6_FRAG => {
                let header = Ipv6FragmentHeaderSlice::from_slice(rest).ok()?;
                if header.is_fragmenting_payload() {
                    return fragment(&header, rest);
                }
                (header.next_header(), header.slice().len())
            }
            ip_number::AUTH => {
                let header = IpAuthHeaderSlice::from_slice(rest).ok()?;
                (header.next_header(), header.slice().len())
            }
            other if Ipv6RawExtHeaderSlice::header_type_supported(other) => {
                let header = Ipv6RawExtHeaderSlice::from_slice(rest).ok()?;
                (header.next_header(), header.slice().len())
            }
            other => return Some(Carried::Whole { protocol: other.0, payload: rest }),
        };
        rest = rest.get(length..)?;
    }
    None
}

fn fragment<'p>(header: &Ipv6FragmentHeaderSlice<'_>, bytes: &'p [u8]) -> Option<Carried<'p>> {
    Some(Carried::Fragment(Fragment {
        identification: header.identification(),
        protocol: header.next_header().0,
        offset: usize::from(header.fragment_offset().value()) * 8,
        more: header.more_fragments(),
        payload: bytes.get(header.slice().len()..)?,
    }))
}
