//! The values that stages hand to each other: a packet, then the raw DNS message inside it.

use std::net::SocketAddr;
use std::time::Duration;

/// Nanoseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// Whether so much time has passed since. True as well where the clock was set back by more than `slack`: nothing
    /// that waits may wait for the old time to come again.
    pub fn has_passed(self, span: Duration, slack: Duration, now: Self) -> bool {
        let nanoseconds = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        now.0 >= self.0.saturating_add(nanoseconds(span)) || now.0.saturating_add(nanoseconds(slack)) < self.0
    }

    /// Whether the window of this length that holds it, and then so much time, is over. True as well where the clock was set back
    /// by more than a window.
    pub fn has_left_window(self, length: Duration, grace: Duration, now: Self) -> bool {
        let nanoseconds = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let then = Self(now.0.saturating_sub(nanoseconds(grace)));
        then.window(length) > self.window(length) || now.0.saturating_add(nanoseconds(length)) < self.0
    }

    /// Number of the window of this length that holds it, whichever agent counts: by the clock, not by what came first.
    pub fn window(self, length: Duration) -> u64 {
        self.0 / u64::try_from(length.as_nanos()).unwrap_or(u64::MAX).max(1)
    }
}

/// What carried the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// UDP (RFC 1035 section 4.2.1).
    Udp,
    /// TCP with a two-byte length before each message (RFC 1035 section 4.2.2, RFC 7766).
    Tcp,
}

/// Which way the packet passed the socket that it was seen at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Out of the socket.
    Egress,
    /// Into the socket.
    Ingress,
}

/// Whose socket the packet passed, as far as the kernel said. All zero in a replay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// cgroup that the socket was made in; 0 when unknown.
    pub cgroup_id: u64,
    /// cgroup of the task that last connected or sent on the socket; 0 when unknown.
    pub owner_cgroup_id: u64,
    /// Socket: the kernel's cookie, or in a replay a number for each pair of endpoints (equal in both directions).
    pub socket: u64,
    /// Process (thread group) id in the host's pid namespace; 0 when unknown.
    pub pid: u32,
    /// Thread id; 0 when unknown.
    pub tid: u32,
    /// Name of the thread, NUL-padded; all zero when unknown.
    pub thread_name: [u8; 16],
    /// Whether the socket is the server's side of the exchange.
    pub server: bool,
}

/// Where a TCP segment stands in its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Sequence number of the first payload byte (of the SYN itself where `syn`).
    pub sequence: u32,
    /// The segment opens the stream.
    pub syn: bool,
    /// The segment is the last of its direction.
    pub fin: bool,
    /// The connection is reset.
    pub rst: bool,
}

/// One packet: addresses, time, origin and payload; the payload borrows the ring or the capture file.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// When it passed the hook.
    pub time: Timestamp,
    /// UDP or TCP.
    pub transport: Transport,
    /// Out of or into the socket it was seen at.
    pub direction: Direction,
    /// Sender.
    pub source: SocketAddr,
    /// Receiver.
    pub destination: SocketAddr,
    /// Whose socket.
    pub origin: Origin,
    /// Present for TCP only.
    pub segment: Option<Segment>,
    /// Number of the frame in a capture file, from 1; 0 when live.
    pub frame: u64,
    /// UDP: exactly one datagram's payload. TCP: the segment's bytes.
    pub payload: &'a [u8],
}

/// One DNS message as bytes, with what its packet said of it. What `screen`, `parse` and all later stages take.
#[derive(Clone, Copy, Debug)]
pub struct RawMessage<'a> {
    /// When the packet that completed it passed the hook.
    pub time: Timestamp,
    /// UDP or TCP.
    pub transport: Transport,
    /// Out of or into the socket it was seen at.
    pub direction: Direction,
    /// Sender.
    pub source: SocketAddr,
    /// Receiver.
    pub destination: SocketAddr,
    /// Whose socket.
    pub origin: Origin,
    /// Number of the frame that completed it, from 1; 0 when live.
    pub frame: u64,
    /// The message from its header on, without TCP's length prefix.
    pub bytes: &'a [u8],
}
