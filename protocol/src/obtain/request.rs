//! What is asked of a server: a URL, the caller's headers, and the version that is there already.

use std::fmt;

use reqwest::Url;
use reqwest::header::{
    ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderName,
    HeaderValue, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, RANGE, TE,
    TRANSFER_ENCODING, UPGRADE, USER_AGENT,
};

use sha2::{Digest as _, Sha256};

use super::copy::Origin;

/// What the transfer itself depends on: a caller's header of that name would make answers that are misread.
const RESERVED: [HeaderName; 14] = [
    ACCEPT_ENCODING,
    CONNECTION,
    CONTENT_LENGTH,
    EXPECT,
    HOST,
    IF_MATCH,
    IF_MODIFIED_SINCE,
    IF_NONE_MATCH,
    IF_RANGE,
    IF_UNMODIFIED_SINCE,
    RANGE,
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
];
/// What says nothing about who asks: sent to whichever host a redirect leads to.
const HARMLESS: [HeaderName; 3] = [ACCEPT, ACCEPT_LANGUAGE, USER_AGENT];

/// One fetch.
#[derive(Clone, Copy)]
pub struct Request<'r> {
    /// http or https; user and password in it are sent as basic authentication.
    pub url: &'r Url,
    /// The caller's headers.
    pub headers: &'r [RequestHeader],
    /// The copy that is there already: the server is asked for the body only if it has another version.
    pub known: Option<&'r Origin>,
    /// A larger body is refused, in bytes after decompression.
    pub bytes_max: u64,
}

impl Request<'_> {
    /// Whether there is anything that is not sent to other hosts.
    pub(super) fn has_secrets(&self) -> bool {
        !self.url.username().is_empty()
            || self.url.password().is_some()
            || self.headers.iter().any(RequestHeader::is_secret)
    }
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "GET {} {:?}", Shown(self.url), self.headers)
    }
}

/// A header that the caller wants sent; its value is shown nowhere.
#[derive(Clone)]
pub struct RequestHeader {
    name: HeaderName,
    value: HeaderValue,
    secret: bool,
}

/// A header that cannot be sent; its value is not told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// No token of RFC 9110.
    #[error("{0:?} is no name of a header: use letters, digits and `-`")]
    Name(String),
    /// Line ends or other control characters.
    #[error(
        "the value of header {0} has characters that no header can have: remove line ends and control characters"
    )]
    Value(String),
    /// One that belongs to the transfer.
    #[error("header {0} is set by the fetch itself: leave it out")]
    Reserved(String),
}

impl RequestHeader {
    /// A header; a secret one is sent to the URL's own host only, as is every other that may say who asks.
    pub fn new(name: &str, value: &str, secret: bool) -> Result<Self, HeaderError> {
        let parsed: HeaderName = name.parse().map_err(|_| HeaderError::Name(name.to_owned()))?;
        if RESERVED.contains(&parsed) {
            return Err(HeaderError::Reserved(parsed.to_string()));
        }
        let mut value = HeaderValue::from_str(value).map_err(|_| HeaderError::Value(parsed.to_string()))?;
        // Kept out of what HTTP/2 remembers, and out of debug output.
        value.set_sensitive(true);
        let secret = secret || !HARMLESS.contains(&parsed);
        Ok(Self { name: parsed, value, secret })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    /// Whether it goes to the URL's own host only.
    pub fn is_secret(&self) -> bool {
        self.secret
    }

    /// Name and value as they are sent.
    pub(super) fn parts(&self) -> (&HeaderName, &HeaderValue) {
        (&self.name, &self.value)
    }
}

impl fmt::Debug for RequestHeader {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: …", self.name)
    }
}

/// A URL without user, password, query and fragment: any of them may be a secret.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'u>(pub &'u Url);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(url) = self;
        write!(formatter, "{}{}", ShownOrigin(url), url.path())?;
        if url.query().is_some() { formatter.write_str("?…") } else { Ok(()) }
    }
}

impl Shown<'_> {
    /// The URL as it is shown, with a digest of its query: by this a copy tells from which of two URLs it is that are
    /// shown alike. User and password are not in it, another password does not make another list.
    pub fn with_digest(&self) -> String {
        let query = self.0.query().unwrap_or_default();
        let [a, b, c, d, ..]: [u8; 32] = Sha256::digest(query).into();
        if query.is_empty() { self.to_string() } else { format!("{self} {a:02x}{b:02x}{c:02x}{d:02x}") }
    }
}

/// Scheme, host and port of a URL.
#[derive(Clone, Copy, Debug)]
pub(super) struct ShownOrigin<'u>(pub &'u Url);

impl fmt::Display for ShownOrigin<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(url) = self;
        write!(formatter, "{}://{}", url.scheme(), url.host_str().unwrap_or_default())?;
        url.port().map_or(Ok(()), |port| write!(formatter, ":{port}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_of_the_transfer_is_refused_whatever_its_case() {
        for name in ["Host", "accept-encoding", "RANGE", "If-None-Match"] {
            assert!(matches!(RequestHeader::new(name, "x", false), Err(HeaderError::Reserved(_))), "{name}");
        }
    }

    #[test]
    fn errors_and_debug_output_hold_no_value() {
        let header = RequestHeader::new("APIKey", "s3cret", true).unwrap();
        assert_eq!(format!("{header:?}"), "apikey: …");
        let error = RequestHeader::new("APIKey", "s3cret\r\nX: y", true).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("s3cret"), "{error}");
        assert!(matches!(RequestHeader::new("no name", "x", false), Err(HeaderError::Name(_))));
    }

    #[test]
    fn only_what_says_nothing_of_who_asks_is_no_secret() {
        let secret = |name, marked| RequestHeader::new(name, "x", marked).unwrap().is_secret();
        assert!(!secret("Accept", false) && !secret("User-Agent", false));
        assert!(secret("Authorization", false) && secret("X-Key", false) && secret("Accept", true));
    }

    #[test]
    fn urls_that_are_shown_alike_are_told_apart_by_their_queries_only() {
        let key = |text: &str| Shown(&Url::parse(text).unwrap()).with_digest();
        let one = key("https://feeds.example/list?of=malware");
        assert_ne!(one, key("https://feeds.example/list?of=phishing"));
        assert_eq!(one, key("https://user:secret@feeds.example/list?of=malware#top"));
        assert_eq!(key("https://feeds.example/list"), "https://feeds.example/list");
        let request = Url::parse("https://user:secret@feeds.example/list?secret").unwrap();
        let request = Request { url: &request, headers: &[], known: None, bytes_max: 1 };
        assert!(!format!("{request:?} {one}").contains("secret"), "{request:?}");
    }

    #[test]
    fn a_url_is_shown_without_its_secrets() {
        let url = Url::parse("https://user:secret@feeds.example:8443/list.txt?token=secret#secret").unwrap();
        assert_eq!(Shown(&url).to_string(), "https://feeds.example:8443/list.txt?…");
    }
}
