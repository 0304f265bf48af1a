//! What one message said, who sent it and whose it was: what alerts and DNS logs are made of.
//!
//! Made only of messages that a feed lists or that are to be logged. A query and its answer become one exchange. Records
//! are bounded: whatever a server answers, a document stays small.

use std::borrow::Cow;
use std::net::SocketAddr;

use namewarden_protocol::document::{Dns, Question, RecordData, ResourceRecord};

use super::attribute::{Attributed, Hints};
use super::packet::{RawMessage, Timestamp, Transport};
use super::parse::{Message, Record};

pub use unread::UnreadExchange;

// The same as bytes, before anybody has read them.
mod unread;

// Exchanges and findings for the tests of every stage that takes them.
#[cfg(test)]
pub(crate) mod samples;

/// Records kept of each section.
pub const RECORDS_MAX: usize = 64;
/// Bytes kept of one record's data.
const DATA_MAX: usize = 1024;
/// Types whose data holds names and so has no case.
const NAME_TYPES: [&str; 8] = ["CNAME", "DNAME", "NS", "PTR", "MX", "SRV", "HTTPS", "SVCB"];

/// One message, or a query and its answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Exchange {
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
    /// Seen at the server's socket: the workload was asked, or answered, and asked for nothing.
    pub server_side: bool,
    /// What it said.
    pub dns: Dns,
    /// Why it could not be read to its end.
    pub malformed: Option<String>,
    /// Names of the message that may be listed but were not looked up: it held too many.
    pub unchecked_names: u64,
    /// What is known of its pod before the API server tells it, or where that cannot.
    pub hints: Hints,
}

impl Exchange {
    /// An exchange of this message alone.
    pub fn new(raw: &RawMessage<'_>, message: &Message, attributed: Attributed) -> Self {
        let (client, server) =
            if message.response { (raw.destination, raw.source) } else { (raw.source, raw.destination) };
        Self {
            time: raw.time,
            answered: message.response.then_some(raw.time),
            transport: raw.transport,
            client,
            server,
            socket: raw.origin.socket,
            id: message.id,
            attributed,
            server_side: raw.origin.server,
            dns: dns(message),
            malformed: message.malformed.as_ref().map(ToString::to_string),
            unchecked_names: 0,
            hints: Hints::default(),
        }
    }

    /// Whether it has an answer.
    pub fn is_answered(&self) -> bool {
        self.answered.is_some()
    }

    /// Name asked for, lower case; empty where no question could be read.
    pub fn name(&self) -> &str {
        self.dns.question.as_ref().map_or("", |question| &question.name)
    }

    /// What query and answer share: socket, id and name, never the addresses (NAT may sit between).
    pub fn identity(&self) -> (u64, u16, &str) {
        (self.socket, self.id, self.name())
    }

    /// Takes in the answer of this query; an answer that repeats no question leaves what was asked.
    pub fn join(&mut self, answer: &Exchange) {
        self.answered = answer.answered;
        let question = self.dns.question.take();
        self.dns = answer.dns.clone();
        self.dns.question = self.dns.question.take().or(question);
        if answer.malformed.is_some() {
            self.malformed.clone_from(&answer.malformed);
        }
        self.unchecked_names += answer.unchecked_names;
        if self.attributed.process.pid == 0 {
            self.attributed.process = answer.attributed.process.clone();
        }
    }

    /// Nanoseconds from query to answer, where both were seen.
    pub fn latency(&self) -> Option<u64> {
        unread::latency(self.time, self.answered)
    }

    /// Leaves out all records: what is kept of an exchange once it is written.
    #[must_use]
    pub fn without_records(mut self) -> Self {
        self.dns.answers = Vec::new();
        self.dns.authorities = Vec::new();
        self.dns.additionals = Vec::new();
        self.dns.resolved_ip = Vec::new();
        self
    }
}

fn dns(message: &Message) -> Dns {
    let question = message.question.first().map(|question| {
        Question::new(question.name.to_ascii_lowercase(), question.kind.clone(), question.class.clone())
    });
    let addresses = message.answer.iter().filter(|record| matches!(&*record.kind, "A" | "AAAA"));
    Dns {
        kind: Cow::Borrowed(if message.response { "answer" } else { "query" }),
        id: Some(message.id.to_string()),
        op_code: message.opcode.clone(),
        header_flags: message.flags.iter().map(|flag| Cow::Borrowed(flag.as_str())).collect(),
        response_code: message.response.then(|| message.response_code.clone()),
        question,
        answers: records(&message.answer),
        authorities: records(&message.authority),
        additionals: records(&message.additional),
        resolved_ip: addresses.take(RECORDS_MAX).filter_map(|record| record.data.parse().ok()).collect(),
    }
}

fn records(records: &[Record]) -> Vec<ResourceRecord> {
    records.iter().filter(|record| record.kind != "OPT").take(RECORDS_MAX).map(record).collect()
}

fn record(record: &Record) -> ResourceRecord {
    let data = record.data.get(..record.data.floor_char_boundary(DATA_MAX)).unwrap_or_default();
    let has_names = NAME_TYPES.contains(&&*record.kind);
    ResourceRecord {
        name: record.name.to_ascii_lowercase(),
        kind: record.kind.clone(),
        class: record.class.clone(),
        ttl: Some(record.ttl),
        data: RecordData::One(if has_names { data.to_ascii_lowercase() } else { data.to_owned() }),
    }
}

#[cfg(test)]
mod tests;
