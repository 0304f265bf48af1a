//! Every route and the right that it takes: the one table. What is not in it is served to nobody.

use axum::http::Method;

use crate::access::Right;

/// Methods of a path, and what they take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// `GET` stands for `HEAD` too.
    pub methods: &'static [&'static str],
    /// As axum writes it: `{name}` is one segment.
    pub path: &'static str,
    /// What a caller needs; `None` is open to all.
    pub right: Option<Right>,
    /// Who answers it where there are several controllers.
    pub by: By,
}

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// Whoever is asked.
    Anyone,
    /// The leader; others pass the request on to it.
    Leader,
}

use By::{Anyone, Leader};

/// The table.
pub const ROUTES: &[Route] = &[
    row(&["GET"], "/healthz", None, Anyone),
    row(&["GET"], "/readyz", None, Anyone),
    row(&["GET"], "/metrics", Some(Right::ReadMetrics), Anyone),
    row(&["GET"], "/v1/threat-set", Some(Right::FetchSet), Anyone),
    row(&["POST"], "/v1/agents/report", Some(Right::ReportStatus), Leader),
    row(&["GET"], "/v1/agents", Some(Right::ReadFeeds), Leader),
    row(&["GET"], "/v1/feeds", Some(Right::ReadFeeds), Leader),
    row(&["POST"], "/v1/feeds/{feed}/pull", Some(Right::PullNow), Leader),
    row(&["GET"], "/", Some(Right::Identify), Anyone),
    row(&["PUT", "POST", "DELETE"], "/{index}/_doc/{feed}", Some(Right::Push), Leader),
    row(&["GET"], "/{index}/_doc/{feed}", Some(Right::ReadPush), Leader),
    row(&["GET"], "/{index}/_source/{feed}", Some(Right::ReadPush), Leader),
    row(&["PUT", "POST"], "/{index}/_create/{feed}", Some(Right::Push), Leader),
    row(&["POST"], "/{index}/_update/{feed}", Some(Right::Push), Leader),
    row(&["POST"], "/{index}/_doc", Some(Right::Identify), Anyone),
    row(&["POST"], "/_bulk", Some(Right::KeepDocuments), Anyone),
    row(&["POST"], "/{index}/_bulk", Some(Right::KeepDocuments), Anyone),
    row(&["POST"], "/{index}/_mget", Some(Right::KeepDocuments), Anyone),
    row(&["GET"], "/_resolve/index/{name}", Some(Right::KeepDocuments), Anyone),
    row(&["PUT"], "/_data_stream/{name}", Some(Right::KeepDocuments), Anyone),
    row(&["GET"], "/v1/events", Some(Right::ReadEvents), Anyone),
    row(&["PUT"], "/v1/events/{group}/annotation", Some(Right::AnnotateEvents), Anyone),
    row(&["GET"], "/v1/replica/state", Some(Right::Replicate), Anyone),
    row(&["GET"], "/v1/replica/set", Some(Right::Replicate), Anyone),
    row(&["GET"], "/v1/replica/documents/{feed}", Some(Right::Replicate), Anyone),
    row(&["GET"], "/v1/replica/records/{feed}", Some(Right::Replicate), Anyone),
    row(&["GET"], "/v1/replica/copies/{digest}", Some(Right::Replicate), Anyone),
];

/// What a request to no known route takes: strangers learn nothing.
pub const ELSEWHERE: Right = Right::Identify;

const fn row(methods: &'static [&'static str], path: &'static str, right: Option<Right>, by: By) -> Route {
    Route { methods, path, right, by }
}

/// The row of a request. `HEAD` is `GET` without the body.
pub fn find(method: &Method, path: &str) -> Option<&'static Route> {
    let method = if *method == Method::HEAD { "GET" } else { method.as_str() };
    ROUTES.iter().find(|route| route.path == path && route.methods.contains(&method))
}
