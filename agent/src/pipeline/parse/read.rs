//! Bounded reading of numbers, names and strings from a message.
//!
//! A reader sees the message up to a bound (the end of a record's data, say): names may point back to anything before, but
//! nothing runs beyond. Decoding is hickory-proto's; what is added is a limit that makes every name cheap.

use std::borrow::Cow;

use hickory_proto::rr::Name;
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};

use super::text;

/// A name has at most 127 labels, and no encoder follows a pointer by a pointer: more jumps than this are an attack on
/// whoever follows them.
const POINTERS_MAX: usize = 127;

/// Why something cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The header is not all there.
    Header,
    /// The bytes end inside a field.
    Ends,
    /// A record's data length goes beyond the message.
    DataBeyondMessage,
    /// Bytes are left in a record's data after its last field.
    BytesLeft(usize),
    /// Too many compression pointers in one name.
    Pointers,
    /// hickory-proto refused the name.
    Name(String),
    /// A field has a value that its type does not allow.
    Value(&'static str),
}

impl Fault {
    /// The reason in a few words.
    pub(super) fn reason(self) -> Cow<'static, str> {
        match self {
            Self::Header => "the message ends inside the header".into(),
            Self::Ends => "it ends inside a field".into(),
            Self::DataBeyondMessage => "the data goes beyond the message".into(),
            Self::BytesLeft(bytes) => {
                format!("{bytes} bytes are left after the last field of the data").into()
            }
            Self::Pointers => "a name has more than 127 compression pointers".into(),
            Self::Name(reason) => reason.into(),
            Self::Value(reason) => reason.into(),
        }
    }
}

/// A place in a message, moved on by each read.
pub(super) struct Reader<'m> {
    bytes: &'m [u8],
    at: usize,
}

impl<'m> Reader<'m> {
    /// A reader of `bytes` (from the message's start to the bound) that begins at an offset.
    pub(super) fn new(bytes: &'m [u8], at: usize) -> Self {
        Self { bytes, at: at.min(bytes.len()) }
    }

    /// Offset of the next byte from the start of the message.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// All that is left before the bound.
    pub(super) fn rest(&mut self) -> &'m [u8] {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        self.at = self.bytes.len();
        rest
    }

    /// Whether nothing is left before the bound.
    pub(super) fn is_empty(&self) -> bool {
        self.at >= self.bytes.len()
    }

    /// The next bytes.
    pub(super) fn take(&mut self, length: usize) -> Result<&'m [u8], Fault> {
        let end = self.at.checked_add(length).ok_or(Fault::Ends)?;
        let bytes = self.bytes.get(self.at..end).ok_or(Fault::Ends)?;
        self.at = end;
        Ok(bytes)
    }

    /// The next bytes, as many as the array has.
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        self.take(N)?.try_into().map_err(|_| Fault::Ends)
    }

    /// A byte.
    pub(super) fn u8(&mut self) -> Result<u8, Fault> {
        self.array::<1>().map(u8::from_be_bytes)
    }

    /// A 16-bit number.
    pub(super) fn u16(&mut self) -> Result<u16, Fault> {
        self.array().map(u16::from_be_bytes)
    }

    /// A 32-bit number.
    pub(super) fn u32(&mut self) -> Result<u32, Fault> {
        self.array().map(u32::from_be_bytes)
    }

    /// Bytes after a length of one byte (a character-string, a salt, a hash).
    pub(super) fn string(&mut self) -> Result<&'m [u8], Fault> {
        let length = usize::from(self.u8()?);
        self.take(length)
    }

    /// A name in presentation format, without the final dot; the root is `.`.
    pub(super) fn name(&mut self) -> Result<String, Fault> {
        if self.pointers()? > POINTERS_MAX {
            return Err(Fault::Pointers);
        }
        let at = u16::try_from(self.at).map_err(|_| Fault::Ends)?;
        let mut decoder = BinDecoder::new(self.bytes).clone(at);
        let name = Name::read(&mut decoder).map_err(|error| Fault::Name(error.to_string()))?;
        self.at = decoder.index();
        Ok(text::name(&name))
    }

    /// Moves behind a name without reading it: no pointer is followed.
    pub(super) fn step_over_name(&mut self) -> Result<(), Fault> {
        loop {
            match self.u8()? {
                0 => return Ok(()),
                length @ 1..=0x3F => _ = self.take(usize::from(length))?,
                0xC0.. => return self.u8().map(|_| ()),
                0x40..=0xBF => return Err(Fault::Value("a label has a length that no label has")),
            }
        }
    }

    /// Jumps from pointer to pointer until there are too many; whether they lead anywhere is hickory's to say.
    fn pointers(&self) -> Result<usize, Fault> {
        let (mut at, mut pointers) = (self.at, 0);
        while pointers <= POINTERS_MAX {
            let length = *self.bytes.get(at).ok_or(Fault::Ends)?;
            match length {
                0 | 0x40..=0xBF => break,
                1..=0x3F => at += 1 + usize::from(length),
                0xC0.. => {
                    let low = *self.bytes.get(at + 1).ok_or(Fault::Ends)?;
                    let target = usize::from(length & 0x3F) << 8 | usize::from(low);
                    if target >= at {
                        break;
                    }
                    at = target;
                    pointers += 1;
                }
            }
        }
        Ok(pointers)
    }
}
