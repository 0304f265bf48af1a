//! A query, its answer or both as bytes, with whose they were: what an [`Exchange`] is read from, once it is to be written.
//!
//! Whether an exchange is written, and as what, shows without reading it whole; reading is the dear part.

use std::net::SocketAddr;

use super::{Exchange, RECORDS_MAX};
use crate::pipeline::attribute::Attributed;
use crate::pipeline::packet::{Direction, Origin, RawMessage, Timestamp, Transport};
use crate::pipeline::parse;

/// Bytes of a message's header.
const HEADER: usize = 12;
/// Bytes of a name at most.
const NAME_MAX: usize = 255;

/// One message, or a query with its answer, that nobody has read yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreadExchange {
    /// When the first message of it passed the hook.
    pub time: Timestamp,
    /// When the answer passed, where there was one.
    pub answered: Option<Timestamp>,
    /// UDP or TCP.
    pub transport: Transport,
    /// Who asked.
    pub client: SocketAddr,
    /// Who was asked.
    pub server: SocketAddr,
    /// Socket that the message passed.
    pub socket: u64,
    /// Id in the header.
    pub id: u16,
    /// Whose message it was.
    pub attributed: Attributed,
    /// Seen at the server's socket.
    pub server_side: bool,
    /// Names of the messages that may be listed but were not looked up.
    pub unchecked_names: u64,
    /// The query; empty where none was seen.
    pub query: Box<[u8]>,
    /// The answer; empty where none was seen.
    pub answer: Box<[u8]>,
}

impl UnreadExchange {
    /// An exchange of this message alone.
    pub fn new(raw: &RawMessage<'_>, attributed: Attributed, unchecked_names: u64) -> Self {
        let is_answer = is_answer(raw.bytes);
        let (client, server) =
            if is_answer { (raw.destination, raw.source) } else { (raw.source, raw.destination) };
        let (query, answer) = if is_answer { (&[][..], raw.bytes) } else { (raw.bytes, &[][..]) };
        Self {
            time: raw.time,
            answered: is_answer.then_some(raw.time),
            transport: raw.transport,
            client,
            server,
            socket: raw.origin.socket,
            id: raw.bytes.first_chunk().copied().map(u16::from_be_bytes).unwrap_or_default(),
            attributed,
            server_side: raw.origin.server,
            unchecked_names,
            query: query.into(),
            answer: answer.into(),
        }
    }

    /// Whether it has an answer.
    pub fn is_answered(&self) -> bool {
        self.answered.is_some()
    }

    /// Name asked for, as it stands on the wire, in the case it was sent in; `None` where no question repeats it.
    pub fn asked(&self) -> Option<&[u8]> {
        Some(self.question()?.0)
    }

    /// Type and class asked for, as they stand on the wire.
    pub fn kind_asked(&self) -> Option<[u8; 4]> {
        Some(self.question()?.1)
    }

    /// Response code of the header, of an ordinary query's answer.
    pub fn response_code(&self) -> Option<u8> {
        let [_, _, high, low] = self.answer.first_chunk()?;
        (high & 0x78 == 0).then_some(low & 0x0F)
    }

    fn question(&self) -> Option<(&[u8], [u8; 4])> {
        question(&self.answer).or_else(|| question(&self.query))
    }

    /// The same in lower case.
    pub fn name(&self) -> Option<Vec<u8>> {
        // Lengths are below any letter.
        self.asked().map(<[u8]>::to_ascii_lowercase)
    }

    /// Bytes that it holds.
    pub fn size(&self) -> usize {
        self.query.len() + self.answer.len()
    }

    /// Nanoseconds from query to answer, where both were seen.
    pub fn latency(&self) -> Option<u64> {
        latency(self.time, self.answered)
    }

    /// Takes in the answer of this query.
    pub fn join(&mut self, answer: Self) {
        self.answered = answer.answered;
        self.answer = answer.answer;
        self.unchecked_names += answer.unchecked_names;
        if self.attributed.process.pid == 0 {
            self.attributed.process = answer.attributed.process;
        }
    }

    /// Reads what it said.
    pub fn read(&self) -> Exchange {
        let mut exchange = match (&*self.query, self.answered) {
            (&[], Some(answered)) => self.message(&self.answer, answered),
            (query, Some(answered)) => {
                let mut exchange = self.message(query, self.time);
                exchange.join(&self.message(&self.answer, answered));
                exchange
            }
            (query, None) => self.message(query, self.time),
        };
        exchange.unchecked_names = self.unchecked_names;
        exchange
    }

    fn message(&self, bytes: &[u8], time: Timestamp) -> Exchange {
        let is_answer = is_answer(bytes);
        let (source, destination) =
            if is_answer { (self.server, self.client) } else { (self.client, self.server) };
        let origin = Origin { socket: self.socket, server: self.server_side, ..Origin::default() };
        // Whichever way it went: an exchange does not say.
        let direction = Direction::Egress;
        let transport = self.transport;
        let raw = RawMessage { time, transport, direction, source, destination, origin, frame: 0, bytes };
        // One more than is kept, for OPT is not.
        let message = parse::parse_start(bytes, RECORDS_MAX + 1);
        Exchange::new(&raw, &message, self.attributed.clone())
    }
}

/// Nanoseconds from a query to its answer; `None` where one message stands for both.
pub(super) fn latency(asked: Timestamp, answered: Option<Timestamp>) -> Option<u64> {
    let latency = answered?.0.checked_sub(asked.0)?;
    (latency > 0).then_some(latency)
}

/// Whether the header says so, as `parse` reads it.
fn is_answer(bytes: &[u8]) -> bool {
    bytes.first_chunk::<4>().is_some_and(|[_, _, high, _]| high & 0x80 != 0)
}

/// The first question: its name, which nothing before it could be pointed at, and its type and class.
fn question(bytes: &[u8]) -> Option<(&[u8], [u8; 4])> {
    let questions = bytes.get(4..6)?;
    if questions == [0, 0] {
        return None;
    }
    let mut end = HEADER;
    loop {
        match usize::from(*bytes.get(end)?) {
            0 => break,
            // No longer than a name may be (RFC 1035 section 2.3.4).
            length @ 1..=0x3F if end + length < HEADER + NAME_MAX - 1 => end += 1 + length,
            _ => return None,
        }
    }
    Some((bytes.get(HEADER..=end)?, *bytes.get(end + 1..)?.first_chunk()?))
}
