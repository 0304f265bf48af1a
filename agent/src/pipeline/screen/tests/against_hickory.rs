//! Whatever hickory-proto parses, the screen finds every listed name in it that stands in a supported place, and what
//! comes out as a finding is a name of the message.

use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr::rdata::{CNAME, HTTPS, MX, NAPTR, NS, PTR, SOA, SRV, SVCB, TXT};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use proptest::prelude::*;
use proptest::sample::Index;

use super::set;
use crate::pipeline::matching::{Finding, MatchingCounts, findings};
use crate::pipeline::screen::{Part, Screen};

/// Listed names among few labels, so that random names hit now and then.
const LISTED: [&str; 4] = ["b.a", "=c.b", "c.c.c", "=a.b.c.a"];

/// Types in whose data `names_of` finds names.
const READ_BY_HICKORY: [u16; 9] = [2, 5, 6, 12, 15, 33, 35, 64, 65];

fn names() -> impl Strategy<Value = Name> {
    let label = prop_oneof!["[abcABC]", "[abc]", "[a-z0-9_-]{1,12}"];
    prop::collection::vec(label, 1..5)
        .prop_map(|labels| Name::from_labels(labels.iter().map(String::as_bytes)).unwrap())
}

fn data() -> impl Strategy<Value = RData> {
    let empty: Box<[u8]> = Box::default();
    prop_oneof![
        names().prop_map(|name| RData::CNAME(CNAME(name))),
        names().prop_map(|name| RData::NS(NS(name))),
        names().prop_map(|name| RData::PTR(PTR(name))),
        names().prop_map(|name| RData::MX(MX::new(10, name))),
        names().prop_map(|name| RData::SRV(SRV::new(1, 2, 3, name))),
        (names(), names()).prop_map(|(m, r)| RData::SOA(SOA::new(m, r, 1, 2, 3, 4, 5))),
        names().prop_map(|name| RData::SVCB(SVCB::new(1, name, vec![]))),
        names().prop_map(|name| RData::HTTPS(HTTPS(SVCB::new(1, name, vec![])))),
        (names(), 0..9usize).prop_map(move |(name, length)| {
            RData::NAPTR(NAPTR::new(1, 2, empty.clone(), vec![b'x'; length].into(), empty.clone(), name))
        }),
        Just(RData::TXT(TXT::new(vec!["\u{1}a\u{1}b".to_owned()]))),
    ]
}

fn records() -> impl Strategy<Value = Vec<Record>> {
    let record = (names(), data()).prop_map(|(name, data)| Record::from_rdata(name, 60, data));
    prop::collection::vec(record, 0..5)
}

fn messages() -> impl Strategy<Value = Vec<u8>> {
    (names(), records(), records(), records()).prop_map(|(asked, answers, authorities, additionals)| {
        let mut message = Message::new(7, MessageType::Response, OpCode::Query);
        message.add_query(Query::query(asked, RecordType::A));
        message.add_answers(answers);
        message.add_authorities(authorities);
        message.add_additionals(additionals);
        message.to_vec().unwrap()
    })
}

/// All names in supported places, as hickory reads them, in the order of the message.
fn names_of(message: &Message) -> Vec<Name> {
    let mut names: Vec<Name> = message.queries.iter().map(|query| query.name.clone()).collect();
    for record in message.all_sections() {
        names.push(record.name.clone());
        match &record.data {
            RData::CNAME(CNAME(name)) | RData::NS(NS(name)) | RData::PTR(PTR(name)) => {
                names.push(name.clone());
            }
            RData::MX(data) => names.push(data.exchange.clone()),
            RData::SRV(data) => names.push(data.target.clone()),
            RData::SVCB(data) | RData::HTTPS(HTTPS(data)) => names.push(data.target_name.clone()),
            RData::NAPTR(data) => names.push(data.replacement.clone()),
            RData::SOA(data) => names.extend([data.mname.clone(), data.rname.clone()]),
            _ => {}
        }
    }
    names
}

/// An independent writer of the presentation form that the set takes.
fn key(name: &Name) -> String {
    text(name, |byte| match char::from(byte) {
        plain if byte.is_ascii_alphanumeric() || "-_".contains(plain) => plain.to_string(),
        _ => format!("\\{byte:03}"),
    })
}

/// The same of the form that documents have.
fn shown(name: &Name) -> String {
    text(name, |byte| match char::from(byte) {
        special if ".\"\\();@$".contains(special) => format!("\\{special}"),
        plain if byte.is_ascii_graphic() => plain.to_string(),
        _ => format!("\\{byte:03}"),
    })
}

fn text(name: &Name, escape: fn(u8) -> String) -> String {
    let label = |label: &[u8]| -> String { label.to_ascii_lowercase().into_iter().map(escape).collect() };
    name.iter().map(label).collect::<Vec<_>>().join(".")
}

fn check(bytes: &[u8]) -> Result<(), TestCaseError> {
    let Ok(parsed) = Message::from_vec(bytes) else { return Ok(()) };
    let set = set(&LISTED);
    let mut screen = Screen::new();
    let screened = screen.candidates(bytes, &set);
    let found = findings(bytes, screened.candidates, &set, &mut MatchingCounts::default());
    let names: Vec<String> = names_of(&parsed).iter().map(key).collect();
    let mut expected = Vec::new();
    for name in &names {
        let Some(listed) = set.find(name) else { continue };
        if !expected.contains(&listed.entry) {
            expected.push(listed.entry);
        }
    }
    let entries: Vec<&str> = found.iter().map(|finding| finding.entry.as_str()).collect();
    for entry in &expected {
        prop_assert!(entries.contains(entry), "{entry} of {names:?} not among {entries:?}");
    }
    // Damage makes types (AFSDB, RP ...) whose names the screen finds and hickory does not read.
    let is_read = |finding: &&Finding| {
        finding.place.part == Part::Owner || READ_BY_HICKORY.contains(&finding.place.rr_type)
    };
    let names: Vec<String> = names_of(&parsed).iter().map(shown).collect();
    for finding in found.iter().filter(is_read) {
        prop_assert!(names.contains(&finding.name), "{} not among {names:?}", finding.name);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn listed_names_of_any_message_are_found_in_order(bytes in messages()) {
        prop_assert!(Message::from_vec(&bytes).is_ok());
        prop_assert_eq!(Screen::new().candidates(&bytes, &set(&[])).malformed, None);
        check(&bytes)?;
    }

    #[test]
    fn listed_names_of_damaged_messages_are_found_where_hickory_still_reads_them(
        bytes in messages(),
        damage in prop::collection::vec((any::<Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = bytes;
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        check(&bytes)?;
    }
}
