//! The main thread while the agent captures: signals, pages, feeds read anew. Nothing here holds up the pipeline.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    pin::Pin,
    process::ExitCode,
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
        let socket = unix.is_some().then(|| status_socket.to_owned());
        Ok(Self { tcp, unix, socket })
    }

    fn serve(&mut self, agent: &Arc<dyn Observed>) {
        if let Some(listener) = self.tcp.take() {
            tokio::spawn(axum::serve(listener, http::router(Arc::clone(agent))).into_future());
        }
        if let Some(listener) = self.unix.take() {
            tokio::spawn(axum::serve(listener, http::router(Arc::clone(agent))).into_future());
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

/// The least time between a load that failed and the next that nobody asked for.
const REST_LEAST: Duration = Duration::from_secs(30);

type LoadTask = JoinHandle<(ThreatSource, Result<Loaded, SourceError>)>;

/// Feeds: at rest, or being read in a thread of their own. To be dropped outside of the runtime: what fetches URLs has a
/// runtime of its own, which must not end within another.
pub struct Feeds {
    resting: Option<ThreatSource>,
    loading: Option<LoadTask>,
    /// A SIGHUP came while they were being read.
    again: bool,
    /// Loads that led to no set, one after the other.
    failures: u32,
    /// After such a load nothing is read by itself before this.
    rest_until: Option<Instant>,
}

/// The first load, which a signal may cut short: `None` when the agent is to end before it began.
///
/// # Errors
/// A feed or the state folder cannot be used.
pub async fn first_load(
    mut source: ThreatSource,
    signals: &mut Signals,
) -> anyhow::Result<Option<(ThreatSource, Loaded)>> {
    let load = tokio::task::spawn_blocking(move || source.load().map(|loaded| (source, loaded)));
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
    mut doors: Doors,
    mut signals: Signals,
) -> anyhow::Result<ExitCode> {
    let agent: Arc<dyn Observed> = Arc::clone(&running.observatory) as Arc<dyn Observed>;
    doors.serve(&agent);
    let mut tick: Interval = interval(TICK);
    loop {
        let due = feeds.due();
        tokio::select! {
            biased;
            _ = signals.terminate.recv() => return Ok(ExitCode::SUCCESS),
            _ = signals.interrupt.recv() => return Ok(ExitCode::SUCCESS),
            _ = signals.hang_up.recv() => feeds.reload(),
            (source, loaded) = finished(&mut feeds.loading) => feeds.loaded(running, source, loaded),
            () = sleep_until_due(due) => feeds.refresh(),
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
    /// Feeds that were just read.
    pub fn resting(source: ThreatSource) -> Self {
        Self { resting: Some(source), loading: None, again: false, failures: 0, rest_until: None }
    }

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
        let due = self.resting.as_ref().and_then(ThreatSource::next_refresh)?;
        Some(self.rest_until.map_or(due, |rest| due.max(rest)))
    }

    /// A load that fails for want of the state folder would be due again at once.
    fn rest(&mut self) {
        let pause = REST_LEAST.saturating_mul(1 << self.failures.min(7));
        self.failures += 1;
        self.rest_until = Some(Instant::now() + pause);
    }

    fn loaded(
        &mut self,
        running: &Running,
        source: Option<ThreatSource>,
        loaded: Option<Result<Loaded, SourceError>>,
    ) {
        self.resting = source;
        match loaded {
            Some(Ok(loaded)) => {
                (self.failures, self.rest_until) = (0, None);
                take_into_use(running, loaded);
            }
            Some(Err(error)) => {
                self.rest();
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
