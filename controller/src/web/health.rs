//! `/healthz`, `/readyz`: alive, and ready when a set is served. `/metrics`.
//!
//! The metrics' listener answers from the start: alive, and not ready while the store is being opened.

use std::sync::{Arc, OnceLock};

use axum::{extract::State, http::StatusCode, response::Response};

use super::{Site, plain};
use crate::telemetry;

/// The site, once it is open.
pub type Opening = Arc<OnceLock<Arc<Site>>>;

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

/// [`readyz`] of a site that may not be open yet.
pub async fn readyz_of_opening(State(opening): State<Opening>) -> Response {
    match opening.get() {
        Some(site) => readyz(State(Arc::clone(site))).await,
        None => plain::with_type(StatusCode::SERVICE_UNAVAILABLE, TEXT, STORE_OPENS.into()),
    }
}

/// [`metrics`] of a site that may not be open yet.
pub async fn metrics_of_opening(State(opening): State<Opening>) -> Response {
    match opening.get() {
        Some(site) => metrics(State(Arc::clone(site))).await,
        None => plain::with_type(StatusCode::SERVICE_UNAVAILABLE, TEXT, STORE_OPENS.into()),
    }
}

const STORE_OPENS: &str = "the store is being opened\n";
const TEXT: &str = "text/plain; charset=utf-8";
