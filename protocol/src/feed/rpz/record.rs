//! One line of a zone file (RFC 1035, section 5) -> owner, type, first word of the data.

/// A line without its comment.
pub(super) struct Stripped<'l> {
    pub(super) text: &'l str,
    /// Parentheses opened less those closed.
    pub(super) depth: i32,
}

/// Cuts a line at its comment and counts its parentheses; inside quotes neither counts.
pub(super) fn strip_comment(line: &str) -> Stripped<'_> {
    if !line.contains([';', '(', ')', '"']) {
        return Stripped { text: line, depth: 0 };
    }
    let (mut depth, mut quoted, mut escaped, mut end) = (0, false, false, line.len());
    for (at, byte) in line.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'(' => depth += 1,
            b')' => depth -= 1,
            b';' => {
                end = at;
                break;
            }
            _ => {}
        }
    }
    Stripped { text: line.get(..end).unwrap_or_default(), depth }
}

/// What matters of a resource record.
pub(super) struct Record<'l> {
    /// As written; `None` where the line begins with white space: the owner of the record before.
    pub(super) owner: Option<&'l str>,
    /// The type's mnemonic, as written.
    pub(super) kind: &'l str,
    /// The first word of the data; empty where it has none.
    pub(super) data: &'l str,
}

impl<'l> Record<'l> {
    /// `[owner] [TTL] [class] type data…`, TTL and class in either order.
    pub(super) fn parse(text: &'l str) -> Option<Self> {
        let mut words =
            text.split([' ', '\t', '\n', '\r', '(', ')']).filter(|word| !word.is_empty()).peekable();
        let owner = if text.starts_with([' ', '\t']) { None } else { Some(words.next()?) };
        while words.next_if(|word| is_ttl(word) || is_class(word)).is_some() {}
        let kind = words.next().filter(|word| is_type(word))?;
        Some(Self { owner, kind, data: words.next().unwrap_or_default() })
    }

    /// A record that makes a zone a zone, or signs it: no policy.
    pub(super) fn is_infrastructure(&self) -> bool {
        const KINDS: [&str; 11] =
            ["SOA", "NS", "RRSIG", "NSEC", "NSEC3", "NSEC3PARAM", "DNSKEY", "DS", "CDS", "CDNSKEY", "ZONEMD"];
        KINDS.iter().any(|kind| self.kind.eq_ignore_ascii_case(kind))
    }
}

/// `3600`, `1h30m`
fn is_ttl(word: &str) -> bool {
    word.starts_with(|first: char| first.is_ascii_digit())
        && word.bytes().all(|byte| byte.is_ascii_digit() || b"smhdwSMHDW".contains(&byte))
}

fn is_class(word: &str) -> bool {
    ["IN", "CH", "HS"].iter().any(|class| word.eq_ignore_ascii_case(class))
}

/// A mnemonic is letters and digits and begins with a letter.
fn is_type(word: &str) -> bool {
    word.starts_with(|first: char| first.is_ascii_alphabetic())
        && word.bytes().all(|byte| byte.is_ascii_alphanumeric())
}
