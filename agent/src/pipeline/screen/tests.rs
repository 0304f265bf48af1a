//! The screen by hand-made messages, against hickory-proto, and under hostile bytes.

use namewarden_protocol::entry::{Entry, Scope, Verdict};
use namewarden_protocol::threat_set::{Builder, FeedInfo, SetKey};
use proptest::prelude::*;

use super::*;

mod against_hickory;

/// A set of the names given, each with what is below it; a leading `=` means the name alone.
pub(super) fn set(names: &[&str]) -> ThreatSet {
    let mut builder = Builder::new(SetKey([7; 16]), 1, 1);
    let feed = FeedInfo { name: "test".into(), description: "".into(), severity: 75, techniques: [].into() };
    let feed = builder.feed(feed).unwrap();
    for name in names {
        let scope = if name.starts_with('=') { Scope::Exact } else { Scope::Both };
        let name = name.trim_start_matches('=');
        builder.add(feed, &Entry { name, scope, verdict: Verdict::Listed, line: 1 });
    }
    builder.build().unwrap()
}

/// A message in the making.
#[derive(Default)]
struct Wire {
    bytes: Vec<u8>,
}

const A: u16 = 1;
const CNAME: u16 = 5;

impl Wire {
    fn new(counts: [u16; 4]) -> Self {
        let mut bytes = vec![0x12, 0x34, 1, 0];
        for count in counts {
            bytes.extend(count.to_be_bytes());
        }
        Self { bytes }
    }

    fn name(mut self, name: &str) -> Self {
        for label in name.split('.').filter(|label| !label.is_empty()) {
            self.bytes.push(u8::try_from(label.len()).unwrap());
            self.bytes.extend(label.as_bytes());
        }
        self.bytes.push(0);
        self
    }

    fn label(self, label: &str) -> Self {
        let mut wire = self.name(label);
        wire.bytes.pop();
        wire
    }

    fn pointer(self, to: usize) -> Self {
        self.word(0xc000 | u16::try_from(to).unwrap())
    }

    fn word(mut self, word: u16) -> Self {
        self.bytes.extend(word.to_be_bytes());
        self
    }

    /// What follows a question's name.
    fn asked(self, kind: u16) -> Self {
        self.word(kind).word(1)
    }

    /// What follows an owner's name; the data's length is that of `data`'s bytes.
    fn record(self, kind: u16, data: impl FnOnce(Self) -> Self) -> Self {
        let mut wire = self.word(kind).word(1).word(0).word(60).word(0);
        let start = wire.bytes.len();
        wire = data(wire);
        let length = u16::try_from(wire.bytes.len() - start).unwrap();
        wire.bytes[start - 2..start].copy_from_slice(&length.to_be_bytes());
        wire
    }

    fn address(self) -> Self {
        self.record(A, |data| data.word(0x7f00).word(1))
    }
}

fn places(wire: &Wire, set: &ThreatSet) -> Vec<(Section, Part, u16)> {
    let mut screen = Screen::new();
    let screened = screen.candidates(&wire.bytes, set);
    assert_eq!(screened.malformed, None);
    let place = |candidate: &Candidate| candidate.place;
    screened.candidates.iter().map(place).map(|place| (place.section, place.part, place.rr_type)).collect()
}

fn malformed(wire: &Wire, set: &ThreatSet) -> (usize, Option<Malformed>) {
    let mut screen = Screen::new();
    let screened = screen.candidates(&wire.bytes, set);
    (screened.candidates.len(), screened.malformed)
}

#[test]
fn listed_question_is_a_candidate_in_any_case() {
    let wire = Wire::new([1, 0, 0, 0]).name("wWw.EvIl.ExAmPlE").asked(28);
    assert_eq!(places(&wire, &set(&["evil.example"])), [(Section::Question, Part::Owner, 28)]);
    assert_eq!(places(&wire, &set(&["other.example"])), []);
}

#[test]
fn exact_entry_hits_the_whole_name_only() {
    let wire = Wire::new([1, 0, 0, 0]).name("www.evil.example").asked(A);
    assert_eq!(places(&wire, &set(&["=evil.example"])), []);
    assert_eq!(places(&wire, &set(&["=www.evil.example"])), [(Section::Question, Part::Owner, A)]);
}

#[test]
fn listed_third_cname_is_found_where_it_stands() {
    let wire = Wire::new([1, 3, 0, 0]).name("shop.example").asked(A);
    let wire = wire.pointer(12).record(CNAME, |data| data.name("one.example"));
    let wire = wire.name("one.example").record(CNAME, |data| data.name("two.example"));
    let wire = wire.name("two.example").record(CNAME, |data| data.label("track").label("evil").pointer(17));
    assert_eq!(places(&wire, &set(&["evil.example"])), [(Section::Answer, Part::Data, CNAME)]);
}

#[test]
fn name_that_is_only_a_pointer_is_one_candidate_at_its_first_place() {
    let wire = Wire::new([1, 2, 0, 0]).name("evil.example").asked(A);
    let wire = wire.pointer(12).address().pointer(12).address();
    assert_eq!(places(&wire, &set(&["evil.example"])), [(Section::Question, Part::Owner, A)]);
    assert_eq!(places(&wire, &set(&["=evil.example"])), [(Section::Question, Part::Owner, A)]);
}

#[test]
fn suffix_reached_by_a_pointer_gives_its_hit_to_the_name() {
    let wire = Wire::new([1, 1, 0, 0]).name("evil.example").asked(A).label("below").pointer(12).address();
    let found = places(&wire, &set(&["evil.example"]));
    assert_eq!(found, [(Section::Question, Part::Owner, A), (Section::Answer, Part::Owner, A)]);
}

#[test]
fn pointer_into_a_name_asks_for_its_end_as_a_whole_name() {
    let wire = Wire::new([1, 1, 0, 0]).name("www.evil.example").asked(A).pointer(16).address();
    assert_eq!(places(&wire, &set(&["=evil.example"])), [(Section::Answer, Part::Owner, A)]);
}

#[test]
fn every_supported_type_is_looked_into() {
    let two_names: [u16; 4] = [6, 14, 17, 58];
    for kind in (0..=300).filter(|kind| data::fields(*kind).is_some()) {
        let fill = |wire: Wire| match kind {
            15 | 18 | 21 | 26 | 36 | 64 | 65 | 107 => wire.word(1),
            33 => wire.word(1).word(2).word(3),
            35 => wire.word(1).word(2).label("s").label("sip").label("regexp"),
            _ => wire,
        };
        let first = Wire::new([0, 0, 0, 1])
            .name("o.example")
            .record(kind, |data| fill(data).name("evil.example").name("fine.example"));
        assert_eq!(
            places(&first, &set(&["evil.example"])),
            [(Section::Additional, Part::Data, kind)],
            "{kind}"
        );
        if two_names.contains(&kind) || kind == 26 {
            let second = Wire::new([0, 0, 1, 0])
                .name("o.example")
                .record(kind, |data| fill(data).name("fine.example").name("evil.example"));
            assert_eq!(
                places(&second, &set(&["evil.example"])),
                [(Section::Authority, Part::Data, kind)],
                "{kind}"
            );
        }
    }
}

#[test]
fn data_of_other_types_is_not_read_as_names() {
    for kind in [1, 16, 28, 41, 46, 47, 250] {
        let wire = Wire::new([0, 1, 0, 0]).name("o.example").record(kind, |data| data.name("evil.example"));
        assert_eq!(places(&wire, &set(&["evil.example"])), [], "{kind}");
    }
}

#[test]
fn update_with_empty_data_is_whole() {
    let mut wire = Wire::new([1, 0, 2, 0]).name("example").asked(6);
    wire.bytes[2] = 5 << 3;
    let wire = wire.name("gone.example").record(CNAME, |data| data);
    let wire = wire.name("new.example").record(CNAME, |data| data.name("evil.example"));
    assert_eq!(places(&wire, &set(&["evil.example"])), [(Section::Authority, Part::Data, CNAME)]);
}

#[test]
fn literal_dot_in_a_label_parts_nothing() {
    let mut wire = Wire::new([1, 0, 0, 0]);
    wire.bytes.extend(b"\x0cevil.example\0");
    assert_eq!(places(&wire.asked(A), &set(&["evil.example", "example"])), []);
}

#[test]
fn names_behind_a_damaged_one_are_screened() {
    let wire = Wire::new([1, 2, 0, 0]).name("o.example").asked(A);
    let at = wire.bytes.len();
    let wire = wire.pointer(at).address().name("evil.example").address();
    let fault = NameFault::Forward { at, target: at };
    let expected = (1, Some(Malformed::Name { offset: at, fault }));
    assert_eq!(malformed(&wire, &set(&["evil.example"])), expected);
}

#[test]
fn forward_pointer_is_a_fault() {
    let wire = Wire::new([1, 0, 0, 0]).label("a").pointer(40).asked(A);
    let fault = NameFault::Forward { at: 14, target: 40 };
    assert_eq!(malformed(&wire, &set(&[])).1, Some(Malformed::Name { offset: 12, fault }));
}

#[test]
fn pointers_that_go_round_are_a_fault() {
    let wire = Wire::new([1, 1, 0, 0]).label("a").pointer(12).asked(A).pointer(12).address();
    assert_eq!(malformed(&wire, &set(&[])).1, Some(Malformed::Name { offset: 12, fault: NameFault::Loop }));
}

#[test]
fn name_of_255_bytes_is_one_and_of_256_is_not() {
    let name = |last: usize| format!("{}{}.evil.example", "a23456789.".repeat(23), "b".repeat(last));
    let longest = Wire::new([1, 0, 0, 0]).name(&name(10)).asked(A);
    assert_eq!(longest.bytes.len() - 16, 255);
    assert_eq!(malformed(&longest, &set(&["evil.example"])), (1, None));
    let too_long = Wire::new([1, 0, 0, 0]).name(&name(11)).asked(A);
    let fault = Malformed::Name { offset: 12, fault: NameFault::TooLong };
    assert_eq!(malformed(&too_long, &set(&["evil.example"])), (0, Some(fault)));
}

#[test]
fn name_of_a_few_bytes_before_a_pointer_to_a_long_one_is_too_long() {
    let long = "a23456789.".repeat(24);
    let wire = Wire::new([1, 1, 0, 0]).name(&long).asked(A).label("fourteen-bytes").pointer(12).address();
    let fault = Malformed::Name { offset: 12 + 245, fault: NameFault::TooLong };
    assert_eq!(malformed(&wire, &set(&[])).1, Some(fault));
}

#[test]
fn counts_of_65535_end_with_the_message() {
    let wire = Wire::new([u16::MAX; 4]).name("evil.example").asked(A).name("a.example").asked(A);
    let length = wire.bytes.len();
    let fault = Malformed::Truncated { section: Section::Question, index: 2, length };
    // The name beyond the end is damaged first.
    let (found, first) = malformed(&wire, &set(&["evil.example"]));
    assert_eq!(found, 1);
    let at_end = Malformed::Name { offset: length, fault: NameFault::Truncated };
    assert!(first == Some(fault) || first == Some(at_end), "{first:?}");
}

#[test]
fn cut_message_is_screened_up_to_the_cut() {
    let whole = Wire::new([1, 1, 0, 0]).name("evil.example").asked(A).name("bad.example").address();
    let set = set(&["evil.example", "bad.example"]);
    let after_question = 12 + 14;
    for cut in 0..whole.bytes.len() {
        let wire = Wire { bytes: whole.bytes[..cut].to_vec() };
        let (found, fault) = malformed(&wire, &set);
        assert!(fault.is_some(), "{cut}");
        assert_eq!(
            found,
            usize::from(cut >= after_question) + usize::from(cut >= after_question + 4 + 13),
            "{cut}"
        );
    }
}

#[test]
fn data_that_ends_within_a_name_is_a_fault_and_the_next_record_is_read() {
    let mut wire = Wire::new([0, 2, 0, 0]).name("o.example").record(CNAME, |data| data.name("a.example"));
    let data_length = 12 + 11 + 8;
    wire.bytes[data_length + 1] -= 1;
    wire.bytes.pop();
    let wire = wire.name("evil.example").address();
    let fault = Malformed::Data { rr_type: CNAME, offset: data_length + 2 };
    assert_eq!(malformed(&wire, &set(&["evil.example"])), (1, Some(fault)));
}

#[test]
fn message_without_header_is_a_fault() {
    let wire = Wire { bytes: vec![0; 11] };
    assert_eq!(malformed(&wire, &set(&[])), (0, Some(Malformed::Header { length: 11 })));
}

#[test]
fn message_longer_than_any_can_be_is_screened_to_its_limit() {
    let mut wire = Wire::new([1, 0, 0, 0]).name("evil.example").asked(A);
    wire.bytes.resize(70_000, 0);
    assert_eq!(malformed(&wire, &set(&["evil.example"])), (1, Some(Malformed::TooLong { length: 70_000 })));
}

#[test]
fn five_thousand_pointers_to_one_long_name_hash_it_once() {
    let mut wire = Wire::new([1, 4000, 0, 0]).name(&"a.".repeat(127)).asked(A);
    for _ in 0..4000 {
        wire = wire.pointer(12).address();
    }
    let mut screen = Screen::new();
    assert_eq!(screen.candidates(&wire.bytes, &set(&[])).malformed, None);
    assert_eq!((screen.counts().names, screen.counts().labels), (4001, 127));
}

#[test]
fn names_below_one_long_name_hash_their_own_labels_only() {
    let mut wire = Wire::new([1, 3000, 0, 0]).name(&"a.".repeat(120)).asked(A);
    for _ in 0..3000 {
        wire = wire.label("x").pointer(12).address();
    }
    let mut screen = Screen::new();
    screen.candidates(&wire.bytes, &set(&[]));
    assert_eq!(screen.counts().labels, 120 + 3000);
}

#[test]
fn labels_that_lead_from_record_to_record_are_stepped_over_once() {
    let mut wire = Wire::new([0, u16::MAX, 0, 0]);
    while wire.bytes.len() + 12 <= MESSAGE_MAX {
        wire = wire.name("").record(CNAME, |mut data| {
            data.bytes.push(11);
            data
        });
    }
    assert_linear(&wire);
}

#[test]
fn labels_beyond_what_is_remembered_are_not_stepped_over_for_each_pointer() {
    let mut wire = Wire::new([0, 64, 0, 0]).name("").record(10, |mut data| {
        data.bytes.resize(60_000, 1);
        // Each of the last offsets that a pointer can say leads to the first beyond.
        for label in 1..=63 {
            data.bytes[(1 << 14) - 1 - usize::from(label)] = label;
        }
        data
    });
    for label in 1..=63 {
        wire = wire.pointer((1 << 14) - 1 - label).address();
    }
    assert_linear(&wire);
}

/// Each label and pointer costs a byte at least: a walk that steps more often than there are bytes went twice.
fn assert_linear(wire: &Wire) {
    let mut screen = Screen::new();
    screen.candidates(&wire.bytes, &set(&["evil.example"]));
    let (steps, bytes) = (screen.names.steps(), wire.bytes.len() as u64);
    assert!(steps > 0 && steps <= bytes, "{steps} steps in {bytes} bytes");
}

#[test]
fn name_that_ran_out_of_its_record_does_not_hide_the_one_that_points_there() {
    let wire = Wire::new([0, 3, 0, 0]).name("").record(CNAME, |data| data.label("evil"));
    let begin = wire.bytes.len() - 5;
    let wire = wire.name("example").address().pointer(begin).address();
    let fault = Malformed::Data { rr_type: CNAME, offset: begin };
    assert_eq!(malformed(&wire, &set(&["evil.example"])), (1, Some(fault)));
}

#[test]
fn candidates_beyond_the_limit_are_counted() {
    let mut wire = Wire::new([1, 1000, 0, 0]).name("evil.example").asked(A);
    for _ in 0..1000 {
        wire = wire.label("x").pointer(12).address();
    }
    let mut screen = Screen::new();
    assert_eq!(screen.candidates(&wire.bytes, &set(&["evil.example"])).candidates.len(), CANDIDATES_MAX);
    assert_eq!((screen.counts().candidates, screen.counts().candidates_dropped), (1001, 1001 - 256));
}

#[test]
fn nothing_is_remembered_from_one_message_to_the_next() {
    let set = set(&["evil.example"]);
    let mut screen = Screen::new();
    let evil = Wire::new([1, 0, 0, 0]).name("evil.example").asked(A);
    let fine = Wire::new([1, 1, 0, 0]).name("fine.example").asked(A).pointer(12).address();
    for _ in 0..3 {
        assert_eq!(screen.candidates(&evil.bytes, &set).candidates.len(), 1);
        assert_eq!(screen.candidates(&fine.bytes, &set).candidates.len(), 0);
    }
    assert_eq!(
        screen.counts(),
        ScreenCounts { messages: 6, hits: 3, names: 9, labels: 12, candidates: 3, ..ScreenCounts::default() }
    );
}

#[test]
fn top_level_hit_of_one_set_is_not_taken_for_another() {
    let wire = Wire::new([1, 0, 0, 0]).name("www.evil").asked(A);
    let mut screen = Screen::new();
    for _ in 0..2 {
        assert_eq!(screen.candidates(&wire.bytes, &set(&["evil"])).candidates.len(), 1);
        assert_eq!(screen.candidates(&wire.bytes, &set(&["other"])).candidates.len(), 0);
    }
}

#[test]
fn top_level_labels_that_begin_alike_are_told_apart() {
    let set = set(&["a", "toolongtobekept"]);
    let mut screen = Screen::new();
    for (name, hits) in
        [("x.a", 1), ("x.ab", 0), ("x.A", 1), ("x.toolongtobekept", 1), ("x.toolongtobekepu", 0)]
    {
        for _ in 0..2 {
            let wire = Wire::new([1, 0, 0, 0]).name(name).asked(A);
            assert_eq!(screen.candidates(&wire.bytes, &set).candidates.len(), hits, "{name}");
        }
    }
}

/// Bytes that look like names and pointers to names.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![Just(0), Just(1), Just(2), Just(3), Just(63), Just(0xc0), 12..=60u8, any::<u8>()];
    (any::<[u8; 4]>(), prop::collection::vec(byte, 0..3000)).prop_map(|(counts, body)| {
        let mut bytes = vec![0; 4];
        for count in counts {
            bytes.extend([0, count]);
        }
        bytes.extend(body);
        bytes
    })
}

proptest! {
    #[test]
    fn hostile_bytes_are_screened_in_linear_work(bytes in hostile()) {
        let mut screen = Screen::new();
        screen.candidates(&bytes, &set(&["evil.example"]));
        // Each byte begins at most one label of a walk and one of a pointer's.
        prop_assert!(screen.counts().labels <= 2 * bytes.len() as u64);
    }

    #[test]
    fn random_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        Screen::new().candidates(&bytes, &set(&["evil.example"]));
    }
}
