//! Raw message -> header, questions and records, as a person writes them.
//!
//! Comes in: the bytes of one message. Goes out: a `Message`, always: what precedes an error is kept, the error itself is a
//! value. The wire is read with hickory-proto piece by piece; presentation format is our own, because hickory's `Display`
//! loses bytes (lossy UTF-8, octal escapes) and knows fewer types. Time is linear in the message's length.

use std::borrow::Cow;

use serde::Serialize;

use read::{Fault, Reader};

// Opcodes, response codes, classes and types by the names of the IANA registry.
mod mnemonic;

// Which fields the data of each record type consists of.
mod layout;

// Record data, field by field, in presentation format.
mod data;

// Data that is a list of its own: service parameters, options, type bitmaps, prefixes, locations.
mod list;

// Bounded reading of numbers, names and strings.
mod read;

// Bytes as text: escapes, quotes.
mod text;

/// A name of the IANA registry (`NXDOMAIN`, `AAAA`), or the generic form for a number without one (`TYPE65280`).
pub type Mnemonic = Cow<'static, str>;

const HEADER: usize = 12;
const OPT: u16 = 41;
/// The largest message: the length prefix over TCP has two bytes.
const MESSAGE_MAX: usize = 65_535;
/// The DO bit in the flags of an OPT record's TTL (RFC 6891 section 6.1.4).
const DNSSEC_OK: u32 = 1 << 15;

/// One header flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Flag {
    /// Authoritative answer.
    Aa,
    /// Truncated.
    Tc,
    /// Recursion desired.
    Rd,
    /// Recursion available.
    Ra,
    /// Authentic data.
    Ad,
    /// Checking disabled.
    Cd,
    /// DNSSEC OK, from the OPT record.
    Do,
}

impl Flag {
    /// The flag's two letters.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Aa => "AA",
            Self::Tc => "TC",
            Self::Rd => "RD",
            Self::Ra => "RA",
            Self::Ad => "AD",
            Self::Cd => "CD",
            Self::Do => "DO",
        }
    }
}

/// Where in a message something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Section {
    /// The twelve bytes before all sections.
    Header,
    /// Questions (zones of an UPDATE).
    Question,
    /// Answers (prerequisites of an UPDATE).
    Answer,
    /// Authority records (the updates of an UPDATE).
    Authority,
    /// Additional records.
    Additional,
}

impl Section {
    /// The section's name in lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Header => "header",
            Self::Question => "question",
            Self::Answer => "answer",
            Self::Authority => "authority",
            Self::Additional => "additional",
        }
    }
}

/// The first thing that is wrong with a message, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} at byte {offset}: {reason}", section.as_str())]
pub struct Malformed {
    /// The section that it stands in.
    pub section: Section,
    /// Where the question or record starts that is wrong, in bytes from the start of the message.
    pub offset: usize,
    /// What is wrong, in a few words.
    pub reason: Cow<'static, str>,
}

/// An entry of the question section.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Question {
    /// Name asked for, without the final dot, in the case it was sent in.
    pub name: String,
    /// Type asked for.
    #[serde(rename = "type")]
    pub kind: Mnemonic,
    /// Class asked for.
    pub class: Mnemonic,
}

/// A resource record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Record {
    /// Owner, without the final dot (the root is `.`), in the case it was sent in.
    pub name: String,
    /// Type.
    #[serde(rename = "type")]
    pub kind: Mnemonic,
    /// Class; for OPT, `CLASS` and the sender's UDP payload size.
    pub class: Mnemonic,
    /// Time to live in seconds; for OPT, extended response code, version and flags.
    pub ttl: u32,
    /// Data in presentation format; RFC 3597's generic form (`\# length hex`) where the type is unknown or the data wrong.
    pub data: String,
}

/// A DNS message as far as it can be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// Identifier that query and answer share.
    pub id: u16,
    /// An answer; otherwise a query.
    pub response: bool,
    /// What kind of query: `QUERY`, `NOTIFY`, `UPDATE` ...
    pub opcode: Mnemonic,
    /// Response code, the upper bits from the OPT record included.
    pub response_code: Mnemonic,
    /// Flags that are set, in the order of the header.
    pub flags: Vec<Flag>,
    /// What is asked.
    pub question: Vec<Question>,
    /// What answers it.
    pub answer: Vec<Record>,
    /// Who is responsible.
    pub authority: Vec<Record>,
    /// What may help.
    pub additional: Vec<Record>,
    /// The first thing that is wrong, if any.
    pub malformed: Option<Malformed>,
}

/// Reads a message. Never fails: `malformed` says what stopped it.
pub fn parse(bytes: &[u8]) -> Message {
    parse_start(bytes, usize::MAX)
}

/// Reads a message, but of each section no more than so many questions or records: those beyond are stepped over, which
/// costs nearly nothing. A message of 64 KiB may hold 5,000 records that each point to the longest name there is.
pub fn parse_start(bytes: &[u8], most: usize) -> Message {
    let bytes = bytes.get(..MESSAGE_MAX).unwrap_or(bytes);
    let mut walk = Walk {
        bytes,
        at: HEADER,
        most,
        opcode: 0,
        code: 0,
        edns: None,
        message: Message::default(),
        section: Section::Header,
    };
    walk.header();
    walk.finish()
}

/// Name of a record type: `AAAA`, or `TYPE65280`.
pub fn type_name(code: u16) -> Mnemonic {
    mnemonic::kind(code)
}

/// Adds one label of a name in presentation format.
pub fn push_label(label: &[u8], text: &mut String) {
    text::label_text(label, text);
}

/// The state of a walk through one message.
struct Walk<'m> {
    bytes: &'m [u8],
    at: usize,
    /// Questions or records of each section that are kept at most.
    most: usize,
    opcode: u8,
    code: u16,
    /// TTL field of the first OPT record.
    edns: Option<u32>,
    message: Message,
    section: Section,
}

impl Walk<'_> {
    fn header(&mut self) {
        let mut reader = Reader::new(self.bytes, 0);
        // The identifier is worth having even where nothing follows it.
        self.message.id = reader.u16().unwrap_or_default();
        let (Ok(high), Ok(low)) = (reader.u8(), reader.u8()) else { return self.wrong(0, Fault::Header) };
        self.message.response = high & 0x80 != 0;
        self.opcode = (high >> 3) & 0x0F;
        self.code = u16::from(low & 0x0F);
        let flags = [
            (high & 4, Flag::Aa),
            (high & 2, Flag::Tc),
            (high & 1, Flag::Rd),
            (low & 0x80, Flag::Ra),
            (low & 0x20, Flag::Ad),
            (low & 0x10, Flag::Cd),
        ];
        self.message.flags = flags.iter().filter(|(bit, _)| *bit != 0).map(|(_, flag)| *flag).collect();
        let counts = [reader.u16(), reader.u16(), reader.u16(), reader.u16()];
        let [Ok(questions), Ok(answers), Ok(authorities), Ok(additionals)] = counts else {
            return self.wrong(0, Fault::Header);
        };
        if self.questions(questions) {
            let sections = [
                (Section::Answer, answers),
                (Section::Authority, authorities),
                (Section::Additional, additionals),
            ];
            let _all_read = sections.into_iter().all(|(section, count)| self.records(section, count));
        }
    }

    fn questions(&mut self, count: u16) -> bool {
        self.section = Section::Question;
        for _ in 0..count {
            let mut reader = Reader::new(self.bytes, self.at);
            let read = if self.message.question.len() < self.most {
                question(&mut reader).map(Some)
            } else {
                reader.step_over_name().and_then(|()| reader.take(4)).map(|_| None)
            };
            match read {
                Ok(question) => self.message.question.extend(question),
                Err(fault) => {
                    self.wrong(self.at, fault);
                    return false;
                }
            }
            self.at = reader.position();
        }
        true
    }

    /// Reads the records of one section; false when what follows cannot be found.
    fn records(&mut self, section: Section, count: u16) -> bool {
        self.section = section;
        for _ in 0..count {
            let start = self.at;
            let is_kept = self.list(section).len() < self.most;
            let read = if is_kept { self.record().map(Some) } else { self.step_over_record().map(|()| None) };
            match read {
                Ok(record) => self.list(section).extend(record),
                Err(fault) => {
                    self.wrong(start, fault);
                    return false;
                }
            }
        }
        true
    }

    fn list(&mut self, section: Section) -> &mut Vec<Record> {
        match section {
            Section::Answer => &mut self.message.answer,
            Section::Authority => &mut self.message.authority,
            _ => &mut self.message.additional,
        }
    }

    fn record(&mut self) -> Result<Record, Fault> {
        let start = self.at;
        let mut reader = Reader::new(self.bytes, start);
        let name = reader.name()?;
        let (kind, class, ttl) = (reader.u16()?, reader.u16()?, reader.u32()?);
        let length = usize::from(reader.u16()?);
        let from = reader.position();
        let to = from + length;
        let raw = self.bytes.get(from..to).ok_or(Fault::DataBeyondMessage)?;
        self.at = to;
        if kind == OPT && self.edns.is_none() {
            self.edns = Some(ttl);
        }
        let data = if raw.is_empty() && self.may_be_empty(class) {
            String::new()
        } else {
            data::present(kind, self.bytes.get(..to).unwrap_or_default(), from).unwrap_or_else(|fault| {
                self.wrong(start, fault);
                text::generic(raw)
            })
        };
        let class = if kind == OPT { format!("CLASS{class}").into() } else { mnemonic::class(class) };
        Ok(Record { name, kind: mnemonic::kind(kind), class, ttl, data })
    }

    /// Moves on to the next record; of this one only EDNS counts.
    fn step_over_record(&mut self) -> Result<(), Fault> {
        let mut reader = Reader::new(self.bytes, self.at);
        reader.step_over_name()?;
        let (kind, _class, ttl) = (reader.u16()?, reader.u16()?, reader.u32()?);
        let length = usize::from(reader.u16()?);
        reader.take(length).map_err(|_| Fault::DataBeyondMessage)?;
        self.at = reader.position();
        if kind == OPT && self.edns.is_none() {
            self.edns = Some(ttl);
        }
        Ok(())
    }

    /// RFC 2136 sections 2.4 and 2.5: prerequisites and deletions have no data, and say so by class.
    fn may_be_empty(&self, class: u16) -> bool {
        const UPDATE: u8 = 5;
        self.opcode == UPDATE && matches!(class, mnemonic::CLASS_NONE | mnemonic::CLASS_ANY)
    }

    /// Notes what is wrong; the first fault stays.
    fn wrong(&mut self, offset: usize, fault: Fault) {
        let section = self.section;
        self.message.malformed.get_or_insert_with(|| Malformed { section, offset, reason: fault.reason() });
    }

    fn finish(mut self) -> Message {
        self.message.opcode = mnemonic::opcode(self.opcode);
        if let Some(ttl) = self.edns {
            let [extended, ..] = ttl.to_be_bytes();
            self.code |= u16::from(extended) << 4;
            if ttl & DNSSEC_OK != 0 {
                self.message.flags.push(Flag::Do);
            }
        }
        self.message.response_code = mnemonic::response_code(self.code);
        self.message
    }
}

fn question(reader: &mut Reader<'_>) -> Result<Question, Fault> {
    let name = reader.name()?;
    let (kind, class) = (reader.u16()?, reader.u16()?);
    Ok(Question { name, kind: mnemonic::kind(kind), class: mnemonic::class(class) })
}

#[cfg(test)]
mod tests;
