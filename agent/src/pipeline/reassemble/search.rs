//! Bytes of a stream joined in its middle -> where a message may start.
//!
//! Every byte is a candidate, for a segment may hold the end of one message and the start of the next. A candidate must
//! look like a length prefix and a header, and is believed when what follows its message does so too, or when its message
//! ends where the segment does. Each byte is looked at once, and the labels behind it as far as the effort goes.

use super::fit::{self, Effort, Fit, PREFIX};

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Boundary {
    /// A message starts here; its end bears it out.
    Found(usize),
    /// A message may start here; its end is not there yet.
    Open(usize),
    /// Too few bytes to tell from here on; or none at all, where it is the end.
    Rest(usize),
}

/// Looks for the start of a message; a segment starts at `seam`, and so does a message more often than anywhere else.
pub(super) fn boundary(bytes: &[u8], seam: usize, effort: &mut Effort) -> Boundary {
    let mut open = None;
    let mut rest = bytes.len();
    for at in 0..bytes.len() {
        let from = bytes.get(at..).unwrap_or_default();
        match fit::starts_message(from, effort) {
            Fit::No => {}
            Fit::More => rest = rest.min(at),
            Fit::Yes => match ends_well(from, effort) {
                Fit::Yes => return Boundary::Found(at),
                Fit::No => {}
                Fit::More if at == seam => open = Some(at),
                Fit::More => open = open.or(Some(at)),
            },
        }
    }
    open.map_or(Boundary::Rest(rest), Boundary::Open)
}

/// Whether what follows the message at the start of the bytes is another one, or nothing: `More` where its end is not
/// there yet.
fn ends_well(bytes: &[u8], effort: &mut Effort) -> Fit {
    let end = fit::prefix(bytes).map_or(usize::MAX, |length| PREFIX + length);
    match bytes.get(end..) {
        None => Fit::More,
        Some(after) => follows(after, effort),
    }
}

/// Whether these bytes of a segment can follow a message.
pub(super) fn follows(after: &[u8], effort: &mut Effort) -> Fit {
    if after.is_empty() || fit::starts_message(after, effort) != Fit::No { Fit::Yes } else { Fit::No }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUERY: &[u8] = b"\x00\x13\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x00\x00\x01\x00\x01";

    fn find(bytes: &[u8]) -> Boundary {
        boundary(bytes, 0, &mut Effort::of(bytes.len()))
    }

    #[test]
    fn a_message_that_ends_with_the_segment_is_found_behind_the_end_of_another() {
        assert_eq!(find(&[b"end of another", QUERY].concat()), Boundary::Found(14));
    }

    #[test]
    fn a_message_is_believed_when_another_follows() {
        assert_eq!(find(&[b"end", QUERY, QUERY.split_at(15).0].concat()), Boundary::Found(3));
        assert!(matches!(find(&[b"end", QUERY, b"no message at all"].concat()), Boundary::Rest(_)));
    }

    #[test]
    fn a_message_that_goes_on_is_open_once_its_first_name_is_there() {
        let long = [b"\x00\xff".as_slice(), &QUERY[2..]].concat();
        assert_eq!(find(&[b"end of another", long.as_slice()].concat()), Boundary::Open(14));
        assert_eq!(find(&[b"end of another", QUERY.split_at(18).0].concat()), Boundary::Rest(14));
    }

    #[test]
    fn of_two_that_go_on_the_one_at_the_segments_start_counts() {
        let long = [b"\x00\xff".as_slice(), &QUERY[2..]].concat();
        let bytes = [long.as_slice(), &long].concat();
        assert_eq!(boundary(&bytes, 0, &mut Effort::of(99)), Boundary::Open(0));
        assert_eq!(boundary(&bytes, 21, &mut Effort::of(99)), Boundary::Open(21));
    }

    #[test]
    fn the_start_of_a_header_or_of_a_name_is_the_rest() {
        assert_eq!(find(&[&[0; 20], QUERY.split_at(9).0].concat()), Boundary::Rest(20));
    }

    #[test]
    fn what_is_looked_at_is_bounded_by_the_bytes() {
        // Headers that overlap, each with the shortest labels behind it.
        let hostile = [0, 30, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1].repeat(4_000);
        let mut effort = Effort::none();
        assert!(matches!(boundary(&[QUERY, &hostile].concat(), 0, &mut effort), Boundary::Rest(_)));
        assert!(
            matches!(boundary(QUERY, 0, &mut effort), Boundary::Rest(_)),
            "without effort nothing is found"
        );
        assert_eq!(find(QUERY), Boundary::Found(0));
    }
}
