//! Bytes as text: the escapes and quotes of master files (RFC 1035 section 5.1, RFC 3597 section 5).

use data_encoding::HEXUPPER;
use hickory_proto::rr::Name;

/// A name without the final dot; the root is `.`. Case is kept.
pub(super) fn name(name: &Name) -> String {
    if name.is_root() {
        return ".".to_owned();
    }
    let mut text = String::with_capacity(name.len());
    for label in name {
        if !text.is_empty() {
            text.push('.');
        }
        label_text(label, &mut text);
    }
    text
}

/// One label, without the dots around it.
pub(super) fn label_text(label: &[u8], text: &mut String) {
    escape_all(label, b".\"\\();@$ ", text);
}

/// A character-string in quotes.
pub(super) fn quoted(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() + 2);
    text.push('"');
    escape_all(bytes, b"\"\\", &mut text);
    text.push('"');
    text
}

/// A character-string without quotes, for values that are single words.
pub(super) fn word(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    escape_all(bytes, b"\"\\(); ", &mut text);
    text
}

/// Data of unknown meaning: `\# length hex` (RFC 3597 section 5).
pub(super) fn generic(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "\\# 0".to_owned();
    }
    format!("\\# {} {}", bytes.len(), HEXUPPER.encode(bytes))
}

/// One byte: itself, `\c` where it has a meaning of its own, `\ddd` where it cannot be printed.
pub(super) fn escape(byte: u8, special: &[u8], text: &mut String) {
    match byte {
        b' '..=b'~' if special.contains(&byte) && byte != b' ' => {
            text.push('\\');
            text.push(char::from(byte));
        }
        b' '..=b'~' if !special.contains(&byte) => text.push(char::from(byte)),
        // By hand: names of such bytes are a way to make work, and formatting costs ten times as much.
        _ => {
            let digits = [byte / 100, byte / 10 % 10, byte % 10];
            text.push('\\');
            text.extend(digits.map(|digit| char::from(b'0' + digit)));
        }
    }
}

fn escape_all(bytes: &[u8], special: &[u8], text: &mut String) {
    for byte in bytes {
        escape(*byte, special, text);
    }
}
