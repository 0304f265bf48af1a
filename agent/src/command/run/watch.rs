//! The main thread while the agent captures: signals, pages, feeds read anew. Nothing here holds up the pipeline.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use tokio::{
    net::{TcpListener, UnixListener},
    signal::unix::{Signal, SignalKind, signal},
    task::JoinHandle,
    time::{Interval, interval, sleep_until},
};

use super::{Running, report};
use crate::{
    telemetry::{Observed, http},
    threat_source::{Loaded, SourceError, ThreatSource},
};

/// Rates are sampled and the sign of life is written so often.
const TICK: Duration = Duration::from_secs(5);

/// The listening sockets, opened before anything is attached.
pub struct Doors {
    tcp: Option<TcpListener>,
    unix: Option<UnixListener>,
    socket: PathBuf,
}

impl Doors {
    /// Binds `--listen` and the socket of `status`.
    ///
    /// # Errors
    /// The address is taken or not this machine's; another agent answers on the socket.
    pub async fn open(listen: Option<SocketAddr>, status_socket: &Path) -> anyhow::Result<Self> {
        let tcp = match listen {
            None => None,
            Some(address) => Some(TcpListener::bind(address).await.with_context(|| {
                format!("--listen {address} cannot be used; give an address of this machine and a free port")
            })?),
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
        Ok(Self { tcp, unix, socket: status_socket.to_owned() })
    }

    fn serve(&mut self, agent: &Arc<dyn Observed>) {
        if let Some(listener) = self.tcp.take() {
            tokio::spawn(axum::serve(listener, http::router(Arc::clone(agent))).into_future());
        }
        if let Some(listener) = self.unix.take() {
            tokio::spawn(axum::serve(listener, http::router(Arc::clone(agent))).into_future());
        } else {
            self.socket = PathBuf::new();
        }
    }
}

impl Drop for Doors {
    fn drop(&mut self) {
        // Ours only: without a listener the path is empty.
        let _ = std::fs::remove_file(&self.socket);
    }
}

type LoadTask = JoinHandle<(ThreatSource, Result<Loaded, SourceError>)>;

/// Feeds: at rest, or being read in a thread of their own.
struct Feeds {
    resting: Option<ThreatSource>,
    loading: Option<LoadTask>,
    /// A SIGHUP came while they were being read.
    again: bool,
}

/// Serves pages and signals until SIGTERM or SIGINT.
///
/// # Errors
/// The pipeline thread ended by itself.
pub async fn until_signal(
    running: &Running,
    source: ThreatSource,
    mut doors: Doors,
) -> anyhow::Result<std::process::ExitCode> {
    let agent: Arc<dyn Observed> = Arc::clone(&running.observatory) as Arc<dyn Observed>;
    doors.serve(&agent);
    let mut signals = Signals::new()?;
    let mut tick: Interval = interval(TICK);
    let mut feeds = Feeds { resting: Some(source), loading: None, again: false };
    loop {
        let due = feeds.due();
        tokio::select! {
            biased;
            _ = signals.terminate.recv() => return Ok(std::process::ExitCode::SUCCESS),
            _ = signals.interrupt.recv() => return Ok(std::process::ExitCode::SUCCESS),
            _ = signals.hang_up.recv() => feeds.reload(),
            (source, loaded) = finished(&mut feeds.loading) => feeds.loaded(running, source, loaded),
            () = sleep_until_due(due) => feeds.refresh(),
            _ = tick.tick() => {
                running.observatory.sample();
                running.mark_alive();
                if running.shown.has_failed() {
                    bail!("the pipeline ended by itself");
                }
            }
        }
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }
}

/// The end of a load; never, where none is on.
async fn finished(
    loading: &mut Option<LoadTask>,
) -> (Option<ThreatSource>, Option<Result<Loaded, SourceError>>) {
    let Some(task) = loading else { return std::future::pending().await };
    let ended = Pin::new(task).await;
    *loading = None;
    match ended {
        Ok((source, loaded)) => (Some(source), Some(loaded)),
        Err(_) => (None, None),
    }
}

async fn sleep_until_due(due: Option<Instant>) {
    match due {
        Some(at) => sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

impl Feeds {
    fn reload(&mut self) {
        self.again = self.resting.is_none();
        self.start(ThreatSource::reload);
    }

    fn refresh(&mut self) {
        self.start(ThreatSource::refresh);
    }

    fn start(&mut self, load: fn(&mut ThreatSource) -> Result<Loaded, SourceError>) {
        if let Some(mut source) = self.resting.take() {
            self.loading = Some(tokio::task::spawn_blocking(move || {
                let loaded = load(&mut source);
                (source, loaded)
            }));
        }
    }

    /// When a URL is due; never, where feeds are files or being read.
    fn due(&self) -> Option<Instant> {
        self.resting.as_ref().and_then(ThreatSource::next_refresh)
    }

    fn loaded(
        &mut self,
        running: &Running,
        source: Option<ThreatSource>,
        loaded: Option<Result<Loaded, SourceError>>,
    ) {
        self.resting = source;
        match loaded {
            Some(Ok(loaded)) => take_into_use(running, loaded),
            Some(Err(error)) => {
                running.observatory.load_failed();
                tracing::error!("feeds could not be read anew, the set in use stays: {error}");
            }
            None => {
                running.observatory.load_failed();
                tracing::error!("reading the feeds ended early; they are not read again before a restart");
            }
        }
        if std::mem::take(&mut self.again) {
            self.reload();
        }
    }
}

fn take_into_use(running: &Running, loaded: Loaded) {
    report(&loaded.feeds);
    let (number, entries) = (loaded.set.id().number, loaded.set.len());
    running.set.store(loaded.set);
    running.observatory.set_changed(loaded.feeds);
    tracing::info!(number, entries, "a new threat set is in use");
}
