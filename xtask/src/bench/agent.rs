//! The agent under load: started on the node's traffic; what it saw, lost and used, by its own status and the kernel.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use namewarden_tests::agent::{Agent as Running, AgentBuilder};
use namewarden_tests::wait;
use rustix::process::Signal;
use serde::Deserialize;

use super::traffic::{Traffic, used};

/// Its name on the node; the unit's cgroup is called after it.
const NAME: &str = "bench";

/// Many times what the agent leaves a record in the ring buffer, or its counters unpublished.
const STANDSTILL: Duration = Duration::from_millis(500);

/// A running agent.
pub struct Agent {
    running: Running,
    cgroup: PathBuf,
}

/// Its account of itself, as far as the bench reads it.
#[derive(Deserialize)]
struct Status {
    loss: Loss,
    threat_set: ThreatSet,
    counters: std::collections::BTreeMap<String, u64>,
}

#[derive(Deserialize)]
struct Loss {
    ring_full: u64,
    over_budget: u64,
    gaps: u64,
    documents: u64,
}

#[derive(Deserialize)]
struct ThreatSet {
    number: u64,
    entries: u64,
}

/// What it did up to a moment.
#[derive(Clone, Copy, Debug)]
pub struct Account {
    /// Messages it screened.
    pub screened: u64,
    /// Messages and documents that it counted as lost.
    pub lost: u64,
    /// Microseconds of processor time.
    pub used: u64,
}

impl Agent {
    /// Starts it at `root` with the feed at `feed`, and returns when it captures with that feed's set.
    pub fn start(binary: &Path, traffic: &Traffic, root: &Path, feed: &Path) -> Result<Agent> {
        Self::start_with(binary, traffic, root, feed, &[])
    }

    /// The same, with more options.
    pub fn start_with(
        binary: &Path,
        traffic: &Traffic,
        root: &Path,
        feed: &Path,
        options: &[&str],
    ) -> Result<Agent> {
        let feed = format!("load={}", feed.display());
        let builder = AgentBuilder::new(NAME).program(binary).cgroup_root(root).arguments(&["--feed", &feed]);
        let builder = builder.arguments(options);
        let running = builder.start(traffic.node()).context("the agent does not start")?;
        Ok(Agent { running, cgroup: traffic.unit(&format!("namewarden-{NAME}.service")) })
    }

    fn status(&self) -> Result<Status> {
        let answer = self.running.get("/status")?;
        let (_, body) = answer.split_once("\r\n\r\n").context("the agent's status has no body")?;
        serde_json::from_str(body).with_context(|| format!("not a status: {body}"))
    }

    /// What it did so far.
    pub fn account(&self) -> Result<Account> {
        let status = self.status()?;
        let loss = &status.loss;
        let screened = status.counters.get(SCREENED);
        Ok(Account {
            screened: *screened.with_context(|| format!("the agent has no counter {SCREENED}"))?,
            lost: loss.ring_full + loss.over_budget + loss.gaps + loss.documents,
            used: used(&self.cgroup)?,
        })
    }

    /// Waits until it has screened `messages` more than at `before`, or has stood still for a while.
    pub fn caught_up(&self, before: Account, messages: u64) -> Result<Account> {
        let (mut last, mut moved) = (before, Instant::now());
        wait::until("the agent has caught up", || {
            let now = self.account()?;
            if now.screened != last.screened {
                (last, moved) = (now, Instant::now());
            }
            let done = now.screened - before.screened >= messages || moved.elapsed() > STANDSTILL;
            Ok(done.then_some(now))
        })
    }

    /// Tells it to read its feeds anew, and waits until the new set is in use; its entries.
    pub fn replace_set(&self) -> Result<u64> {
        let before = self.status()?.threat_set.number;
        self.running.signal(Signal::HUP)?;
        wait::until("the new set in use", || {
            let set = self.status()?.threat_set;
            Ok((set.number > before).then_some(set.entries))
        })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.running.pid()
    }

    /// Ends it.
    pub fn stop(self) -> Result<()> {
        self.running.stop().map(drop)
    }
}

/// The counter of messages that were screened.
const SCREENED: &str = "namewarden_screen_messages_total";
