//! The one task that owns every feed: what was applied, what is pulled, what the set is made of, what is said of it.
//!
//! In: changes of resources, pushes, pulls on demand, time. Out: pulls (some at a time), a set compiled 200 ms after
//! the last change, statuses, events. It waits for nothing but events: network and disk are other tasks' work.

// What others may ask of the task.
mod handle;

// One feed through its life.
pub mod state;

// Resources and documents -> feeds.
mod observe;

// Feeds -> a set.
mod compose;

// Feeds as they are shown.
mod overview;

// What became of the search for their names.
pub mod searched;

// How many lists were read, and what came of each.
mod counts;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::copy::Record;
use super::judge::Limits;
use super::pull::{Pulled, Puller, Received};
use super::push::Pushes;
use super::resource::{GlobalThreatFeedStatus, Resource};
use super::source::{Notice, Source};
use super::status::{self, Now, writer::Writer};
use crate::leader::{Leadership, Role};
use crate::publish::{PublishError, Published, Publisher};
use counts::{Readings, log};
use handle::{COMMANDS_MAX, Command};
pub use handle::{Feeds, Unknown};
pub use overview::FeedOverview;
use searched::Searched;
use state::{Feed, Next};

/// Events that wait.
const NOTICES_MAX: usize = 1024;
/// How long what changes together is collected before a set is made of it.
const DEBOUNCE: Duration = Duration::from_millis(200);
/// How long the first set after a start waits for feeds that were never pulled.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long it waits for feeds that had entries before and whose copies are lost.
const LOST_PATIENCE: Duration = Duration::from_mins(5);
/// Pushed documents that are judged at the same time, whatever is pulled.
const TAKES_MAX: usize = 2;
/// Until a set that could not be made is tried again; each time twice as long, to the longest.
const COMPILE_RETRY: Duration = Duration::from_secs(10);
const COMPILE_RETRY_MAX: Duration = Duration::from_mins(10);

/// What holds for all feeds.
#[derive(Clone, Debug)]
pub struct FeedSettings {
    /// How large a feed may be.
    pub limits: Limits,
    /// Most feeds.
    pub feeds_max: usize,
    /// Pulls at the same time.
    pub pulls_max: usize,
    /// The operator's allow lists.
    pub allow: Vec<PathBuf>,
}

/// What the task works with.
#[derive(Debug)]
pub struct Parts {
    /// Where resources come from.
    pub source: Source,
    /// Pulls.
    pub puller: Puller,
    /// Pushed documents.
    pub pushes: Pushes,
    /// Sets.
    pub publisher: Publisher,
    /// Who leads.
    pub leadership: Leadership,
    /// What holds for all feeds.
    pub settings: FeedSettings,
}

/// The task before and between its runs: a controller leads, follows, and may lead again.
#[derive(Debug)]
pub struct Reconciler {
    parts: Parts,
    commands: mpsc::Receiver<Command>,
    searched: watch::Receiver<Option<Searched>>,
    overview: watch::Sender<Arc<Vec<FeedOverview>>>,
    readings: Arc<Readings>,
}

impl Reconciler {
    /// The task, not yet running, and what others ask it by.
    pub fn new(parts: Parts) -> (Self, Feeds) {
        let (sender, commands) = mpsc::channel(COMMANDS_MAX);
        let overview = watch::Sender::new(Arc::default());
        let (told, searched) = watch::channel(None);
        let readings = Arc::<Readings>::default();
        let feeds = Feeds {
            commands: sender,
            searched: Arc::new(told),
            overview: overview.subscribe(),
            readings: Arc::clone(&readings),
        };
        (Self { parts, commands, searched, overview, readings }, feeds)
    }

    /// Runs while this controller leads, for ever: what it knew as a leader is read anew when it leads again.
    pub async fn run(mut self) {
        let mut role = self.parts.leadership.watch();
        loop {
            let is_leader = |role: &Role| *role == Role::Leader;
            let Ok(known) =
                role.wait_for(|role| is_leader(role) || role.leader().is_some()).await.map(|now| now.clone())
            else {
                return;
            };
            if !is_leader(&known) {
                // Whoever leads shows the feeds: what was known of them here grows old.
                self.overview.send_replace(Arc::default());
                if role.wait_for(is_leader).await.is_err() {
                    return;
                }
            }
            let lost = async {
                // A watch whose sender is gone keeps its role.
                if role.wait_for(|role| *role != Role::Leader).await.is_err() {
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! {
                () = lost => {
                    self.readings.set_is_made();
                    tracing::warn!("another controller leads: feeds are no longer pulled here");
                }
                () = Self::lead(&self.parts, (&mut self.commands, &mut self.searched), &self.overview, &self.readings) => return,
            }
        }
    }

    async fn lead(
        parts: &Parts,
        (commands, searched): (&mut mpsc::Receiver<Command>, &mut watch::Receiver<Option<Searched>>),
        overview: &watch::Sender<Arc<Vec<FeedOverview>>>,
        readings: &Readings,
    ) {
        let writer = Writer::default();
        let (notices, mut told) = mpsc::channel(NOTICES_MAX);
        let mut run = match Run::new(parts, overview, readings, writer.clone(), notices) {
            Ok(run) => run,
            Err(error) => {
                tracing::error!("the records of the state folder cannot be read: {error}");
                return;
            }
        };
        tokio::select! {
            () = writer.run(&parts.source) => {}
            () = tell(&parts.source, &mut told) => {}
            () = run.run(commands, searched) => {}
        }
    }
}

/// One time of leading.
struct Run<'p> {
    parts: &'p Parts,
    overview: &'p watch::Sender<Arc<Vec<FeedOverview>>>,
    readings: &'p Readings,
    writer: Writer,
    notices: mpsc::Sender<(Box<Resource>, Notice)>,
    feeds: BTreeMap<String, Feed>,
    /// What earlier processes kept of feeds not seen yet.
    records: BTreeMap<String, Record>,
    /// Why a resource cannot be read, where the feed was never seen whole.
    said: BTreeMap<String, GlobalThreatFeedStatus>,
    pulls: JoinSet<(String, u64, Received)>,
    /// Documents that are judged: no slow server holds them up.
    takes: JoinSet<(String, u64, Received)>,
    orders: u64,
    compiling: JoinSet<Result<Arc<Published>, PublishError>>,
    /// When the set is to be made anew.
    compile_at: Option<Instant>,
    /// Until it is tried again where it cannot be made.
    compile_retry: Duration,
    /// The feeds of the set that is being made, with the digests of their copies.
    composed: BTreeMap<String, String>,
    /// When the resources were first listed.
    listed_at: Option<Instant>,
    /// Whether a set was made since then.
    is_settled: bool,
    /// It was said that the first set waits for lost copies.
    is_lost_told: bool,
    /// Epoch and number of the last set.
    last_set: Option<(u64, u64)>,
    /// The last search, until the feeds know of it.
    searched: Option<Searched>,
    /// Feeds whose status may be another one.
    touched: BTreeSet<String>,
    /// Resources that were never seen whole: why.
    unusable: BTreeMap<String, GlobalThreatFeedStatus>,
}

impl<'p> Run<'p> {
    fn new(
        parts: &'p Parts,
        overview: &'p watch::Sender<Arc<Vec<FeedOverview>>>,
        readings: &'p Readings,
        writer: Writer,
        notices: mpsc::Sender<(Box<Resource>, Notice)>,
    ) -> std::io::Result<Self> {
        Ok(Self {
            parts,
            overview,
            readings,
            writer,
            notices,
            feeds: BTreeMap::new(),
            records: parts.puller.shelf.records()?,
            said: BTreeMap::new(),
            pulls: JoinSet::new(),
            takes: JoinSet::new(),
            orders: 0,
            compiling: JoinSet::new(),
            compile_at: None,
            compile_retry: COMPILE_RETRY,
            composed: BTreeMap::new(),
            listed_at: None,
            is_settled: false,
            is_lost_told: false,
            last_set: None,
            searched: None,
            touched: BTreeSet::new(),
            unusable: BTreeMap::new(),
        })
    }

    async fn run(
        &mut self,
        commands: &mut mpsc::Receiver<Command>,
        searched: &mut watch::Receiver<Option<Searched>>,
    ) {
        let mut changes = self.parts.source.changes();
        loop {
            let now = Instant::now();
            self.start_pulls(now);
            self.start_compiling(now);
            self.say();
            let wake = self.wake_at(now);
            tokio::select! {
                Some(change) = changes.next() => self.observe(change),
                Some(command) = commands.recv() => self.obey(command),
                Ok(()) = searched.changed() => {
                    let last = searched.borrow_and_update().clone();
                    if let Some(last) = last {
                        self.note_search(last);
                    }
                }
                Some(ended) = self.pulls.join_next() => {
                    if let Ok((feed, order, received)) = ended {
                        self.finish(&feed, order, received);
                    }
                }
                Some(ended) = self.takes.join_next() => {
                    if let Ok((feed, order, received)) = ended {
                        self.finish(&feed, order, received);
                    }
                }
                Some(ended) = self.compiling.join_next() => self.compiled(ended),
                () = until(wake) => {}
            }
        }
    }

    fn obey(&mut self, command: Command) {
        let now = Instant::now();
        match command {
            Command::Pull(name) => {
                if let Some(feed) = self.feeds.get_mut(&name).filter(|feed| feed.is_active()) {
                    feed.pull_now(now);
                }
            }
            Command::Pushed(name) => self.look_at_document(&name),
            Command::Renumber => self.compile_soon(),
        }
    }

    /// Starts what is due, as many pulls and as many takes of documents at a time as are allowed.
    fn start_pulls(&mut self, now: Instant) {
        let [mut pulls, mut takes] = self.free();
        let due: Vec<_> = self
            .feeds
            .iter()
            .filter_map(|(name, feed)| {
                Some((name.clone(), feed.next(now, self.parts.pushes.revision(name))?))
            })
            .filter(|(_, next)| {
                let free = if matches!(next, Next::Pull(_)) { &mut pulls } else { &mut takes };
                let is_free = *free > 0;
                *free = free.saturating_sub(1);
                is_free
            })
            .collect();
        for (name, next) in due {
            self.orders += 1;
            let order = self.orders;
            let Some(feed) = self.feeds.get_mut(&name) else { continue };
            feed.running = Some(order);
            let puller = self.parts.puller.clone();
            match next {
                Next::Pull(what) => {
                    tracing::debug!(feed = name, "a pull begins");
                    self.pulls.spawn(async move { (name, order, puller.pull(*what).await) });
                }
                Next::Take(document) => {
                    feed.taking = Some(document);
                    let Some(definition) = &feed.definition else { continue };
                    let (reading, pushes) = (definition.reading.clone(), self.parts.pushes.clone());
                    self.takes.spawn(async move {
                        let received = puller.take(name.clone(), pushes, reading).await;
                        (name, order, received)
                    });
                }
            }
        }
    }

    /// How many pulls and takes may begin.
    fn free(&self) -> [usize; 2] {
        let free = |most: usize, running: usize| most.saturating_sub(running);
        [free(self.parts.settings.pulls_max, self.pulls.len()), free(TAKES_MAX, self.takes.len())]
    }

    fn finish(&mut self, name: &str, order: u64, received: Received) {
        let now = Now::read();
        let Some(feed) = self.feeds.get_mut(name).filter(|feed| feed.running == Some(order)) else {
            // It was deleted, disabled or changed meanwhile: what was received is another list, and goes.
            return;
        };
        let pulled = received.keep(&self.parts.puller.shelf);
        log(name, &pulled);
        self.readings.note(&pulled);
        let (is_unchanged, is_gone) = (pulled == Pulled::Unchanged, pulled == Pulled::Gone);
        let is_new = feed.finish(pulled, now.instant, now.unix());
        if let Some(record) = feed.kept.as_ref().filter(|_| is_unchanged) {
            // Best effort: only the age of the copy after a restart depends on it.
            let _ = self.parts.puller.shelf.describe(record);
        }
        if is_gone {
            self.forget_copy(name);
        }
        self.touched.insert(name.to_owned());
        if is_new {
            self.compile_soon();
        }
    }

    /// Writes down what changed for people: statuses, the overview, events.
    fn say(&mut self) {
        if self.touched.is_empty() {
            return;
        }
        let now = Now::read();
        for name in std::mem::take(&mut self.touched) {
            let Some(feed) = self.feeds.get_mut(&name) else { continue };
            let status = status::status(feed, now);
            if let Some(notice) = status::notice(feed) {
                // Where very many wait, one more is no loss: the status says the same.
                let _ = self.notices.try_send((feed.resource.clone(), notice));
            }
            if feed.resource.status.as_ref() != Some(&status) && self.said.get(&name) != Some(&status) {
                self.writer.put(&name, status.clone());
            }
            self.said.insert(name, status);
        }
        self.overview.send_replace(Arc::new(self.show()));
    }

    /// When there is something to do again. What was due at `now` is under way, or waits for something else.
    fn wake_at(&self, now: Instant) -> Option<Instant> {
        let [pulls, takes] = self.free();
        let is_free = |feed: &Feed| {
            let is_pulled = feed.definition.as_ref().is_some_and(|feed| feed.pull().is_some());
            (if is_pulled { pulls } else { takes }) > 0
        };
        let idle = |feed: &&Feed| feed.running.is_none() && feed.is_active() && is_free(feed);
        let pulls = self.feeds.values().filter(idle);
        let next_pull = pulls.filter_map(|feed| feed.schedule.next()).filter(|next| *next > now).min();
        let compile = self
            .compile_at
            .filter(|_| self.compiling.is_empty() && self.listed_at.is_some())
            .map(|at| at.max(self.settled_at(at)));
        next_pull.into_iter().chain(compile).min()
    }
}

/// Events, one after the other: a slow API server holds up nothing else.
async fn tell(source: &Source, told: &mut mpsc::Receiver<(Box<Resource>, Notice)>) {
    while let Some((feed, notice)) = told.recv().await {
        source.announce(&feed, notice).await;
    }
    std::future::pending::<()>().await;
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
