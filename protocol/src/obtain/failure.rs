//! Why a feed was not fetched: one sentence with the remedy, without URL, credentials or headers.

use std::error::Error;
use std::io;
use std::time::Duration;

use reqwest::StatusCode;
use rustls::CertificateError;

use super::address::Forbidden;
use super::resolve::Unresolved;

/// Why a feed was not fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Another status than 200 and 304.
    #[error("the server answered {status}; {}", remedy(*.status, *.withheld))]
    Status {
        /// The status.
        status: StatusCode,
        /// How long the server asks to be left alone; bounded.
        retry_after: Option<Duration>,
        /// Whether headers were kept back because a redirect led to another host.
        withheld: bool,
    },
    /// An address that feeds may not reach.
    #[error(transparent)]
    Address(#[from] Forbidden),
    /// A host name without an address.
    #[error("{0}")]
    Name(String),
    /// No connection, or no answer over it.
    #[error(
        "no answer from {to}: {reason}; it is tried again by itself, see to the server and the way to it"
    )]
    Connect {
        /// Scheme, host and port, and the proxy where there is one.
        to: String,
        /// Why.
        reason: String,
    },
    /// The server's certificate is signed by nobody who is trusted.
    #[error(
        "the certificate of {to} is signed by an authority that is not known here; give that authority's \
         certificate (PEM) with --feed-ca"
    )]
    UnknownAuthority {
        /// Scheme, host and port.
        to: String,
    },
    /// The server's certificate is not good for this host, now.
    #[error(
        "the certificate of {to} is refused: {reason}; have the server's certificate corrected, or the URL's host"
    )]
    Certificate {
        /// Scheme, host and port.
        to: String,
        /// Why.
        reason: String,
    },
    /// A redirect that is not followed.
    #[error("{0}; correct the URL to where the list is")]
    Redirect(RedirectError),
    /// The body is packed in a way that nobody asked for.
    #[error(
        "the body is packed as `{0}`, which is not understood; have the server send it as gzip or as it is"
    )]
    Packing(String),
    /// A few bytes that unpack to very many.
    #[error(
        "the body unpacks to more than {ratio_max} times its size, which no list does; it may be an attack on this \
         machine's disk: see who answers at that URL"
    )]
    Bomb {
        /// The limit.
        ratio_max: u64,
    },
    /// More bytes than allowed, after decompression.
    #[error("the body is larger than the limit of {bytes_max} bytes; take a shorter list, or several")]
    TooLarge {
        /// The limit.
        bytes_max: u64,
    },
    /// Nothing, or next to nothing, for too long.
    #[error(
        "the server sent only {bytes} bytes in {} s; it is tried again by itself, see to the server and the way to it",
        time.as_secs_f32()
    )]
    TooSlow {
        /// What came.
        bytes: u64,
        /// In which time.
        time: Duration,
    },
    /// Not finished in time.
    #[error("the list was not there within {} s; it is tried again by itself, take a nearer or shorter one", limit.as_secs_f32())]
    TooLong {
        /// The limit.
        limit: Duration,
    },
    /// The body ended before its end, or what came is no HTTP.
    #[error("the transfer broke off: {0}; it is tried again by itself from the start")]
    Broken(String),
    /// The body could not be kept.
    #[error(
        "the body could not be written to disk: {0}; make room in the state folder or the folder for temporary files"
    )]
    Write(#[from] io::Error),
}

/// Why a redirect is not followed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RedirectError {
    /// Back to where it came from.
    #[error("the server redirects in a circle")]
    Circle,
    /// One after the other.
    #[error("the server redirects more than {0} times")]
    TooMany(usize),
    /// Who listens on the way could change the list.
    #[error("the server redirects from https to http, which anyone on the way can change")]
    Insecure,
    /// Something else than http and https.
    #[error("the server redirects to a `{0}` URL, which is not fetched")]
    Scheme(String),
    /// No `Location`, or none that can be read.
    #[error("the server redirects without saying where")]
    Nowhere,
}

impl FetchError {
    /// How long the server asks to be left alone, at most a day.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

fn remedy(status: StatusCode, withheld: bool) -> &'static str {
    match status.as_u16() {
        401 | 403 if withheld => {
            "it redirects to another host, which secret headers are not sent to: give the URL that it redirects to"
        }
        401 | 403 => "correct the user, password or headers that it asks for",
        404 | 410 => "correct the URL, the list is not there",
        407 => "give the proxy's URL with user and password",
        429 => "it is asked too often: give the feed a longer period",
        500.. => "it is tried again by itself, see to the server",
        _ => "correct the URL to where the list is",
    }
}

/// What went wrong before the answer; `to` and the proxy are where it was tried.
pub(super) fn no_answer(error: reqwest::Error, to: &str, proxy: Option<&str>) -> FetchError {
    let error = error.without_url();
    for cause in causes(&error) {
        if let Some(forbidden) = cause.downcast_ref::<Forbidden>() {
            return FetchError::Address(*forbidden);
        }
        if let Some(unresolved) = cause.downcast_ref::<Unresolved>() {
            return FetchError::Name(unresolved.to_string());
        }
        if let Some(rustls::Error::InvalidCertificate(refused)) = cause.downcast_ref() {
            return certificate(refused, to);
        }
    }
    if error.is_connect() || error.is_timeout() {
        let to = proxy.map_or_else(|| to.to_owned(), |proxy| format!("{to} through the proxy {proxy}"));
        return FetchError::Connect { to, reason: root_of(&error) };
    }
    broken(&error)
}

/// What went wrong in the middle of an answer.
pub(super) fn broken(error: &reqwest::Error) -> FetchError {
    FetchError::Broken(root_of(error))
}

fn certificate(refused: &CertificateError, to: &str) -> FetchError {
    match refused {
        // A wrong signature: one of the known authorities has the name of the one that signed, and another key.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            FetchError::UnknownAuthority { to: to.to_owned() }
        }
        other => FetchError::Certificate { to: to.to_owned(), reason: other.to_string() },
    }
}

/// The cause behind all others: what is above it only says where it happened.
fn root_of(error: &reqwest::Error) -> String {
    let root = causes(error).last().map(ToString::to_string);
    root.unwrap_or_else(|| "for no reason given".to_owned())
}

/// An error and its causes, also those that an I/O error wraps, which its `source` passes over.
fn causes<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| {
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        wrapped.map(|inner| inner as &(dyn Error + 'static)).or_else(|| error.source())
    })
}
