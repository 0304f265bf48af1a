//! Is this packet wanted? Port set, socket mark, side of the exchange; refuses first.

use aya_ebpf::{bindings::__sk_buff, helpers::generated::bpf_get_socket_cookie};
use namewarden_agent_common::{
    counters::Counter,
    record::{FLAG_EGRESS, FLAG_MARKED, FLAG_SERVER},
};

use crate::{
    headers::{Headers, Payload, TCP, UDP},
    maps,
    owner::{self, Socket},
    packet::{Direction, Skb},
};

/// Where the bit that tells query from answer stands in a DNS message (RFC 1035 section 4.1.1).
const QR_OFFSET: u32 = 2;
const QR: u8 = 0x80;
const UDP_HEADER: u32 = 8;

const FIN_SYN_RST: u8 = 0x07;

/// A wanted packet: its flags and its socket.
pub struct Wanted {
    /// `FLAG_*` so far.
    pub flags: u16,
    /// Whose it is.
    pub socket: Socket,
}

impl Wanted {
    /// The packet's socket; wanted or not is not yet known.
    #[inline(always)]
    pub fn new(skb: &Skb, direction: Direction) -> Self {
        let flags = if direction == Direction::Egress { FLAG_EGRESS } else { 0 };
        Self { flags, socket: Socket::of(skb) }
    }
}

/// Whether the packet is DNS by port or mark, and of the side that is captured.
#[inline(always)]
pub fn select<const IN_PLACE: bool>(
    skb: &Skb,
    headers: &Headers,
    direction: Direction,
    wanted: &mut Wanted,
) -> Result<(), Counter> {
    let source = maps::in_port_set::<IN_PLACE>(headers.source_port());
    let destination = maps::in_port_set::<IN_PLACE>(headers.destination_port());
    let (mut client, server) = match direction {
        Direction::Egress => (destination, source),
        Direction::Ingress => (source, destination),
    };
    // A raw socket's mark says that it asked once, not where its next packet goes.
    let mut marked = !client && wanted.socket.is_marked() && !wanted.socket.is_raw();
    if server && (client || marked) && headers.protocol == UDP {
        let asker = is_answer(skb.as_ptr(), headers.transport) == (direction == Direction::Ingress);
        client &= asker;
        marked &= asker;
    }
    if marked {
        wanted.flags |= FLAG_MARKED;
    } else if !client {
        if !server {
            return Err(Counter::OtherPort);
        }
        if maps::SERVER_SIDE.load() == 0 {
            return Err(Counter::ServerSide);
        }
        wanted.flags |= FLAG_SERVER;
    }
    if wanted.socket.is_known() {
        return raw_socket(skb, &wanted.socket, direction);
    }
    match direction {
        Direction::Egress => Ok(()),
        Direction::Ingress => unknown(skb, client),
    }
}

/// What arrives at a socket that nothing is stored with: an answer that it never asked for, or a copy for a raw socket.
#[inline(always)]
fn unknown(skb: &Skb, client: bool) -> Result<(), Counter> {
    if owner::is_raw(skb.as_ptr()) {
        return Err(Counter::RawReceiver);
    }
    if client { Err(Counter::Unasked) } else { Ok(()) }
}

/// Where a resolver asks from its own port 53, only the message says who asks. A function of its own, as `maps::count` is
/// and for its reason.
#[inline(never)]
fn is_answer(skb: *mut __sk_buff, transport: u32) -> bool {
    let flags: Result<u8, Counter> = Skb::from(skb).load(transport + UDP_HEADER + QR_OFFSET);
    flags.is_ok_and(|flags| flags & QR != 0)
}

/// A raw socket receives copies of other sockets' packets: only one that asked is listened to.
#[inline(always)]
fn raw_socket(skb: &Skb, socket: &Socket, direction: Direction) -> Result<(), Counter> {
    if !socket.is_raw() {
        return Ok(());
    }
    match direction {
        Direction::Egress => owner::mark(skb.as_ptr()),
        Direction::Ingress if !socket.is_marked() => return Err(Counter::RawReceiver),
        Direction::Ingress => {}
    }
    Ok(())
}

/// Whether user space can use it: a payload, or the start or end of a TCP stream that is not muted.
#[inline(always)]
pub fn worth_copying<const IN_PLACE: bool>(
    skb: &Skb,
    headers: &Headers,
    payload: &Payload,
) -> Result<(), Counter> {
    if headers.protocol != TCP {
        return if payload.length == 0 { Err(Counter::EmptyDatagram) } else { Ok(()) };
    }
    if payload.tcp_flags & FIN_SYN_RST != 0 {
        return Ok(());
    }
    if payload.length == 0 {
        return Err(Counter::TcpBare);
    }
    // SAFETY: the context is valid.
    if maps::is_muted::<IN_PLACE>(|| unsafe { bpf_get_socket_cookie(skb.as_ptr().cast()) }) {
        return Err(Counter::Muted);
    }
    Ok(())
}
