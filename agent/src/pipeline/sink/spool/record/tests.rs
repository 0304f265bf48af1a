use proptest::prelude::*;

use super::*;

fn segment(documents: &[Vec<u8>]) -> (Vec<u8>, Vec<usize>) {
    let (mut bytes, mut ends) = (Vec::new(), Vec::new());
    for (number, document) in (7..).zip(documents) {
        assert!(write(number, &format!("id-{number}"), document, &mut bytes));
        ends.push(bytes.len());
    }
    (bytes, ends)
}

/// Number and document of every record, how many are missing before one, and how it ended.
fn read_all(bytes: &[u8]) -> (Vec<(u64, Vec<u8>)>, u64, Step) {
    let (mut reader, mut found, mut missing) = (Records::new(bytes, 7), Vec::new(), 0);
    loop {
        match reader.step() {
            Step::Record { record, missing: before } => {
                assert_eq!(&bytes[record.id], format!("id-{}", record.sequence).as_bytes());
                found.push((record.sequence, bytes[record.document].to_vec()));
                missing += before;
            }
            end @ Step::End { .. } => return (found, missing, end),
        }
    }
}

fn documents() -> impl Strategy<Value = Vec<Vec<u8>>> {
    prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 1..12)
}

fn numbered(documents: &[Vec<u8>]) -> Vec<(u64, Vec<u8>)> {
    (7..).zip(documents.iter().cloned()).collect()
}

#[test]
fn what_is_written_is_read() {
    let documents = [b"{}".to_vec(), Vec::new(), vec![0; 3]];
    let (bytes, _) = segment(&documents);
    let (found, missing, end) = read_all(&bytes);
    assert_eq!((found, missing), (numbered(&documents), 0));
    assert_eq!(end, Step::End { left: 0, unfinished: true });
}

#[test]
fn zeros_that_a_crash_left_are_no_damage() {
    let (mut bytes, _) = segment(&[b"{}".to_vec()]);
    bytes.extend([0; 4096]);
    assert_eq!(read_all(&bytes).2, Step::End { left: 4096, unfinished: true });
}

#[test]
fn a_record_too_long_is_not_written() {
    let mut bytes = Vec::new();
    assert!(!write(1, &"i".repeat(70_000), b"{}", &mut bytes));
    assert!(!write(1, "i", &vec![b'x'; PAYLOAD_MAX], &mut bytes));
    assert_eq!(bytes, b"");
}

#[test]
fn a_record_of_another_time_is_not_taken() {
    let mut bytes = Vec::new();
    write(3, "id-3", b"{}", &mut bytes);
    write(u64::MAX, "id-1", b"{}", &mut bytes);
    write(8, "id-8", b"{}", &mut bytes);
    let (found, missing, _) = read_all(&bytes);
    assert_eq!((found, missing), (vec![(8, b"{}".to_vec())], 1));
}

proptest! {
    #[test]
    fn cut_at_any_byte_the_whole_records_before_are_read_and_nothing_else(
        documents in documents(), cut in any::<prop::sample::Index>(),
    ) {
        let (bytes, ends) = segment(&documents);
        let cut = cut.index(bytes.len() + 1);
        let whole = ends.iter().filter(|end| **end <= cut).count();
        let (found, missing, end) = read_all(&bytes[..cut]);
        prop_assert_eq!(found, numbered(&documents[..whole]));
        prop_assert_eq!(missing, 0);
        let is_torn = matches!(end, Step::End { unfinished: true, .. });
        prop_assert!(is_torn);
    }

    #[test]
    fn a_damaged_byte_costs_one_record_which_is_counted(
        documents in documents(), place in any::<prop::sample::Index>(), flip in 1u8..,
    ) {
        let (mut bytes, ends) = segment(&documents);
        let place = place.index(bytes.len());
        bytes[place] ^= flip;
        let hit = ends.iter().filter(|end| **end <= place).count();
        let mut kept = numbered(&documents);
        kept.remove(hit);
        let (found, missing, _) = read_all(&bytes);
        prop_assert_eq!(&found, &kept);
        // Behind the last one nothing says how many there were.
        prop_assert_eq!(missing, u64::from(hit + 1 < documents.len()));
    }
}
