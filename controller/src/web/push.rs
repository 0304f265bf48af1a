//! The Elasticsearch document API, as far as threat feeds are pushed through it: `/INDEX/_doc/FEED` and its kin.
//!
//! A document's id is the feed's name. No write is acknowledged before it is on disk.

#![expect(clippy::result_large_err, reason = "a refusal is an answer too, and there is one a request")]

// Answers in Elasticsearch's words.
pub mod answer;

// A body's type, encoding and size.
pub(super) mod content;

// Which index names are ours.
mod index;

// The query string.
mod parameters;

// What a request is about, and the answers to it.
mod target;

use std::{sync::Arc, time::Duration};

use axum::{
    Extension,
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    response::Response,
};
use serde_json::{Value, json};
use tokio::{sync::OwnedSemaphorePermit, time::timeout};

use super::{BODIES_KIB, Site, guard::Admitted};
use crate::feed::{
    Pushes,
    push::{DOCUMENT_BYTES_MAX, Document, Receipt},
};

use answer::{PRIMARY_TERM, Style, written};
use parameters::Parameters;
use target::Target;

/// How long a body waits for room.
const ROOM_PATIENCE: Duration = Duration::from_secs(10);
/// When one that found none is to come again.
const ASK_AGAIN_SECONDS: u64 = 2;

/// `GET /`: which kind of server this is. Clients ask before they write.
pub async fn identify(State(site): State<Arc<Site>>, uri: Uri, headers: HeaderMap) -> Response {
    let mut style = Style::of(&headers);
    style.pretty = Parameters::read(uri.query().unwrap_or_default(), "/").is_ok_and(|read| read.pretty);
    let body = json!({
        "name": "namewarden-controller",
        "cluster_name": site.cluster,
        "cluster_uuid": "_na_",
        "version": {
            "number": "8.17.0",
            "build_flavor": "default",
            "build_type": "namewarden",
            "build_hash": env!("CARGO_PKG_VERSION"),
            "build_snapshot": false,
            "lucene_version": "9.12.0",
            "minimum_wire_compatibility_version": "7.17.0",
            "minimum_index_compatibility_version": "7.0.0",
        },
        "tagline": "You Know, for Search",
    });
    style.answer(StatusCode::OK, &body)
}

/// `PUT|POST /INDEX/_doc/FEED`.
pub async fn write(
    state: State<Arc<Site>>,
    caller: Extension<Admitted>,
    path: Path<(String, String)>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Response {
    put(&state, &caller, path.0, &uri, &headers, body, false).await.unwrap_or_else(|refused| refused)
}

/// `PUT|POST /INDEX/_create/FEED`.
pub async fn create(
    state: State<Arc<Site>>,
    caller: Extension<Admitted>,
    path: Path<(String, String)>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Response {
    put(&state, &caller, path.0, &uri, &headers, body, true).await.unwrap_or_else(|refused| refused)
}

async fn put(
    site: &Site,
    Extension(Admitted(caller)): &Extension<Admitted>,
    path: (String, String),
    uri: &Uri,
    headers: &HeaderMap,
    body: Body,
    create: bool,
) -> Result<Response, Response> {
    let mut target = Target::of(site, uri, headers, path)?.for_writing(site)?;
    target.parameters.create |= create;
    let only = target.only()?;
    let list = received(site, &target, headers, body).await?;
    let length = list.bytes().len();
    let done = on_disk(site, &target, move |pushes, feed| pushes.put(feed, list.bytes(), only)).await?;
    let receipt = done.map_err(|error| target.failed(&error))?;
    tracing::info!(
        feed = target.feed,
        by = caller.name,
        version = receipt.version,
        bytes = length,
        "a list was pushed"
    );
    let result = if receipt.created { "created" } else { "updated" };
    Ok(finish(site, &target, &receipt, result).await)
}

/// `POST /INDEX/_update/FEED`.
pub async fn update(
    State(site): State<Arc<Site>>,
    Extension(Admitted(caller)): Extension<Admitted>,
    Path(path): Path<(String, String)>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let run = async {
        let target = Target::of(&site, &uri, &headers, path)?.for_writing(&site)?;
        unconditional(&target)?;
        let change = received(&site, &target, &headers, body).await?;
        let done = on_disk(&site, &target, move |pushes, feed| pushes.update(feed, change.bytes())).await?;
        let receipt = done.map_err(|error| target.failed(&error))?;
        if receipt.unchanged {
            return Ok(target.wrote(&receipt, "noop", site.followers.alone()));
        }
        tracing::info!(
            feed = target.feed,
            by = caller.name,
            version = receipt.version,
            "a pushed list was updated"
        );
        let result = if receipt.created { "created" } else { "updated" };
        Ok(finish(&site, &target, &receipt, result).await)
    };
    run.await.unwrap_or_else(|refused: Response| refused)
}

/// `DELETE /INDEX/_doc/FEED`.
pub async fn delete(
    State(site): State<Arc<Site>>,
    Extension(Admitted(caller)): Extension<Admitted>,
    Path(path): Path<(String, String)>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let run = async {
        let target = Target::of(&site, &uri, &headers, path)?;
        unconditional(&target)?;
        let done = on_disk(&site, &target, Pushes::delete).await?;
        let Some(receipt) = done.map_err(|error| target.failed(&error))? else {
            let body = written(&target.index, &target.feed, 1, 0, "not_found", site.followers.alone());
            return Ok(target.style.answer(StatusCode::NOT_FOUND, &body));
        };
        tracing::info!(feed = target.feed, by = caller.name, "a pushed list was deleted");
        Ok(finish(&site, &target, &receipt, "deleted").await)
    };
    run.await.unwrap_or_else(|refused: Response| refused)
}

/// `GET|HEAD /INDEX/_doc/FEED`.
pub async fn read(
    State(site): State<Arc<Site>>,
    Path(path): Path<(String, String)>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let run = async {
        let target = Target::of(&site, &uri, &headers, path)?;
        let Some(document) = found(&site, &target).await? else {
            let body = json!({ "_index": target.index, "_id": target.feed, "found": false });
            return Ok(target.style.answer(StatusCode::NOT_FOUND, &body));
        };
        let head = json!({
            "_index": target.index,
            "_id": target.feed,
            "_version": document.version,
            "_seq_no": document.revision.seq_no,
            "_primary_term": PRIMARY_TERM,
            "found": true,
        });
        Ok(target.style.bytes(StatusCode::OK, with_source(&head, &document.body, target.style.pretty)))
    };
    run.await.unwrap_or_else(|refused: Response| refused)
}

/// `GET|HEAD /INDEX/_source/FEED`.
pub async fn source(
    State(site): State<Arc<Site>>,
    Path(path): Path<(String, String)>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let run = async {
        let target = Target::of(&site, &uri, &headers, path)?;
        if let Some(document) = found(&site, &target).await? {
            return Ok(target.style.bytes(StatusCode::OK, document.body));
        }
        let reason = format!("Document not found [{}]/[{}]", target.index, target.feed);
        Err(target.style.error(StatusCode::NOT_FOUND, "resource_not_found_exception", &reason, Value::Null))
    };
    run.await.unwrap_or_else(|refused: Response| refused)
}

/// `POST /INDEX/_doc`: an id is not made up, for it must be the feed's name.
pub async fn without_id(headers: HeaderMap) -> Response {
    let reason = "the document's id must be given: it is the name of the feed, as in /INDEX/_doc/FEED";
    Style::of(&headers).bad_argument(reason)
}

/// Conditions of writes that cannot be checked are not ignored.
fn unconditional(target: &Target) -> Result<(), Response> {
    if target.parameters.expected.is_none() && !target.parameters.create {
        return Ok(());
    }
    Err(target
        .style
        .bad_argument("if_seq_no, if_primary_term and op_type are taken by _doc with a body only"))
}

/// A body that was received; it takes room until it is dropped, whoever waits for it.
struct Received {
    bytes: bytes::Bytes,
    _room: OwnedSemaphorePermit,
}

impl Received {
    fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// The body, when there is room for it.
async fn received(
    site: &Site,
    target: &Target,
    headers: &HeaderMap,
    body: Body,
) -> Result<Received, Response> {
    let room = content::room_kib(headers, DOCUMENT_BYTES_MAX).min(BODIES_KIB);
    let room = timeout(ROOM_PATIENCE, Arc::clone(&site.bodies).acquire_many_owned(room)).await;
    let Ok(Ok(room)) = room else { return Err(busy(target)) };
    let bytes =
        content::read(headers, body, DOCUMENT_BYTES_MAX).await.map_err(|refused| target.refused(&refused))?;
    if bytes.is_empty() {
        let reason = "request body is required";
        return Err(target.style.error(StatusCode::BAD_REQUEST, "parse_exception", reason, Value::Null));
    }
    Ok(Received { bytes, _room: room })
}

fn busy(target: &Target) -> Response {
    let reason = "other pushes take all room there is for bodies: push again in a moment";
    let kind = "es_rejected_execution_exception";
    let mut response = target.style.error(StatusCode::TOO_MANY_REQUESTS, kind, reason, Value::Null);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(ASK_AGAIN_SECONDS));
    response
}

async fn on_disk<T: Send + 'static>(
    site: &Site,
    target: &Target,
    work: impl FnOnce(&Pushes, &str) -> T + Send + 'static,
) -> Result<T, Response> {
    let (pushes, feed) = (site.pushes.clone(), target.feed.clone());
    tokio::task::spawn_blocking(move || work(&pushes, &feed)).await.map_err(|error| {
        tracing::error!("a push was ended: {error}");
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        target.style.error(status, "exception", "the request was ended", Value::Null)
    })
}

async fn found(site: &Site, target: &Target) -> Result<Option<Document>, Response> {
    let read = on_disk(site, target, Pushes::read).await?;
    read.map_err(|error| target.unreadable(&error))
}

/// Has the feed read anew, waits for the other controllers, answers.
async fn finish(site: &Site, target: &Target, receipt: &Receipt, result: &'static str) -> Response {
    site.counts.pushed(result);
    site.feeds.pushed(&target.feed);
    let copies = site.followers.copied(receipt.seq_no).await;
    target.wrote(receipt, result, copies)
}

/// The document with its source, which is JSON already and may be large: it is not parsed again.
fn with_source(head: &Value, source: &[u8], pretty: bool) -> bytes::Bytes {
    let text = if pretty { serde_json::to_string_pretty(head) } else { serde_json::to_string(head) };
    let mut bytes = text.unwrap_or_else(|_| "{}".to_owned()).into_bytes();
    bytes.truncate(bytes.trim_ascii_end().len().saturating_sub(1));
    bytes.truncate(bytes.trim_ascii_end().len());
    bytes.extend_from_slice(if pretty { b",\n  \"_source\": " } else { b",\"_source\":" });
    bytes.extend_from_slice(source.trim_ascii());
    bytes.extend_from_slice(if pretty { b"\n}\n" } else { b"}" });
    bytes.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_carries_its_source_as_it_came() {
        let head = json!({ "found": true });
        let source = b" {\"domains\": [\"a.example\"], \"note\": 1.50} \n";
        for pretty in [false, true] {
            let bytes = with_source(&head, source, pretty);
            let text = std::str::from_utf8(&bytes).unwrap();
            assert!(text.contains("{\"domains\": [\"a.example\"], \"note\": 1.50}"), "{text}");
            let parsed: Value = serde_json::from_slice(&bytes).unwrap();
            assert_eq!(
                (&parsed["found"], &parsed["_source"]["domains"][0]),
                (&json!(true), &json!("a.example"))
            );
        }
    }
}
