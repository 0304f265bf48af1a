//! The feeds' state, and a pull on demand: `GET /v1/feeds`, `POST /v1/feeds/NAME/pull`.

use std::sync::Arc;

use axum::{
    Extension,
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use serde_json::json;

use super::{Site, guard::Admitted, plain};

/// Lists the feeds.
pub async fn list(State(site): State<Arc<Site>>) -> Response {
    plain::json(StatusCode::OK, &json!({ "feeds": **site.feeds.overview().borrow() }))
}

/// Has a feed pulled as soon as it can be.
pub async fn pull(
    State(site): State<Arc<Site>>,
    Extension(Admitted(caller)): Extension<Admitted>,
    Path(feed): Path<String>,
) -> Response {
    let overview = site.feeds.overview();
    let refused = overview.borrow().iter().find(|known| known.name == feed).and_then(|known| {
        let idle = known.is_idle().map(|why| format!("nothing is pulled for feed {feed}: {why}"));
        idle.or_else(|| {
            (!known.is_pulled).then(|| format!("nothing is pulled for feed {feed}: its names are pushed"))
        })
    });
    if let Some(reason) = refused {
        return plain::error(StatusCode::CONFLICT, &reason);
    }
    match site.feeds.pull_now(&feed) {
        Ok(()) => {
            tracing::info!(feed, by = caller.name, "a pull was asked for");
            plain::json(StatusCode::ACCEPTED, &json!({ "feed": feed, "result": "the feed is pulled now" }))
        }
        Err(reason) => plain::error(StatusCode::NOT_FOUND, &reason.to_string()),
    }
}
