//! A capture file -> packets, as the kernel half would have handed them on.
//!
//! Comes in: pcap or pcapng, streamed. Goes out: one `Packet` for each UDP datagram and TCP segment of a DNS port, IP
//! fragments reassembled. A file is as hostile as the network: lengths are never believed, memory is bounded, and what
//! cannot be read is counted.

use std::fs::File;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::path::Path;

use crate::pipeline::packet::{Direction, Origin, Packet};
use capture_file::{CaptureFile, Frame};
use fragment::{Fragments, Joined};
use network::{Carried, Datagram};

// Blocks and records of the file -> frames with time and link type.
mod capture_file;

// Link header, tags -> where the IP packet is.
mod link;

// IP header, extension headers -> payload or fragment.
mod network;

// Fragments of one datagram -> its payload.
mod fragment;

// UDP or TCP header -> ports, segment, payload.
mod transport;

/// Why a capture file cannot be read (further).
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The file cannot be opened.
    #[error("cannot open it")]
    Open(#[source] io::Error),
    /// Reading failed midway.
    #[error("cannot read it")]
    Read(#[from] io::Error),
    /// It starts like neither format.
    #[error("it is neither a pcap nor a pcapng file")]
    NotACapture,
    /// A record or block claims more than any capture tool writes.
    #[error("at byte {offset} it claims a record of {length} bytes; the largest allowed has {limit}")]
    TooLarge {
        /// Where the record starts.
        offset: u64,
        /// What it claims.
        length: u64,
        /// What is allowed.
        limit: u64,
    },
    /// A block contradicts itself.
    #[error("at byte {offset} is a damaged block")]
    Damaged {
        /// Where the block starts.
        offset: u64,
    },
}

/// What became of the frames. The sum closes: `frames + joined = packets + unknown_link + not_ip + not_transport +
/// other_port + malformed + fragments`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReplayCounts {
    /// Frames of the file.
    pub frames: u64,
    /// Packets handed on.
    pub packets: u64,
    /// Frames of a link type that is not supported, or of an interface that the file does not describe.
    pub unknown_link: u64,
    /// Frames that carry no IP packet (ARP, spanning tree ...).
    pub not_ip: u64,
    /// Packets that are neither UDP nor TCP.
    pub not_transport: u64,
    /// Packets of other ports.
    pub other_port: u64,
    /// Packets whose headers contradict themselves or are not all there.
    pub malformed: u64,
    /// Frames that hold a fragment of an IP datagram.
    pub fragments: u64,
    /// Datagrams put together from fragments.
    pub joined: u64,
    /// Fragments dropped: they overlap others (RFC 5722), came twice, or their datagram had no room.
    pub fragments_dropped: u64,
    /// Frames of which the capture kept only the start.
    pub cut_frames: u64,
    /// Whether the file ends inside a record.
    pub cut_short: bool,
}

/// Reads a capture file (`-` is standard input) and hands on each packet of these ports, on either side.
pub fn packets(
    path: &Path,
    ports: &[u16],
    each: &mut dyn FnMut(&Packet<'_>),
) -> Result<ReplayCounts, ReplayError> {
    if path.as_os_str() == "-" {
        return read(io::stdin().lock(), ports, each);
    }
    read(File::open(path).map_err(ReplayError::Open)?, ports, each)
}

/// The same for a capture file that is open.
pub fn read(
    source: impl Read,
    ports: &[u16],
    each: &mut dyn FnMut(&Packet<'_>),
) -> Result<ReplayCounts, ReplayError> {
    let mut file = CaptureFile::open(source)?;
    let mut replay = Replay {
        ports,
        sockets: ahash::RandomState::new(),
        fragments: Fragments::default(),
        counts: ReplayCounts::default(),
    };
    while let Some(frame) = file.next_frame()? {
        replay.frame(&frame, each);
    }
    replay.counts.cut_short = file.cut_short();
    Ok(replay.counts)
}

/// Why a frame gives no packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Skipped {
    UnknownLink,
    NotIp,
    NotTransport,
    OtherPort,
    Malformed,
}

impl ReplayCounts {
    fn skip(&mut self, why: Skipped) {
        let count = match why {
            Skipped::UnknownLink => &mut self.unknown_link,
            Skipped::NotIp => &mut self.not_ip,
            Skipped::NotTransport => &mut self.not_transport,
            Skipped::OtherPort => &mut self.other_port,
            Skipped::Malformed => &mut self.malformed,
        };
        *count += 1;
    }
}

/// The state of one file's replay.
struct Replay<'p> {
    ports: &'p [u16],
    /// Endpoints -> the number that stands for their socket; keyed anew for each file, so that no file can aim at it.
    sockets: ahash::RandomState,
    fragments: Fragments,
    counts: ReplayCounts,
}

impl Replay<'_> {
    fn frame(&mut self, frame: &Frame<'_>, each: &mut dyn FnMut(&Packet<'_>)) {
        self.counts.frames += 1;
        self.counts.cut_frames += u64::from(frame.cut);
        self.inside(frame, each).unwrap_or_else(|why| self.counts.skip(why));
    }

    fn inside(&mut self, frame: &Frame<'_>, each: &mut dyn FnMut(&Packet<'_>)) -> Result<(), Skipped> {
        let datagram = network::datagram(link::payload(frame.link, frame.bytes)?)?;
        match datagram.carried {
            Carried::Whole { protocol, payload } => self.payload(frame, &datagram, protocol, payload, each),
            Carried::Fragment(fragment) => {
                self.counts.fragments += 1;
                match self.fragments.fragment(&datagram, fragment, frame.time) {
                    Joined::Waiting { dropped } => {
                        self.counts.fragments_dropped += dropped;
                        Ok(())
                    }
                    Joined::Complete { protocol, payload } => {
                        self.counts.joined += 1;
                        let (protocol, payload) =
                            network::transport_of(datagram.source.is_ipv4(), protocol, &payload)?;
                        self.payload(frame, &datagram, protocol, payload, each)
                    }
                }
            }
        }
    }

    fn payload(
        &mut self,
        frame: &Frame<'_>,
        datagram: &Datagram<'_>,
        protocol: u8,
        bytes: &[u8],
        each: &mut dyn FnMut(&Packet<'_>),
    ) -> Result<(), Skipped> {
        let unit = transport::read(protocol, bytes)?;
        let (to_server, from_server) =
            (self.ports.contains(&unit.destination_port), self.ports.contains(&unit.source_port));
        if !to_server && !from_server {
            return Err(Skipped::OtherPort);
        }
        let source = SocketAddr::new(datagram.source.to_canonical(), unit.source_port);
        let destination = SocketAddr::new(datagram.destination.to_canonical(), unit.destination_port);
        // Between two servers (53 to 53) the order of the endpoints keeps the directions apart.
        let asks = to_server && (!from_server || source < destination);
        let pair = if source < destination { (source, destination) } else { (destination, source) };
        let socket = self.sockets.hash_one((pair, unit.transport));
        self.counts.packets += 1;
        each(&Packet {
            time: frame.time,
            transport: unit.transport,
            direction: if asks { Direction::Egress } else { Direction::Ingress },
            source,
            destination,
            origin: Origin { socket, ..Origin::default() },
            segment: unit.segment,
            frame: frame.number,
            payload: unit.payload,
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests;
