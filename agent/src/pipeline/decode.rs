//! Record bytes -> packets.
//!
//! Comes in: one ring-buffer record (`RecordHeader`, then a piece of payload). Goes out: checked `Packet`s, one for each
//! UDP datagram and one for each piece of a TCP segment. A packet that arrives in one record is handed on without
//! allocation and borrows the record. Never trusts a length, never fails: what cannot be read is counted.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use namewarden_agent_common::record::{
    FLAG_EGRESS, FLAG_FRAGMENT, FLAG_SERVER, FLAG_TRUNCATED, PAYLOAD_MAX, RECORD_VERSION, RecordHeader,
};
use zerocopy::FromBytes;

use super::packet::{Direction, Origin, Packet, Segment, Timestamp, Transport};
use join::Joiner;

// Chunks of one UDP packet -> its whole payload; bounded in number and age.
mod join;

const UDP: u8 = 17;
const TCP: u8 = 6;
const TCP_FIN: u8 = 1;
const TCP_SYN: u8 = 2;
const TCP_RST: u8 = 4;

/// Nanoseconds to add to the kernel's boot time to get Unix time; read again every second and after a clock step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WallOffset(pub i64);

impl WallOffset {
    /// Unix time of a moment given in the kernel's boot time.
    pub fn timestamp(self, boot_ns: u64) -> Timestamp {
        Timestamp(boot_ns.saturating_add_signed(self.0))
    }
}

/// What became of the records. The sums close: `records = short + foreign + whole + segments + chunks`, `chunks = joined +
/// incomplete + merged + orphans + waiting` and `packets = whole + segments + joined + incomplete + coalesced`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DecodeCounts {
    /// Records handed in.
    pub records: u64,
    /// Refused: fewer bytes than the header, or than the header says follow.
    pub short: u64,
    /// Refused: another record version, address family or protocol, or lengths that contradict each other.
    pub foreign: u64,
    /// Records that hold only a part of a UDP packet.
    pub chunks: u64,
    /// UDP packets put together from chunks, complete.
    pub joined: u64,
    /// UDP packets of which a chunk never came: handed on as far as they go.
    pub incomplete: u64,
    /// Chunks refused because the start of their packet is not there.
    pub orphans: u64,
    /// Packets that went on beyond what the kernel half saw or copies; their start is handed on.
    pub truncated: u64,
    /// Records that hold a whole UDP packet.
    pub whole: u64,
    /// Records that hold a TCP segment, or a part of one.
    pub segments: u64,
    /// Chunks put behind an earlier one of their packet.
    pub merged: u64,
    /// UDP packets that wait for chunks now.
    pub waiting: u64,
    /// Datagrams beyond the first of a coalesced packet.
    pub coalesced: u64,
    /// Packets handed on; a UDP packet of several datagrams counts once for each.
    pub packets: u64,
    /// Bytes of payload handed on.
    pub bytes: u64,
}

/// The stage: holds chunks until their packet is whole, and its counts.
#[derive(Debug, Default)]
pub struct Decoder {
    joiner: Joiner,
    counts: DecodeCounts,
}

impl Decoder {
    /// A decoder that holds nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads one record and hands on each packet that it completes.
    pub fn record(&mut self, bytes: &[u8], clock: WallOffset, each: &mut impl FnMut(&Packet<'_>)) {
        self.counts.records += 1;
        let Ok((header, rest)) = RecordHeader::read_from_prefix(bytes) else {
            self.counts.short += 1;
            return;
        };
        let Some(template) = packet_of(&header, clock) else {
            self.counts.foreign += 1;
            return;
        };
        let Some(chunk) = rest.get(..header.chunk_length as usize) else {
            self.counts.short += 1;
            return;
        };
        if header.flags & (FLAG_TRUNCATED | FLAG_FRAGMENT) != 0 && header.chunk_offset == 0 {
            self.counts.truncated += 1;
        }
        match template.transport {
            Transport::Tcp => {
                self.counts.segments += 1;
                self.hand_on(Packet { payload: chunk, ..template }, each);
            }
            Transport::Udp => self.datagrams(&header, template, chunk, each),
        }
    }

    /// Gives up packets whose chunks are overdue: what is there of them is handed on.
    pub fn expire(&mut self, now: Timestamp, each: &mut impl FnMut(&Packet<'_>)) {
        while let Some(late) = self.joiner.overdue(now) {
            self.counts.incomplete += 1;
            late.with_packet(|packet, gso_size| self.split(packet, gso_size, each));
        }
    }

    /// What became of the records so far.
    pub fn counts(&self) -> DecodeCounts {
        DecodeCounts { waiting: self.joiner.waiting() as u64, ..self.counts }
    }

    fn datagrams(
        &mut self,
        header: &RecordHeader,
        template: Packet<'_>,
        chunk: &[u8],
        each: &mut impl FnMut(&Packet<'_>),
    ) {
        let whole = header.payload_length.min(PAYLOAD_MAX);
        if header.chunk_offset == 0 && header.chunk_length >= whole {
            self.counts.whole += 1;
            self.split(Packet { payload: chunk, ..template }, header.gso_size, each);
            return;
        }
        self.counts.chunks += 1;
        self.expire(template.time, each);
        let outcome = self.joiner.chunk(header, &template, chunk);
        if let Some(evicted) = outcome.evicted {
            self.counts.incomplete += 1;
            evicted.with_packet(|packet, gso_size| self.split(packet, gso_size, each));
        }
        if let Some(joined) = outcome.joined {
            self.counts.joined += 1;
            joined.with_packet(|packet, gso_size| self.split(packet, gso_size, each));
        }
        self.counts.merged += u64::from(outcome.merged);
        self.counts.orphans += u64::from(outcome.orphan);
    }

    /// One packet for each datagram: `UDP_SEGMENT` and `UDP_GRO` put many of one size into a packet, the last may be shorter.
    fn split(&mut self, packet: Packet<'_>, gso_size: u16, each: &mut impl FnMut(&Packet<'_>)) {
        let size = usize::from(gso_size);
        if size == 0 || packet.payload.len() <= size {
            self.hand_on(packet, each);
            return;
        }
        for (index, payload) in packet.payload.chunks(size).enumerate() {
            self.counts.coalesced += u64::from(index > 0);
            self.hand_on(Packet { payload, ..packet }, each);
        }
    }

    fn hand_on(&mut self, packet: Packet<'_>, each: &mut impl FnMut(&Packet<'_>)) {
        self.counts.packets += 1;
        self.counts.bytes += packet.payload.len() as u64;
        each(&packet);
    }
}

/// What a record's header says of its packet, payload left empty; nothing when it is not a record of ours.
fn packet_of(header: &RecordHeader, clock: WallOffset) -> Option<Packet<'static>> {
    if header.version != RECORD_VERSION || !lengths_agree(header) {
        return None;
    }
    let transport = match header.protocol {
        UDP => Transport::Udp,
        TCP => Transport::Tcp,
        _ => return None,
    };
    Some(Packet {
        time: clock.timestamp(header.time_boot_ns),
        transport,
        direction: if header.flags & FLAG_EGRESS == 0 { Direction::Ingress } else { Direction::Egress },
        source: endpoint(header.ip_version, header.source_address, header.source_port)?,
        destination: endpoint(header.ip_version, header.destination_address, header.destination_port)?,
        origin: origin_of(header),
        segment: (transport == Transport::Tcp).then(|| segment_of(header)),
        frame: 0,
        payload: &[],
    })
}

fn lengths_agree(header: &RecordHeader) -> bool {
    header.chunk_offset.checked_add(header.chunk_length).is_some_and(|end| end <= header.payload_length)
}

fn origin_of(header: &RecordHeader) -> Origin {
    Origin {
        cgroup_id: header.cgroup_id,
        owner_cgroup_id: header.owner_cgroup_id,
        socket: header.socket_cookie,
        pid: header.pid,
        tid: header.tid,
        thread_name: header.thread_name,
        server: header.flags & FLAG_SERVER != 0,
    }
}

/// Where this chunk stands in the stream: SYN belongs to the packet's first chunk, FIN to its last.
fn segment_of(header: &RecordHeader) -> Segment {
    let has = |flag: u8| header.tcp_flags & flag != 0;
    let first = header.chunk_offset == 0;
    let last = header.chunk_offset.saturating_add(header.chunk_length) >= header.payload_length;
    // The SYN itself takes one number, so the data of a later chunk starts one further.
    let past_syn = u32::from(has(TCP_SYN) && !first);
    Segment {
        sequence: header.tcp_sequence.wrapping_add(header.chunk_offset).wrapping_add(past_syn),
        syn: has(TCP_SYN) && first,
        fin: has(TCP_FIN) && last,
        rst: has(TCP_RST) && last,
    }
}

/// An address as a person writes it: IPv4-mapped IPv6 addresses of dual-stack sockets are shown as IPv4.
fn endpoint(ip_version: u8, address: [u8; 16], port: [u8; 2]) -> Option<SocketAddr> {
    let ip = match ip_version {
        4 => {
            let [a, b, c, d, ..] = address;
            IpAddr::V4(Ipv4Addr::new(a, b, c, d))
        }
        6 => IpAddr::V6(Ipv6Addr::from(address)).to_canonical(),
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::from_be_bytes(port)))
}

#[cfg(test)]
mod tests;
