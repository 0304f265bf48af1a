//! `run`: checks everything, attaches to the kernel, streams documents until a signal, says the totals.
//!
//! Whatever is wrong with options, feeds or the machine is said before anything is attached.

use std::{path::PathBuf, process::ExitCode, sync::Arc, thread, time::Duration};

use anyhow::{Context, anyhow};
use namewarden_protocol::threat_set::Current;
use tokio::runtime::Runtime;

use crate::{
    args::RunArgs,
    kernel::{Attached, Kernel, Loaded},
    machine::LiveMachine,
    pipeline::{
        Pipeline, PipelineSettings,
        attribute::pod::{NoPods, Pods},
        compose::Composer,
        dns_log::Aggregation,
        sink::Sink,
    },
    pods::{self, Directory},
    settings::RunSettings,
    telemetry::Observed,
    threat_source::{
        self, SourceError, ThreatSource,
        controller::{Controller, Follower, Following},
    },
};

// Boot time and civil time.
mod clock;

// The time without capture.
mod gap;

// Rates of the last minute.
mod rates;

// The pipeline thread.
mod turn;

// Who comes next.
mod turns;

// Which of them logs DNS.
mod logs_turn;

// Who floods.
mod floods;

// What the pages ask.
mod observe;

// Feeds fetched and read anew.
mod feeds;

// Signals, pages, the feeds' turns.
mod watch;

// The last words.
mod totals;

use feeds::Feeds;
use floods::Floods;
use gap::LastCapture;
use logs_turn::LogsTurn;
use observe::{Observatory, Parts};
use turn::{Shown, Turning};
use turns::{Heir, Left, Turn, is_dispensable};

/// How long capture waits for the names of the pods that are there, where none are known from before: without them the
/// resolvers among them would be taken for clients.
const FIRST_NAMES: Duration = Duration::from_secs(1);

/// How long documents may take to be written at the end.
const LAST_WRITES: Duration = Duration::from_secs(5);

/// Runs until a signal.
///
/// # Errors
/// One sentence with the remedy when the agent cannot run as asked; nothing is attached then.
pub fn run(arguments: &RunArgs) -> anyhow::Result<ExitCode> {
    let turn = Turn::of(arguments)?;
    let settings = RunSettings::within(arguments, turn.as_ref().map(Turn::folder))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut signals = runtime.block_on(async { watch::Signals::new() }).context("taking over the signals")?;
    let doors = runtime.block_on(watch::Doors::open(settings.listen, &settings.status_socket))?;
    let loaded = Kernel::load(&settings.kernel)?;
    if !loaded.has_thread_names() {
        tracing::info!(
            "this kernel gives threads' names to CAP_PERFMON only; they are read from the process table instead"
        );
    }
    let mut source = source(&settings)?;
    let follower = settings.controller.clone().map(|settings| follower(settings, &mut source)).transpose()?;
    let following = follower.as_ref().map(Follower::following);
    if let Some(remark) = source.remark() {
        tracing::warn!("{remark}");
    }
    let directory = follow_pods(&settings, &runtime)?;
    let Some((source, first)) = runtime.block_on(watch::first_load(source, &mut signals))? else {
        runtime.shutdown_background();
        return Ok(ExitCode::SUCCESS);
    };
    report(&first.feeds);
    let machine = LiveMachine::start(loaded.cgroup_root(), settings.proc_root.as_deref())?;
    let sink = Arc::new(Sink::open(&settings.output)?);
    if let Some(directory) = &directory {
        runtime.block_on(directory.until_known(FIRST_NAMES));
    }
    let shared = turn.as_ref().map(|turn| turn.shared().to_owned());
    let left = turn.as_ref().map(|_| Arc::<Left>::default());
    let others = Others { following, pods: directory, shared, left: left.clone() };
    let (output, own) = (settings.output.clone(), Arc::clone(&sink));
    let running = Running::start(settings, loaded, machine, first, sink, others)?;
    // Not before the gap is told: a folder that it holds looks as if its agent still lived.
    let heir =
        turn.as_ref().zip(left).map(|(turn, left)| Heir::start(turn, &output, own, left)).transpose()?;
    let mut feeds = Feeds::new(source);
    let ended = runtime.block_on(watch::until_signal(&running, &mut feeds, follower, doors, signals));
    runtime.shutdown_background();
    heir.into_iter().for_each(Heir::stop);
    running.stop().and(ended)
}

/// Begins to follow this node's pods, where names of pods are asked for.
fn follow_pods(settings: &RunSettings, runtime: &Runtime) -> anyhow::Result<Option<Arc<Directory>>> {
    let Some(settings) = &settings.pods else { return Ok(None) };
    let follower = runtime.block_on(pods::Follower::connect(settings))?;
    let directory = follower.directory();
    runtime.spawn(follower.run());
    Ok(Some(directory))
}

/// The feeds. A state folder that is full or read-only does not keep the agent from detecting, nor does one that nobody
/// named; one that another agent uses does, before the two spoil each other's.
fn source(settings: &RunSettings) -> anyhow::Result<ThreatSource> {
    match ThreatSource::new(settings.source.feeds.clone(), settings.source.options.clone()) {
        Err(SourceError::State { path, error }) if is_dispensable(&path, &error) => {
            tracing::warn!("nothing is kept over a restart: the state folder cannot be written to: {error}");
            let options = threat_source::Options { state_dir: None, ..settings.source.options.clone() };
            Ok(ThreatSource::new(settings.source.feeds.clone(), options)?)
        }
        source => Ok(source?),
    }
}

/// The controller, and its last set from disk: an agent that starts while its controller is down detects at once.
fn follower(
    settings: threat_source::controller::Settings,
    source: &mut ThreatSource,
) -> anyhow::Result<Follower> {
    let controller = Controller::new(settings)?;
    let kept = controller.kept().unwrap_or_else(|error| {
        tracing::warn!("the controller's last set is left aside, a new one will be fetched: {error}");
        None
    });
    if let Some(set) = &kept {
        tracing::info!(set = %set.id(), entries = set.len(), "the controller's last set was kept on disk");
        source.join(Arc::clone(set));
    }
    Ok(Follower::new(controller, kept))
}

/// Says what became of each feed.
fn report(feeds: &[threat_source::FeedStatus]) {
    for feed in feeds {
        if feed.problem.is_some() {
            tracing::warn!("{feed}");
        } else {
            tracing::info!("{feed}");
        }
    }
}

/// What is known of programs elsewhere.
struct Others {
    following: Option<Arc<Following>>,
    pods: Option<Arc<Directory>>,
    /// The folder that agents of this node share.
    shared: Option<PathBuf>,
    /// What became of what they left.
    left: Option<Arc<Left>>,
}

/// The agent while it captures.
struct Running {
    observatory: Arc<Observatory>,
    floods: Floods,
    shown: Arc<Shown>,
    attached: Arc<Attached>,
    sink: Arc<Sink>,
    set: Arc<Current>,
    last_capture: Option<LastCapture>,
    logs_turn: LogsTurn,
    pipeline: thread::JoinHandle<anyhow::Result<()>>,
}

impl Running {
    fn start(
        settings: RunSettings,
        loaded: Loaded,
        machine: LiveMachine,
        first: threat_source::Loaded,
        sink: Arc<Sink>,
        others: Others,
    ) -> anyhow::Result<Self> {
        let identity = settings.pipeline.identity.clone();
        let last_capture = settings.state_dir.as_deref().map(LastCapture::new);
        let set = Arc::new(Current::new(first.set));
        let handle = machine.handle();
        let Others { following, pods: directory, shared, left } = others;
        let pods = names(directory.as_ref(), &settings.pipeline);
        let composer = Composer::new(identity.clone()).with_pods(Arc::clone(&pods));
        let floods = Floods::new(&identity, composer, handle.clone());
        let pipeline = Pipeline::new(settings.pipeline, Arc::clone(&set), machine, pods);
        let withheld = pipeline.withheld();
        let shown = Arc::new(Shown::new());
        let (attached, ring) = loaded.attach()?;
        let attached = Arc::new(attached);
        say_gap(last_capture.as_ref(), &Composer::new(identity.clone()), &sink);
        let parts = Parts {
            identity,
            shown: Arc::clone(&shown),
            attached: Arc::clone(&attached),
            machine: handle,
            sink: Arc::clone(&sink),
            set: Arc::clone(&set),
            feeds: first.feeds,
            joined: first.joined,
            following,
            pods: directory,
            withheld,
            left,
        };
        let observatory = Arc::new(Observatory::new(parts));
        let logs_turn = LogsTurn::take(shared.as_deref());
        let turning = Turning {
            ring,
            pipeline: pipeline.logging_since(logs_turn.since()),
            sink: Arc::clone(&sink),
            attached: Arc::clone(&attached),
            shown: Arc::clone(&shown),
        };
        let pipeline = spawn(turning)?;
        observatory.is_capturing();
        tracing::info!(
            entries = set.load().len(),
            cgroup_root = %attached.cgroup_root().display(),
            "ready: capturing"
        );
        Ok(Self { observatory, floods, shown, attached, sink, set, last_capture, logs_turn, pipeline })
    }

    /// Writes the documents of floods that are due.
    fn tell_floods(&self) {
        self.floods.look(&self.attached, &mut |document| self.sink.write(document));
    }

    /// Says that capture is alive, for the next agent to know since when it was not. The disk is waited for elsewhere.
    fn mark_alive(&self) {
        let Some(last_capture) = self.last_capture.clone().filter(|_| self.observatory.is_alive()) else {
            return;
        };
        let now = clock::now();
        tokio::task::spawn_blocking(move || {
            if let Err(error) = last_capture.mark(now) {
                tracing::warn!(%error, "cannot write to the state folder");
            }
        });
    }

    /// Says that capture has ended, for one that has begun beside this one meanwhile.
    fn mark_ended(&self) {
        if let Some(last_capture) = &self.last_capture
            && self.observatory.is_alive()
            && let Err(error) = last_capture.end(clock::now())
        {
            tracing::warn!(%error, "cannot write to the state folder");
        }
    }

    /// Detaches, takes what is left in the ring, writes everything, says the totals.
    fn stop(self) -> anyhow::Result<ExitCode> {
        self.attached.detach();
        self.logs_turn.release();
        self.mark_ended();
        self.shown.stop();
        let ended = self.pipeline.join().unwrap_or_else(|_| Err(anyhow!("the pipeline thread ended early")));
        self.floods.finish(&self.attached, &mut |document| self.sink.write(document));
        let written = self.sink.close(LAST_WRITES);
        let readings = self.attached.counters().unwrap_or_default();
        anstream::eprint!(
            "{}",
            totals::in_words(&readings, &self.shown.counts(), &written, self.shown.uptime())
        );
        self.sink.lanes().iter().for_each(|lane| anstream::eprint!("{}", totals::of_lane(lane)));
        ended.map(|()| ExitCode::SUCCESS)
    }
}

fn spawn(turning: Turning<LiveMachine>) -> anyhow::Result<thread::JoinHandle<anyhow::Result<()>>> {
    thread::Builder::new()
        .name("pipeline".to_owned())
        .spawn(move || turning.run().map_err(anyhow::Error::from))
        .context("starting the pipeline thread")
}

/// Writes the document of the time without capture, where an earlier agent left its mark.
fn say_gap(last_capture: Option<&LastCapture>, composer: &Composer, sink: &Sink) {
    let now = clock::now();
    let Some(last_capture) = last_capture else { return };
    let mark = last_capture.read().or_else(|| last_capture.ended_beside(now));
    if let Some(mark) = mark.filter(|_| !last_capture.is_covered(now)) {
        let (start, reason) = gap::since(mark, now);
        sink.write(composer.gap(start, now, now, reason));
    }
    last_capture.begin();
}

/// Who knows names of pods; says so where somebody asked for what takes them.
fn names(directory: Option<&Arc<Directory>>, settings: &PipelineSettings) -> Arc<dyn Pods> {
    if let Some(directory) = directory {
        return Arc::<Directory>::clone(directory);
    }
    if settings.dns_log.as_ref().is_some_and(|dns_log| dns_log.aggregation == Aggregation::Owner) {
        tracing::warn!(
            "no names of pods are known here: DNS logs are counted by container and unit, not by owner"
        );
    }
    Arc::new(NoPods)
}
