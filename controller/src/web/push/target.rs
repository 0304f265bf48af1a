//! What a request is about: index, feed, query; and the answers to it.

use axum::{
    http::{HeaderMap, StatusCode, Uri, header},
    response::Response,
};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    answer::{Copies, PRIMARY_TERM, Style, written},
    content::Refused,
    index,
    parameters::Parameters,
};
use crate::{
    feed::push::{Only, PushError, Receipt},
    web::Site,
};

/// What a request is about.
pub struct Target {
    pub index: String,
    pub feed: String,
    pub style: Style,
    pub parameters: Parameters,
}

impl Target {
    pub fn of(
        site: &Site,
        uri: &Uri,
        headers: &HeaderMap,
        (index, feed): (String, String),
    ) -> Result<Self, Response> {
        let mut style = Style::of(headers);
        let parameters = Parameters::read(uri.query().unwrap_or_default(), uri.path());
        let parameters = parameters.map_err(|reason| style.bad_argument(&reason))?;
        style.pretty = parameters.pretty;
        let concrete = index::resolve(&index, &site.cluster, Timestamp::now());
        let index = concrete.map_err(|unknown| style.no_index(&index, &unknown.hint(&site.cluster)))?;
        if !is_feed_name(&feed) {
            let feed: String = feed.chars().take(100).collect();
            let reason = format!(
                "[{feed}] is not the name of a feed: the document's id is the name of its GlobalThreatFeed, in lower-case \
                 letters, digits, '-' and '.'"
            );
            return Err(style.bad_argument(&reason));
        }
        Ok(Self { index, feed, style, parameters })
    }

    /// Refuses a feed that pulls: what is pushed to it would never be used.
    pub fn for_writing(self, site: &Site) -> Result<Self, Response> {
        if site.feeds.is_pulled(&self.feed) {
            let reason = format!("[{}] is a pull feed; remove its `spec.pull` to push to it", self.feed);
            return Err(self.style.bad_argument(&reason));
        }
        Ok(self)
    }

    pub fn only(&self) -> Result<Only, Response> {
        match (self.parameters.create, self.parameters.expected) {
            (true, Some(_)) => {
                let reason = "Validation Failed: 1: create operations do not support compare and set. use index instead;";
                Err(self.style.error(
                    StatusCode::BAD_REQUEST,
                    "action_request_validation_exception",
                    reason,
                    Value::Null,
                ))
            }
            (true, None) => Ok(Only::Create),
            // There never was another term: no operation of it can have been the last.
            (false, Some((seq_no, term))) if term != PRIMARY_TERM => {
                let reason = format!("required seqNo [{seq_no}], primary term [{term}]");
                Err(self.conflict(&reason))
            }
            (false, Some((seq_no, _))) => Ok(Only::IfSeqNo(seq_no)),
            (false, None) => Ok(Only::Any),
        }
    }

    fn conflict(&self, what: &str) -> Response {
        let reason = format!("[{}]: version conflict, {what}", self.feed);
        self.style.error(StatusCode::CONFLICT, "version_conflict_engine_exception", &reason, self.place())
    }

    fn place(&self) -> Value {
        json!({ "index_uuid": "_na_", "shard": "0", "index": self.index })
    }

    pub fn refused(&self, Refused(status, kind, reason): &Refused) -> Response {
        self.style.error(*status, kind, reason, Value::Null)
    }

    /// The answer to a write that succeeded.
    pub fn wrote(&self, receipt: &Receipt, result: &str, copies: Copies) -> Response {
        let mut body = written(&self.index, &self.feed, receipt.version, receipt.seq_no, result, copies);
        if let (true, Value::Object(body)) = (self.parameters.refreshed, &mut body) {
            body.insert("forced_refresh".to_owned(), true.into());
        }
        let status = if receipt.created { StatusCode::CREATED } else { StatusCode::OK };
        let mut response = self.style.answer(status, &body);
        if receipt.created
            && let Ok(location) = format!("/{}/_doc/{}", self.index, self.feed).try_into()
        {
            response.headers_mut().insert(header::LOCATION, location);
        }
        response
    }

    pub fn failed(&self, error: &PushError) -> Response {
        let status = StatusCode::BAD_REQUEST;
        match error {
            PushError::Exists { version } => {
                self.conflict(&format!("document already exists (current version [{version}])"))
            }
            PushError::Conflict { required, current } => {
                let now = current.map_or_else(
                    || "but no document was found".to_owned(),
                    |seq_no| {
                        format!("current document has seqNo [{seq_no}] and primary term [{PRIMARY_TERM}]")
                    },
                );
                self.conflict(&format!("required seqNo [{required}], primary term [{PRIMARY_TERM}]. {now}"))
            }
            PushError::Missing => {
                let reason = format!("[{}]: document missing", self.feed);
                self.style.error(StatusCode::NOT_FOUND, "document_missing_exception", &reason, self.place())
            }
            PushError::Malformed(reason) => self.style.error(status, "parse_exception", reason, Value::Null),
            PushError::TooLarge { .. } => {
                let status = StatusCode::PAYLOAD_TOO_LARGE;
                self.style.error(status, "content_too_long_exception", &error.to_string(), Value::Null)
            }
            PushError::TooMany => {
                self.style.error(status, "validation_exception", &error.to_string(), Value::Null)
            }
            PushError::Io(error) => {
                tracing::error!("a push to feed {} could not be kept: {error}", self.feed);
                self.unavailable(
                    "the document could not be written to the controller's disk; its log says why",
                )
            }
        }
    }

    /// The answer where the document is there and cannot be read.
    pub fn unreadable(&self, error: &std::io::Error) -> Response {
        tracing::error!("the document of feed {} cannot be read: {error}", self.feed);
        self.unavailable(
            "the document cannot be read from the controller's disk; its log says why; push it again",
        )
    }

    fn unavailable(&self, reason: &str) -> Response {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        self.style.error(status, "unavailable_shards_exception", reason, Value::Null)
    }
}

/// A name that Kubernetes allows: RFC 1123, dots allowed.
fn is_feed_name(name: &str) -> bool {
    let is_edge = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_label = |label: &str| {
        let bytes = label.as_bytes();
        bytes.first().copied().is_some_and(is_edge)
            && bytes.last().copied().is_some_and(is_edge)
            && bytes.iter().all(|&byte| is_edge(byte) || byte == b'-')
    };
    name.len() <= 253 && name.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feeds_name_is_what_kubernetes_allows() {
        for name in ["my-threat-feed", "alienvault.domainthreatfeeds", "a", "0x"] {
            assert!(is_feed_name(name), "{name}");
        }
        let long = "a".repeat(254);
        for name in ["", "A", "a_b", "-a", "a-", "a..b", ".a", "a/b", "../x", long.as_str()] {
            assert!(!is_feed_name(name), "{name}");
        }
    }
}
