//! Feeds while the agent captures: each URL is fetched on its own, and what came is built into a new set beside the one
//! in use. A server that takes its time holds up nothing but its own feed.

use std::{sync::Arc, time::Instant};

use tokio::task::{JoinError, JoinHandle, JoinSet, spawn_blocking};

use super::{Running, report};
use namewarden_protocol::threat_set::ThreatSet;

use crate::threat_source::{Loaded, Pulled, SourceError, ThreatSource};

type Load = (ThreatSource, Result<Loaded, SourceError>);
type Built = Result<Load, JoinError>;

/// The feeds: at rest or being built into a set, some of them being fetched. To be dropped outside of the runtime: what
/// fetches URLs has a runtime of its own, which must not end within another.
pub struct Feeds {
    resting: Option<ThreatSource>,
    building: Option<JoinHandle<Load>>,
    fetching: JoinSet<Pulled>,
    /// Fetched while a set was being built.
    arrived: Vec<Pulled>,
    /// The controller's set, come while one was being built.
    joining: Option<Arc<ThreatSet>>,
    /// A SIGHUP came while a set was being built.
    again: bool,
}

/// What has ended.
pub enum Ended {
    /// A fetch.
    Fetch(Result<Pulled, JoinError>),
    /// A set.
    Build(Box<Built>),
}

impl Feeds {
    /// Nothing is being done yet.
    pub fn new(source: ThreatSource) -> Self {
        Self {
            resting: Some(source),
            building: None,
            fetching: JoinSet::new(),
            arrived: Vec::new(),
            joining: None,
            again: false,
        }
    }

    /// When a URL is due; while a set is being built nobody looks.
    pub fn due(&self) -> Option<Instant> {
        self.resting.as_ref().and_then(ThreatSource::next_pull)
    }

    /// Fetches what is due.
    pub fn pull(&mut self) {
        for pull in self.resting.iter_mut().flat_map(ThreatSource::pulls) {
            self.fetching.spawn_blocking(|| pull.run());
        }
    }

    /// Reads files anew, then fetches everything.
    pub fn restart(&mut self) {
        self.again = self.resting.is_none();
        self.build(ThreatSource::restart);
    }

    /// Takes the controller's set in.
    pub fn join(&mut self, set: Arc<ThreatSet>) {
        self.joining = Some(set);
        self.begin_what_waited();
    }

    /// The next end of a fetch or a set; never, where none is on.
    pub async fn ended(&mut self) -> Ended {
        let Self { building, fetching, .. } = self;
        let built = async {
            let Some(task) = building else { return std::future::pending().await };
            let ended = task.await;
            *building = None;
            ended
        };
        tokio::select! {
            biased;
            ended = built => Ended::Build(Box::new(ended)),
            Some(ended) = fetching.join_next() => Ended::Fetch(ended),
        }
    }

    /// Takes in what has ended, and begins what waited for it.
    pub fn go_on(&mut self, running: &Running, ended: Ended) {
        match ended {
            Ended::Fetch(Ok(pulled)) => self.arrived.push(pulled),
            Ended::Fetch(Err(_)) => {
                tracing::error!("a fetch ended early; its feed is not fetched again before a restart");
            }
            Ended::Build(built) => self.rest(running, *built),
        }
        self.begin_what_waited();
    }

    fn rest(&mut self, running: &Running, built: Built) {
        if let Ok((source, loaded)) = built {
            self.resting = Some(source);
            take_into_use(running, loaded);
        } else {
            running.observatory.load_failed();
            tracing::error!("reading the feeds ended early; they are not read again before a restart");
        }
    }

    fn begin_what_waited(&mut self) {
        let Some(source) = &mut self.resting else { return };
        let joins = self.joining.take().map(|set| source.join(set)).is_some();
        if std::mem::take(&mut self.again) {
            self.restart();
        } else if joins || !self.arrived.is_empty() {
            let arrived = std::mem::take(&mut self.arrived);
            self.build(|source| source.take(arrived));
        }
    }

    fn build(
        &mut self,
        load: impl FnOnce(&mut ThreatSource) -> Result<Loaded, SourceError> + Send + 'static,
    ) {
        if let Some(mut source) = self.resting.take() {
            self.building = Some(spawn_blocking(move || {
                let built = load(&mut source);
                (source, built)
            }));
        }
    }
}

fn take_into_use(running: &Running, built: Result<Loaded, SourceError>) {
    let loaded = match built {
        Ok(loaded) => loaded,
        Err(error) => {
            running.observatory.load_failed();
            tracing::error!("feeds could not be read anew, the set in use stays: {error}");
            return;
        }
    };
    report(&loaded.feeds);
    let (number, entries) = (loaded.set.id().number, loaded.set.len());
    running.set.store(Arc::clone(&loaded.set));
    running.observatory.set_changed(loaded.feeds, loaded.joined);
    tracing::info!(number, entries, "a new threat set is in use");
}
