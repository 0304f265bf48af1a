//! IPv4 (with options), IPv6 (with extension headers), UDP and TCP: where ports and payload are.
//!
//! Comes in: a packet from its IP header on. Goes out: scalars only. The common packet is read in place; options,
//! extension headers and what lies outside the linear part go through a helper. Lengths come from `skb->len`: BIG TCP
//! writes 0 into the IP header.

use aya_ebpf::bindings::__sk_buff;
use namewarden_agent_common::counters::Counter;

use crate::packet::Skb;

/// IANA protocol number of TCP.
pub const TCP: u8 = 6;
/// IANA protocol number of UDP.
pub const UDP: u8 = 17;

/// First byte of an IPv4 header without options.
const IPV4_PLAIN: u8 = 0x45;
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
    /// All fields in one word; a transport header starts within the first 64 KiB.
    #[inline(always)]
    fn pack(&self) -> u64 {
        u64::from(self.ports) << 32
            | u64::from(self.transport as u16) << 16
            | u64::from(self.protocol) << 8
            | u64::from(self.ip_version) << 1
            | u64::from(self.fragment)
    }

    #[inline(always)]
    fn unpack(packed: u64) -> Self {
        Self {
            ip_version: (packed >> 1) as u8 & 0x0f,
            protocol: (packed >> 8) as u8,
            fragment: packed & 1 != 0,
            transport: u32::from((packed >> 16) as u16),
            ports: (packed >> 32) as u32,
        }
    }

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
pub fn read<const IN_PLACE: bool>(skb: &Skb, to: &mut Headers) -> Result<(), Counter> {
    if IN_PLACE {
        let (data, end) = (skb.data(), skb.data_end());
        if data + (IPV4_MIN + PORTS) as usize <= end {
            // SAFETY: the first 24 bytes are in the linear part, as just compared.
            let first = unsafe { *(data as *const u8) };
            if first == IPV4_PLAIN {
                return ipv4(data, to);
            }
            if first >> 4 == 6 && data + (IPV6_MIN + PORTS) as usize <= end && ipv6(data, to) {
                return Ok(());
            }
        }
    }
    let mut packed = 0;
    rare(skb.as_ptr(), &mut packed)?;
    *to = Headers::unpack(if IN_PLACE { packed } else { skb.forget(packed) });
    Ok(())
}

/// The same through the helper only, for packets that are not like most: a function of its own, so that the way of most
/// packets lies together in memory. It answers in one word, because of a whole struct the compiler makes a `memset`, whose
/// variable offsets the verifier refuses without `CAP_PERFMON`.
#[inline(never)]
fn rare(skb: *mut __sk_buff, packed: &mut u64) -> Result<(), Counter> {
    let mut headers = Headers::default();
    loaded(&Skb::from(skb), &mut headers)?;
    *packed = headers.pack();
    Ok(())
}

#[inline(always)]
fn loaded(skb: &Skb, to: &mut Headers) -> Result<(), Counter> {
    let first: u8 = skb.load(0)?;
    to.ip_version = first >> 4;
    if to.ip_version == 6 {
        return extended(skb, to);
    }
    if to.ip_version != 4 {
        return Err(Counter::NotIp);
    }
    let fragment: u16 = skb.load(6)?;
    let protocol: u8 = skb.load(9)?;
    ipv4_fields(first, u16::from_be(fragment), protocol, to)?;
    to.ports = skb.load(to.transport)?;
    Ok(())
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

/// A header without options, with the ports behind it.
#[inline(always)]
fn ipv4(data: usize, to: &mut Headers) -> Result<(), Counter> {
    to.ip_version = 4;
    // SAFETY: the caller compared the first 24 bytes with the end.
    let (fragment, protocol) =
        unsafe { (u16::from_be(*((data + 6) as *const u16)), *((data + 9) as *const u8)) };
    ipv4_fields(IPV4_PLAIN, fragment, protocol, to)?;
    // SAFETY: as above.
    to.ports = unsafe { *((data + IPV4_MIN as usize) as *const u32) };
    Ok(())
}

/// A header without extensions, with the ports behind it; false where there are extensions.
#[inline(always)]
fn ipv6(data: usize, to: &mut Headers) -> bool {
    // SAFETY: the caller compared the first 44 bytes with the end.
    let (next, ports) = unsafe { (*((data + 6) as *const u8), *((data + IPV6_MIN as usize) as *const u32)) };
    if next != UDP && next != TCP {
        return false;
    }
    to.ip_version = 6;
    to.protocol = next;
    to.transport = IPV6_MIN;
    to.ports = ports;
    true
}

/// Follows the extension headers (RFC 8200 section 4, RFC 4302 for AH).
#[inline(always)]
fn extended(skb: &Skb, to: &mut Headers) -> Result<(), Counter> {
    let mut next: u8 = skb.load(6)?;
    let mut at = IPV6_MIN;
    for _ in 0..EXTENSIONS_MAX {
        if next == UDP || next == TCP {
            to.protocol = next;
            to.transport = at;
            to.ports = skb.load(at)?;
            return Ok(());
        }
        // Hop-by-hop, routing, fragment, AH, destination, mobility, HIP, shim6.
        if !matches!(next, 0 | 43 | 44 | 51 | 60 | 135 | 139 | 140) {
            return Err(Counter::NotTransport);
        }
        let head: u32 = skb.load(at)?;
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
pub fn payload<const IN_PLACE: bool>(skb: &Skb, headers: &Headers, to: &mut Payload) -> Result<(), Counter> {
    to.offset = headers.transport + UDP_HEADER;
    if headers.protocol == TCP {
        let mut packed = 0;
        segment(skb.as_ptr(), headers.transport, &mut packed)?;
        let packed = if IN_PLACE { packed } else { skb.forget(packed) };
        to.tcp_sequence = (packed >> 32) as u32;
        to.tcp_flags = (packed >> 8) as u8;
        to.offset = headers.transport + u32::from(packed as u8);
    }
    let whole = skb.length();
    if whole < to.offset {
        return Err(Counter::ShortHeader);
    }
    to.length = whole - to.offset;
    Ok(())
}

/// What only a TCP header says, in one word: sequence number, flags, length of the header.
#[inline(never)]
fn segment(skb: *mut __sk_buff, transport: u32, packed: &mut u64) -> Result<(), Counter> {
    let skb = Skb::from(skb);
    let sequence: u32 = skb.load(transport + 4)?;
    let control: u16 = skb.load(transport + 12)?;
    let length = u32::from((control as u8) >> 4) * 4;
    if length < TCP_MIN {
        return Err(Counter::ShortHeader);
    }
    *packed = u64::from(u32::from_be(sequence)) << 32 | u64::from(control & 0xff00) | u64::from(length);
    Ok(())
}
