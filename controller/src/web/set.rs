//! `GET /v1/threat-set`: the set whole, the change from the caller's base, or 304; at once or when there is a new one.

// One computation for all who ask the same.
mod transfers;

use std::{
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use axum::{
    body::Body,
    extract::{RawQuery, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};
use namewarden_protocol::{
    endpoint::controller::{
        PUBLISHED_HEADER, SET_TYPE, SET_TYPE_AND_VERSION, SET_TYPE_VERSION, WAIT_PARAMETER, WAIT_SECONDS_MAX,
        entity_tag, parse_entity_tag,
    },
    endpoint::ports::{PORTS_HEADER, ResolverPorts},
    threat_set::SetId,
};

pub use transfers::Transfers;

use super::{Site, plain};

/// Requests that may wait at once; those beyond are answered at once.
pub const WAITING_MAX: usize = 8192;
/// What such a request is told to do before it asks again.
const ASK_AGAIN_SECONDS: u64 = 30;
/// What is told to a caller that the leader is behind of: it makes a set that is not.
const SOON_SECONDS: u64 = 2;

/// Serves the set.
pub async fn fetch(State(site): State<Arc<Site>>, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    if !accepts(&headers) {
        let reason = format!("only `{SET_TYPE_AND_VERSION}` is served: this agent is too new or too old");
        return plain::error(StatusCode::NOT_ACCEPTABLE, &reason);
    }
    let wait = match wait(query.as_deref().unwrap_or_default()) {
        Ok(wait) => wait,
        Err(reason) => return plain::error(StatusCode::BAD_REQUEST, &reason),
    };
    let text = |name: &str| headers.get(name)?.to_str().ok();
    let known = Known {
        base: text(header::IF_NONE_MATCH.as_str()).and_then(parse_entity_tag),
        ports: text(PORTS_HEADER).and_then(|ports| ports.parse().ok()),
    };
    answer(&site, &known, wait).await
}

/// What a caller has.
pub struct Known {
    /// Its set.
    pub base: Option<SetId>,
    /// The resolvers' ports that it was told; `None` of one that is not interested.
    pub ports: Option<ResolverPorts>,
}

impl Known {
    /// Whether there are other ports than those it was told.
    fn lacks(&self, ports: Option<&ResolverPorts>) -> bool {
        self.ports.as_ref().zip(ports).is_some_and(|(told, ports)| told != ports)
    }
}

/// The answer to a caller that has this.
pub async fn answer(site: &Site, known: &Known, wait: Duration) -> Response {
    let base = known.base;
    let (current, may_ask_at_once) = next_after(site, known, wait).await;
    let Some(current) = current else {
        let reason = "there is no threat set yet: the first feeds are being read; try again";
        return with_retry(plain::error(StatusCode::SERVICE_UNAVAILABLE, reason), 2);
    };
    if Some(current) == base {
        let unchanged = tagged(plain::empty(StatusCode::NOT_MODIFIED), current, site);
        return if may_ask_at_once { unchanged } else { with_retry(unchanged, ASK_AGAIN_SECONDS) };
    }
    let is_leading = site.leadership.is_leader();
    if let Some(base) =
        base.filter(|base| is_leading && base.epoch == current.epoch && base.number >= current.number)
    {
        catch_up(site, base).await;
    }
    if base.is_some_and(|base| base.epoch == current.epoch && base.number > current.number) {
        // The whole set would only be refused.
        let reason = format!(
            "this controller is behind: it has set {current}; another one, or a later answer, has yours"
        );
        let seconds = if is_leading { SOON_SECONDS } else { ASK_AGAIN_SECONDS };
        return with_retry(plain::error(StatusCode::SERVICE_UNAVAILABLE, &reason), seconds);
    }
    match site.transfers.of(current, base).await {
        Ok(transfer) => {
            site.counts.served(transfer.delta, transfer.bytes.len());
            let response = plain::with_type(StatusCode::OK, SET_TYPE_AND_VERSION, Body::from(transfer.bytes));
            tagged(response, transfer.id, site)
        }
        Err(reason) => {
            tracing::error!("the threat set cannot be served: {reason}");
            let reason = "the threat set could not be read from the controller's disk; its log says why";
            with_retry(plain::error(StatusCode::SERVICE_UNAVAILABLE, reason), ASK_AGAIN_SECONDS)
        }
    }
}

/// A leader that is behind a caller makes a set that is not.
async fn catch_up(site: &Site, base: SetId) {
    let publisher = site.publisher.clone();
    let outrun = tokio::task::spawn_blocking(move || publisher.is_outrun_by(base)).await;
    if outrun.unwrap_or(false) {
        tracing::warn!(
            "somebody holds set {base}, which this state folder never made (was it put back from an old copy?): the next \
             set has a greater number"
        );
        site.feeds.renumber();
    }
}

/// The current set as soon as it is not the caller's, or the resolvers' ports are not, or when the wait is over or cannot be
/// had. Says whether the caller may ask again at once.
async fn next_after(site: &Site, known: &Known, wait: Duration) -> (Option<SetId>, bool) {
    let base = known.base;
    let mut sets = site.publisher.current();
    let mut ports = site.resolver_ports.clone();
    let now = sets.borrow_and_update().as_ref().map(|set| set.id);
    let lacks_ports = known.lacks(ports.borrow_and_update().as_ref());
    if now != base || lacks_ports || wait.is_zero() || *site.shutdown.borrow() {
        return (now, true);
    }
    let Ok(_place) = site.waiting.try_acquire() else { return (now, false) };
    let mut shutdown = site.shutdown.clone();
    let changed = async {
        loop {
            let found = sets.wait_for(|set| set.as_ref().map(|set| set.id) != base).await;
            match found.map(|set| set.as_ref().map(|set| set.id)) {
                Ok(id) => return id,
                // Nobody publishes any more: the wait goes to its end.
                Err(_) => std::future::pending().await,
            }
        }
    };
    let other_ports = async {
        if ports.wait_for(|ports| known.lacks(ports.as_ref())).await.is_err() {
            // Nobody watches resolvers here.
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        id = changed => (id, true),
        () = other_ports => (now, true),
        _ = shutdown.wait_for(|ending| *ending) => (now, true),
        () = tokio::time::sleep(wait) => (now, true),
    }
}

/// Whether a client takes what is served: it says nothing, anything, or our type in our version.
fn accepts(headers: &HeaderMap) -> bool {
    let values: Vec<_> = headers.get_all(header::ACCEPT).iter().collect();
    values.is_empty()
        || values.iter().filter_map(|value| value.to_str().ok()).any(|value| value.split(',').any(is_ours))
}

fn is_ours(accepted: &str) -> bool {
    let mut parts = accepted.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    if essence == "*/*" || essence == "application/*" {
        return true;
    }
    let version = parts.find_map(|part| part.strip_prefix("version="));
    essence.eq_ignore_ascii_case(SET_TYPE)
        && version.is_none_or(|version| version.trim_matches('"').parse() == Ok(SET_TYPE_VERSION))
}

fn wait(query: &str) -> Result<Duration, String> {
    let value = query.split('&').find_map(|pair| pair.strip_prefix(WAIT_PARAMETER)?.strip_prefix('='));
    let Some(value) = value else { return Ok(Duration::ZERO) };
    let seconds: u64 = value.parse().map_err(|_| format!("`{WAIT_PARAMETER}` takes whole seconds"))?;
    Ok(Duration::from_secs(seconds.min(WAIT_SECONDS_MAX)))
}

/// With which set it is, and when that was compiled, unless it is the last one no more; and with the resolvers' ports.
fn tagged(mut response: Response, id: SetId, site: &Site) -> Response {
    if let Ok(tag) = HeaderValue::try_from(entity_tag(id)) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    let ports = site.resolver_ports.borrow().as_ref().map(|ports| HeaderValue::try_from(ports.to_string()));
    if let Some(Ok(ports)) = ports {
        response.headers_mut().insert(PORTS_HEADER, ports);
    }
    if let Some(set) = site.publisher.current().borrow().as_ref().filter(|set| set.id == id) {
        let seconds = set.at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        response.headers_mut().insert(PUBLISHED_HEADER, HeaderValue::from(seconds));
    }
    response
}

fn with_retry(mut response: Response, seconds: u64) -> Response {
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_cut_to_what_is_allowed() {
        assert_eq!(wait(""), Ok(Duration::ZERO));
        assert_eq!(wait("x=1&wait=20"), Ok(Duration::from_secs(20)));
        assert_eq!(wait("wait=99999"), Ok(Duration::from_secs(WAIT_SECONDS_MAX)));
        assert!(wait("wait=soon").is_err() && wait("wait=-1").is_err() && wait("wait=").is_err());
    }

    #[test]
    fn only_our_type_in_our_version_is_served() {
        for accepted in ["*/*", "application/vnd.namewarden.threat-set", "text/html, application/*;q=0.1"] {
            assert!(is_accepted(accepted), "{accepted}");
        }
        assert!(is_accepted("application/vnd.namewarden.threat-set; version=1"));
        assert!(is_accepted(
            "application/vnd.namewarden.threat-set;version=2, application/vnd.namewarden.threat-set;version=1"
        ));
        assert!(!is_accepted("application/vnd.namewarden.threat-set;version=2"));
        assert!(!is_accepted("application/json"));
        assert!(accepts(&HeaderMap::new()));
    }

    fn is_accepted(value: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, value.parse().unwrap());
        accepts(&headers)
    }
}
