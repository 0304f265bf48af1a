//! Data that is a list, or has arithmetic, of its own: type bitmaps, service parameters, options, prefixes, locations.

use std::net::{Ipv4Addr, Ipv6Addr};

use data_encoding::{BASE64, HEXUPPER};

use super::read::{Fault, Reader};
use super::{mnemonic, text};

/// Types of an NSEC, NSEC3 or CSYNC bitmap (RFC 4034 section 4.1.2).
pub(super) fn types(reader: &mut Reader<'_>) -> Result<String, Fault> {
    let mut names = Vec::new();
    while !reader.is_empty() {
        let window = u16::from(reader.u8()?) << 8;
        let bitmap = reader.string()?;
        if bitmap.is_empty() || bitmap.len() > 32 {
            return Err(Fault::Value("a window of the type bitmap is not 1 to 32 bytes long"));
        }
        for (byte, first) in bitmap.iter().zip((window..).step_by(8)) {
            let set = (0..8).filter(|bit| byte & (0x80 >> bit) != 0);
            names.extend(set.map(|bit| mnemonic::kind(first + bit)));
        }
    }
    Ok(names.join(" "))
}

/// Service parameters (RFC 9460 section 2.1 and appendix A).
pub(super) fn parameters(reader: &mut Reader<'_>) -> Result<String, Fault> {
    let mut shown = Vec::new();
    while !reader.is_empty() {
        let key = reader.u16()?;
        let length = reader.u16()?;
        let value = reader.take(usize::from(length))?;
        shown.push(parameter(key, value)?);
    }
    Ok(shown.join(" "))
}

fn parameter(key: u16, value: &[u8]) -> Result<String, Fault> {
    let name = parameter_name(key);
    let mut inner = Reader::new(value, 0);
    let shown = match key {
        0 => joined(&mut inner, |reader| reader.u16().map(parameter_name))?,
        1 => format!("\"{}\"", joined(&mut inner, |reader| reader.string().map(protocol))?),
        2 if value.is_empty() => return Ok(name),
        2 => return Err(Fault::Value("no-default-alpn has a value")),
        3 => inner.u16()?.to_string(),
        4 => joined(&mut inner, |reader| reader.array::<4>().map(|ip| Ipv4Addr::from(ip).to_string()))?,
        5 => BASE64.encode(inner.rest()),
        6 => joined(&mut inner, |reader| reader.array::<16>().map(|ip| Ipv6Addr::from(ip).to_string()))?,
        _ if value.is_empty() => return Ok(name),
        _ => text::quoted(inner.rest()),
    };
    if inner.is_empty() { Ok(format!("{name}={shown}")) } else { Err(Fault::BytesLeft(inner.rest().len())) }
}

fn parameter_name(key: u16) -> String {
    let name = match key {
        0 => "mandatory",
        1 => "alpn",
        2 => "no-default-alpn",
        3 => "port",
        4 => "ipv4hint",
        5 => "ech",
        6 => "ipv6hint",
        7 => "dohpath",
        8 => "ohttp",
        _ => return format!("key{key}"),
    };
    name.to_owned()
}

/// A protocol id inside a comma-separated list: a comma or backslash of its own is escaped twice, first for the list,
/// then for the string (RFC 9460 appendix A.1).
fn protocol(id: &[u8]) -> String {
    let mut text = String::with_capacity(id.len());
    for byte in id {
        match byte {
            b',' => text.push_str("\\\\,"),
            b'\\' => text.push_str("\\\\\\\\"),
            _ => text::escape(*byte, b"\"", &mut text),
        }
    }
    text
}

/// Values of one kind to the end, at least one, with commas between.
fn joined(
    reader: &mut Reader<'_>,
    read: impl Fn(&mut Reader<'_>) -> Result<String, Fault>,
) -> Result<String, Fault> {
    let mut all = read(reader)?;
    while !reader.is_empty() {
        all.push(',');
        all.push_str(&read(reader)?);
    }
    Ok(all)
}

/// EDNS options as `NAME=hex`; an option without a name is `OPT` and its number.
pub(super) fn options(reader: &mut Reader<'_>) -> Result<String, Fault> {
    let mut shown = Vec::new();
    while !reader.is_empty() {
        let name = option_name(reader.u16()?);
        let length = reader.u16()?;
        let value = HEXUPPER.encode(reader.take(usize::from(length))?);
        shown.push(format!("{name}={value}"));
    }
    Ok(shown.join(" "))
}

fn option_name(code: u16) -> String {
    let name = match code {
        1 => "LLQ",
        3 => "NSID",
        5 => "DAU",
        6 => "DHU",
        7 => "N3U",
        8 => "ECS",
        9 => "EXPIRE",
        10 => "COOKIE",
        11 => "KEEPALIVE",
        12 => "PADDING",
        13 => "CHAIN",
        14 => "KEYTAG",
        15 => "EDE",
        18 => "REPORT-CHANNEL",
        19 => "ZONEVERSION",
        _ => return format!("OPT{code}"),
    };
    name.to_owned()
}

/// Address prefixes as `[!]family:address/length` (RFC 3123 section 5).
pub(super) fn prefixes(reader: &mut Reader<'_>) -> Result<String, Fault> {
    let mut shown = Vec::new();
    while !reader.is_empty() {
        let (family, prefix, flags) = (reader.u16()?, reader.u8()?, reader.u8()?);
        let address = reader.take(usize::from(flags & 0x7F))?;
        let address = match family {
            1 => padded::<4>(address).map(|bytes| Ipv4Addr::from(bytes).to_string()),
            2 => padded::<16>(address).map(|bytes| Ipv6Addr::from(bytes).to_string()),
            _ => None,
        };
        let address = address.ok_or(Fault::Value("an address prefix of an unknown family or length"))?;
        let negation = if flags & 0x80 == 0 { "" } else { "!" };
        shown.push(format!("{negation}{family}:{address}/{prefix}"));
    }
    Ok(shown.join(" "))
}

/// An address whose trailing zeros are left out.
fn padded<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    let mut address = [0; N];
    address.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some(address)
}

/// A location (RFC 1876 section 3).
pub(super) fn location(reader: &mut Reader<'_>) -> Result<String, Fault> {
    if reader.u8()? != 0 {
        return Err(Fault::Value("a location of an unknown version"));
    }
    let [size, horizontal, vertical] = reader.array()?;
    let (latitude, longitude, altitude) = (reader.u32()?, reader.u32()?, reader.u32()?);
    Ok(format!(
        "{} {} {}m {}m {}m {}m",
        angle(latitude, "N", "S"),
        angle(longitude, "E", "W"),
        hundredths(i64::from(altitude) - 10_000_000),
        metres(size)?,
        metres(horizontal)?,
        metres(vertical)?,
    ))
}

/// Thousandths of an arc second from 2^31 as degrees, minutes, seconds.
fn angle(value: u32, positive: &str, negative: &str) -> String {
    let offset = i64::from(value) - (1 << 31);
    let side = if offset < 0 { negative } else { positive };
    let thousandths = offset.unsigned_abs();
    let seconds = thousandths / 1000;
    format!("{} {} {}.{:03} {side}", seconds / 3600, seconds / 60 % 60, seconds % 60, thousandths % 1000)
}

fn hundredths(value: i64) -> String {
    let sign = if value < 0 { "-" } else { "" };
    let value = value.unsigned_abs();
    format!("{sign}{}.{:02}", value / 100, value % 100)
}

/// A size in centimetres as mantissa and power of ten, four bits each.
fn metres(value: u8) -> Result<String, Fault> {
    let (mantissa, exponent) = (i64::from(value >> 4), u32::from(value & 0x0F));
    if mantissa > 9 || exponent > 9 {
        return Err(Fault::Value("a size of the location is out of range"));
    }
    Ok(hundredths(mantissa * 10_i64.pow(exponent)))
}
