//! Input: the bytes of a segment of the spool, whose first record should have number 5.

use namewarden_agent::pipeline::sink::spool::record::{Records, Step, write};

use crate::harness::fuzz;

/// What is read was written, byte by byte, and its numbers rise; the reader comes to the end. Says how many there were.
fn target(input: &[u8]) -> usize {
    let (mut records, mut count, mut expected) = (Records::new(input, 5), 0, 5);
    loop {
        let before = records.position();
        match records.step() {
            Step::Record { record, missing } => {
                assert_eq!(record.sequence, expected + missing);
                expected = record.sequence + 1;
                let id = String::from_utf8_lossy(&input[record.id.clone()]);
                let mut written = Vec::new();
                assert!(write(record.sequence, &id, &input[record.document.clone()], &mut written));
                let at = records.position() - written.len();
                assert!(at >= before);
                // An id that is no text was made by the fuzzer, with a sum to match.
                if id.as_bytes() == &input[record.id.clone()] {
                    assert_eq!(written, input[at..records.position()]);
                }
                count += 1;
            }
            Step::End { left, .. } => {
                assert_eq!(left, input.len() - records.position());
                return count;
            }
        }
    }
}

#[test]
fn only_what_was_written_is_read_from_a_segment() {
    let mut seeds = vec![Vec::new()];
    for lengths in [&[0][..], &[10, 0, 300], &[1, 1, 1, 1, 1, 1, 1, 1]] {
        let mut bytes = Vec::new();
        for (sequence, length) in (5..).zip(lengths) {
            assert!(write(sequence, &format!("id-{sequence}"), &vec![b'{'; *length], &mut bytes));
        }
        seeds.push(bytes);
    }
    let mut found = 0;
    fuzz(&seeds, 20_000, |input| found += target(input));
    assert!(found > 20_000, "{found}");
}
