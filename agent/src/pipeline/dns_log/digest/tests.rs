use super::*;
use crate::pipeline::exchange::samples::wire::{A, Answer, CNAME, OPT, Record, name};
use crate::pipeline::exchange::samples::{answer, at, unread, unread_answer, workload};

const ASKED: &str = "www.example";

fn exchange(change: impl FnOnce(&mut Answer)) -> UnreadExchange {
    unread_answer(workload('a'), at(0), 1, ASKED, change)
}

fn of_bytes(bytes: Vec<u8>) -> UnreadExchange {
    unread(answer(workload('a'), at(0), 1, ASKED), bytes)
}

/// Whether a change of the answer leaves its digest as it is.
fn is_equal(change: impl FnOnce(&mut Answer)) -> bool {
    let digests = Digests::default();
    let (one, other) = (digests.of(&exchange(|_| ())), digests.of(&exchange(change)));
    assert!(one.is_some() && other.is_some());
    one == other
}

/// An OPT record with these options, after the fashion of RFC 6891.
fn options(data: &[u8]) -> Record {
    Record { ttl: 0, ..Record::new("", OPT, data) }
}

#[test]
fn id_times_to_live_order_and_case_make_no_difference() {
    let digests = Digests::default();
    let of = |id, asked: &str| digests.of(&of_bytes(Answer::of(asked).bytes(id, asked)));
    assert_eq!(of(1, "www.example"), of(99, "wWw.eXample"));
    assert!(is_equal(|said| said.answers.reverse()));
    assert!(is_equal(|said| said.answers[1].ttl = 1));
    assert!(is_equal(|said| said.answers[0].data = name("EDGE.example.net")));
}

#[test]
fn whatever_else_differs_does() {
    assert!(!is_equal(|said| said.code = 3));
    assert!(!is_equal(|said| drop(said.answers.pop())));
    assert!(!is_equal(|said| said.answers[0].kind = 2));
    // Of an address no byte is a letter's.
    assert!(!is_equal(|said| said.answers[1].data = vec![203, 0, 113, 8]));
    let letter = |byte| Digests { keys: [1, 2] }.of(&exchange(|said| said.answers[1].data[3] = byte));
    assert_ne!(letter(b'a'), letter(b'A'));
    assert!(!is_equal(|said| said.additionals = said.answers.split_off(1)));
    assert!(!is_equal(|said| said.answers.extend(said.answers.clone())));
}

#[test]
fn whose_it_is_and_where_it_went_make_a_difference() {
    let digests = Digests::default();
    let of = |change: fn(&mut UnreadExchange)| {
        let mut exchange = exchange(|_| ());
        change(&mut exchange);
        digests.of(&exchange)
    };
    let one = of(|_| ());
    assert_eq!(one, of(|exchange| (exchange.time, exchange.socket) = (at(7), 1)));
    assert_ne!(one, of(|exchange| exchange.attributed.workload = workload('b')));
    assert_ne!(one, of(|exchange| exchange.server = "10.96.0.11:53".parse().unwrap()));
    assert_ne!(one, of(|exchange| exchange.client = "10.1.0.8:40000".parse().unwrap()));
    assert_ne!(one, of(|exchange| exchange.transport = Transport::Tcp));
    assert_ne!(one, of(|exchange| exchange.server_side = true));
    assert_ne!(
        one,
        of(|exchange| exchange.query = crate::pipeline::exchange::samples::wire::query(1, ASKED).into())
    );
}

#[test]
fn options_make_no_difference_and_the_extended_response_code_does() {
    let digests = Digests::default();
    let of = |record: Record| digests.of(&exchange(|said| said.additionals = vec![record]));
    let cookie = |byte| options(&[[0, 10, 0, 8].as_slice(), &[byte; 8]].concat());
    assert!(of(cookie(1)).is_some());
    assert_eq!(of(cookie(1)), of(cookie(2)));
    assert_ne!(of(options(&[])), of(Record { ttl: 1 << 24, ..options(&[]) }), "BADVERS");
    assert_eq!(of(options(&[0, 10, 0, 8, 1])), None, "options that end early are an error");
    let two = |said: &mut Answer| said.additionals = vec![options(&[]), options(&[])];
    assert_eq!(digests.of(&exchange(two)), None, "which one counts depends on their order");
}

#[test]
fn a_name_is_what_its_pointers_lead_to() {
    let digests = Digests::default();
    // The question's name stands at byte 12.
    let pointed = |said: &mut Answer| said.answers[0].owner = vec![0xC0, 12];
    assert_eq!(digests.of(&exchange(pointed)), digests.of(&exchange(|_| ())));
    // Into the identifier and into a time to live, which make no difference by themselves.
    for at in [0, 1, 40] {
        let into = |id, ttl| {
            let mut said = Answer::of(ASKED);
            said.answers.push(Record { owner: vec![0xC0, at], ..Record::new("", A, &[1, 2, 3, 4]) });
            said.answers[0].ttl = ttl;
            let unread = of_bytes(said.bytes(id, ASKED));
            (digests.of(&unread), unread.read().dns.answers)
        };
        let ((one, read_one), (other, read_other)) = (into(0x0161, 0x0161_0000), into(0x0162, 0x0162_0000));
        let plain = |records: Vec<namewarden_protocol::document::ResourceRecord>| {
            records.into_iter().map(|record| (record.name, record.data)).collect::<Vec<_>>()
        };
        let is_equal = plain(read_one) == plain(read_other);
        assert!(one.is_none() || other.is_none() || (one == other) == is_equal, "{at}");
    }
    let forward = |said: &mut Answer| said.answers[0].owner = vec![0xC0, 200];
    assert_eq!(digests.of(&exchange(forward)), None);
}

#[test]
fn what_cannot_be_read_or_is_rare_has_none() {
    let digests = Digests::default();
    let whole = Answer::of(ASKED).bytes(1, ASKED);
    for end in 0..whole.len() {
        assert_eq!(digests.of(&of_bytes(whole[..end].to_vec())).filter(|_| end > 0), None, "{end}");
    }
    assert_eq!(digests.of(&exchange(|said| said.answers[0].kind = 35)), None, "NAPTR");
    let many = |said: &mut Answer| said.answers = vec![said.answers[1].clone(); 65];
    assert_eq!(digests.of(&exchange(many)), None, "which are kept depends on their order");
}

/// Records that hold the traps: letters, and pointers to whatever makes no difference by itself.
fn any_record() -> impl proptest::strategy::Strategy<Value = Record> {
    use proptest::prelude::*;
    let owner = prop_oneof![
        Just(name("a.example")),
        (0_u8..90).prop_map(|at| vec![0xC0, at]),
        (0_u8..90).prop_map(|at| vec![1, b'a', 0xC0, at]),
    ];
    let data = prop_oneof![
        Just(vec![b'a', 1, 2, 3]),
        Just(name("b.example")),
        (0_u8..90).prop_map(|at| vec![0xC0, at]),
        (0_u8..90).prop_map(|at| vec![0, 1, 1, b'b', 0xC0, at]),
        proptest::collection::vec(0_u8..4, 0..6),
    ];
    let kind = prop_oneof![Just(A), Just(CNAME), Just(6), Just(15), Just(16), Just(OPT), Just(999)];
    (owner, kind, data).prop_map(|(owner, kind, data)| Record { owner, kind, ttl: 0, data })
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(2_000))]
    #[test]
    fn exchanges_of_one_digest_read_alike(
        records in proptest::collection::vec(any_record(), 0..4),
        ids in proptest::array::uniform2(0_u16..0x200),
        ttls in proptest::array::uniform2(proptest::collection::vec(0x0140_0000_u32..0x0162_0000, 4)),
        turned in proptest::bool::ANY,
    ) {
        let digests = Digests::default();
        let of = |which: usize, asked: &str| {
            let mut answers = records.clone();
            answers.iter_mut().zip(&ttls[which]).for_each(|(record, ttl)| record.ttl = *ttl);
            if turned && which == 1 {
                answers.reverse();
            }
            let said = Answer { answers, ..Answer::of(asked) };
            of_bytes(said.bytes(ids[which], asked))
        };
        let (one, other) = (of(0, "a.example"), of(1, "A.example"));
        if let (Some(digest), Some(same)) = (digests.of(&one), digests.of(&other)) && digest == same {
            let plain = |unread: &UnreadExchange| {
                let read = unread.read();
                (super::super::counted::comparable(read.dns), read.malformed.is_some())
            };
            assert_eq!(plain(&one), plain(&other));
        }
    }
}

#[test]
fn a_name_that_runs_into_the_place_it_was_followed_from_is_read() {
    // A question without a name, and a record whose owner is a pointer to the octet before it: a label of 5, over the pointer.
    let mut bytes = vec![0, 1, 0x81, 0x80, 0, 1, 0, 2, 0, 0, 0, 0, 0, 0, 1, 0, 1];
    bytes.extend([0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 1, 2, 3, 5]);
    let at = u8::try_from(bytes.len() - 1).unwrap();
    bytes.extend([0xC0, at, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 1, 2, 3, 4]);
    assert_eq!(Digests::default().of(&of_bytes(bytes.clone())), None);
    // The same with a pointer to a root before it has one.
    let low = bytes.len() - 15;
    bytes[low] = 12;
    assert!(Digests::default().of(&of_bytes(bytes)).is_some());
}
