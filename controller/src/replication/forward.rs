//! Requests that only the leader can answer are passed on to it as they came, credentials included: it checks them itself.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderName, HeaderValue, Method, StatusCode, header},
    response::Response,
};
use futures::TryStreamExt as _;
use reqwest::Url;

use super::peer::{Peer, Peers, why};
use crate::web::plain;

/// Says that a request was passed on: it is not passed on again.
pub const FORWARDED: HeaderName = HeaderName::from_static("namewarden-forwarded");
/// How long the leader may take.
const PATIENCE: Duration = Duration::from_mins(2);
/// What goes along, there and back.
const THERE: [HeaderName; 5] = [
    header::AUTHORIZATION,
    header::CONTENT_TYPE,
    header::CONTENT_ENCODING,
    header::ACCEPT,
    header::IF_NONE_MATCH,
];
const BACK: [HeaderName; 6] = [
    header::CONTENT_TYPE,
    header::LOCATION,
    header::RETRY_AFTER,
    header::WWW_AUTHENTICATE,
    header::CACHE_CONTROL,
    HeaderName::from_static("x-elastic-product"),
];

/// Passes requests on.
#[derive(Debug)]
pub struct Forward {
    peers: Option<Arc<Peers>>,
}

impl Forward {
    /// Passes requests on to one of `peers`; without any it refuses them all.
    pub fn new(peers: Option<Arc<Peers>>) -> Self {
        Self { peers }
    }

    /// Passes a request on to the leader at the address that it gives, or answers that this does not work now.
    pub async fn pass(&self, leader: Option<&Url>, request: Request) -> Response {
        if request.headers().contains_key(FORWARDED) {
            return unavailable("leadership changes just now; try again");
        }
        let Some(leader) = leader else { return unavailable("no controller leads just now; try again") };
        let Some(peers) = &self.peers else {
            return unavailable("another controller leads, and this one has no --peer-ca to reach it by");
        };
        let sent = match peers.reach(leader) {
            Ok(peer) => send(peer, request).await.map_err(|error| why(&error)),
            Err(error) => Err(error.to_string()),
        };
        sent.unwrap_or_else(|reason| {
            tracing::warn!("a request could not be passed on to the leader: {reason}");
            unavailable("the leading controller cannot be reached; try again")
        })
    }
}

async fn send(leader: Peer, request: Request) -> reqwest::Result<Response> {
    let mut url = leader.base;
    url.set_path(request.uri().path());
    url.set_query(request.uri().query());
    let (parts, body) = request.into_parts();
    let mut onward = leader.client.request(parts.method.clone(), url).timeout(PATIENCE);
    onward = onward.header(FORWARDED, HeaderValue::from_static("1"));
    for name in THERE {
        for value in parts.headers.get_all(&name) {
            onward = onward.header(&name, value);
        }
    }
    if parts.method != Method::GET && parts.method != Method::HEAD {
        if let Some(length) = parts.headers.get(header::CONTENT_LENGTH) {
            onward = onward.header(header::CONTENT_LENGTH, length);
        }
        onward = onward.body(reqwest::Body::wrap_stream(body.into_data_stream()));
    }
    onward.send().await.map(back)
}

fn back(answer: reqwest::Response) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = answer.status();
    for name in BACK {
        for value in answer.headers().get_all(&name) {
            response.headers_mut().append(&name, value.clone());
        }
    }
    *response.body_mut() = Body::from_stream(answer.bytes_stream().map_err(reqwest::Error::without_url));
    response
}

fn unavailable(reason: &str) -> Response {
    let mut response = plain::error(StatusCode::SERVICE_UNAVAILABLE, reason);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
    response
}
