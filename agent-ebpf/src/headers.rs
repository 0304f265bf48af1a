//! IPv4 (with options), IPv6 (with extension headers), UDP and TCP: where ports and payload are.
//!
//! Comes in: a packet from its IP header on. Goes out: scalars only. The common packet is read in place; options,
//! extension headers and what lies outside the linear part go through a helper. Lengths come from `skb->len`: BIG TCP
//! writes 0 into the IP header.

use aya_ebpf::programs::SkBuffContext;
use namewarden_agent_common::counters::Counter;

use crate::{maps::IN_PLACE, packet::Skb};

/// IANA protocol number of TCP.
pub const TCP: u8 = 6;
/// IANA protocol number of UDP.
pub const UDP: u8 = 17;

const IPV4_MIN: u32 = 20;
const IPV6_MIN: u32 = 40;
const PORTS: u32 = 4;
const UDP_HEADER: u32 = 8;
const TCP_MIN: u32 = 20;

/// Extension headers of one packet that are followed; Linux itself refuses a destination more than this.
const EXTENSIONS_MAX: usize = 8;

/// What the IP header says, and the ports.
///
/// Filled in place: a `Result` of it would carry undefined bytes where it fails, and the verifier refuses those.
#[derive(Clone, Copy, Default)]
pub struct Headers {
    /// 4 or 6.
    pub ip_version: u8,
    /// `TCP` or `UDP`.
    pub protocol: u8,
    /// The first of several fragments.
    pub fragment: bool,
    /// Where the transport header starts.
    pub transport: u32,
    /// Source and destination port as on the wire, in one word.
    pub ports: u32,
}

impl Headers {
    /// Source port in host byte order.
    #[inline(always)]
    pub fn source_port(&self) -> u16 {
        u16::from_be(self.ports as u16)
    }

    /// Destination port in host byte order.
    #[inline(always)]
    pub fn destination_port(&self) -> u16 {
        u16::from_be((self.ports >> 16) as u16)
    }
}

/// Where the payload is, and what TCP says of it.
#[derive(Clone, Copy, Default)]
pub struct Payload {
    /// Where it starts in the packet.
    pub offset: u32,
    /// Its length.
    pub length: u32,
    /// TCP sequence number, host byte order.
    pub tcp_sequence: u32,
    /// TCP flags byte.
    pub tcp_flags: u8,
}

/// Reads the IP header and the ports.
#[inline(always)]
pub fn read(ctx: &SkBuffContext, to: &mut Headers) -> Result<(), Counter> {
    let skb = Skb::of(ctx);
    if IN_PLACE.load() == 0 {
        return loaded(&skb, to);
    }
    let (data, end) = (skb.data(), skb.data_end());
    if data + IPV4_MIN as usize > end {
        return Err(Counter::ShortHeader);
    }
    // SAFETY: the first 20 bytes are in the linear part, as just compared.
    let first = unsafe { *(data as *const u8) };
    to.ip_version = first >> 4;
    match to.ip_version {
        4 => ipv4(&skb, data, end, first, to),
        6 => ipv6(&skb, data, end, to),
        _ => Err(Counter::NotIp),
    }
}

/// The same through the helper only.
#[inline(always)]
fn loaded(skb: &Skb, to: &mut Headers) -> Result<(), Counter> {
    let mut first = 0_u8;
    skb.load(0, &mut first)?;
    to.ip_version = first >> 4;
    if to.ip_version == 6 {
        return extended(skb, to);
    }
    if to.ip_version != 4 {
        return Err(Counter::NotIp);
    }
    let mut fragment = 0_u16;
    skb.load(6, &mut fragment)?;
    let mut protocol = 0_u8;
    skb.load(9, &mut protocol)?;
    ipv4_fields(first, u16::from_be(fragment), protocol, to)?;
    skb.load(to.transport, &mut to.ports)
}

/// What a header of IPv4 says, options or not.
#[inline(always)]
fn ipv4_fields(first: u8, fragment: u16, protocol: u8, to: &mut Headers) -> Result<(), Counter> {
    if protocol != UDP && protocol != TCP {
        return Err(Counter::NotTransport);
    }
    if fragment & 0x1fff != 0 {
        return Err(Counter::LaterFragment);
    }
    to.protocol = protocol;
    to.fragment = fragment & 0x2000 != 0;
    to.transport = u32::from(first & 0x0f) * 4;
    if to.transport < IPV4_MIN { Err(Counter::ShortHeader) } else { Ok(()) }
}

#[inline(always)]
fn ipv4(skb: &Skb, data: usize, end: usize, first: u8, to: &mut Headers) -> Result<(), Counter> {
    // SAFETY: the caller compared the first 20 bytes with the end.
    let (fragment, protocol) =
        unsafe { (u16::from_be(*((data + 6) as *const u16)), *((data + 9) as *const u8)) };
    ipv4_fields(first, fragment, protocol, to)?;
    if to.transport == IPV4_MIN && data + (IPV4_MIN + PORTS) as usize <= end {
        // SAFETY: just compared.
        to.ports = unsafe { *((data + IPV4_MIN as usize) as *const u32) };
        return Ok(());
    }
    skb.load(to.transport, &mut to.ports)
}

#[inline(always)]
fn ipv6(skb: &Skb, data: usize, end: usize, to: &mut Headers) -> Result<(), Counter> {
    if data + (IPV6_MIN + PORTS) as usize <= end {
        // SAFETY: just compared.
        unsafe {
            to.protocol = *((data + 6) as *const u8);
            to.ports = *((data + IPV6_MIN as usize) as *const u32);
        }
        if to.protocol == UDP || to.protocol == TCP {
            to.transport = IPV6_MIN;
            return Ok(());
        }
    }
    extended(skb, to)
}

/// Follows the extension headers (RFC 8200 section 4, RFC 4302 for AH).
#[inline(always)]
fn extended(skb: &Skb, to: &mut Headers) -> Result<(), Counter> {
    let mut next = 0_u8;
    skb.load(6, &mut next)?;
    let mut at = IPV6_MIN;
    for _ in 0..EXTENSIONS_MAX {
        if next == UDP || next == TCP {
            to.protocol = next;
            to.transport = at;
            return skb.load(at, &mut to.ports);
        }
        // Hop-by-hop, routing, fragment, AH, destination, mobility, HIP, shim6.
        if !matches!(next, 0 | 43 | 44 | 51 | 60 | 135 | 139 | 140) {
            return Err(Counter::NotTransport);
        }
        let mut head = 0_u32;
        skb.load(at, &mut head)?;
        let units = (head >> 8) & 0xff;
        if next == 44 {
            let offset = u16::from_be((head >> 16) as u16);
            if offset & 0xfff8 != 0 {
                return Err(Counter::LaterFragment);
            }
            to.fragment = offset & 1 != 0;
            at += 8;
        } else if next == 51 {
            at += (units + 2) * 4;
        } else {
            at += (units + 1) * 8;
        }
        next = head as u8;
    }
    Err(Counter::NotTransport)
}

/// Reads what follows the ports: where the payload starts and how long it is.
#[inline(always)]
pub fn payload(ctx: &SkBuffContext, headers: &Headers, to: &mut Payload) -> Result<(), Counter> {
    let skb = Skb::of(ctx);
    to.offset = headers.transport + UDP_HEADER;
    if headers.protocol == TCP {
        let mut sequence = 0_u32;
        skb.load(headers.transport + 4, &mut sequence)?;
        let mut control = 0_u16;
        skb.load(headers.transport + 12, &mut control)?;
        let length = u32::from((control as u8) >> 4) * 4;
        if length < TCP_MIN {
            return Err(Counter::ShortHeader);
        }
        to.offset = headers.transport + length;
        to.tcp_sequence = u32::from_be(sequence);
        to.tcp_flags = (control >> 8) as u8;
    }
    let whole = skb.length();
    if whole < to.offset {
        return Err(Counter::ShortHeader);
    }
    to.length = whole - to.offset;
    Ok(())
}
