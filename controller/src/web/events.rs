//! `GET /v1/events`: security events of a cluster, page by page.

// What people say of alert groups.
pub mod annotation;

// The query string -> what is looked for.
mod question;

use std::sync::Arc;

use axum::{
    body::Body,
    extract::State,
    http::{StatusCode, Uri},
    response::Response,
};
use serde_json::{Value, json};

use super::{Site, bulk, plain};
use crate::store::{Annotation, Hit, Page, StoreError};

/// Answers a page.
pub async fn list(State(site): State<Arc<Site>>, uri: Uri) -> Response {
    let Some(store) = &site.store else { return without_store() };
    let search = match question::read(&bulk::query(&uri), &site.cluster) {
        Ok(search) => search,
        Err(reason) => return plain::error(StatusCode::BAD_REQUEST, &reason),
    };
    match store.search(search).await {
        Ok(page) => plain::with_type(StatusCode::OK, "application/json", Body::from(written(&page))),
        Err(error) => failed(&error),
    }
}

fn without_store() -> Response {
    let reason = "this controller knows of no documents: start it with --elasticsearch URL, where the agents send them, or with \
                  --store DIR, and have them sent to it";
    plain::error(StatusCode::NOT_FOUND, reason)
}

fn failed(error: &StoreError) -> Response {
    let status = match error {
        StoreError::Busy => StatusCode::TOO_MANY_REQUESTS,
        StoreError::NoSuchGroup(_) => StatusCode::NOT_FOUND,
        StoreError::Unavailable(_) | StoreError::Engine(_) | StoreError::TooSlow { .. } => {
            StatusCode::SERVICE_UNAVAILABLE
        }
    };
    plain::error(status, &error.to_string())
}

/// `{"events":[{"id":"...","annotation":{...},"document":{...}}],"next":"...","arrived":"..."}`; documents stand there as they
/// came in.
fn written(page: &Page) -> Vec<u8> {
    let mut text = b"{\"events\":[".to_vec();
    for (number, hit) in page.hits.iter().enumerate() {
        if number > 0 {
            text.push(b',');
        }
        event(&mut text, hit);
    }
    let next = page.next.as_ref().map(ToString::to_string);
    let rest = json!({ "next": next, "arrived": page.arrived.to_string() }).to_string();
    text.extend_from_slice(b"],");
    // Its own brace is not needed.
    text.extend_from_slice(rest.as_bytes().get(1..).unwrap_or_default());
    text
}

fn event(text: &mut Vec<u8>, hit: &Hit) {
    text.extend_from_slice(b"{\"id\":");
    text.extend_from_slice(Value::from(hit.id.as_str()).to_string().as_bytes());
    if let Some(annotation) = &hit.annotation {
        let said = said(annotation);
        text.extend_from_slice(b",\"annotation\":");
        text.extend_from_slice(said.to_string().as_bytes());
    }
    text.extend_from_slice(b",\"document\":");
    text.extend_from_slice(&hit.source);
    text.push(b'}');
}

fn said(Annotation { state, by, at, reason }: &Annotation) -> Value {
    json!({ "state": state.name(), "by": by, "at": at, "reason": reason })
}
