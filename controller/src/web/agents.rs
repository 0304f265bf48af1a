//! What agents report of themselves: `POST /v1/agents/report`, `GET /v1/agents`.

// The table of agents.
mod table;

use std::{sync::Arc, time::Instant};

use axum::{
    Extension,
    body::Body,
    extract::{RawQuery, State},
    http::StatusCode,
    response::Response,
};
use namewarden_protocol::endpoint::controller::{AgentReport, REPORT_BYTES_MAX};
use serde::Serialize;

pub use table::{Agents, Seen};

use super::{REPORT_PATIENCE, Site, body, guard::Admitted, plain};

/// Takes a report.
pub async fn report(
    State(site): State<Arc<Site>>,
    Extension(Admitted(caller)): Extension<Admitted>,
    body: Body,
) -> Response {
    let bytes = match body::read(body, REPORT_BYTES_MAX, REPORT_PATIENCE).await {
        Ok(bytes) => bytes,
        Err(body::Unread::TooLarge) => {
            let reason = format!("a report has at most {REPORT_BYTES_MAX} bytes");
            return plain::error(StatusCode::PAYLOAD_TOO_LARGE, &reason);
        }
        Err(_) => return plain::error(StatusCode::REQUEST_TIMEOUT, "the report did not arrive whole"),
    };
    let report: AgentReport = match serde_json::from_slice(&bytes) {
        Ok(report) => report,
        Err(error) => return plain::error(StatusCode::BAD_REQUEST, &format!("this is no report: {error}")),
    };
    if let Some(node) = caller.node.as_deref().filter(|node| *node != report.node) {
        let reason = format!("this token is bound to node {node} and reports of no other");
        return plain::error(StatusCode::FORBIDDEN, &reason);
    }
    match site.agents.note(report, Instant::now()) {
        Ok(()) => plain::empty(StatusCode::NO_CONTENT),
        Err(reason) => plain::error(StatusCode::BAD_REQUEST, reason),
    }
}

#[derive(Serialize)]
struct Listing {
    /// Agents heard of lately.
    total: usize,
    /// Of them, those that use the current set.
    on_current_set: usize,
    agents: Vec<Seen>,
}

/// Lists the agents; with `?node=NAME` one of them, its counters too.
pub async fn list(State(site): State<Arc<Site>>, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let node = query.split('&').find_map(|pair| pair.strip_prefix("node="));
    let current = site.publisher.current().borrow().as_ref().map(|set| set.id);
    let agents = site.agents.list(node, current, Instant::now());
    let on_current_set = agents.iter().filter(|agent| agent.is_current).count();
    plain::json(StatusCode::OK, &Listing { total: agents.len(), on_current_set, agents })
}
