//! Record data in presentation format: the type's fields one after the other, with a space between.

use std::net::{Ipv4Addr, Ipv6Addr};

use data_encoding::{BASE32HEX_NOPAD, BASE64, HEXUPPER};
use jiff::Timestamp;

use super::layout::{self, Field};
use super::read::{Fault, Reader};
use super::{list, mnemonic, text};

/// The data of a record of this type. `bytes` is the message up to the data's end, so that names can point back.
pub(super) fn present(kind: u16, bytes: &[u8], from: usize) -> Result<String, Fault> {
    let mut reader = Reader::new(bytes, from);
    let Some(fields) = layout::of(kind).and_then(|layout| layout.fields) else {
        return Ok(text::generic(reader.rest()));
    };
    let mut shown = String::new();
    for field in fields {
        let value = value(*field, &mut reader)?;
        if !shown.is_empty() && !value.is_empty() {
            shown.push(' ');
        }
        shown.push_str(&value);
    }
    match reader.rest().len() {
        0 => Ok(shown),
        left => Err(Fault::BytesLeft(left)),
    }
}

fn value(field: Field, reader: &mut Reader<'_>) -> Result<String, Fault> {
    Ok(match field {
        Field::Ip4 => Ipv4Addr::from(reader.array::<4>()?).to_string(),
        Field::Ip6 => Ipv6Addr::from(reader.array::<16>()?).to_string(),
        Field::Name => reader.name()?,
        Field::U8 => reader.u8()?.to_string(),
        Field::U16 => reader.u16()?.to_string(),
        Field::U32 => reader.u32()?.to_string(),
        Field::Time => moment(reader.u32()?),
        Field::Seconds48 => seconds48(reader.array()?).to_string(),
        Field::Type => mnemonic::kind(reader.u16()?).into_owned(),
        Field::Text => text::quoted(reader.string()?),
        Field::Word => text::word(reader.string()?),
        Field::Texts => texts(reader)?,
        Field::QuotedRest => text::quoted(reader.rest()),
        Field::Hex => HEXUPPER.encode(reader.rest()),
        Field::Salt => salt(reader.string()?),
        Field::Hash => BASE32HEX_NOPAD.encode(reader.string()?),
        Field::Base64 => BASE64.encode(reader.rest()),
        Field::Sized64 => sized64(reader)?,
        Field::Groups => groups(reader.array()?),
        Field::Dashed => dashed(reader.rest()),
        Field::Types => list::types(reader)?,
        Field::Parameters => list::parameters(reader)?,
        Field::Options => list::options(reader)?,
        Field::Prefixes => list::prefixes(reader)?,
        Field::Location => list::location(reader)?,
    })
}

/// RFC 4034 section 3.2. The 32 bits count from 1970 modulo 2^32; as for every reader, the first of the two is shown.
fn moment(seconds: u32) -> String {
    Timestamp::from_second(i64::from(seconds))
        .map_or_else(|_| seconds.to_string(), |time| time.strftime("%Y%m%d%H%M%S").to_string())
}

fn seconds48(bytes: [u8; 6]) -> u64 {
    bytes.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

fn texts(reader: &mut Reader<'_>) -> Result<String, Fault> {
    let mut all = text::quoted(reader.string()?);
    while !reader.is_empty() {
        all.push(' ');
        all.push_str(&text::quoted(reader.string()?));
    }
    Ok(all)
}

fn salt(bytes: &[u8]) -> String {
    if bytes.is_empty() { "-".to_owned() } else { HEXUPPER.encode(bytes) }
}

fn sized64(reader: &mut Reader<'_>) -> Result<String, Fault> {
    let length = reader.u16()?;
    let bytes = reader.take(usize::from(length))?;
    Ok(if bytes.is_empty() { "0".to_owned() } else { format!("{length} {}", BASE64.encode(bytes)) })
}

fn groups(bytes: [u8; 8]) -> String {
    let value = u64::from_be_bytes(bytes);
    [48, 32, 16, 0].map(|shift| format!("{:04x}", value >> shift & 0xFFFF)).join(":")
}

fn dashed(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join("-")
}
