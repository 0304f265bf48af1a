//! A feed's URL -> its bytes in a draft, or "not changed since".
//!
//! TLS by rustls with ring, trusting the roots compiled in and the operator's own authorities. Bounded in time, speed
//! and size. Redirects are followed here, step by step: never from https to http, never to an address out of reach,
//! and what may be a secret is not carried to another host.

use std::io::Write;
use std::sync::Arc;
use std::time::SystemTime;

use reqwest::header::{
    ACCEPT_ENCODING, ETAG, HeaderMap, HeaderName, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH,
    LAST_MODIFIED, LOCATION,
};
use reqwest::{RequestBuilder, Response, StatusCode, Url};
use tokio::runtime::Builder;
use tokio::time::timeout;

use super::client::{ClientError, Settings, Ways};
use super::copy::Origin;
use super::failure::{FetchError, RedirectError, no_answer};
use super::receive::{Pace, receive};
use super::request::{Request, ShownOrigin};
use super::retry_after::retry_after;

const REDIRECTS_MAX: usize = 5;

/// What came of a fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// The body is in the draft; what the server says of its version.
    Body {
        /// `ETag`
        etag: Option<String>,
        /// `Last-Modified`
        last_modified: Option<String>,
    },
    /// The server says that the copy is still right.
    NotModified,
}

/// Fetches feeds, several at once where several threads call it; a clone fetches in the same way.
#[derive(Clone, Debug)]
pub struct Fetcher {
    ways: Arc<Ways>,
    pace: Pace,
}

impl Fetcher {
    /// A fetcher with these settings; nothing is asked yet.
    pub fn new(settings: &Settings) -> Result<Self, ClientError> {
        Ok(Self { ways: Arc::new(Ways::new(settings)?), pace: settings.pace })
    }

    /// Fetches into `draft`, of which nothing is to be used after an error. Blocks the thread that calls it, which
    /// must not be one of an asynchronous runtime's own (`spawn_blocking`).
    pub fn fetch(&self, request: &Request<'_>, draft: &mut impl Write) -> Result<Fetched, FetchError> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| FetchError::Broken(format!("no event loop: {error}")))?;
        let limit = self.pace.total;
        let fetched = runtime.block_on(async { timeout(limit, self.follow(request, draft)).await });
        // A name that is still being resolved must not hold up who gave up waiting for it.
        runtime.shutdown_background();
        fetched.unwrap_or(Err(FetchError::TooLong { limit }))
    }

    async fn follow(&self, request: &Request<'_>, draft: &mut impl Write) -> Result<Fetched, FetchError> {
        let mut trail = Trail::new(request.url);
        loop {
            let response = self.ask(&trail, request).await?;
            match response.status() {
                StatusCode::NOT_MODIFIED if request.known.is_some() => return Ok(Fetched::NotModified),
                StatusCode::OK => {
                    let text = |name| header(response.headers(), name);
                    let (etag, last_modified) = (text(&ETAG), text(&LAST_MODIFIED));
                    receive(response, &self.pace, request.bytes_max, draft).await?;
                    return Ok(Fetched::Body { etag, last_modified });
                }
                status if is_redirect(status) => trail.step(&response).map_err(FetchError::Redirect)?,
                status => {
                    let retry_after = retry_after(response.headers(), SystemTime::now());
                    let withheld = trail.has_left && request.has_secrets();
                    return Err(FetchError::Status { status, retry_after, withheld });
                }
            }
        }
    }

    async fn ask(&self, trail: &Trail, request: &Request<'_>) -> Result<Response, FetchError> {
        let (client, proxy) = self.ways.to(&trail.url)?;
        let asked = with_headers(client.get(trail.url.clone()), request, trail.has_left).send();
        let to = ShownOrigin(&trail.url).to_string();
        let limit = self.pace.answer;
        match timeout(limit, asked).await {
            Ok(answer) => answer.map_err(|error| no_answer(error, &to, proxy.as_deref())),
            Err(_) => {
                Err(FetchError::Connect { to, reason: format!("no answer within {} s", limit.as_secs_f32()) })
            }
        }
    }
}

/// The way from the URL to where the list is.
struct Trail {
    url: Url,
    visited: Vec<Url>,
    /// Whether it led to another host, port or scheme; from then on it is another's.
    has_left: bool,
}

impl Trail {
    fn new(url: &Url) -> Self {
        let mut url = url.clone();
        url.set_fragment(None);
        Self { url, visited: Vec::new(), has_left: false }
    }

    /// To where a redirect points.
    fn step(&mut self, response: &Response) -> Result<(), RedirectError> {
        let location = header(response.headers(), &LOCATION).ok_or(RedirectError::Nowhere)?;
        let mut next = self.url.join(&location).map_err(|_| RedirectError::Nowhere)?;
        next.set_fragment(None);
        if !matches!(next.scheme(), "http" | "https") || !next.has_host() {
            return Err(RedirectError::Scheme(next.scheme().chars().take(20).collect()));
        }
        if self.url.scheme() == "https" && next.scheme() != "https" {
            return Err(RedirectError::Insecure);
        }
        if next.origin() != self.url.origin() {
            self.has_left = true;
        } else if next.username().is_empty() && next.password().is_none() {
            // The same server asks for the same user. Neither fails on a URL with a host.
            let _ = next.set_username(self.url.username());
            let _ = next.set_password(self.url.password());
        }
        self.visited.push(std::mem::replace(&mut self.url, next));
        if self.visited.contains(&self.url) {
            return Err(RedirectError::Circle);
        }
        if self.visited.len() > REDIRECTS_MAX {
            return Err(RedirectError::TooMany(REDIRECTS_MAX));
        }
        Ok(())
    }
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// Adds the caller's headers, as far as this host may have them, and ours.
fn with_headers(mut asked: RequestBuilder, request: &Request<'_>, has_left: bool) -> RequestBuilder {
    for header in request.headers.iter().filter(|header| !(has_left && header.is_secret())) {
        let (name, value) = header.parts();
        asked = asked.header(name, value);
    }
    asked = asked.header(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    for (name, value) in request.known.map(conditions).into_iter().flatten() {
        asked = asked.header(name, value);
    }
    asked
}

/// What makes a server answer 304; of a description damaged on disk, nothing.
fn conditions(known: &Origin) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
    let condition = |name, text: &Option<String>| Some((name, text.as_ref()?.parse().ok()?));
    let etag = condition(IF_NONE_MATCH, &known.etag);
    etag.into_iter().chain(condition(IF_MODIFIED_SINCE, &known.last_modified))
}

fn header(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}
