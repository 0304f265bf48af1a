//! A domain name as feeds and threat sets know it: lower case, A-labels, no trailing dot.
//!
//! In: a name as a person or a list wrote it, Unicode or ACE (both spell the same name). Out: its one normal form, or
//! why it is none. No lookup is ever made of a name.
//!
//! What is let through on purpose: underscores (`_dmarc.example.com`), and hyphens at either end of a label
//! (`-evil.example.com`): both resolve in the DNS, both are used by what lists are about. What is not: anything that
//! is an address, a pattern or a piece of a URL, and a single label that is no top-level domain (`localhost`).

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};

/// The longest name in presentation format without the trailing dot (RFC 1035, section 2.3.4), in bytes.
pub const NAME_BYTES_MAX: usize = 253;
/// The longest label (RFC 1035, section 2.3.4), in bytes.
pub const LABEL_BYTES_MAX: usize = 63;
/// The longest text that is looked at: Unicode spells a name in at most a few times its bytes as A-labels.
const TEXT_BYTES_MAX: usize = 4 * NAME_BYTES_MAX;

/// Why a text is no domain name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum NameError {
    /// Nothing is there, or only the root's dot.
    #[error("the name is empty or the root")]
    Empty,
    /// Two dots in a row, or one at the start.
    #[error("a label of the name is empty")]
    EmptyLabel,
    /// A label of more than 63 bytes.
    #[error("a label of the name is longer than 63 bytes")]
    LabelTooLong,
    /// More than 253 bytes.
    #[error("the name is longer than 253 bytes")]
    NameTooLong,
    /// An IPv4 or IPv6 address, or a network.
    #[error("an IP address or network is no domain name")]
    Address,
    /// The last label is a number, which no top-level domain is.
    #[error("the last label is a number: no domain name ends so")]
    NumericEnd,
    /// A `*` where no wildcard is understood.
    #[error("a wildcard can only stand for whole labels at the front (`*.example.com`)")]
    Wildcard,
    /// White space inside.
    #[error("there is white space inside the name")]
    Space,
    /// Any other byte that names do not have.
    #[error("a character that no host name has")]
    Character,
    /// Not IDNA (UTS 46), or an `xn--` label that decodes to nothing.
    #[error("not a valid internationalised name (IDNA)")]
    Idna,
    /// One label that is not in the public suffix list: `localhost`, a word.
    #[error("a single label that is no top-level domain")]
    SingleLabel,
}

/// The normal form of a name of a feed, written into `buffer`; see the module for what is accepted.
pub fn normalize<'b>(text: &str, buffer: &'b mut String) -> Result<&'b str, NameError> {
    let name = fold(text, buffer)?;
    if !name.contains('.') && !is_top_level(name) {
        return Err(NameError::SingleLabel);
    }
    Ok(name)
}

/// As [`normalize`], but one label alone is a name too: for what is asked about, not for what a feed lists.
pub fn fold<'b>(text: &str, buffer: &'b mut String) -> Result<&'b str, NameError> {
    buffer.clear();
    if text.len() > TEXT_BYTES_MAX {
        return Err(NameError::NameTooLong);
    }
    if text.is_ascii() {
        buffer.push_str(text.strip_suffix('.').unwrap_or(text));
        buffer.make_ascii_lowercase();
        if check(buffer)? == Labels::Ace {
            write_idna(text, buffer)?;
        }
    } else {
        write_idna(text, buffer)?;
    }
    Ok(buffer)
}

/// Whether a name has labels that only IDNA can judge.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Labels {
    Plain,
    Ace,
}

/// Maps `text` to A-labels by UTS 46 (non-transitional) and judges the result like any other name.
fn write_idna(text: &str, buffer: &mut String) -> Result<(), NameError> {
    let mapped = Uts46::new()
        .to_ascii(text.as_bytes(), AsciiDenyList::EMPTY, Hyphens::Allow, DnsLength::Ignore)
        .map_err(|_| NameError::Idna)?;
    buffer.clear();
    buffer.push_str(mapped.strip_suffix('.').unwrap_or(&mapped));
    check(buffer).map(|_| ())
}

/// Judges a lower-case ASCII name label by label.
fn check(name: &str) -> Result<Labels, NameError> {
    if name.is_empty() {
        return Err(NameError::Empty);
    }
    let mut labels = Labels::Plain;
    let mut last_is_number = false;
    // Characters come before lengths: a URL that is too long is told that it is no name, not that it is long.
    for label in name.as_bytes().split(|byte| *byte == b'.') {
        last_is_number = check_label(label).map_err(|error| explain(name, error))?;
        if label.starts_with(b"xn--") {
            labels = Labels::Ace;
        }
    }
    if last_is_number {
        return Err(explain(name, NameError::NumericEnd));
    }
    if name.len() > NAME_BYTES_MAX {
        return Err(NameError::NameTooLong);
    }
    Ok(labels)
}

/// Whether a label is a number, once its bytes and its length are right.
fn check_label(label: &[u8]) -> Result<bool, NameError> {
    let mut digits = true;
    for byte in label {
        match byte {
            b'0'..=b'9' => {}
            b'a'..=b'z' | b'-' | b'_' => digits = false,
            b'*' => return Err(NameError::Wildcard),
            b' ' | b'\t' => return Err(NameError::Space),
            _ => return Err(NameError::Character),
        }
    }
    match label.len() {
        0 => Err(NameError::EmptyLabel),
        1..=LABEL_BYTES_MAX => Ok(digits),
        _ => Err(NameError::LabelTooLong),
    }
}

/// The plainer reason where a text that is no name is an address or a network.
fn explain(text: &str, error: NameError) -> NameError {
    if is_address(text) { NameError::Address } else { error }
}

/// `192.0.2.1`, `2001:db8::1`, `[2001:db8::1]`, `192.0.2.0/24`.
fn is_address(text: &str) -> bool {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address = match bare.split_once('/') {
        Some((address, prefix)) if prefix.parse::<u8>().is_ok() => address,
        Some(_) => return false,
        None => bare,
    };
    address.parse::<std::net::IpAddr>().is_ok()
}

/// Whether one label is a top-level domain of the public suffix list.
fn is_top_level(label: &str) -> bool {
    psl::suffix(label.as_bytes()).is_some_and(|suffix| suffix.is_known())
}

#[cfg(test)]
mod tests;
