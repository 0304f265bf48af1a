//! Both directions of one socket, and whether they are DNS at all.
//!
//! A socket is muted only while neither direction ever carried a message that makes sense: a client that sends rubbish
//! to a DNS server gets FORMERR, and that answer keeps the socket in sight.

use super::super::packet::{Direction, Packet, RawMessage, Segment, Timestamp};
use super::stream::{Context, Stamp, Stream};
use super::{Limits, ReassembleCounts, is_over, message_of, stamped};

/// One direction, and its last packet without payload: addresses and origin of messages that come out when a hole is
/// given up.
#[derive(Debug, Default)]
struct Side {
    stream: Stream,
    last: Option<Packet<'static>>,
}

/// A connection as one socket sees it.
#[derive(Debug, Default)]
pub(super) struct Connection {
    egress: Side,
    ingress: Side,
    touched: Timestamp,
    muted: bool,
}

impl Connection {
    /// Takes one segment. True when it shows that the connection is not DNS.
    pub(super) fn segment(
        &mut self,
        packet: &Packet<'_>,
        segment: Segment,
        limits: &Limits,
        with: &mut Context<'_>,
    ) -> bool {
        // Not the latest of all: after a clock was set back that would be a time to come.
        self.touched = packet.time;
        if segment.syn {
            self.muted = false;
        }
        if self.muted {
            with.counts.muted_bytes += packet.payload.len() as u64;
            return false;
        }
        let side = match packet.direction {
            Direction::Egress => &mut self.egress,
            Direction::Ingress => &mut self.ingress,
        };
        side.last = Some(Packet { payload: &[], ..*packet });
        let stamp = Stamp { time: packet.time, frame: packet.frame };
        side.stream.segment(segment, packet.payload, stamp, with);
        while side.stream.ahead_cost() > limits.ahead_bytes {
            side.stream.skip_hole(packet.time, with);
        }
        self.judge(with.counts)
    }

    /// Gives up holes that are older than this; messages behind them are handed on.
    pub(super) fn give_up_holes(
        &mut self,
        now: Timestamp,
        age_ns: u64,
        counts: &mut ReassembleCounts,
        each: &mut impl FnMut(&RawMessage<'_>),
    ) {
        for side in [&mut self.egress, &mut self.ingress] {
            let Some(packet) = side.last else { continue };
            let mut hand_on = |stamp: Stamp, bytes: &[u8]| each(&message_of(&stamped(&packet, stamp), bytes));
            while side.stream.hole_since().is_some_and(|since| is_over(since, age_ns, now)) {
                let mut with = Context { counts, each: &mut hand_on };
                side.stream.skip_hole(now, &mut with);
            }
        }
    }

    /// Drops all that waits.
    pub(super) fn abandon(&mut self, counts: &mut ReassembleCounts) {
        self.egress.stream.abandon(counts);
        self.ingress.stream.abandon(counts);
    }

    /// When its last packet came.
    pub(super) fn touched(&self) -> Timestamp {
        self.touched
    }

    /// Bytes of payload that wait.
    pub(super) fn held(&self) -> usize {
        self.egress.stream.held() + self.ingress.stream.held()
    }

    /// Memory that is taken for them.
    pub(super) fn cost(&self) -> usize {
        self.egress.stream.cost() + self.ingress.stream.cost()
    }

    fn judge(&mut self, counts: &mut ReassembleCounts) -> bool {
        let (one, other) = (&self.egress.stream, &self.ingress.stream);
        let proved = one.proved() || other.proved();
        if proved || !(one.condemned() || other.condemned()) {
            return false;
        }
        self.muted = true;
        counts.not_dns += 1;
        self.abandon(counts);
        true
    }
}
