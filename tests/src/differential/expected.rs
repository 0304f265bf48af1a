//! tshark's dissection of one message -> the line that `replay --messages` is expected to print.

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use super::{data, pdml::Element};

/// What the protocols below DNS said of a frame.
#[derive(Clone, Debug, Default)]
pub(super) struct Frame {
    number: u64,
    time: String,
    addresses: [String; 2],
    ports: [u64; 2],
    transport: &'static str,
}

/// Takes one protocol of a frame in; the line, when it is DNS.
pub(super) fn protocol(frame: &mut Frame, element: &Element) -> Result<Option<Value>> {
    match element.name.as_str() {
        "geninfo" => {
            frame.number = shown(element, "num")?.parse()?;
            frame.time.clone_from(&field(element, "timestamp")?.value);
        }
        "ip" | "ipv6" => {
            let (source, destination) = (format!("{}.src", element.name), format!("{}.dst", element.name));
            frame.addresses = [shown(element, &source)?.to_owned(), shown(element, &destination)?.to_owned()];
        }
        "udp" => {
            frame.transport = "udp";
            frame.ports = [shown(element, "udp.srcport")?.parse()?, shown(element, "udp.dstport")?.parse()?];
        }
        "tcp" => {
            frame.transport = "tcp";
            frame.ports = [shown(element, "tcp.srcport")?.parse()?, shown(element, "tcp.dstport")?.parse()?];
        }
        "dns" => return message(frame, element).map(Some),
        _ => {}
    }
    Ok(None)
}

fn message(frame: &Frame, dns: &Element) -> Result<Value> {
    let flags = number(field(dns, "dns.flags")?)?;
    let sections = [
        ["Queries", "Zone"],
        ["Answers", "Prerequisites"],
        ["Authoritative nameservers", "Updates"],
        ["Additional records", "Additional records"],
    ]
    .map(|titles| section(dns, titles));
    let mut questions = Vec::new();
    for element in &sections[0] {
        questions.push(question(element)?);
    }
    let mut records = [Vec::new(), Vec::new(), Vec::new()];
    for (list, section) in records.iter_mut().zip(&sections[1..]) {
        for element in section {
            list.push(record(element)?);
        }
    }
    let edns = dns.find("dns.resp.ext_rcode");
    let extended = edns.map_or(Ok(0), number)?;
    let dnssec = dns.find("dns.resp.z.do").is_some_and(|field| field.show == "1");
    let [answer, authority, additional] = records;
    let [from, to] = &frame.addresses;
    Ok(json!({
        "frame": frame.number,
        "time": time(&frame.time)?,
        "source": {"ip": from, "port": frame.ports[0]},
        "destination": {"ip": to, "port": frame.ports[1]},
        "transport": frame.transport,
        "id": number(field(dns, "dns.id")?)?,
        "response": flags & 0x8000 != 0,
        "opcode": opcode(flags >> 11 & 0xF)?,
        "rcode": response_code(flags & 0xF | extended << 4),
        "flags": flag_names(flags, dnssec),
        "question": questions,
        "answer": answer,
        "authority": authority,
        "additional": additional,
    }))
}

/// The entries of a section; an update calls its sections by other names.
fn section<'e>(dns: &'e Element, titles: [&str; 2]) -> Vec<&'e Element> {
    let found = dns.children.iter().filter(|child| titles.contains(&child.show.as_str()));
    found.flat_map(|section| &section.children).collect()
}

fn question(element: &Element) -> Result<Value> {
    Ok(json!({
        "name": data::name(shown(element, "dns.qry.name")?),
        "type": kind(field(element, "dns.qry.type")?)?,
        "class": class(field(element, "dns.qry.class")?)?,
    }))
}

fn record(element: &Element) -> Result<Value> {
    let kind_field = field(element, "dns.resp.type")?;
    let kind_name = kind(kind_field)?;
    let (class, ttl) = if kind_name == "OPT" {
        let bytes = ["dns.resp.ext_rcode", "dns.resp.edns0_version", "dns.resp.z"]
            .map(|name| field(element, name).map(|field| field.value.clone()));
        let [code, version, z] = bytes;
        let ttl = u64::from_str_radix(&[code?, version?, z?].concat(), 16)?;
        (format!("CLASS{}", shown(element, "dns.rr.udp_payload_size")?), ttl)
    } else {
        (class(field(element, "dns.resp.class")?)?, number(field(element, "dns.resp.ttl")?)?)
    };
    let data = data::data(number(kind_field)?, element)
        .with_context(|| format!("record {} of type {kind_name}", element.show))?;
    Ok(json!({ "name": owner(element)?, "type": kind_name, "class": class, "ttl": ttl, "data": data }))
}

/// The owner's name. tshark takes an SRV record's apart (`_service._proto.name`) and calls the parts so whatever they
/// are; where the name is too short for that, it leaves parts out.
fn owner(element: &Element) -> Result<String> {
    if let Ok(whole) = shown(element, "dns.resp.name") {
        return Ok(data::name(whole));
    }
    let parts = ["dns.srv.service", "dns.srv.proto", "dns.srv.name"];
    let parts: Vec<&str> = parts.iter().filter_map(|part| shown(element, part).ok()).collect();
    ensure!(!parts.is_empty(), "a record without a name");
    Ok(data::name(&parts.join(".")))
}

/// Seconds and nanoseconds of the epoch as RFC 3339.
fn time(epoch: &str) -> Result<String> {
    let (seconds, nanoseconds) = epoch.split_once('.').context("no fraction")?;
    let civil = jiff::Timestamp::from_second(seconds.parse()?)?;
    Ok(format!("{}.{nanoseconds}Z", civil.strftime("%Y-%m-%dT%H:%M:%S")))
}

fn flag_names(flags: u64, dnssec: bool) -> Vec<&'static str> {
    let bits = [(0x400, "AA"), (0x200, "TC"), (0x100, "RD"), (0x80, "RA"), (0x20, "AD"), (0x10, "CD")];
    let mut names: Vec<&str> =
        bits.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, name)| *name).collect();
    if dnssec {
        names.push("DO");
    }
    names
}

fn opcode(code: u64) -> Result<&'static str> {
    Ok(match code {
        0 => "QUERY",
        4 => "NOTIFY",
        5 => "UPDATE",
        _ => bail!("opcode {code} is not generated"),
    })
}

fn response_code(code: u64) -> String {
    let name = match code {
        0 => "NOERROR",
        1 => "FORMERR",
        2 => "SERVFAIL",
        3 => "NXDOMAIN",
        4 => "NOTIMP",
        5 => "REFUSED",
        9 => "NOTAUTH",
        16 => "BADVERS",
        18 => "BADTIME",
        19 => "BADMODE",
        21 => "BADALG",
        _ => return format!("RCODE{code}"),
    };
    name.to_owned()
}

/// A type's mnemonic as tshark's label has it: `Type: A (Host Address) (1)`.
pub(super) fn kind(field: &Element) -> Result<String> {
    let (_, label) = field.label.split_once(": ").context("a type without a label")?;
    let word = label.split(' ').next().unwrap_or_default();
    Ok(match (word, field.show.as_str()) {
        // Younger than this tshark, or left out of it.
        ("Unknown", "53") => "SMIMEA".to_owned(),
        ("Unknown", number) => format!("TYPE{number}"),
        (name, _) => name.to_owned(),
    })
}

/// `Class: IN (0x0001)`.
fn class(field: &Element) -> Result<String> {
    let (_, label) = field.label.split_once(": ").context("a class without a label")?;
    Ok(label.split(' ').next().unwrap_or_default().to_owned())
}

/// A number by its bytes.
pub(super) fn number(field: &Element) -> Result<u64> {
    u64::from_str_radix(&field.value, 16).with_context(|| format!("{} is no number", field.name))
}

fn field<'e>(element: &'e Element, name: &str) -> Result<&'e Element> {
    element.find(name).with_context(|| format!("there is no {name} in {}", element.show))
}

fn shown<'e>(element: &'e Element, name: &str) -> Result<&'e str> {
    field(element, name).map(|field| field.show.as_str())
}
