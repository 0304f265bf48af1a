//! The index and the name of every kernel counter; each exit of the packet hook has one.
//!
//! The sum closes: `Seen` equals the sum of all counters of kind `Exit`. What else is worth a number is `Event`.

/// What a counter counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Every packet that reached the hook.
    Seen,
    /// Packets that left the hook by this exit; each packet takes exactly one.
    Exit,
    /// Something else: records, bytes, wakeups.
    Event,
}

/// Name and meaning of a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CounterInfo {
    /// `snake_case`, unique.
    pub name: &'static str,
    /// What it counts, in one line.
    pub help: &'static str,
    /// Whether it takes part in the sum.
    pub kind: Kind,
}

macro_rules! counters {
    ($($variant:ident, $kind:ident, $name:literal, $help:literal;)*) => {
        /// A kernel counter; its value is its index in the map.
        #[repr(u32)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Counter {
            $(#[doc = $help] $variant,)*
        }

        /// Every counter, at its index.
        pub const COUNTERS: &[CounterInfo] = &[
            $(CounterInfo { name: $name, help: $help, kind: Kind::$kind },)*
        ];
    };
}

counters! {
    Seen, Seen, "seen", "Packets that reached the hook.";

    NotIp, Exit, "not_ip", "Packets that are neither IPv4 nor IPv6.";
    ShortHeader, Exit, "short_header", "Packets that end inside a header, or whose header says an impossible length.";
    NotTransport, Exit, "not_transport", "Packets that carry neither UDP nor TCP.";
    LaterFragment, Exit, "later_fragment", "IP fragments other than the first, which carry no ports (raw sockets).";
    OtherPort, Exit, "other_port", "Packets of ports outside the port set on sockets without a mark.";
    ServerSide, Exit, "server_side", "DNS packets at the server's socket, whose client's side is captured instead.";
    RawReceiver, Exit, "raw_receiver", "Copies of answers that a raw socket received without having asked.";
    Unasked, Exit, "unasked", "Packets from a DNS port to a socket that never had a DNS destination while the agent ran.";
    EmptyDatagram, Exit, "empty_datagram", "Wanted UDP packets without payload.";
    TcpBare, Exit, "tcp_bare", "Wanted TCP packets without payload and without SYN, FIN or RST.";
    Muted, Exit, "muted", "Packets of TCP streams that user space muted because they are not DNS.";
    FloodSocket, Exit, "flood_socket", "Wanted packets not copied because their socket used up its budget.";
    FloodCgroup, Exit, "flood_cgroup", "Wanted packets not copied because their cgroup used up its budget.";
    CopyFailed, Exit, "copy_failed", "Wanted packets whose payload the kernel refused to copy, from its start.";
    Lost, Exit, "lost", "Wanted packets lost because the ring buffer was full.";
    PartlyLost, Exit, "partly_lost", "Wanted packets of several records of which the first were handed to user space and the rest was lost.";
    Submitted, Exit, "submitted", "Packets handed to user space.";

    Continuations, Event, "continuations", "Records handed to user space beyond the first of their packet.";
    RecordsLost, Event, "records_lost", "Reservations that the full ring buffer refused.";
    Truncated, Event, "truncated", "Packets whose payload goes on beyond the 64 KiB that are copied.";
    Wakeups, Event, "wakeups", "Wakeups of user space.";
    FreshWakeups, Event, "fresh_wakeups", "Wakeups so that the name of a new process is read before it is gone.";
    OwnerTorn, Event, "owner_torn", "Packets whose socket changed owner at that moment; the owner is left empty.";
    OwnerMissing, Event, "owner_missing", "Wanted sockets for which the kernel gave no storage; their owner is left empty.";
    FlowMissing, Event, "flow_missing", "Packets that passed unbudgeted because the kernel gave no memory for the budget.";
}

/// Number of counters.
#[expect(clippy::cast_possible_truncation, reason = "a few dozen")]
pub const COUNTER_COUNT: u32 = COUNTERS.len() as u32;

impl Counter {
    /// Index in the map.
    pub const fn index(self) -> u32 {
        self as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_counter_stands_at_its_index() {
        let last = COUNTERS.get(Counter::FlowMissing.index() as usize);
        assert_eq!(last.map(|info| info.name), Some("flow_missing"));
        assert_eq!(Counter::FlowMissing.index() + 1, COUNTER_COUNT);
        let submitted = COUNTERS.get(Counter::Submitted.index() as usize);
        assert_eq!(submitted.map(|info| info.name), Some("submitted"));
    }

    #[test]
    fn names_are_unique() {
        for (index, info) in COUNTERS.iter().enumerate() {
            assert!(COUNTERS.iter().skip(index + 1).all(|other| other.name != info.name));
        }
    }

    #[test]
    fn exactly_one_counter_counts_all_packets() {
        assert_eq!(COUNTERS.iter().filter(|info| info.kind == Kind::Seen).count(), 1);
    }
}
