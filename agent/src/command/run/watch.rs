//! The main thread while the agent captures: signals, pages, the feeds' turns. Nothing here holds up the pipeline.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use namewarden_protocol::{endpoint::ports::ResolverPorts, listening, threat_set::ThreatSet};
use tokio::{
    net::{TcpListener, UnixListener},
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
    time::{Interval, interval, sleep_until},
};

use super::{Running, feeds::Feeds};
use crate::{
    telemetry::{
        Observed,
        connection::Bounded,
        http::{self, Reach},
    },
    threat_source::{Loaded, ThreatSource, controller::Follower},
};

/// Rates are sampled and the sign of life is written so often.
const TICK: Duration = Duration::from_secs(5);

/// The listening sockets, opened before anything is attached.
pub struct Doors {
    tcp: Option<TcpListener>,
    unix: Option<UnixListener>,
    /// Present where the socket is ours, to be removed at the end.
    socket: Option<PathBuf>,
}

impl Doors {
    /// Binds `--listen` and the socket of `status`.
    ///
    /// # Errors
    /// The address is taken or not this machine's; another agent answers on the socket.
    pub async fn open(listen: Option<SocketAddr>, status_socket: &Path) -> anyhow::Result<Self> {
        let tcp = match listen {
            None => None,
            Some(address) => {
                Some(TcpListener::bind(listening::address(address)).await.with_context(|| {
                    format!(
                        "--listen {address} cannot be used; give an address of this machine and a free port"
                    )
                })?)
            }
        };
        if let Some(listener) = &tcp {
            tracing::info!("pages at http://{}/metrics", listener.local_addr()?);
        }
        let unix = match http::bind_unix(status_socket).await {
            Ok(listener) => Some(listener),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                tracing::warn!(
                    "another agent answers on {}; `status` will ask that one (give this one its own --status-socket)",
                    status_socket.display()
                );
                None
            }
            Err(error) => {
                tracing::warn!(
                    "`status` cannot ask this agent: {} cannot be made: {error}",
                    status_socket.display()
                );
                None
            }
        };
        let socket = unix.is_some().then(|| status_socket.to_owned());
        Ok(Self { tcp, unix, socket })
    }

    fn serve(&mut self, agent: &Arc<dyn Observed>) {
        if let Some(listener) = self.tcp.take() {
            let is_local = listener.local_addr().is_ok_and(|address| address.ip().is_loopback());
            let reach = if is_local { Reach::Machine } else { Reach::Network };
            let listener = Bounded::new(listener);
            tokio::spawn(axum::serve(listener, http::router(Arc::clone(agent), reach)).into_future());
        }
        if let Some(listener) = self.unix.take() {
            tokio::spawn(
                axum::serve(listener, http::router(Arc::clone(agent), Reach::Machine)).into_future(),
            );
        }
    }
}

impl Drop for Doors {
    fn drop(&mut self) {
        if let Some(socket) = &self.socket {
            let _ = std::fs::remove_file(socket);
        }
    }
}

/// The first load, of files and last good copies, which a signal may cut short: `None` when the agent is to end
/// before it began.
///
/// # Errors
/// A feed or the state folder cannot be used.
pub async fn first_load(
    mut source: ThreatSource,
    signals: &mut Signals,
) -> anyhow::Result<Option<(ThreatSource, Loaded)>> {
    let load = tokio::task::spawn_blocking(move || source.start().map(|loaded| (source, loaded)));
    tokio::select! {
        biased;
        _ = signals.terminate.recv() => Ok(None),
        _ = signals.interrupt.recv() => Ok(None),
        loaded = load => Ok(Some(loaded.context("reading the feeds ended early")??)),
    }
}

/// Serves pages and signals until SIGTERM or SIGINT.
///
/// # Errors
/// The pipeline thread ended by itself.
pub async fn until_signal(
    running: &Running,
    feeds: &mut Feeds,
    follower: Option<Follower>,
    mut doors: Doors,
    mut signals: Signals,
) -> anyhow::Result<ExitCode> {
    let agent: Arc<dyn Observed> = Arc::clone(&running.observatory) as Arc<dyn Observed>;
    doors.serve(&agent);
    let mut tick: Interval = interval(TICK);
    let mut ports = follower.as_ref().map(|follower| follower.following().ports());
    let mut sets = follower.map(|follower| {
        let observatory = Arc::clone(&running.observatory);
        follower.follow(move || observatory.report())
    });
    loop {
        let due = feeds.due();
        tokio::select! {
            biased;
            _ = signals.terminate.recv() => return Ok(ExitCode::SUCCESS),
            _ = signals.interrupt.recv() => return Ok(ExitCode::SUCCESS),
            _ = signals.hang_up.recv() => feeds.restart(),
            set = next_set(&mut sets) => feeds.join(set),
            ports = next_ports(&mut ports) => capture_also(running, &ports),
            ended = feeds.ended() => feeds.go_on(running, ended),
            () = sleep_until_due(due) => feeds.pull(),
            _ = tick.tick() => {
                running.observatory.sample();
                running.tell_floods();
                running.mark_alive();
                if running.shown.has_failed() {
                    bail!("the pipeline ended by itself");
                }
                if running.sink.is_broken() {
                    tracing::info!("whoever read the alerts has gone");
                    return Ok(ExitCode::SUCCESS);
                }
            }
        }
    }
}

/// The signals that the agent answers; taken over before anything that may take long.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    /// Takes the signals over.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }
}

/// The controller's next set; never, where there is no controller.
async fn next_set(sets: &mut Option<watch::Receiver<Option<Arc<ThreatSet>>>>) -> Arc<ThreatSet> {
    if let Some(sets) = sets {
        while sets.changed().await.is_ok() {
            if let Some(set) = sets.borrow_and_update().clone() {
                return set;
            }
        }
    }
    std::future::pending().await
}

/// The resolvers' next ports; never, where there is no controller to tell them.
async fn next_ports(ports: &mut Option<watch::Receiver<ResolverPorts>>) -> ResolverPorts {
    if let Some(ports) = ports
        && ports.changed().await.is_ok()
    {
        return ports.borrow_and_update().clone();
    }
    std::future::pending().await
}

/// Captures what the cluster's resolvers listen on, beside the operator's ports.
fn capture_also(running: &Running, ports: &ResolverPorts) {
    let before = running.attached.ports();
    if let Err(error) = running.attached.capture_also(ports.iter()) {
        tracing::warn!("resolvers listen on {ports}, which cannot be captured: {error}");
    }
    let now = running.attached.ports();
    if before != now {
        tracing::info!("besides 53 the cluster's resolvers listen on: {ports}; captured now: {now:?}");
    }
    if ports.iter().any(|port| !now.contains(&port)) {
        tracing::warn!("resolvers listen on {ports}: there is no room for all of them beside --dns-port");
    }
}

async fn sleep_until_due(due: Option<Instant>) {
    match due {
        Some(at) => sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
