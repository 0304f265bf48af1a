//! Whether bytes of a TCP stream can be a DNS message: length prefix, header, first question.
//!
//! Used to find the start of a message in a stream that was joined in its middle, and to tell a stream that is not DNS.

/// Bytes of the length prefix (RFC 1035 section 4.2.2).
pub(super) const PREFIX: usize = 2;
/// Bytes of a message's header (RFC 1035 section 4.1.1).
pub(super) const HEADER: usize = 12;
/// The shortest question: root name, type, class.
const QUESTION_MIN: usize = 5;
/// Bytes of the longest name (RFC 1035 section 3.1).
const NAME_MAX: usize = 255;
/// Type of the record that carries EDNS (RFC 6891), whose class is no class.
const OPT: u8 = 41;
/// The shortest record: root name, type, class, TTL, no data.
const RECORD_MIN: usize = 11;

/// Whether the bytes from here on start a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// Prefix, header and first name are there and make sense.
    Yes,
    /// They cannot be the start of a message.
    No,
    /// Nothing speaks against it, but header and first name are not all there.
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

/// How many labels may still be looked at: what keeps a search linear in the bytes searched.
#[derive(Debug)]
pub(super) struct Effort(usize);

impl Effort {
    /// As much as so many bytes are worth.
    pub(super) fn of(bytes: usize) -> Self {
        Self(64 + 4 * bytes)
    }

    #[cfg(test)]
    pub(super) fn none() -> Self {
        Self(0)
    }

    fn spend(&mut self) -> bool {
        let is_left = self.0 > 0;
        self.0 = self.0.saturating_sub(1);
        is_left
    }
}

/// Whether bytes in the middle of an unknown stream start a message. Stricter than `header_fits`: one question at most,
/// reserved bit clear, and a first name with a class behind it.
pub(super) fn starts_message(bytes: &[u8], effort: &mut Effort) -> Fit {
    let Some(length) = prefix(bytes) else { return Fit::More };
    if length < HEADER {
        return Fit::No;
    }
    let message = bytes.get(PREFIX..).unwrap_or_default();
    let Some((header, body)) = message.split_first_chunk::<HEADER>() else { return Fit::More };
    let [_, _, flags, more_flags, q0, questions, counts @ ..] = *header;
    let response = flags & 0x80 != 0;
    let reserved = more_flags & 0x40 != 0;
    let whole = body.len() >= length - HEADER;
    let body = body.get(..length - HEADER).unwrap_or(body);
    let fits = q0 == 0 && questions <= 1 && !reserved && fits_within(message, length);
    let first = match (questions, counts) {
        (1.., _) => Named::Question,
        // A message without any question is an answer: a zone transfer's later part, or a bare FORMERR.
        (0, [0, 0, 0, 0, 0, 0]) => {
            return if fits && response && length == HEADER { Fit::Yes } else { Fit::No };
        }
        (0, _) => Named::Record,
    };
    if !fits || (!response && first == Named::Record) {
        return Fit::No;
    }
    match name_fits(body, first, effort) {
        // A message ends within its first name only where it was cut off before it was sent.
        Fit::More if whole => Fit::Yes,
        fit => fit,
    }
}

/// What a name is the beginning of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Named {
    Question,
    Record,
}

/// Whether a question or a record can start with these bytes: labels of up to 63 bytes, 255 in all, in a record also a
/// pointer, then a class that exists; OPT has none. `More` where the class is not there yet.
fn name_fits(body: &[u8], named: Named, effort: &mut Effort) -> Fit {
    let mut rest = body;
    while let Some((length, after)) = rest.split_first() {
        if !effort.spend() || body.len() - after.len() > NAME_MAX {
            return Fit::No;
        }
        let fixed = match (*length, named) {
            (0, _) => Some(after),
            (0xC0.., Named::Record) => Some(after.get(1..).unwrap_or_default()),
            (1..=63, _) => None,
            _ => return Fit::No,
        };
        match fixed.map(|fixed| (fixed.get(..2), fixed.get(2..4))) {
            None => rest = after.get(usize::from(*length)..).unwrap_or_default(),
            Some((Some([0, OPT]), _)) if named == Named::Record => return Fit::Yes,
            Some((Some([0, OPT]), _)) => return Fit::No,
            Some((_, None)) => return Fit::More,
            Some((_, Some([0, 1 | 3 | 4 | 254 | 255]))) => return Fit::Yes,
            Some((_, Some(_))) => return Fit::No,
        }
    }
    Fit::More
}
