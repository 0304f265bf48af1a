//! A TCP peer on a raw socket, which decides itself what it acknowledges and in which order its segments arrive: the
//! client's kernel sends again what was ignored, and gets an answer whose segments are doubled and out of order.
//!
//! It takes one connection to port 53 of the DNS server's IPv4 address, answers one query and falls silent.

use std::{
    io::Read as _,
    net::{Ipv4Addr, SocketAddrV4},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::Result;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::{
    ip,
    message::{Reply, read_question, with_length},
    node::{DNS_V4, Node},
    program,
    server::take_message,
};

const FIN: u8 = 1;
const SYN: u8 = 2;
const PUSH: u8 = 8;
const ACK: u8 = 16;

/// The peer's first sequence number: close to the end of the space, so that answers run over it.
const FIRST_SEQUENCE: u32 = u32::MAX - 20;

/// What the peer does.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Segments with data that it ignores before it acknowledges anything.
    pub ignored: usize,
    /// The answer without its question.
    pub reply: Reply,
    /// Size of the answer's segments in bytes.
    pub segment_size: usize,
    /// Numbers of the answer's segments, in the order in which they are sent; one may come more than once.
    pub order: Vec<usize>,
}

/// A peer at work; it ends when this value is dropped.
#[derive(Debug)]
pub struct RawPeer {
    ended: Arc<AtomicBool>,
}

impl RawPeer {
    /// Takes the DNS server's place on `node`; it listens once this returns.
    pub fn start(node: &Node, plan: Plan) -> Result<Self> {
        // The kernel knows nothing of this peer and would refuse its connections.
        let net = format!("--net={}", node.dns().path().display());
        let rule = "iptables -w -A OUTPUT -p tcp --tcp-flags RST RST -j DROP";
        program::run(
            "nsenter",
            &[&net].into_iter().map(String::as_str).chain(rule.split(' ')).collect::<Vec<_>>(),
        )?;
        let socket = node.dns().enter(|| Ok(Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::TCP))?))?;
        socket.set_read_timeout(Some(Duration::from_millis(100)))?;
        let ended = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&ended);
        thread::spawn(move || Connection::new(socket, plan).serve(&stop));
        Ok(Self { ended })
    }
}

impl Drop for RawPeer {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}

/// A segment as it arrived.
struct Segment {
    source: SocketAddrV4,
    sequence: u32,
    flags: u8,
    data: Vec<u8>,
}

struct Connection {
    socket: Socket,
    plan: Plan,
    /// Next sequence number that is expected of the client.
    expected: u32,
    /// What came in order and is no whole message yet.
    pending: Vec<u8>,
}

impl Connection {
    fn new(socket: Socket, plan: Plan) -> Self {
        Self { socket, plan, expected: 0, pending: Vec::new() }
    }

    /// Serves until told to stop; a send that fails shows in the test as an answer that does not come.
    fn serve(&mut self, ended: &AtomicBool) {
        let mut buffer = vec![0; 65_536];
        while !ended.load(Ordering::Relaxed) {
            let Ok(length) = (&self.socket).read(&mut buffer) else { continue };
            if let Some(segment) = buffer.get(..length).and_then(read_segment) {
                let _ = self.take(&segment);
            }
        }
    }

    fn take(&mut self, segment: &Segment) -> Result<()> {
        if segment.flags & SYN != 0 {
            self.expected = segment.sequence.wrapping_add(1);
            return self.send(segment.source, FIRST_SEQUENCE, SYN | ACK, &[]);
        }
        if segment.flags & FIN != 0 || segment.data.is_empty() {
            return Ok(());
        }
        if self.plan.ignored > 0 {
            self.plan.ignored -= 1;
            return Ok(());
        }
        // What comes again may begin before and end behind what is expected.
        let known = self.expected.wrapping_sub(segment.sequence);
        let fresh =
            usize::try_from(known).ok().and_then(|known| segment.data.get(known..)).unwrap_or_default();
        self.pending.extend_from_slice(fresh);
        self.expected = self.expected.wrapping_add(u32::try_from(fresh.len())?);
        let first = FIRST_SEQUENCE.wrapping_add(1);
        self.send(segment.source, first, ACK, &[])?;
        match take_message(&mut self.pending).as_deref().and_then(read_question) {
            Some(question) => {
                self.answer(segment.source, first, &with_length(&self.plan.reply.message(&question)))
            }
            None => Ok(()),
        }
    }

    fn answer(&self, target: SocketAddrV4, first: u32, bytes: &[u8]) -> Result<()> {
        let pieces: Vec<&[u8]> = bytes.chunks(self.plan.segment_size).collect();
        for &number in &self.plan.order {
            let Some(piece) = pieces.get(number) else { continue };
            let sequence = first.wrapping_add(u32::try_from(number * self.plan.segment_size)?);
            self.send(target, sequence, ACK | PUSH, piece)?;
        }
        Ok(())
    }

    fn send(&self, target: SocketAddrV4, sequence: u32, flags: u8, data: &[u8]) -> Result<()> {
        let mut segment = Vec::with_capacity(20 + data.len());
        segment.extend_from_slice(&53_u16.to_be_bytes());
        segment.extend_from_slice(&target.port().to_be_bytes());
        segment.extend_from_slice(&sequence.to_be_bytes());
        segment.extend_from_slice(&self.expected.to_be_bytes());
        // Header of five words, flags, a window of 64 KiB; checksum and urgent pointer follow.
        segment.extend_from_slice(&[0x50, flags, 0xff, 0xff]);
        segment.extend_from_slice(&[0, 0, 0, 0]);
        segment.extend_from_slice(data);
        let sum = checksum(*target.ip(), &segment).to_be_bytes();
        segment.splice(16..18, sum);
        self.socket.send_to(&segment, &SockAddr::from(target))?;
        Ok(())
    }
}

/// Reads IPv4 and TCP headers of a packet to port 53.
fn read_segment(packet: &[u8]) -> Option<Segment> {
    let header = usize::from(packet.first()? & 0x0f) * 4;
    let source = Ipv4Addr::from(<[u8; 4]>::try_from(packet.get(12..16)?).ok()?);
    let tcp = packet.get(header..)?;
    if tcp.get(2..4)? != 53_u16.to_be_bytes() {
        return None;
    }
    let port = u16::from_be_bytes(tcp.get(..2)?.try_into().ok()?);
    let sequence = u32::from_be_bytes(tcp.get(4..8)?.try_into().ok()?);
    let data = usize::from(*tcp.get(12)? >> 4) * 4;
    Some(Segment {
        source: SocketAddrV4::new(source, port),
        sequence,
        flags: *tcp.get(13)?,
        data: tcp.get(data..)?.to_vec(),
    })
}

/// Checksum of a TCP segment from the DNS server to `target` (RFC 9293 section 3.1), with the pseudo header.
fn checksum(target: Ipv4Addr, segment: &[u8]) -> u16 {
    let length = u16::try_from(segment.len()).unwrap_or(u16::MAX).to_be_bytes();
    let pseudo = [&DNS_V4.octets()[..], &target.octets()[..], &[0, 6], &length].concat();
    ip::checksum(&[&pseudo, segment])
}
