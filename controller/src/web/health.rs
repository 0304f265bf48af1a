//! `/healthz`, `/readyz`: alive, and ready when a set is served. `/metrics`.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode, response::Response};

use super::{Site, plain};
use crate::telemetry;

/// Whether the controller answers at all.
pub async fn healthz() -> Response {
    plain::with_type(StatusCode::OK, TEXT, "alive\n".into())
}

/// Whether agents get a set here.
pub async fn readyz(State(site): State<Arc<Site>>) -> Response {
    if *site.shutdown.borrow() {
        return plain::with_type(StatusCode::SERVICE_UNAVAILABLE, TEXT, "ending\n".into());
    }
    match site.publisher.current().borrow().as_ref() {
        Some(set) => plain::with_type(StatusCode::OK, TEXT, format!("ready: set {}\n", set.id).into()),
        None => plain::with_type(StatusCode::SERVICE_UNAVAILABLE, TEXT, "no threat set yet\n".into()),
    }
}

/// Every metric.
pub async fn metrics(State(site): State<Arc<Site>>) -> Response {
    match telemetry::page(&site) {
        Ok(page) => plain::with_type(StatusCode::OK, telemetry::CONTENT_TYPE, page.into()),
        Err(_) => plain::error(StatusCode::INTERNAL_SERVER_ERROR, "the metrics could not be written"),
    }
}

const TEXT: &str = "text/plain; charset=utf-8";
