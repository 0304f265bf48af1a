//! Whether bytes of a TCP stream can be a DNS message: length prefix, header, first question.
//!
//! Used to find the start of a message in a stream that was joined in its middle, and to tell a stream that is not DNS.

/// Bytes of the length prefix (RFC 1035 section 4.2.2).
pub(super) const PREFIX: usize = 2;
/// Bytes of a message's header (RFC 1035 section 4.1.1).
pub(super) const HEADER: usize = 12;
/// The shortest question: root name, type, class.
const QUESTION_MIN: usize = 5;
/// The shortest record: root name, type, class, TTL, no data.
const RECORD_MIN: usize = 11;

/// Whether the bytes from here on start a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// Prefix and header are there and make sense.
    Yes,
    /// They cannot be the start of a message.
    No,
    /// Nothing speaks against it, but the header is not all there.
    More,
}

/// Length prefix of a message, when both bytes are there.
pub(super) fn prefix(bytes: &[u8]) -> Option<usize> {
    let (length, _) = bytes.split_first_chunk::<PREFIX>()?;
    Some(usize::from(u16::from_be_bytes(*length)))
}

/// Whether a header makes sense for a message of its length: a known opcode, and room for what it counts.
pub(super) fn header_fits(message: &[u8]) -> bool {
    fits_within(message, message.len())
}

/// The same for a message of which only the start may be there.
fn fits_within(message: &[u8], length: usize) -> bool {
    let Some((header, _)) = message.split_first_chunk::<HEADER>() else { return false };
    let [_, _, flags, _, q0, q1, counts @ ..] = *header;
    let opcode = (flags >> 3) & 0x0F;
    let questions = usize::from(u16::from_be_bytes([q0, q1]));
    let records: usize =
        counts.as_chunks::<2>().0.iter().map(|count| usize::from(u16::from_be_bytes(*count))).sum();
    matches!(opcode, 0..=2 | 4..=6) && HEADER + questions * QUESTION_MIN + records * RECORD_MIN <= length
}

/// Whether a segment in the middle of an unknown stream starts a message. Stricter than `header_fits`: one question at
/// most, reserved bit clear, and the question's name and class are looked at as far as they are there.
pub(super) fn starts_message(bytes: &[u8]) -> Fit {
    let Some(length) = prefix(bytes) else { return Fit::More };
    if length < HEADER {
        return Fit::No;
    }
    let message = bytes.get(PREFIX..).unwrap_or_default();
    let Some((header, body)) = message.split_first_chunk::<HEADER>() else { return Fit::More };
    let [_, _, flags, more_flags, q0, questions, ..] = *header;
    let response = flags & 0x80 != 0;
    let reserved = more_flags & 0x40 != 0;
    let plain = q0 == 0 && questions <= 1 && !reserved && fits_within(message, length);
    // A message without any question is an answer: a zone transfer's later part, or a bare FORMERR.
    let asked = if questions == 0 { response } else { question_fits(body) };
    if plain && asked { Fit::Yes } else { Fit::No }
}

/// Whether a question can start with these bytes: labels of up to 63 bytes, uncompressed, then a class that exists.
fn question_fits(mut body: &[u8]) -> bool {
    loop {
        let Some((length, rest)) = body.split_first() else { return true };
        if *length > 63 {
            return false;
        }
        if *length == 0 {
            return rest.get(2..4).is_none_or(|class| matches!(class, [0, 1 | 3 | 4 | 254 | 255]));
        }
        body = rest.get(usize::from(*length)..).unwrap_or_default();
    }
}
