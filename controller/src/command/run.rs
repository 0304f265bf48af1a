//! `run`: the parts put together, until a signal.

// Where resources come from, and who leads.
mod source;

// What is served.
mod serving;

#[cfg(test)]
mod tests;

use std::fs::{self, File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use namewarden_protocol::endpoint::ports::ResolverPorts;
use namewarden_protocol::obtain::fetch::Fetcher;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::args::RunArgs;
use crate::context::Context;
use crate::feed::copy::Shelf;
use crate::feed::pull::Puller;
use crate::feed::reconcile::{Parts, Reconciler};
use crate::feed::{Pushes, Source};
use crate::look_back::look_back;
use crate::open_files;
use crate::publish::Publisher;
use crate::resolvers;
use crate::search::keep::keep;
use crate::settings::{RunSettings, SourceSettings};
use crate::web::CONNECTIONS_MAX;
use serving::Serving;
use source::Connected;

/// Runs until SIGINT or SIGTERM.
pub fn run(arguments: &RunArgs) -> anyhow::Result<ExitCode> {
    let settings = RunSettings::new(arguments)?;
    let _lock = lock(&settings.state_dir)?;
    let fetcher = Arc::new(Fetcher::new(&settings.fetching)?);
    open_files::raise(CONNECTIONS_MAX as u64);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(serve(settings, Arc::clone(&fetcher)))?;
    // What still blocks is a pull or a set in the making: both leave the disk as it is when they are cut off.
    runtime.shutdown_background();
    Ok(ExitCode::SUCCESS)
}

async fn serve(settings: RunSettings, fetcher: Arc<Fetcher>) -> anyhow::Result<()> {
    let state = settings.state_dir.clone();
    let Connected { source, key } = source::connect(&settings).await?;
    let publisher = Publisher::open(&state, key)?;
    if let Some(set) = &*publisher.current().borrow() {
        tracing::info!(set = %set.id, entries = set.entries, "the last threat set is served again");
    }
    let pushes = Pushes::open(&state.join("pushes")).context("cannot read the pushed documents")?;
    let shelf = Arc::new(Shelf::open(&state).context("cannot use the state folder")?);
    let (mut election, leadership) = source::leadership(&settings, &source, &publisher)?;
    let limits = settings.feeds.limits;
    let (reconciler, feeds) = Reconciler::new(Parts {
        puller: Puller { source: source.clone(), shelf: Arc::clone(&shelf), fetcher, limits },
        source: source.clone(),
        pushes: pushes.clone(),
        publisher: publisher.clone(),
        leadership: leadership.clone(),
        settings: settings.feeds.clone(),
    });
    if let Some(search) = settings.search.clone() {
        tokio::spawn(keep(search, leadership.clone(), pushes.clone(), feeds.clone()));
    }
    let resolver_ports = resolver_ports(&settings, &source);
    let context = Context { settings, source, feeds, pushes, publisher, leadership, resolver_ports };
    let mut ending = Ending::wait()?;
    let serving = tokio::select! {
        opened = Serving::open(&context, shelf) => opened?,
        () = ending.asked() => {
            tracing::info!("ended before the store was open");
            return Ok(());
        }
    };
    if let Some(parts) = serving.looking_back(&context) {
        tokio::spawn(look_back(parts));
    }
    let shutdown = serving.shutdown.clone();
    let mut served = tokio::spawn(serving.run());
    tokio::select! {
        () = reconciler.run() => bail!("the feeds cannot be read from the state folder"),
        () = source::take_part(&mut election) => {}
        ended = &mut served => return ended.context("serving was ended")?,
        () = ending.asked() => {}
    }
    if let Some(election) = &mut election {
        election.resign().await;
    }
    let _ = shutdown.send(true);
    served.await.context("serving was ended")??;
    tracing::info!("ended");
    Ok(())
}

/// Signals that end the program.
struct Ending {
    terminate: Signal,
    interrupt: Signal,
}

impl Ending {
    /// From now on they are waited for.
    fn wait() -> anyhow::Result<Self> {
        let terminate = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
        let interrupt = signal(SignalKind::interrupt()).context("cannot wait for SIGINT")?;
        Ok(Self { terminate, interrupt })
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Begins to follow the cluster's resolvers, where there is a cluster.
fn resolver_ports(settings: &RunSettings, source: &Source) -> watch::Receiver<Option<ResolverPorts>> {
    let (told, ports) = watch::channel(None);
    if let (SourceSettings::Kubernetes { resolver_pods, .. }, Source::Kubernetes(server)) =
        (&settings.source, source)
    {
        tokio::spawn(resolvers::follow(server.client(), resolver_pods.clone(), told));
    }
    ports
}

/// One controller a folder: two would number their sets alike.
fn lock(state: &Path) -> anyhow::Result<File> {
    let cannot = || {
        format!(
            "cannot use the state folder {}; name one that this controller alone can write to",
            state.display()
        )
    };
    fs::create_dir_all(state).with_context(cannot)?;
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(state.join("lock"))
        .with_context(cannot)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            bail!("another controller uses the state folder {}", state.display())
        }
        Err(TryLockError::Error(error)) => Err(error).with_context(cannot),
    }
}
