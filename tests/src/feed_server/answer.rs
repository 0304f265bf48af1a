//! What a path answers: a list as it should be, or one of the ways in which servers go wrong.

use std::{convert::Infallible, io, time::Duration};

use anyhow::Result;
use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use futures::{StreamExt as _, stream};

/// Between two bytes of a slow body.
const DRIP: Duration = Duration::from_millis(20);

/// One answer.
#[derive(Clone, Debug)]
pub struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Content,
}

/// What follows the headers.
#[derive(Clone, Debug)]
enum Content {
    /// All of it, with its length.
    Whole(Bytes),
    /// These bytes, then the connection is closed although more was announced.
    Cut(Bytes),
    /// These bytes over and over.
    Endless(Bytes),
    /// These bytes, then nothing, while the connection stays.
    Stalled(Bytes),
    /// One byte of these after the other, slowly.
    Dripping(Bytes),
    /// No answer at all, while the connection stays.
    Silence,
}

impl Answer {
    fn new(status: StatusCode, body: Content) -> Self {
        Self { status, headers: HeaderMap::new(), body }
    }

    /// A text, whatever it is.
    pub fn text(text: &str) -> Self {
        Self::new(StatusCode::OK, Content::Whole(Bytes::copy_from_slice(text.as_bytes())))
            .header("content-type", "text/plain; charset=utf-8")
    }

    /// A status with a short body.
    pub fn status(code: u16) -> Self {
        let status = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self::new(status, Content::Whole(Bytes::from_static(b"see the status\n")))
    }

    /// A redirect (302) to a URL or a path.
    pub fn redirect(to: &str) -> Self {
        Self::status(302).header("location", to)
    }

    /// A text packed with gzip.
    pub fn gzip(text: &str) -> Result<Self> {
        Ok(Self::packed(gzip(io::Cursor::new(text))?))
    }

    /// Bytes that are said to be packed with gzip.
    pub fn packed(bytes: Vec<u8>) -> Self {
        Self::new(StatusCode::OK, Content::Whole(bytes.into())).header("content-encoding", "gzip")
    }

    /// So many zero bytes, packed with gzip to a thousandth.
    pub fn bomb(bytes: u64) -> Result<Self> {
        Ok(Self::packed(gzip(io::Read::take(io::repeat(0), bytes))?))
    }

    /// A text of which the connection's end cuts off the rest.
    pub fn cut(text: &str) -> Self {
        let more = text.len() + 1_000;
        Self::new(StatusCode::OK, Content::Cut(Bytes::copy_from_slice(text.as_bytes())))
            .header("content-length", &more.to_string())
    }

    /// Lines without end.
    pub fn endless(line: &str) -> Self {
        Self::new(StatusCode::OK, Content::Endless(line.repeat(1_000).into()))
    }

    /// A text that begins and does not go on.
    pub fn stalled(text: &str) -> Self {
        Self::new(StatusCode::OK, Content::Stalled(Bytes::copy_from_slice(text.as_bytes())))
    }

    /// A text that comes byte by byte.
    pub fn dripping(text: &str) -> Self {
        Self::new(StatusCode::OK, Content::Dripping(Bytes::copy_from_slice(text.as_bytes())))
    }

    /// Not even a status.
    pub fn silence() -> Self {
        Self::new(StatusCode::OK, Content::Silence)
    }

    /// Adds a header; one that cannot be sent is left out.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
            self.headers.insert(name, value);
        }
        self
    }

    /// Gives it an `ETag`, by which it answers 304 to who has this version.
    #[must_use]
    pub fn etag(self, version: &str) -> Self {
        self.header("etag", &format!("\"{version}\""))
    }

    /// What is sent to who asks with these headers.
    pub(super) async fn respond(self, asked: &HeaderMap) -> Response {
        let version = self.headers.get(header::ETAG);
        if version.is_some() && version == asked.get(header::IF_NONE_MATCH) {
            return (StatusCode::NOT_MODIFIED, self.headers).into_response();
        }
        let body = match self.body {
            Content::Whole(bytes) => Body::from(bytes),
            Content::Cut(bytes) => {
                let broken = stream::once(async { Err(io::Error::from(io::ErrorKind::ConnectionReset)) });
                Body::from_stream(stream::once(async { Ok(bytes) }).chain(broken))
            }
            Content::Endless(bytes) => Body::from_stream(stream::repeat(Ok::<_, Infallible>(bytes))),
            Content::Stalled(bytes) => {
                Body::from_stream(stream::once(async { Ok::<_, Infallible>(bytes) }).chain(stream::pending()))
            }
            Content::Dripping(bytes) => Body::from_stream(stream::unfold(bytes, drip)),
            Content::Silence => std::future::pending().await,
        };
        (self.status, self.headers, body).into_response()
    }
}

/// The next byte, after a while.
async fn drip(mut bytes: Bytes) -> Option<(Result<Bytes, Infallible>, Bytes)> {
    if bytes.is_empty() {
        return None;
    }
    tokio::time::sleep(DRIP).await;
    let byte = bytes.split_to(1);
    Some((Ok(byte), bytes))
}

/// Packs a text.
pub fn gzip(mut source: impl io::Read) -> Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    io::copy(&mut source, &mut encoder)?;
    Ok(encoder.finish()?)
}
