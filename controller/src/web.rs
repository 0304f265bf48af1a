//! Everything that is served over HTTPS: the set to agents, pushes in Elasticsearch's words, feeds, agents, health.
//!
//! One route group a file. `guard` stands in front of all of them and admits by the table in `routes`. Sizes, times and
//! numbers are bounded: headers, bodies, waits, connections, clients that read nothing.

// Every route and its right.
pub mod routes;

// Who asks, may they.
mod guard;

// How many connections, and how patient.
mod connection;

// A request's body.
mod body;

// JSON and one-sentence errors.
pub mod plain;

// The threat set.
mod set;

// Elasticsearch's document API.
mod push;

// Elasticsearch's bulk API, for documents.
mod bulk;

// Security events.
mod events;

// Feeds: state, pull now.
mod feeds;

// What agents report.
mod agents;

// What followers copy.
mod replica;

// Alive, ready, metrics.
mod health;

#[cfg(test)]
pub(crate) mod tests;

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Router,
    middleware::from_fn_with_state,
    routing::{get, post, put},
};
use axum_server::{
    Handle,
    tls_rustls::{RustlsAcceptor, RustlsConfig},
};
use namewarden_protocol::endpoint::ports::ResolverPorts;
use tokio::sync::{Semaphore, watch};

use crate::{
    access::Access,
    feed::{Feeds, Pushes, copy::Shelf},
    leader::Leadership,
    look_back,
    publish::Publisher,
    replication::{Followers, Forward, Peers},
    store::Store,
    telemetry::Counts,
};

pub use agents::Agents;
pub use health::Opening;
pub use push::answer::Copies;
use set::Transfers;

/// Connections at once: each agent has one, and there is room for others.
pub const CONNECTIONS_MAX: usize = 12_000;
/// How long the head of a request may take, and how long a connection may be idle.
const HEAD_PATIENCE: Duration = Duration::from_secs(60);
/// How long a handshake may take.
const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of a request's head.
const HEAD_BYTES_MAX: usize = 32 * 1024;
/// Header lines of a request.
const HEADERS_MAX: usize = 64;
/// How long a report may take to arrive.
const REPORT_PATIENCE: Duration = Duration::from_secs(10);
/// KiB of pushed bodies that are held at once; those beyond wait for room.
const BODIES_KIB: u32 = 256 * 1024;
/// KiB of bulk bodies that are held at once; those beyond wait for room.
const BULKS_KIB: u32 = 128 * 1024;
/// How long open requests have to end when the controller does.
const ENDING_PATIENCE: Duration = Duration::from_secs(10);

/// What the routes share.
pub struct Site {
    /// Who may.
    pub access: Access,
    /// The sets.
    pub publisher: Publisher,
    /// What was pushed.
    pub pushes: Pushes,
    /// The feeds.
    pub feeds: Feeds,
    /// The feeds' last good copies.
    pub shelf: Arc<Shelf>,
    /// Who leads.
    pub leadership: Leadership,
    /// Ports that the cluster's resolvers listen on, once they are known.
    pub resolver_ports: watch::Receiver<Option<ResolverPorts>>,
    /// Who follows.
    pub followers: Followers,
    /// What agents report.
    pub agents: Agents,
    /// Where documents are looked for.
    pub store: Option<Arc<dyn Store>>,
    /// Whether documents are sent to this controller to be kept there; else whoever has them sends them there itself.
    pub keeps_documents: bool,
    /// What is counted.
    pub counts: Counts,
    /// What came of looking back.
    pub looked_back: Arc<look_back::Counts>,
    /// Name of the cluster: part of the index that is pushed to.
    pub cluster: String,
    /// Whether the controller ends.
    pub shutdown: watch::Receiver<bool>,
    /// When it started.
    pub started: Instant,
    forward: Forward,
    transfers: Transfers,
    waiting: Semaphore,
    bodies: Arc<Semaphore>,
    bulks: Semaphore,
}

/// What a [`Site`] is made of.
pub struct Parts {
    /// Who may.
    pub access: Access,
    /// The sets.
    pub publisher: Publisher,
    /// What was pushed.
    pub pushes: Pushes,
    /// The feeds.
    pub feeds: Feeds,
    /// The feeds' last good copies.
    pub shelf: Arc<Shelf>,
    /// Who leads.
    pub leadership: Leadership,
    /// Ports that the cluster's resolvers listen on, once they are known.
    pub resolver_ports: watch::Receiver<Option<ResolverPorts>>,
    /// How other controllers are reached, where there may be some.
    pub peers: Option<Arc<Peers>>,
    /// Where documents are looked for.
    pub store: Option<Arc<dyn Store>>,
    /// Whether documents are sent to this controller to be kept there; else whoever has them sends them there itself.
    pub keeps_documents: bool,
    /// Name of the cluster.
    pub cluster: String,
    /// Becomes true when the controller is to end.
    pub shutdown: watch::Receiver<bool>,
}

impl Site {
    /// Puts the parts together.
    pub fn new(parts: Parts) -> Arc<Self> {
        let Parts {
            access,
            publisher,
            pushes,
            feeds,
            shelf,
            leadership,
            resolver_ports,
            peers,
            store,
            keeps_documents,
            cluster,
            shutdown,
        } = parts;
        Arc::new(Self {
            transfers: Transfers::new(publisher.clone()),
            waiting: Semaphore::new(set::WAITING_MAX),
            bodies: Arc::new(Semaphore::new(BODIES_KIB as usize)),
            bulks: Semaphore::new(BULKS_KIB as usize),
            store,
            keeps_documents,
            forward: Forward::new(peers),
            followers: Followers::default(),
            agents: Agents::default(),
            counts: Counts::default(),
            looked_back: Arc::default(),
            started: Instant::now(),
            access,
            publisher,
            pushes,
            feeds,
            shelf,
            leadership,
            resolver_ports,
            cluster,
            shutdown,
        })
    }

    /// Requests that wait for a new set.
    pub fn waiting(&self) -> usize {
        set::WAITING_MAX - self.waiting.available_permits()
    }
}

/// Every route behind the guard.
pub fn router(site: Arc<Site>) -> Router {
    Router::new()
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::metrics))
        .route("/v1/threat-set", get(set::fetch))
        .route("/v1/agents/report", post(agents::report))
        .route("/v1/agents", get(agents::list))
        .route("/v1/feeds", get(feeds::list))
        .route("/v1/feeds/{feed}/pull", post(feeds::pull))
        .route("/", get(push::identify))
        .route(
            "/{index}/_doc/{feed}",
            put(push::write).post(push::write).get(push::read).delete(push::delete),
        )
        .route("/{index}/_source/{feed}", get(push::source))
        .route("/{index}/_create/{feed}", put(push::create).post(push::create))
        .route("/{index}/_update/{feed}", post(push::update))
        .route("/{index}/_doc", post(push::without_id))
        .route("/_bulk", post(bulk::any))
        .route("/{index}/_bulk", post(bulk::one))
        .route("/{index}/_mget", post(bulk::lookup::mget))
        .route("/_resolve/index/{name}", get(bulk::lookup::resolve))
        .route("/_data_stream/{name}", put(bulk::lookup::create))
        .route("/v1/events", get(events::list))
        .route("/v1/events/{group}/annotation", put(events::annotation::write))
        .route("/v1/replica/state", get(replica::state))
        .route("/v1/replica/set", get(replica::set))
        .route("/v1/replica/documents/{feed}", get(replica::document))
        .route("/v1/replica/records/{feed}", get(replica::record))
        .route("/v1/replica/copies/{digest}", get(replica::copy))
        .fallback(elsewhere)
        .layer(from_fn_with_state(site.clone(), guard::guard))
        .with_state(site)
}

async fn elsewhere(uri: axum::http::Uri) -> axum::response::Response {
    let path: String = uri.path().chars().take(200).collect();
    plain::error(axum::http::StatusCode::NOT_FOUND, &format!("there is nothing at {path}"))
}

/// Serves on a listener until the site's `shutdown`, then ends open requests.
///
/// # Errors
/// The listener fails.
pub async fn serve(site: Arc<Site>, listener: TcpListener, tls: RustlsConfig) -> io::Result<()> {
    let acceptor = RustlsAcceptor::new(tls)
        .handshake_timeout(HANDSHAKE_PATIENCE)
        .acceptor(connection::Bounded::new(CONNECTIONS_MAX));
    let handle = Handle::new();
    let mut server = axum_server::from_tcp(listener)?
        .http1_only()
        .first_request_timeout(HEAD_PATIENCE)
        .handle(handle.clone())
        .acceptor(acceptor);
    server
        .http_builder()
        .http1()
        .header_read_timeout(HEAD_PATIENCE)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX);
    let mut shutdown = site.shutdown.clone();
    let ending = tokio::spawn(async move {
        let _ = shutdown.wait_for(|ending| *ending).await;
        handle.graceful_shutdown(Some(ENDING_PATIENCE));
    });
    let service = router(site).into_make_service_with_connect_info::<SocketAddr>();
    let ended = server.serve(service).await;
    ending.abort();
    ended
}

/// Serves `/metrics`, `/healthz` and `/readyz` without TLS and to everybody, for a scraper, until `shutdown`. Until the site is
/// open it is alive and not ready.
///
/// # Errors
/// The listener fails.
pub async fn serve_metrics(
    opening: Opening,
    listener: TcpListener,
    mut shutdown: watch::Receiver<bool>,
) -> io::Result<()> {
    let router = Router::new()
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz_of_opening))
        .route("/metrics", get(health::metrics_of_opening))
        .with_state(opening);
    let handle = Handle::new();
    let mut server = axum_server::from_tcp(listener)?
        .http1_only()
        .first_request_timeout(HEAD_PATIENCE)
        .handle(handle.clone())
        .acceptor(connection::Bounded::new(SCRAPERS_MAX));
    server.http_builder().http1().header_read_timeout(HEAD_PATIENCE).max_buf_size(HEAD_BYTES_MAX);
    let ending = tokio::spawn(async move {
        let _ = shutdown.wait_for(|ending| *ending).await;
        handle.graceful_shutdown(Some(ENDING_PATIENCE));
    });
    let ended = server.serve(router.into_make_service()).await;
    ending.abort();
    ended
}

/// Connections to the metrics' listener at once.
const SCRAPERS_MAX: usize = 64;
