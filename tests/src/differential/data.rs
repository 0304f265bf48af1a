//! Fields of a record's data, as tshark tells them apart -> presentation format.
//!
//! Each field that tshark may show has its form here; one that is not listed is an error, so that nothing is compared by
//! being left out. Text and numbers come from the field's bytes: tshark's own rendering of them is for reading.

use std::{
    fmt::Write as _,
    net::{Ipv4Addr, Ipv6Addr},
};

use anyhow::{Context as _, Result, bail};
use data_encoding::{BASE32HEX_NOPAD, BASE64, HEXLOWER_PERMISSIVE, HEXUPPER};

use super::{
    expected::{kind, number},
    pdml::Element,
};

/// How a field is written.
#[derive(Clone, Copy)]
enum Form {
    /// Not data, or said again by another field.
    Nothing,
    Name,
    Address,
    Decimal,
    Quoted,
    Word,
    Hex,
    Base64,
    Base32,
    Time,
    Mnemonic,
    /// Hexadecimal; `-` where there are no bytes.
    Salt,
    Groups,
    Dashed,
    Parameter,
    Option,
    /// The bytes of a type that tshark does not take apart.
    Undecoded,
}

use Form::{
    Address, Base32, Base64, Dashed, Decimal, Groups, Hex, Mnemonic, Name, Nothing, Option as EdnsOption,
    Parameter, Quoted, Salt, Time, Undecoded, Word,
};

#[rustfmt::skip]
const FORMS: &[(&str, Form)] = &[
    ("dns.a", Address), ("dns.aaaa", Address), ("dns.ilnp.l32", Address),
    ("dns.ns", Name), ("dns.md", Name), ("dns.mf", Name), ("dns.cname", Name), ("dns.mb", Name), ("dns.mg", Name),
    ("dns.mr", Name), ("dns.ptr.domain_name", Name), ("dns.dname", Name),
    ("dns.soa.mname", Name), ("dns.soa.rname", Name), ("dns.soa.serial_number", Decimal),
    ("dns.soa.refresh_interval", Decimal), ("dns.soa.retry_interval", Decimal), ("dns.soa.expire_limit", Decimal),
    ("dns.soa.minimum_ttl", Decimal),
    ("dns.hinfo.cpu_length", Nothing), ("dns.hinfo.cpu", Quoted), ("dns.hinfo.os_length", Nothing),
    ("dns.hinfo.os", Quoted),
    ("dns.minfo.r", Name), ("dns.minfo.e", Name),
    ("dns.mx.preference", Decimal), ("dns.mx.mail_exchange", Name),
    ("dns.txt.length", Nothing), ("dns.txt", Quoted), ("dns.spf.length", Nothing), ("dns.spf", Quoted),
    ("dns.rp.mailbox", Name), ("dns.rp.txt_rr", Name),
    ("dns.afsdb.subtype", Decimal), ("dns.afsdb.hostname", Name),
    ("dns.x25.length", Nothing), ("dns.x25.psdn_address", Quoted),
    ("dns.idsn.length", Nothing), ("dns.idsn.address", Quoted), ("dns.idsn.sa.length", Nothing),
    ("dns.idsn.sa.address", Quoted),
    ("dns.rt.subtype", Decimal), ("dns.rt.intermediate_host", Name),
    ("dns.px.preference", Decimal), ("dns.px.map822", Name), ("dns.px.map400", Name),
    ("dns.srv.service", Nothing), ("dns.srv.proto", Nothing), ("dns.srv.name", Nothing),
    ("dns.srv.priority", Decimal), ("dns.srv.weight", Decimal), ("dns.srv.port", Decimal), ("dns.srv.target", Name),
    ("dns.naptr.order", Decimal), ("dns.naptr.preference", Decimal), ("dns.naptr.flags_length", Nothing),
    ("dns.naptr.flags", Quoted), ("dns.naptr.service_length", Nothing), ("dns.naptr.service", Quoted),
    ("dns.naptr.regex_length", Nothing), ("dns.naptr.regex", Quoted), ("dns.naptr.replacement_length", Nothing),
    ("dns.naptr.replacement", Name),
    ("dns.kx.preference", Decimal), ("dns.kx.key_exchange", Name),
    ("dns.cert.type", Decimal), ("dns.cert.key_tag", Decimal), ("dns.cert.algorithm", Decimal),
    ("dns.cert.certificate", Base64),
    ("dns.ds.key_id", Decimal), ("dns.ds.algorithm", Decimal), ("dns.ds.digest_type", Decimal), ("dns.ds.digest", Hex),
    ("dns.sshfp.algorithm", Decimal), ("dns.sshfp.fingerprint.type", Decimal), ("dns.sshfp.fingerprint", Hex),
    ("dns.rrsig.type_covered", Mnemonic), ("dns.rrsig.algorithm", Decimal), ("dns.rrsig.labels", Decimal),
    ("dns.rrsig.original_ttl", Decimal), ("dns.rrsig.signature_expiration", Time),
    ("dns.rrsig.signature_inception", Time), ("dns.rrsig.key_tag", Decimal), ("dns.rrsig.signers_name", Name),
    ("dns.rrsig.signature", Base64),
    ("dns.nsec.next_domain_name", Name),
    // The key's id is computed by tshark.
    ("dns.dnskey.flags", Decimal), ("dns.dnskey.protocol", Decimal), ("dns.dnskey.algorithm", Decimal),
    ("dns.dnskey.key_id", Nothing), ("dns.dnskey.public_key", Base64),
    ("dns.key.flags", Decimal), ("dns.key.protocol", Decimal), ("dns.key.algorithm", Decimal),
    ("dns.key.key_id", Nothing), ("dns.key.public_key", Base64),
    ("dns.dhcid.rdata", Base64),
    ("dns.nsec3.algo", Decimal), ("dns.nsec3.flags", Decimal), ("dns.nsec3.iterations", Decimal),
    ("dns.nsec3.salt_length", Nothing), ("dns.nsec3.salt_value", Salt), ("dns.nsec3.hash_length", Nothing),
    ("dns.nsec3.hash_value", Base32),
    ("dns.tlsa.certificate_usage", Decimal), ("dns.tlsa.selector", Decimal), ("dns.tlsa.matching_type", Decimal),
    ("dns.tlsa.certificate_association_data", Hex),
    ("dns.openpgpkey", Base64),
    // The bitmap's types follow one by one.
    ("dns.csync.soa", Decimal), ("dns.csync.flags", Decimal), ("dns.csync.type_bitmap", Nothing),
    ("dns.zonemd.serial", Decimal), ("dns.zonemd.scheme", Decimal), ("dns.zonemd.hash_algo", Decimal),
    ("dns.zonemd.digest", Hex),
    ("dns.svcb.svcpriority", Decimal), ("dns.svcb.targetname", Name), ("dns.svcb.svcparam", Parameter),
    ("dns.ilnp.nid.preference", Decimal), ("dns.ilnp.nid", Groups), ("dns.ilnp.l32.preference", Decimal),
    ("dns.ilnp.l64.preference", Decimal), ("dns.ilnp.l64", Groups), ("dns.ilnp.lp.preference", Decimal),
    ("dns.ilnp.lp", Name),
    ("dns.eui48", Dashed), ("dns.eui64", Dashed),
    // The value is shown twice, once under the name of its tag.
    ("dns.caa.flags", Decimal), ("dns.caa.issue", Nothing), ("dns.caa.issuewild", Nothing), ("dns.caa.iodef", Nothing),
    ("dns.caa.unknown", Nothing), ("dns.caa.tag_length", Nothing), ("dns.caa.tag", Word), ("dns.caa.value", Quoted),
    ("dns.opt", EdnsOption),
    ("dns.null", Undecoded), ("dns.data", Undecoded),
    // What follows is the record's head, or of no meaning to data.
    ("dns.resp.name", Nothing), ("dns.resp.class", Nothing), ("dns.resp.ttl", Nothing), ("dns.resp.len", Nothing),
    ("dns.rr.udp_payload_size", Nothing), ("dns.resp.ext_rcode", Nothing), ("dns.resp.edns0_version", Nothing),
    ("dns.resp.z", Nothing), ("_ws.expert", Nothing),
    ("dns.dnskey.flags.zone_key", Nothing), ("dns.dnskey.flags.key_revoked", Nothing),
];

/// Fields whose parts are shown below them and carry nothing more.
const WHOLE: &[&str] = &[
    "dns.resp.z",
    "dns.dnskey.flags",
    "dns.key.flags",
    "dns.csync.flags",
    "dns.nsec3.flags",
    "dns.caa.flags",
    "dns.svcb.svcparam",
    "dns.opt",
    "_ws.expert",
    "dns.resp.cache_flush",
];

/// The data of a record of this type.
pub(super) fn data(code: u64, record: &Element) -> Result<String> {
    let length = record.find("dns.resp.len").context("a record without a length")?;
    match code {
        // Deletions and prerequisites of an update.
        _ if number(length)? == 0 => return Ok(String::new()),
        29 => return location(record),
        42 => return prefixes(record),
        _ => {}
    }
    let mut pieces = Vec::new();
    let mut types = 0;
    for field in &record.children {
        piece(code, field, &mut types, &mut pieces)?;
    }
    Ok(pieces.join(" "))
}

fn piece(code: u64, field: &Element, types: &mut usize, pieces: &mut Vec<String>) -> Result<()> {
    if field.name == "dns.resp.type" {
        // The first is the record's own, the others are those of a bitmap.
        if *types > 0 {
            pieces.push(kind(field)?);
        }
        *types += 1;
        return Ok(());
    }
    // A tree that has no name of its own holds what tshark has to say about the record.
    if !field.name.is_empty() {
        let form = FORMS.iter().find(|(name, _)| *name == field.name).map(|(_, form)| *form);
        let form = form.with_context(|| format!("field {} has no form", field.name))?;
        pieces.extend(written(code, form, field)?);
    }
    if !WHOLE.contains(&field.name.as_str()) {
        for child in &field.children {
            piece(code, child, types, pieces)?;
        }
    }
    Ok(())
}

fn written(code: u64, form: Form, field: &Element) -> Result<Option<String>> {
    let bytes = || bytes(field);
    Ok(Some(match form {
        Nothing => return Ok(None),
        Name => name(&field.show),
        Address => address(&bytes()?)?,
        Decimal => number(field)?.to_string(),
        Quoted => quoted(&bytes()?),
        Word => String::from_utf8(bytes()?)?,
        Salt if field.value.is_empty() => "-".to_owned(),
        Hex | Salt => HEXUPPER.encode(&bytes()?),
        Base64 => BASE64.encode(&bytes()?),
        Base32 => BASE32HEX_NOPAD.encode(&bytes()?),
        Time => {
            let time = jiff::Timestamp::from_second(i64::try_from(number(field)?)?)?;
            time.strftime("%Y%m%d%H%M%S").to_string()
        }
        Mnemonic => kind(field)?,
        Groups => {
            let groups: Vec<String> =
                bytes()?.chunks(2).map(|pair| HEXLOWER_PERMISSIVE.encode(pair)).collect();
            groups.join(":")
        }
        Dashed => {
            let parts: Vec<String> = bytes()?.iter().map(|byte| format!("{byte:02x}")).collect();
            parts.join("-")
        }
        Parameter => parameter(field)?,
        EdnsOption => option(field)?,
        Undecoded => undecoded(code, &bytes()?)?,
    }))
}

/// A name: tshark leaves the final dot out too, but calls the root `<Root>`.
pub(super) fn name(shown: &str) -> String {
    if shown == "<Root>" || shown.is_empty() { ".".to_owned() } else { shown.to_owned() }
}

fn bytes(field: &Element) -> Result<Vec<u8>> {
    HEXLOWER_PERMISSIVE
        .decode(field.value.as_bytes())
        .with_context(|| format!("the value of {} is not hexadecimal", field.name))
}

fn address(bytes: &[u8]) -> Result<String> {
    if let Ok(bytes) = <[u8; 4]>::try_from(bytes) {
        return Ok(Ipv4Addr::from(bytes).to_string());
    }
    Ok(Ipv6Addr::from(<[u8; 16]>::try_from(bytes)?).to_string())
}

fn quoted(bytes: &[u8]) -> String {
    let mut text = "\"".to_owned();
    for byte in bytes {
        match byte {
            b'"' | b'\\' => text.extend(['\\', char::from(*byte)]),
            b' '..=b'~' => text.push(char::from(*byte)),
            _ => _ = write!(text, "\\{byte:03}"),
        }
    }
    text + "\""
}

/// A service parameter: its values are fields of their own, by kind.
fn parameter(field: &Element) -> Result<String> {
    let key = number(field.find("dns.svcb.svcparam.key").context("a parameter without a key")?)?;
    let addresses = |name: &str| -> Result<String> {
        let all: Result<Vec<String>> = values(field, name)?.iter().map(|bytes| address(bytes)).collect();
        Ok(all?.join(","))
    };
    let first = |name: &str| {
        values(field, name)?.into_iter().next().with_context(|| format!("a parameter without {name}"))
    };
    Ok(match key {
        1 => {
            let protocols = values(field, "dns.svcb.svcparam.alpn")?;
            format!("alpn=\"{}\"", String::from_utf8(protocols.join(&b','))?)
        }
        2 => "no-default-alpn".to_owned(),
        3 => format!("port={}", number(field.find("dns.svcb.svcparam.port").context("no port")?)?),
        4 => format!("ipv4hint={}", addresses("dns.svcb.svcparam.ipv4hint.ip")?),
        5 => format!("ech={}", BASE64.encode(&first("dns.svcb.svcparam.echconfig")?)),
        6 => format!("ipv6hint={}", addresses("dns.svcb.svcparam.ipv6hint.ip")?),
        667 => format!("key667={}", quoted(&first("dns.svcb.svcparam.value")?)),
        _ => bail!("parameter {key} is not generated"),
    })
}

fn values(field: &Element, name: &str) -> Result<Vec<Vec<u8>>> {
    field.children.iter().filter(|child| child.name == name).map(bytes).collect()
}

/// An EDNS option; tshark shows its bytes, then what they mean.
fn option(field: &Element) -> Result<String> {
    let code = number(field.find("dns.opt.code").context("an option without a code")?)?;
    let value = field.find("dns.opt.data").map_or(Ok(Vec::new()), bytes)?;
    let name = match code {
        3 => "NSID".to_owned(),
        8 => "ECS".to_owned(),
        10 => "COOKIE".to_owned(),
        12 => "PADDING".to_owned(),
        15 => "EDE".to_owned(),
        _ => format!("OPT{code}"),
    };
    Ok(format!("{name}={}", HEXUPPER.encode(&value)))
}

/// Data that this tshark leaves as bytes: SMIMEA and URI are taken apart here, the rest is of unknown types.
fn undecoded(code: u64, bytes: &[u8]) -> Result<String> {
    Ok(match (code, bytes) {
        (53, [usage, selector, matching, rest @ ..]) => {
            format!("{usage} {selector} {matching} {}", HEXUPPER.encode(rest))
        }
        (256, [a, b, c, d, rest @ ..]) => {
            let (priority, weight) = (u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d]));
            format!("{priority} {weight} {}", quoted(rest))
        }
        (53 | 256, _) => bail!("data of type {code} is too short"),
        _ => format!("\\# {} {}", bytes.len(), HEXUPPER.encode(bytes)),
    })
}

/// RFC 1876; tshark shows the raw numbers.
fn location(record: &Element) -> Result<String> {
    let get = |name: &str| -> Result<i64> {
        let field =
            record.find(&format!("dns.loc.{name}")).with_context(|| format!("a location without {name}"))?;
        Ok(i64::try_from(number(field)?)?)
    };
    let angle = |value: i64, sides: [char; 2]| {
        let offset = value - (1 << 31);
        let side = if offset < 0 { sides[1] } else { sides[0] };
        let (seconds, thousandths) = (offset.abs() / 1000, offset.abs() % 1000);
        let (degrees, minutes) = (seconds / 3600, seconds % 3600 / 60);
        format!("{degrees} {minutes} {}.{thousandths:03} {side}", seconds % 60)
    };
    let metres = |centimetres: i64| {
        let sign = if centimetres < 0 { "-" } else { "" };
        format!("{sign}{}.{:02}m", centimetres.abs() / 100, centimetres.abs() % 100)
    };
    let size = |value: i64| metres((value >> 4) * 10_i64.pow(u32::try_from(value & 0xF).unwrap_or_default()));
    Ok([
        angle(get("latitude")?, ['N', 'S']),
        angle(get("longitude")?, ['E', 'W']),
        metres(get("altitude")? - 10_000_000),
        size(get("size")?),
        size(get("horizontal_precision")?),
        size(get("vertical_precision")?),
    ]
    .join(" "))
}

/// RFC 3123; the parts of each prefix follow one another.
fn prefixes(record: &Element) -> Result<String> {
    let mut shown = Vec::new();
    let (mut family, mut length, mut negation) = (0, 0, "");
    for field in &record.children {
        match field.name.as_str() {
            "dns.apl.address_family" => family = number(field)?,
            "dns.apl.coded_prefix" => length = number(field)?,
            "dns.apl.negation" => negation = if field.show == "1" { "!" } else { "" },
            "dns.apl.afdpart.ipv4" | "dns.apl.afdpart.ipv6" => {
                // Trailing zeros are left out on the wire.
                let mut bytes = bytes(field)?;
                bytes.resize(if family == 1 { 4 } else { 16 }, 0);
                shown.push(format!("{negation}{family}:{}/{length}", address(&bytes)?));
            }
            _ => {}
        }
    }
    Ok(shown.join(" "))
}
