//! What others may ask of the task that owns every feed, and what it shows them.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use super::FeedOverview;
use super::counts::Readings;
use super::searched::Searched;

/// Commands that wait; more are dropped, for the feed is looked at anyway.
pub(super) const COMMANDS_MAX: usize = 1024;

/// What others may ask of the task. Cheap to share.
#[derive(Clone, Debug)]
pub struct Feeds {
    pub(super) commands: mpsc::Sender<Command>,
    /// The last search: no queue loses it.
    pub(super) searched: Arc<watch::Sender<Option<Searched>>>,
    pub(super) overview: watch::Receiver<Arc<Vec<FeedOverview>>>,
    pub(super) readings: Arc<Readings>,
}

/// No such feed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no feed {0}")]
pub struct Unknown(pub String);

/// What the task is asked.
#[derive(Debug)]
pub(super) enum Command {
    Pull(String),
    Pushed(String),
    Renumber,
}

impl Feeds {
    /// Feeds that nobody looks after: what is asked for goes nowhere.
    #[cfg(test)]
    pub fn detached(overview: Vec<FeedOverview>) -> Self {
        let (overview, readings) = (watch::channel(Arc::new(overview)).1, Arc::default());
        Self { commands: mpsc::channel(COMMANDS_MAX).0, searched: Arc::default(), overview, readings }
    }

    /// Whether a feed is there and is pulled.
    pub fn is_pulled(&self, name: &str) -> bool {
        self.overview.borrow().iter().any(|feed| feed.name == name && feed.is_pulled)
    }

    /// Pulls a feed now.
    pub fn pull_now(&self, name: &str) -> Result<(), Unknown> {
        if !self.overview.borrow().iter().any(|feed| feed.name == name) {
            return Err(Unknown(name.to_owned()));
        }
        // A full queue is worked off in a moment; whoever asks may ask again.
        let _ = self.commands.try_send(Command::Pull(name.to_owned()));
        Ok(())
    }

    /// A document of the feed was written or deleted.
    pub fn pushed(&self, name: &str) {
        let _ = self.commands.try_send(Command::Pushed(name.to_owned()));
    }

    /// The set is to be made anew though nothing has changed: its number was used by another one.
    pub fn renumber(&self) {
        let _ = self.commands.try_send(Command::Renumber);
    }

    /// Stored DNS logs were searched for the names of all feeds that are in the set; or why they could not be.
    pub fn searched(&self, searched: Searched) {
        self.searched.send_replace(Some(searched));
    }

    /// Every feed, as it changes.
    pub fn overview(&self) -> watch::Receiver<Arc<Vec<FeedOverview>>> {
        self.overview.clone()
    }

    /// Lists that were read, by what came of it.
    pub fn readings(&self) -> [(&'static str, u64); 4] {
        self.readings.read()
    }

    /// Whether no set can be made of the feeds as they are.
    pub fn is_set_failing(&self) -> bool {
        self.readings.is_set_failing()
    }
}
