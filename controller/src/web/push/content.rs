//! A request's body -> JSON bytes: content type and encoding checked, sizes and time bounded.

use std::{io::Read as _, time::Duration};

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, StatusCode, header},
};
use flate2::read::MultiGzDecoder;

use crate::web::body;

/// Beyond this ratio a packed body is a bomb: lists of names pack about 4 to 1, at most 30 to 1.
const RATIO_MAX: usize = 200;
/// How long a body may take to arrive.
const PATIENCE: Duration = Duration::from_mins(2);

/// Why a body is refused: the status, Elasticsearch's type, its words.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused(pub StatusCode, pub &'static str, pub String);

/// Reads and unpacks a body of JSON of at most `limit` bytes.
pub async fn read(headers: &HeaderMap, body: Body, limit: usize) -> Result<Bytes, Refused> {
    check_type(headers, &["json"])?;
    unpacked(headers, body, limit).await
}

/// Likewise, of lines of JSON.
pub async fn read_lines(headers: &HeaderMap, body: Body, limit: usize) -> Result<Bytes, Refused> {
    check_type(headers, &["x-ndjson", "json"])?;
    unpacked(headers, body, limit).await
}

async fn unpacked(headers: &HeaderMap, body: Body, limit: usize) -> Result<Bytes, Refused> {
    let packed = is_packed(headers)?;
    let bytes = body::read(body, limit, PATIENCE).await.map_err(|error| match error {
        body::Unread::TooLarge => too_large(limit),
        body::Unread::TooSlow => Refused(
            StatusCode::REQUEST_TIMEOUT,
            "timeout_exception",
            "the body did not arrive in time".to_owned(),
        ),
        body::Unread::Broken => {
            Refused(StatusCode::BAD_REQUEST, "parse_exception", "the body ended early".to_owned())
        }
    })?;
    if !packed {
        return Ok(bytes);
    }
    let unpacked = tokio::task::spawn_blocking(move || unpack(&bytes, limit)).await;
    unpacked.unwrap_or_else(|_| {
        Err(Refused(
            StatusCode::INTERNAL_SERVER_ERROR,
            "exception",
            "the body could not be unpacked".to_owned(),
        ))
    })
}

/// How much memory a body of at most `limit` bytes may take, in KiB: what it announces, or the most where that says nothing.
pub fn room_kib(headers: &HeaderMap, limit: usize) -> u32 {
    let announced =
        headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    let bytes = announced.filter(|_| is_packed(headers) == Ok(false)).unwrap_or(limit);
    u32::try_from(bytes / 1024 + 1).unwrap_or(u32::MAX)
}

fn too_large(limit: usize) -> Refused {
    let reason = format!("the body is larger than the limit of {limit} bytes");
    Refused(StatusCode::PAYLOAD_TOO_LARGE, "content_too_long_exception", reason)
}

fn check_type(headers: &HeaderMap, kinds: &[&str]) -> Result<(), Refused> {
    let value =
        headers.get(header::CONTENT_TYPE).map(|value| value.to_str().unwrap_or("?")).unwrap_or_default();
    let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let kind = essence.strip_prefix("application/").unwrap_or_default();
    if kinds.contains(&kind.strip_prefix("vnd.elasticsearch+").unwrap_or(kind)) {
        return Ok(());
    }
    let value: String = value.chars().take(100).collect();
    let send = kinds.first().copied().unwrap_or_default();
    let reason = format!("Content-Type header [{value}] is not supported; send application/{send}");
    Err(Refused(StatusCode::NOT_ACCEPTABLE, "media_type_header_exception", reason))
}

fn is_packed(headers: &HeaderMap) -> Result<bool, Refused> {
    match headers.get(header::CONTENT_ENCODING).map(axum::http::HeaderValue::as_bytes) {
        None | Some(b"identity") => Ok(false),
        Some(b"gzip" | b"x-gzip") => Ok(true),
        Some(_) => {
            let reason = "the body's encoding is not supported; send it plain or as gzip".to_owned();
            Err(Refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media_type_header_exception", reason))
        }
    }
}

fn unpack(packed: &[u8], limit: usize) -> Result<Bytes, Refused> {
    let limit_here = limit.min(packed.len().saturating_mul(RATIO_MAX));
    let mut unpacked = Vec::new();
    let mut reader = MultiGzDecoder::new(packed).take(limit_here as u64 + 1);
    reader.read_to_end(&mut unpacked).map_err(|error| {
        Refused(
            StatusCode::BAD_REQUEST,
            "parse_exception",
            format!("the body is not gzip as it says: {error}"),
        )
    })?;
    if unpacked.len() > limit_here { Err(too_large(limit)) } else { Ok(unpacked.into()) }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn headers(encoding: Option<&'static str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, "application/json; charset=utf-8".parse().unwrap());
        if let Some(encoding) = encoding {
            headers.insert(header::CONTENT_ENCODING, encoding.parse().unwrap());
        }
        headers
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        writer.write_all(bytes).unwrap();
        writer.finish().unwrap()
    }

    async fn status(headers: HeaderMap, body: Vec<u8>, limit: usize) -> StatusCode {
        read(&headers, Body::from(body), limit).await.unwrap_err().0
    }

    #[tokio::test]
    async fn a_packed_body_is_unpacked() {
        let body = Body::from(gzip(b"{\"domains\":[]}"));
        assert_eq!(read(&headers(Some("gzip")), body, 100).await.unwrap().as_ref(), b"{\"domains\":[]}");
    }

    #[tokio::test]
    async fn a_body_over_the_limit_is_refused_packed_or_not() {
        assert_eq!(status(headers(None), vec![b' '; 101], 100).await, StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(
            status(headers(Some("gzip")), gzip(&[b' '; 101]), 100).await,
            StatusCode::PAYLOAD_TOO_LARGE
        );
    }

    #[tokio::test]
    async fn a_bomb_is_refused_within_the_limit() {
        let bomb = gzip(&vec![b' '; 10_000_000]);
        assert!(bomb.len() * RATIO_MAX < 10_000_000);
        assert_eq!(status(headers(Some("gzip")), bomb, 100_000_000).await, StatusCode::PAYLOAD_TOO_LARGE);
    }

    #[test]
    fn a_body_takes_the_room_that_it_announces_or_all_it_may() {
        const LIMIT: usize = 100 << 20;
        let most = u32::try_from(LIMIT / 1024 + 1).unwrap();
        let mut plain = headers(None);
        assert_eq!(room_kib(&plain, LIMIT), most);
        plain.insert(header::CONTENT_LENGTH, "10240".parse().unwrap());
        assert_eq!(room_kib(&plain, LIMIT), 11);
        let mut packed = headers(Some("gzip"));
        packed.insert(header::CONTENT_LENGTH, "10240".parse().unwrap());
        assert_eq!(room_kib(&packed, LIMIT), most);
    }

    #[tokio::test]
    async fn what_is_not_gzip_is_refused() {
        assert_eq!(status(headers(Some("gzip")), b"{}".to_vec(), 100).await, StatusCode::BAD_REQUEST);
        assert_eq!(
            status(headers(Some("br")), b"{}".to_vec(), 100).await,
            StatusCode::UNSUPPORTED_MEDIA_TYPE
        );
    }

    #[tokio::test]
    async fn a_body_that_is_not_said_to_be_json_is_refused() {
        assert_eq!(status(HeaderMap::new(), b"{}".to_vec(), 100).await, StatusCode::NOT_ACCEPTABLE);
    }
}
