//! /metrics, /healthz, /readyz over TCP (`--listen`) and a unix socket (`--status-socket`); /status for this machine only.
//!
//! Answers are computed when asked for; nothing here can hold up the pipeline.

use std::{
    fs, io,
    os::unix::fs::{FileTypeExt, PermissionsExt},
    path::Path,
    sync::Arc,
};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use namewarden_protocol::endpoint::STATUS_PATH;
use tokio::net::{UnixListener, UnixStream};

use super::{Observed, encode};

/// Content type of the list.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Who may be at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Programs of this machine.
    Machine,
    /// Whoever the network lets through: they are not told which workloads nobody is told of.
    Network,
}

/// The pages of a running agent.
pub fn router(agent: Arc<dyn Observed>, reach: Reach) -> Router {
    let pages = Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz));
    let pages = match reach {
        Reach::Machine => pages.route(STATUS_PATH, get(status)),
        Reach::Network => pages,
    };
    pages.with_state(agent)
}

/// Binds the unix socket for `status`: only its owner may ask. A socket that a dead agent left is replaced.
///
/// # Errors
/// The folder cannot be made, or another agent answers on the socket (`AddrInUse`).
pub async fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    if let Ok(found) = fs::symlink_metadata(path) {
        if !found.file_type().is_socket() {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "it is there and is no socket"));
        }
        if UnixStream::connect(path).await.is_ok() {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, "another agent answers on it"));
        }
        fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

async fn metrics(State(agent): State<Arc<dyn Observed>>) -> Response {
    match encode(agent.metrics()) {
        Ok(page) => ([(header::CONTENT_TYPE, OPENMETRICS)], page).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn healthz(State(agent): State<Arc<dyn Observed>>) -> Response {
    verdict(agent.is_alive(), "alive\n", "the pipeline has not turned for 10 s\n")
}

async fn readyz(State(agent): State<Arc<dyn Observed>>) -> Response {
    let (status, first) = if agent.is_ready() {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready\n")
    };
    let missing = agent.missing().into_iter().map(|line| line + "\n");
    (status, std::iter::once(first.to_owned()).chain(missing).collect::<String>()).into_response()
}

fn verdict(good: bool, yes: &'static str, no: &'static str) -> Response {
    if good { yes.into_response() } else { (StatusCode::SERVICE_UNAVAILABLE, no).into_response() }
}

async fn status(State(agent): State<Arc<dyn Observed>>) -> Response {
    match serde_json::to_vec(&agent.status()) {
        Ok(body) => ([(header::CONTENT_TYPE, "application/json")], body).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
