//! In front of every route: who asks, may they; and the count of what was answered.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    body::HttpBody as _,
    extract::{ConnectInfo, MatchedPath, RawPathParams, Request, State, rejection::RawPathParamsRejection},
    http::{HeaderValue, StatusCode, header},
    middleware::Next,
    response::Response,
};
use serde_json::{Value, json};

use super::{
    Site, plain,
    push::answer::Style,
    routes::{self, By, ELSEWHERE, Route},
};
use crate::{
    access::{Caller, Denied},
    leader::Role,
};

/// Who was admitted, for the handlers.
#[derive(Clone, Debug)]
pub struct Admitted(pub Arc<Caller>);

/// Admits a request by its row in the table, or answers why not.
pub async fn guard(
    State(site): State<Arc<Site>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    matched: Option<MatchedPath>,
    parameters: Result<RawPathParams, RawPathParamsRejection>,
    mut request: Request,
    next: Next,
) -> Response {
    let path = matched.as_ref().map(MatchedPath::as_str);
    let row = path.and_then(|path| routes::find(request.method(), path));
    let right = row.map_or(Some(ELSEWHERE), |row| row.right);
    let feed = parameters.as_ref().ok().and_then(|all| all.iter().find(|(name, _)| *name == "feed"));
    let label = row.map_or("other", |row| row.path);
    let admitted = match right {
        None => Ok(None),
        Some(right) => {
            site.access.admit(request.headers(), peer, right, feed.map(|(_, feed)| feed)).await.map(Some)
        }
    };
    let response = match admitted {
        Ok(caller) => {
            if let Some(caller) = caller {
                request.extensions_mut().insert(Admitted(caller));
            }
            match elsewhere(&site, row) {
                Some(role) => site.forward.pass(role.leader(), request).await,
                None => next.run(request).await,
            }
        }
        Err(denied) => refusal(&denied, &request),
    };
    let bytes = response.body().size_hint().exact().unwrap_or(0);
    site.counts.answered(label, response.status(), bytes);
    response
}

/// Who leads, where a request is the leader's to answer and that is somebody else.
fn elsewhere(site: &Site, row: Option<&Route>) -> Option<Role> {
    row.filter(|row| row.by == By::Leader)?;
    let role = site.leadership.watch().borrow().clone();
    (role != Role::Leader).then_some(role)
}

/// Elasticsearch's clients get its words, everybody else one sentence.
fn refusal(denied: &Denied, request: &Request) -> Response {
    let status = status(denied);
    let path = request.uri().path();
    let mut response = if path.starts_with("/v1/") || path == "/metrics" {
        plain::error(status, &denied.to_string())
    } else {
        let more =
            if status == StatusCode::UNAUTHORIZED { json!({ "header": challenges() }) } else { Value::Null };
        Style::of(request.headers()).error(status, "security_exception", &denied.to_string(), more)
    };
    let headers = response.headers_mut();
    if status == StatusCode::UNAUTHORIZED {
        for challenge in CHALLENGES {
            headers.append(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
    }
    if let Some(seconds) = retry_after(denied) {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    // What was not read of the body is not waited for.
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

const CHALLENGES: [&str; 2] =
    ["Bearer realm=\"namewarden\"", "Basic realm=\"namewarden\", charset=\"UTF-8\""];

fn challenges() -> Value {
    json!({ "WWW-Authenticate": CHALLENGES })
}

fn status(denied: &Denied) -> StatusCode {
    match denied {
        Denied::NoCredentials | Denied::BadCredentials => StatusCode::UNAUTHORIZED,
        Denied::NotAllowed { .. } => StatusCode::FORBIDDEN,
        Denied::TooManyFailures { .. } => StatusCode::TOO_MANY_REQUESTS,
        Denied::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
    }
}

fn retry_after(denied: &Denied) -> Option<u64> {
    match denied {
        Denied::TooManyFailures { seconds } => Some(*seconds),
        Denied::Unavailable { .. } => Some(5),
        _ => None,
    }
}
