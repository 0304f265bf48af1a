//! Messages built byte for byte; what is read of them, and what is said to be wrong.

use std::fmt::Write;

use data_encoding::HEXLOWER_PERMISSIVE;

use super::*;

/// A message under construction: header with counts, then whatever is appended.
struct Wire(Vec<u8>);

impl Wire {
    fn new(flags: u16, counts: [u16; 4]) -> Self {
        let mut bytes = vec![0xBE, 0xEF];
        bytes.extend_from_slice(&flags.to_be_bytes());
        bytes.extend(counts.iter().flat_map(|count| count.to_be_bytes()));
        Self(bytes)
    }

    /// A response with one question (`Example.NET`, at offset 12) and this many answers.
    fn answers(count: u16) -> Self {
        Self::new(0x8180, [1, count, 0, 0]).name("Example.NET").raw("0001 0001")
    }

    fn name(mut self, name: &str) -> Self {
        for label in name.split('.').filter(|label| !label.is_empty()) {
            self.0.push(u8::try_from(label.len()).unwrap());
            self.0.extend_from_slice(label.as_bytes());
        }
        self.0.push(0);
        self
    }

    fn raw(mut self, hex: &str) -> Self {
        self.0.extend_from_slice(&bytes(hex));
        self
    }

    /// A record of `Example.NET` in class IN, TTL 300.
    fn record(mut self, kind: u16, data: &[u8]) -> Self {
        self.0.extend_from_slice(&[0xC0, 12]);
        self.0.extend_from_slice(&kind.to_be_bytes());
        self.0.extend_from_slice(&[0, 1, 0, 0, 1, 44]);
        self.0.extend_from_slice(&u16::try_from(data.len()).unwrap().to_be_bytes());
        self.0.extend_from_slice(data);
        self
    }

    fn parse(&self) -> Message {
        parse(&self.0)
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    HEXLOWER_PERMISSIVE.decode(hex.replace(' ', "").as_bytes()).unwrap()
}

/// A message as lines: what the snapshots hold.
fn shown(message: &Message) -> String {
    let flags: Vec<&str> = message.flags.iter().map(|flag| flag.as_str()).collect();
    let kind = if message.response { "answer" } else { "query" };
    let mut text = format!(
        "{:#06x} {kind} {} {} [{}]\n",
        message.id,
        message.opcode,
        message.response_code,
        flags.join(" ")
    );
    for question in &message.question {
        writeln!(text, "? {} {} {}", question.name, question.class, question.kind).unwrap();
    }
    let sections = [("!", &message.answer), ("^", &message.authority), ("+", &message.additional)];
    for (sign, records) in sections {
        for record in records {
            let Record { name, kind, class, ttl, data } = record;
            writeln!(text, "{sign} {name} {ttl} {class} {kind} {data}").unwrap();
        }
    }
    if let Some(malformed) = &message.malformed {
        writeln!(text, "malformed: {malformed}").unwrap();
    }
    text
}

/// One record of each type that has fields, by its data in hex; `c00c` points to `Example.NET`.
const EACH_TYPE: &[(u16, &str)] = &[
    (1, "c0000201"),
    (2, "036e7331c00c"),
    (5, "c00c"),
    (6, "c00c 0561646d696ec00c 78495a31 00001c20 00000384 00127500 0000012c"),
    (12, "05686f73743100"),
    (13, "03414d44 074c696e75782036"),
    (14, "c00c 0161c00c"),
    (15, "000a 046d61696cc00c"),
    (16, "0568656c6c6f 00 077361792022612e 02c3a9 015c"),
    (17, "0561646d696ec00c 00"),
    (18, "0001 c00c"),
    (20, "03313530 0130"),
    (24, "0001 05 02 00000e10 5fee6600 5fc6d900 0007 c00c 0102"),
    (25, "0100 03 08 010203"),
    (28, "20010db8000000000000000000000001"),
    (29, "00 12 16 13 8b0d2c8c 7ff8fcf5 00989680"),
    (33, "0001 0002 01bb 0373727600"),
    (35, "0064 000a 0175 07453255 2b736970 00 c00c"),
    (36, "000a c00c"),
    (37, "0001 1234 08 deadbeef"),
    (39, "056f74686572c00c"),
    (42, "0001 18 03 c0a820 0002 20 84 20010db8"),
    (43, "f00d 0d 02 0102030405060708"),
    (44, "04 02 a1b2c3"),
    (46, "0001 0d 02 00000e10 5fee6600 5fc6d900 f00d c00c 0102030405"),
    (47, "0161c00c 0006 400100000003 0101 40"),
    (48, "0101 03 0d 0102030405"),
    (49, "000102"),
    (50, "01 01 000a 02aabb 05 0102030405 0002 6201"),
    (51, "01 00 0000 00"),
    (52, "03 01 01 abcdef"),
    (53, "03 00 00 abcdef"),
    (59, "f00d 0d 02 01"),
    (61, "010203"),
    (62, "00000042 0003 0001 40"),
    (63, "00000001 01 01 aabb"),
    (64, "0001 03737663c00c 0000 0004 0001 0003 0001 0006 0268320268 33"),
    (65, "0001 00 0001 0003 026832 0002 0000 0003 0002 20fb 0004 0008 c0000201c0000202"),
    (65, "0002 c00c 0005 0002 abcd 0006 0010 20010db8000000000000000000000001 029b 0005 68656c6c6f"),
    (99, "03763d31"),
    (104, "000a 0014 4fff ff20 ee64"),
    (105, "000a 0a010200"),
    (107, "000a c00c"),
    (108, "00005e0053 2a"),
    (250, "07686d61632d6d6400 000038eb3e3c 012c 0002 aabb 1234 0000 0000"),
    (256, "000a 0001 68747470733a2f2f782f"),
    (257, "80 05 6973737565 6c65 2e6f7267"),
    (10, "0102"),
    (65_280, "0a000001"),
];

#[test]
fn each_record_type_is_shown_in_presentation_format() {
    let mut wire = Wire::answers(u16::try_from(EACH_TYPE.len()).unwrap());
    for (kind, data) in EACH_TYPE {
        wire = wire.record(*kind, &bytes(data));
    }
    insta::assert_snapshot!(shown(&wire.parse()));
}

#[test]
fn a_query_with_edns_is_read() {
    let wire = Wire::new(0x0120, [1, 0, 0, 1])
        .name("wWw.ExAmPlE.com")
        .raw("001c 0001")
        .raw("00 0029 04d0 00008000 001c 000a0008 0102030405060708 0008 0007 00011800c00002 fde9 0001 ff");
    insta::assert_snapshot!(shown(&wire.parse()));
}

#[test]
fn the_response_code_is_extended_by_the_opt_record() {
    let wire = Wire::new(0x8187, [0, 0, 0, 1]).raw("00 0029 04d0 01000000 0000");
    assert_eq!(wire.parse().response_code, "BADCOOKIE");
    let wire = Wire::new(0x818F, [0, 0, 0, 1]).raw("00 0029 04d0 ff000000 0000");
    assert_eq!(wire.parse().response_code, "RCODE4095");
}

#[test]
fn an_update_has_records_without_data() {
    let wire = Wire::new(0x2800, [1, 1, 2, 0])
        .name("Example.NET")
        .raw("0006 0001")
        .raw("c00c 00ff 00ff 00000000 0000")
        .raw("c00c 0001 00ff 00000000 0000")
        .raw("c00c 0001 00fe 00000000 0004 c0000201");
    insta::assert_snapshot!(shown(&wire.parse()));
}

#[test]
fn numbers_without_a_name_are_shown_as_numbers() {
    let wire = Wire::new(0x3800, [1, 0, 0, 0]).name("").raw("ff00 0bad");
    insta::assert_snapshot!(shown(&wire.parse()));
}

#[test]
fn bytes_with_a_meaning_in_master_files_are_escaped() {
    let wire = Wire::new(0x0100, [1, 0, 0, 0]).raw("09 612e625c20000ae97e 03 225f2d 00 0001 0001");
    assert_eq!(wire.parse().question[0].name, r#"a\.b\\\032\000\010\233~.\"_-"#);
}

#[test]
fn a_record_that_is_wrong_inside_is_kept_as_bytes_and_the_next_is_read() {
    let wire = Wire::answers(3).record(1, &[1, 2, 3, 4, 5]).record(1, &[192, 0, 2, 1]).record(28, &[1]);
    insta::assert_snapshot!(shown(&wire.parse()));
}

#[test]
fn a_field_that_ends_early_or_has_a_wrong_value_is_named() {
    for (kind, data, reason) in [
        (15, "00", "it ends inside a field"),
        (1, "", "it ends inside a field"),
        (16, "", "it ends inside a field"),
        (16, "05 6161", "it ends inside a field"),
        (5, "c00c 00", "1 bytes are left after the last field of the data"),
        (65, "0001 00 0002 0001 00", "no-default-alpn has a value"),
        (47, "00 00 00", "a window of the type bitmap is not 1 to 32 bytes long"),
        (29, "01", "a location of an unknown version"),
        (42, "0003 00 00", "an address prefix of an unknown family or length"),
    ] {
        let message = Wire::answers(1).record(kind, &bytes(data)).parse();
        let expected = Malformed { section: Section::Answer, offset: 29, reason: reason.into() };
        assert_eq!(message.malformed, Some(expected), "type {kind}");
        assert_eq!(message.answer[0].data, text::generic(&bytes(data)));
    }
}

#[test]
fn a_truncated_message_gives_all_that_is_whole() {
    let wire = Wire::answers(2).record(1, &[192, 0, 2, 1]).record(1, &[192, 0, 2, 2]);
    for length in 0..wire.0.len() {
        let message = parse(&wire.0[..length]);
        assert_eq!(message.id, if length < 2 { 0 } else { 0xBEEF });
        assert_eq!(message.question.len(), usize::from(length >= 29), "{length} bytes");
        assert_eq!(message.answer.len(), usize::from(length >= 45), "{length} bytes");
        assert!(message.malformed.is_some());
    }
    let cut = parse(&wire.0[..wire.0.len() - 1]).malformed.unwrap();
    assert_eq!(cut.to_string(), "answer at byte 45: the data goes beyond the message");
}

#[test]
fn pointers_that_lead_nowhere_stop_the_walk_and_keep_what_precedes_them() {
    for pointer in ["c01d", "c02d", "ffff"] {
        let message = Wire::answers(1).raw(pointer).raw("0001 0001 0000012c 0004 c0000201").parse();
        assert_eq!((message.question.len(), message.answer.len()), (1, 0));
        let malformed = message.malformed.unwrap();
        assert_eq!((malformed.section, malformed.offset), (Section::Answer, 29));
    }
}

#[test]
fn a_chain_of_pointers_is_followed_only_so_far() {
    let mut wire = Wire::answers(2);
    let mut data = Vec::new();
    // Each pointer leads to the one before it, the first to the question's name.
    for number in 0..200_u16 {
        let target = if number == 0 { 12 } else { 41 + 2 * (number - 1) };
        data.extend_from_slice(&(0xC000 | target).to_be_bytes());
    }
    wire = wire.record(10, &data);
    let allowed = Wire(wire.0.clone()).raw("c0a7 0001 0001 0000012c 0004 c0000201").parse();
    assert_eq!((allowed.malformed, allowed.answer.len()), (None, 2));
    let refused = wire.raw("c125 0001 0001 0000012c 0004 c0000201").parse().malformed.unwrap();
    assert_eq!(refused.reason, "a name has more than 127 compression pointers");
}

#[test]
fn a_name_of_255_bytes_is_read_and_a_longer_one_refused() {
    let label = "a".repeat(63);
    let longest = [label.as_str(), &label, &label, &"b".repeat(61)].join(".");
    let message = Wire::new(0, [1, 0, 0, 0]).name(&longest).raw("0001 0001").parse();
    assert_eq!((message.question[0].name.as_str(), message.malformed), (longest.as_str(), None));
    let longer = Wire::new(0, [1, 0, 0, 0]).name(&format!("{longest}b")).raw("0001 0001").parse();
    assert!(longer.malformed.is_some());
}

#[test]
fn counts_of_65535_are_read_as_far_as_there_are_bytes() {
    let mut wire = Wire::answers(u16::MAX).record(1, &[192, 0, 2, 1]);
    wire.0[8..12].fill(0xFF);
    let message = wire.parse();
    assert_eq!(message.answer.len(), 1);
    assert_eq!(message.malformed.unwrap().to_string(), "answer at byte 45: it ends inside a field");
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(
        mut message in proptest::collection::vec(
            proptest::prop_oneof![
                proptest::num::u8::ANY,
                proptest::strategy::Just(0),
                proptest::strategy::Just(0xC0),
                0..16_u8,
            ], 0..600),
        kind in 0..270_u16,
    ) {
        let _any = parse(&message);
        if message.len() > 40 {
            message[..12].copy_from_slice(&[0, 1, 0x80, 0, 0, 0, 0, 9, 0, 0, 0, 9]);
            message[12] = 0;
            message[13..15].copy_from_slice(&kind.to_be_bytes());
            message[21..23].copy_from_slice(&[0, 16]);
            let read = parse(&message);
            proptest::prop_assert!(!read.answer.is_empty());
        }
    }
}

#[test]
fn what_is_stepped_over_is_not_kept_and_what_follows_is_read() {
    let mut wire = Wire::answers(3);
    for _ in 0..3 {
        wire = wire.record(1, &[192, 0, 2, 7]);
    }
    let whole = parse(&wire.0);
    let start = parse_start(&wire.0, 1);
    assert_eq!((whole.answer.len(), start.answer.len()), (3, 1));
    assert_eq!((&start.question, &start.malformed), (&whole.question, &None));
    assert_eq!(start.answer[0], whole.answer[0]);
}

#[test]
fn edns_counts_also_where_it_is_stepped_over() {
    let wire =
        Wire::new(0x8180, [0, 0, 0, 2]).raw("00 0010 0001 00000000 0000").raw("00 0029 1000 01 00 8000 0000");
    let start = parse_start(&wire.0, 1);
    assert_eq!((start.additional.len(), &*start.response_code), (1, "BADVERS"));
    assert!(start.flags.contains(&Flag::Do));
}

#[test]
fn a_message_that_ends_where_it_is_stepped_over_is_malformed() {
    let wire = Wire::answers(3).record(1, &[192, 0, 2, 7]).raw("c00c 0001 0001 00000000 0009 c0");
    let start = parse_start(&wire.0, 1);
    let said = start.malformed.unwrap().to_string();
    assert!(said.ends_with("the data goes beyond the message"), "{said}");
}
