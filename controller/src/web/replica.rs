//! `/v1/replica/*`: everything that a follower copies.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    body::Body,
    extract::{Path, RawQuery, State as Shared},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};
use futures::StreamExt as _;
use namewarden_protocol::endpoint::controller::parse_entity_tag;
use tokio::io::AsyncReadExt as _;

use super::{Site, plain, set};
use crate::replication::{self, DOCUMENT_HEAD, State, UNREADABLE};

/// How often a state that is waited for is looked at in any case.
const LOOK: Duration = Duration::from_secs(10);
const WAIT_SECONDS_MAX: u64 = 60;
const CHUNK: usize = 64 * 1024;

/// The state, once it is not the one that the follower knows, or 304 when the wait is over.
pub async fn state(Shared(site): Shared<Arc<Site>>, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let value = |name: &str| {
        query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')).unwrap_or("")
    };
    let (Ok(next_seq_no), Ok(wait)) = (value("next_seq_no").parse(), value("wait").parse::<u64>()) else {
        return plain::error(StatusCode::BAD_REQUEST, "`next_seq_no` and `wait` take whole numbers");
    };
    let name: String = value("name").chars().take(100).collect();
    site.followers.note(&name, next_seq_no, Instant::now());
    let end = tokio::time::Instant::now() + Duration::from_secs(wait.min(WAIT_SECONDS_MAX));
    let (mut news, mut sets) = (site.followers.news(), site.publisher.current());
    let (mut feeds, mut shutdown) = (site.feeds.overview(), site.shutdown.clone());
    loop {
        let state = match read(&site).await {
            Ok(state) => state,
            Err(error) => {
                tracing::warn!("this controller's state cannot be read for a follower: {error}");
                return plain::error(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "the state cannot be read; the log says why",
                );
            }
        };
        if state.fingerprint() != value("known") {
            return plain::json(StatusCode::OK, &state);
        }
        if tokio::time::Instant::now() >= end || *shutdown.borrow() {
            return plain::empty(StatusCode::NOT_MODIFIED);
        }
        tokio::select! {
            Ok(()) = news.changed() => {}
            Ok(()) = sets.changed() => {}
            Ok(()) = feeds.changed() => {}
            Ok(()) = shutdown.changed() => {}
            () = tokio::time::sleep_until(end.min(tokio::time::Instant::now() + LOOK)) => {}
        }
    }
}

async fn read(site: &Arc<Site>) -> std::io::Result<State> {
    let site = site.clone();
    let read = tokio::task::spawn_blocking(move || {
        let set = site.publisher.current().borrow().clone();
        replication::state(set.as_deref(), site.pushes.heads(), &site.shelf)
    });
    read.await.unwrap_or_else(|error| Err(std::io::Error::other(error)))
}

/// The set: whole, or the change from the follower's.
pub async fn set(Shared(site): Shared<Arc<Site>>, headers: HeaderMap) -> Response {
    let base = headers.get(header::IF_NONE_MATCH).and_then(|tag| parse_entity_tag(tag.to_str().ok()?));
    set::answer(&site, &set::Known { base, ports: None }, Duration::ZERO).await
}

/// A pushed document; a header says which version it is.
pub async fn document(Shared(site): Shared<Arc<Site>>, Path(feed): Path<String>) -> Response {
    let pushes = site.pushes.clone();
    let found = tokio::task::spawn_blocking(move || pushes.replica(&feed)).await;
    let replica = match found.unwrap_or_else(|error| Err(std::io::Error::other(error))) {
        Ok(Some(replica)) => replica,
        Ok(None) => return plain::error(StatusCode::NOT_FOUND, "there is no such document"),
        Err(error) => {
            tracing::warn!("a pushed document cannot be read for another controller: {error}; push it again");
            return plain::error(UNREADABLE, "the document cannot be read; the log says why");
        }
    };
    let head = serde_json::to_string(&replica.head).unwrap_or_default();
    let mut response = plain::with_type(StatusCode::OK, "application/json", Body::from(replica.body));
    if let Ok(head) = HeaderValue::try_from(head) {
        response.headers_mut().insert(DOCUMENT_HEAD, head);
    }
    response
}

/// What is known of a feed's last good copy.
pub async fn record(Shared(site): Shared<Arc<Site>>, Path(feed): Path<String>) -> Response {
    let found = tokio::task::spawn_blocking(move || site.shelf.record(&feed)).await;
    match found {
        Ok(Ok(Some(record))) => plain::json(StatusCode::OK, &record),
        _ => plain::error(StatusCode::NOT_FOUND, "nothing is kept of this feed"),
    }
}

/// A feed's last good copy, by its digest.
pub async fn copy(Shared(site): Shared<Arc<Site>>, Path(digest): Path<String>) -> Response {
    let reader = if replication::is_digest(&digest) { site.shelf.reader(&digest).ok() } else { None };
    let Some(reader) = reader else { return plain::error(StatusCode::NOT_FOUND, "there is no such copy") };
    let file = tokio::fs::File::from_std(reader.into_inner());
    let parts = futures::stream::try_unfold(file, async |mut file| {
        let mut part = bytes::BytesMut::with_capacity(CHUNK);
        let read = file.read_buf(&mut part).await?;
        Ok::<_, std::io::Error>((read > 0).then(|| (part.freeze(), file)))
    });
    plain::with_type(StatusCode::OK, "application/octet-stream", Body::from_stream(parts.boxed()))
}
