//! Elasticsearch's bulk API as far as documents come in through it: `create` into the data streams of alerts and DNS logs,
//! answered item by item in Elasticsearch's words. What is answered with 201 is on disk.

#![expect(clippy::result_large_err, reason = "a refusal is an answer too, and there is one a request")]

// A body -> its items.
mod actions;

// What became of each item.
mod answer;

// Which parts of an answer are wanted.
mod filter_path;

// Which data streams are ours.
mod target;

// Which documents are there already.
pub mod lookup;

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    response::Response,
};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use super::{
    BULKS_KIB, Site,
    push::{
        answer::Style,
        content::{self, Refused},
    },
};
use crate::store::{Appended, Incoming, Outcome, Store, StoreError};
use actions::{Item, Operation};
use filter_path::FilterPath;

/// The largest body, in bytes unpacked. Agents send 2 MiB.
const BULK_BYTES_MAX: usize = 16 * 1024 * 1024;
/// A packed body is taken to be so many times as large, until it is unpacked.
const UNPACKED: usize = 16;
/// How long a request waits for room.
const ROOM_PATIENCE: Duration = Duration::from_secs(10);
/// What a client that is too fast is told to do before it asks again.
const ASK_AGAIN_SECONDS: u64 = 2;

/// `POST /_bulk`.
pub async fn any(State(site): State<Arc<Site>>, uri: Uri, headers: HeaderMap, body: Body) -> Response {
    bulk(&site, None, &uri, &headers, body).await.unwrap_or_else(|refused| refused)
}

/// `POST /INDEX/_bulk`.
pub async fn one(
    State(site): State<Arc<Site>>,
    Path(index): Path<String>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Response {
    bulk(&site, Some(&index), &uri, &headers, body).await.unwrap_or_else(|refused| refused)
}

async fn bulk(
    site: &Site,
    index: Option<&str>,
    uri: &Uri,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Response> {
    let began = Instant::now();
    let (style, filter) = asked(uri, headers)?;
    let store = store(site, &style)?;
    let room = content::room_kib(&estimated(headers), BULK_BYTES_MAX).min(BULKS_KIB);
    let room = timeout(ROOM_PATIENCE, site.bulks.acquire_many(room)).await;
    let _room = room.map_err(|_| busy(site, &style, 1))?;
    let bytes = content::read_lines(headers, body, BULK_BYTES_MAX).await;
    let bytes = bytes.map_err(|refused| self::refused(&style, &refused))?;
    let items = actions::read(&bytes, index).map_err(|malformed| {
        style.error(StatusCode::BAD_REQUEST, malformed.kind, &malformed.reason, Value::Null)
    })?;
    let (mut answers, incoming) = sorted(&items);
    let count = incoming.len() as u64;
    let appended = store.append(incoming).await.map_err(|error| match error {
        StoreError::Busy => busy(site, &style, count),
        other => {
            site.counts.appended("failed", count);
            style.error(StatusCode::SERVICE_UNAVAILABLE, "exception", &other.to_string(), Value::Null)
        }
    })?;
    count_each(site, &appended);
    let mut appended = appended.into_iter();
    for (item, slot) in items.iter().zip(&mut answers) {
        if slot.is_none() {
            *slot = appended.next().map(|appended| answer::appended(&item.index, &appended));
        }
    }
    let answers: Vec<Value> = answers.into_iter().flatten().collect();
    let errors = answers.iter().any(answer::is_error);
    let took = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let body = json!({ "errors": errors, "took": took, "items": answers });
    Ok(style.answer(StatusCode::OK, &filter.apply(body)))
}

/// Which items go to the store, and the answers to all others.
fn sorted(items: &[Item]) -> (Vec<Option<Value>>, Vec<Incoming>) {
    let mut incoming = Vec::with_capacity(items.len());
    let answers = items.iter().map(|item| {
        if item.operation != Operation::Create {
            return Some(answer::only_create(item));
        }
        match target::stream(&item.index) {
            Ok((stream, namespace)) => {
                let namespace = namespace.to_owned();
                incoming.push(Incoming {
                    stream,
                    namespace,
                    id: item.id.clone(),
                    source: item.source.clone(),
                });
                None
            }
            Err(unknown) => Some(answer::unknown(item, &unknown)),
        }
    });
    (answers.collect(), incoming)
}

/// What the query asks for.
fn asked(uri: &Uri, headers: &HeaderMap) -> Result<(Style, FilterPath), Response> {
    let mut style = Style::of(headers);
    let mut filter = FilterPath::default();
    for (name, value) in query(uri) {
        match (name.as_str(), value.as_str()) {
            ("pretty", "" | "true") => style.pretty = true,
            ("filter_path", value) => {
                filter = FilterPath::read(value).map_err(|why| style.bad_argument(why))?;
            }
            (
                "pretty"
                | "refresh"
                | "timeout"
                | "wait_for_active_shards"
                | "require_data_stream"
                | "error_trace"
                | "human"
                | "_source",
                _,
            ) => {}
            (name, _) => {
                let name: String = name.chars().take(100).collect();
                let path = uri.path();
                let reason = format!("request [{path}] contains unrecognized parameter: [{name}]");
                return Err(style.bad_argument(&reason));
            }
        }
    }
    Ok((style, filter))
}

/// The query's names and values, decoded.
pub fn query(uri: &Uri) -> Vec<(String, String)> {
    let base = format!("http://localhost/?{}", uri.query().unwrap_or_default());
    let Ok(url) = reqwest::Url::parse(&base) else { return Vec::new() };
    url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
}

fn store<'s>(site: &'s Site, style: &Style) -> Result<&'s dyn Store, Response> {
    site.store.as_deref().filter(|_| site.keeps_documents).ok_or_else(|| {
        let reason =
            "this controller keeps no documents; send them to a search engine, or start it with --store DIR";
        style.error(StatusCode::NOT_FOUND, "resource_not_found_exception", reason, Value::Null)
    })
}

/// Headers that announce the body's size as it may be once it is unpacked.
fn estimated(headers: &HeaderMap) -> HeaderMap {
    let mut estimated = HeaderMap::new();
    let announced =
        headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    let is_packed = headers.contains_key(header::CONTENT_ENCODING);
    let bytes = announced.map(|bytes| bytes.saturating_mul(if is_packed { UNPACKED } else { 1 }));
    if let Some(bytes) = bytes {
        estimated.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes.min(BULK_BYTES_MAX)));
    }
    estimated
}

fn refused(style: &Style, Refused(status, kind, reason): &Refused) -> Response {
    style.error(*status, kind, reason, Value::Null)
}

fn busy(site: &Site, style: &Style, documents: u64) -> Response {
    site.counts.appended("rejected", documents);
    let reason = StoreError::Busy.to_string();
    let mut response =
        style.error(StatusCode::TOO_MANY_REQUESTS, "es_rejected_execution_exception", &reason, Value::Null);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(ASK_AGAIN_SECONDS));
    response
}

fn count_each(site: &Site, appended: &[Appended]) {
    let count = |result, is_it: fn(&Outcome) -> bool| {
        let documents = appended.iter().filter(|one| is_it(&one.outcome)).count();
        if documents > 0 {
            site.counts.appended(result, documents as u64);
        }
    };
    count("created", |outcome| matches!(outcome, Outcome::Created { .. }));
    count("exists", |outcome| *outcome == Outcome::Exists);
    count("refused", |outcome| matches!(outcome, Outcome::Refused(_)));
    count("failed", |outcome| matches!(outcome, Outcome::Failed { .. }));
}
