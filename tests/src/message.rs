//! DNS messages as bytes: what the client of these tests asks and what its server answers. Not a parser of hostile
//! input: both sides are ours.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Record type numbers (IANA "DNS Parameters").
pub mod kind {
    /// IPv4 address.
    pub const A: u16 = 1;
    /// Alias.
    pub const CNAME: u16 = 5;
    /// Mail exchanger.
    pub const MX: u16 = 15;
    /// Text.
    pub const TXT: u16 = 16;
    /// IPv6 address.
    pub const AAAA: u16 = 28;
    /// Service location.
    pub const SRV: u16 = 33;
    /// Service binding.
    pub const SVCB: u16 = 64;
    /// Service binding for HTTPS.
    pub const HTTPS: u16 = 65;
}

/// Number of a type by its name; A for what is not known.
pub fn kind_by_name(name: &str) -> u16 {
    match name {
        "AAAA" => kind::AAAA,
        "CNAME" => kind::CNAME,
        "MX" => kind::MX,
        "TXT" => kind::TXT,
        "SRV" => kind::SRV,
        "SVCB" => kind::SVCB,
        "HTTPS" => kind::HTTPS,
        _ => kind::A,
    }
}

/// A name on the wire, without compression, in the case it is given in.
pub fn wire_name(name: &str) -> Vec<u8> {
    let mut wire = Vec::with_capacity(name.len() + 2);
    for label in name.split('.').filter(|label| !label.is_empty()) {
        wire.push(u8::try_from(label.len()).unwrap_or(63));
        wire.extend_from_slice(label.as_bytes());
    }
    wire.push(0);
    wire
}

/// A query for `name` with recursion desired.
pub fn query(id: u16, name: &str, kind: u16) -> Vec<u8> {
    let mut message = id.to_be_bytes().to_vec();
    message.extend_from_slice(&[0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0]);
    message.extend(wire_name(name));
    message.extend_from_slice(&kind.to_be_bytes());
    message.extend_from_slice(&[0, 1]);
    message
}

/// A message of nearly 64 KiB that is the most work for who reads its names: a question of 127 labels, and thousands
/// of records whose owner points at it.
pub fn pointers() -> Vec<u8> {
    let mut message = vec![0, 7, 0x01, 0, 0, 1];
    // It still fits into one UDP datagram.
    let records: u16 = (65_000 - 12 - 259) / 12;
    message.extend_from_slice(&records.to_be_bytes());
    message.extend_from_slice(&[0, 0, 0, 0]);
    message.extend(wire_name(&["a"; 126].join(".")));
    message.extend_from_slice(&[0, 1, 0, 1]);
    for _ in 0..records {
        // Owner at offset 12, type A, class IN, no time to live, no data.
        message.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0]);
    }
    message
}

/// `message` with the two-byte length that stands before it on TCP.
pub fn with_length(message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
    let mut bytes = length.to_be_bytes().to_vec();
    bytes.extend_from_slice(message);
    bytes
}

/// What a query asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Message id.
    pub id: u16,
    /// Name as asked, without the final dot.
    pub name: String,
    /// Type number.
    pub kind: u16,
    /// Name, type and class as they stood on the wire.
    pub wire: Vec<u8>,
}

/// Reads the header's id and the first question of a query; none where it is not one.
pub fn read_question(message: &[u8]) -> Option<Question> {
    let id = u16::from_be_bytes(message.get(..2)?.try_into().ok()?);
    let mut labels = Vec::new();
    let mut at = 12;
    loop {
        let length = usize::from(*message.get(at)?);
        if length == 0 {
            break;
        }
        labels.push(String::from_utf8_lossy(message.get(at + 1..at + 1 + length)?).into_owned());
        at += 1 + length;
    }
    let end = at + 5;
    let kind = u16::from_be_bytes(message.get(at + 1..at + 3)?.try_into().ok()?);
    Some(Question { id, name: labels.join("."), kind, wire: message.get(12..end)?.to_vec() })
}

/// One record of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    name: String,
    kind: u16,
    data: Vec<u8>,
}

impl Record {
    /// A record with data as it stands on the wire.
    pub fn new(name: &str, kind: u16, data: Vec<u8>) -> Self {
        Self { name: name.to_owned(), kind, data }
    }

    /// An IPv4 address.
    pub fn a(name: &str, address: Ipv4Addr) -> Self {
        Self::new(name, kind::A, address.octets().to_vec())
    }

    /// An IPv6 address.
    pub fn aaaa(name: &str, address: Ipv6Addr) -> Self {
        Self::new(name, kind::AAAA, address.octets().to_vec())
    }

    /// An alias.
    pub fn cname(name: &str, target: &str) -> Self {
        Self::new(name, kind::CNAME, wire_name(target))
    }

    /// A mail exchanger.
    pub fn mx(name: &str, exchange: &str) -> Self {
        let mut data = vec![0, 10];
        data.extend(wire_name(exchange));
        Self::new(name, kind::MX, data)
    }

    /// A service binding (`kind` HTTPS or SVCB) with one parameter, `alpn=h2`.
    pub fn service(name: &str, kind: u16, target: &str) -> Self {
        let mut data = vec![0, 1];
        data.extend(wire_name(target));
        data.extend_from_slice(&[0, 1, 0, 3, 2, b'h', b'2']);
        Self::new(name, kind, data)
    }

    /// Text of `length` bytes in as many strings as that takes.
    pub fn txt(name: &str, length: usize) -> Self {
        let mut data = Vec::with_capacity(length + length / 255 + 1);
        let mut left = length;
        while left > 0 {
            let part = left.min(255);
            data.push(u8::try_from(part).unwrap_or(u8::MAX));
            data.resize(data.len() + part, b'x');
            left -= part;
        }
        Self::new(name, kind::TXT, data)
    }

    fn write(&self, question: &Question, message: &mut Vec<u8>) {
        if self.name.eq_ignore_ascii_case(&question.name) {
            // Compression (RFC 1035 section 4.1.4): the question's name stands at offset 12.
            message.extend_from_slice(&[0xc0, 12]);
        } else {
            message.extend(wire_name(&self.name));
        }
        message.extend_from_slice(&self.kind.to_be_bytes());
        message.extend_from_slice(&[0, 1, 0, 0, 1, 44]);
        message.extend_from_slice(&u16::try_from(self.data.len()).unwrap_or(u16::MAX).to_be_bytes());
        message.extend_from_slice(&self.data);
    }
}

/// An answer without its question.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// Response code: 0 is success, 3 is NXDOMAIN.
    pub response_code: u8,
    /// Answer section.
    pub answer: Vec<Record>,
    /// Additional section.
    pub additional: Vec<Record>,
}

impl Reply {
    /// The whole message that answers `question`.
    pub fn message(&self, question: &Question) -> Vec<u8> {
        let mut message = question.id.to_be_bytes().to_vec();
        message.extend_from_slice(&[0x81, 0x80 | self.response_code, 0, 1]);
        message.extend_from_slice(&count(&self.answer));
        message.extend_from_slice(&[0, 0]);
        message.extend_from_slice(&count(&self.additional));
        message.extend_from_slice(&question.wire);
        for record in self.answer.iter().chain(&self.additional) {
            record.write(question, &mut message);
        }
        message
    }
}

fn count(records: &[Record]) -> [u8; 2] {
    u16::try_from(records.len()).unwrap_or(u16::MAX).to_be_bytes()
}
