//! What agents report of themselves: `POST /v1/agents/report`, `GET /v1/agents`.

// The table of agents.
mod table;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

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

/// Agents report every minute, some earlier and some later: whoever is there has reported within this time.
const ALL_REPORTED: Duration = Duration::from_mins(2);

#[derive(Serialize)]
struct Listing {
    /// Agents heard of lately.
    total: usize,
    /// Of them, those that use the current set.
    on_current_set: usize,
    /// Why there may be agents that are not listed yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    incomplete: Option<String>,
    /// The set that is served.
    current_set: Option<CurrentSet>,
    agents: Vec<Seen>,
}

/// The served set.
#[derive(Serialize)]
struct CurrentSet {
    epoch: u64,
    number: u64,
    entries: u64,
    /// Seconds since it was compiled.
    published_seconds: u64,
}

/// Lists the agents; with `?node=NAME` one of them, its counters too.
pub async fn list(State(site): State<Arc<Site>>, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let node = query.split('&').find_map(|pair| pair.strip_prefix("node="));
    let served = site.publisher.current().borrow().clone();
    let agents = site.agents.list(node, served.as_ref().map(|set| set.id), Instant::now());
    let on_current_set = agents.iter().filter(|agent| agent.is_current).count();
    let current_set = served.map(|set| CurrentSet {
        epoch: set.id.epoch,
        number: set.id.number,
        entries: set.entries,
        published_seconds: set.at.elapsed().unwrap_or_default().as_secs(),
    });
    let incomplete = incomplete(site.leadership.since().elapsed());
    plain::json(
        StatusCode::OK,
        &Listing { total: agents.len(), on_current_set, incomplete, current_set, agents },
    )
}

/// What to say of a list that began so long ago; reports are not kept over a restart.
fn incomplete(age: Duration) -> Option<String> {
    (age < ALL_REPORTED).then(|| {
        format!(
            "this controller listens for {} s, and agents report about once a minute: some may not be listed yet",
            age.as_secs()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_called_incomplete_until_every_agent_has_reported() {
        assert!(incomplete(Duration::from_secs(7)).is_some_and(|text| text.contains("listens for 7 s")));
        assert_eq!(incomplete(ALL_REPORTED), None);
    }
}
