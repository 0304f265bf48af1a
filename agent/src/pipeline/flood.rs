//! What the kernel half did not copy of workloads that used up their capture budget -> reports: one at once, then one for
//! all that followed within the hour.
//!
//! Comes in, every few seconds: how many packets and bytes of each cgroup were not copied so far. Time is an argument; the
//! workloads remembered are bounded, and nothing that came in is left out of the reports.

use std::sync::Arc;
use std::time::Duration;

use ahash::AHashMap;
use namewarden_protocol::document::id;

use super::attribute::Workload;
use super::numbering::Numbering;
use super::packet::Timestamp;

/// Workloads whose floods are rolled up at a time; the oldest makes room.
const WORKLOADS_MAX: usize = 2_048;

/// Packets and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Volume {
    /// Packets.
    pub packets: u64,
    /// Bytes of their payload.
    pub bytes: u64,
}

impl Volume {
    /// What came on top of an earlier reading; all of it, where the count began anew since.
    fn since(self, earlier: Self) -> Self {
        if self.packets < earlier.packets {
            return self;
        }
        let (packets, bytes) = (self.packets - earlier.packets, self.bytes.saturating_sub(earlier.bytes));
        Self { packets, bytes }
    }

    fn add(&mut self, more: Self) {
        self.packets += more.packets;
        self.bytes += more.bytes;
    }
}

/// How much of one cgroup was not copied so far.
#[derive(Clone, Debug)]
pub struct Reading {
    /// Inode of the cgroup.
    pub cgroup_id: u64,
    /// Whose it is.
    pub workload: Arc<Workload>,
    /// Not copied since the agent started.
    pub uncaptured: Volume,
}

/// What is said of a flood: one document.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Who floods.
    pub workload: Arc<Workload>,
    /// Name of the group of reports of one workload and hour; `_id` of its first document.
    pub group: String,
    /// 0 of the document that bears its group's name; of any other a number that no document of this run has twice.
    pub number: u64,
    /// Whether it goes on what an earlier report began.
    pub goes_on: bool,
    /// Not copied in this time.
    pub uncaptured: Volume,
    /// When it began, as far as is known.
    pub first_seen: Timestamp,
    /// When it was last seen to go on.
    pub last_seen: Timestamp,
    /// When the report was made.
    pub created: Timestamp,
}

/// What bounds and names the reports.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Cluster's name: part of every group's name.
    pub cluster: String,
    /// Node's name: part of the groups of workloads that other nodes have too.
    pub node: String,
    /// Length of the windows of the clock in which a flood is rolled up; in the next one it is told anew.
    pub window: Duration,
}

/// The flood of one workload after it was told.
#[derive(Debug)]
struct Flood {
    workload: Arc<Workload>,
    group: String,
    opened: Timestamp,
    /// Not told yet.
    uncaptured: Volume,
    first_seen: Timestamp,
    last_seen: Timestamp,
}

/// The stage.
#[derive(Debug)]
pub struct FloodWatch {
    settings: Settings,
    /// By cgroup, as last read.
    read: AHashMap<u64, Volume>,
    floods: AHashMap<Arc<str>, Flood>,
    numbering: Numbering,
    looked: Option<Timestamp>,
}

impl FloodWatch {
    /// A stage that has read nothing.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            read: AHashMap::new(),
            floods: AHashMap::new(),
            numbering: Numbering::new(super::numbering::NAMES_MAX),
            looked: None,
        }
    }

    /// Takes in all readings of this moment; reports floods that begin, and those whose hour is over.
    pub fn look(&mut self, readings: &[Reading], now: Timestamp, each: &mut impl FnMut(Report)) {
        let window = self.settings.window;
        self.close(now, |flood| flood.opened.has_left_window(window, Duration::ZERO, now), each);
        let since = self.looked.replace(now).filter(|looked| *looked <= now).unwrap_or(now);
        let earlier = std::mem::take(&mut self.read);
        for reading in readings {
            let read = earlier.get(&reading.cgroup_id).copied().unwrap_or_default();
            let uncaptured = reading.uncaptured.since(read);
            self.read.insert(reading.cgroup_id, reading.uncaptured);
            if uncaptured.packets > 0 {
                self.grown(&reading.workload, uncaptured, since, now, each);
            }
        }
    }

    /// Reports all that was not told yet.
    pub fn finish(&mut self, now: Timestamp, each: &mut impl FnMut(Report)) {
        self.close(now, |_| true, each);
    }

    fn grown(
        &mut self,
        workload: &Arc<Workload>,
        uncaptured: Volume,
        since: Timestamp,
        now: Timestamp,
        each: &mut impl FnMut(Report),
    ) {
        if let Some(flood) = self.floods.get_mut(workload.key()) {
            if flood.uncaptured.packets == 0 {
                flood.first_seen = since;
            }
            flood.uncaptured.add(uncaptured);
            flood.last_seen = now;
            return;
        }
        self.make_room(now, each);
        let window = now.window(self.settings.window);
        let key = workload.global_key(&self.settings.node);
        let group = id::flood_group(&self.settings.cluster, &key, window);
        let number = self.numbering.first(&group, window);
        let flood = Flood {
            workload: Arc::clone(workload),
            group,
            opened: now,
            uncaptured,
            first_seen: since,
            last_seen: now,
        };
        each(flood.report(number, false, now));
        let told = Flood { uncaptured: Volume::default(), ..flood };
        self.floods.insert(Arc::from(workload.key()), told);
    }

    /// Ends the floods that are over, the oldest first.
    fn close(&mut self, now: Timestamp, over: impl Fn(&Flood) -> bool, each: &mut impl FnMut(Report)) {
        let mut closed: Vec<_> =
            self.floods.extract_if(|_, flood| over(flood)).map(|(_, flood)| flood).collect();
        closed.sort_by(|one, other| {
            (one.opened, one.workload.key()).cmp(&(other.opened, other.workload.key()))
        });
        for flood in closed {
            self.end(&flood, now, each);
        }
    }

    fn make_room(&mut self, now: Timestamp, each: &mut impl FnMut(Report)) {
        if self.floods.len() < WORKLOADS_MAX {
            return;
        }
        let oldest = self.floods.iter().min_by_key(|(_, flood)| flood.opened).map(|(key, _)| Arc::clone(key));
        if let Some(flood) = oldest.and_then(|key| self.floods.remove(&key)) {
            self.end(&flood, now, each);
        }
    }

    fn end(&mut self, flood: &Flood, now: Timestamp, each: &mut impl FnMut(Report)) {
        if flood.uncaptured.packets > 0 {
            each(flood.report(self.numbering.later(), true, now));
        }
    }
}

impl Flood {
    fn report(&self, number: u64, goes_on: bool, created: Timestamp) -> Report {
        Report {
            workload: Arc::clone(&self.workload),
            group: self.group.clone(),
            number,
            goes_on,
            uncaptured: self.uncaptured,
            first_seen: self.first_seen,
            last_seen: self.last_seen,
            created,
        }
    }
}

#[cfg(test)]
mod tests;
