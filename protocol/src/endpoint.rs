//! What a running agent says of itself: the answer of `GET /status`, read by `namewarden-agent status`; and, in
//! [`controller`], what agents and controllers say to each other.

// Paths, headers and reports between agents and controllers.
pub mod controller;

// Ports that resolvers listen on.
pub mod ports;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Path of the status document.
pub const STATUS_PATH: &str = "/status";

/// What a running agent says of itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AgentStatus {
    /// Version of the agent.
    pub version: String,
    /// Node it runs on.
    pub node: String,
    /// Cluster it belongs to.
    pub cluster: String,
    /// Process id, in the agent's own pid namespace.
    pub pid: u32,
    /// Seconds since the hooks were attached.
    pub uptime_seconds: u64,
    /// Over the last minute, or since the start where that is less.
    pub rates: Rates,
    /// Where DNS messages were lost, and how many.
    pub loss: Loss,
    /// The threat set in use.
    pub threat_set: ThreatSetStatus,
    /// The controller whose set it uses, where it has one.
    #[serde(default)]
    pub controller: Option<ControllerStatus>,
    /// Search engines that documents go to: alerts, DNS logs.
    #[serde(default)]
    pub search: Vec<SearchStatus>,
    /// Feeds that the agent reads itself.
    pub feeds: Vec<FeedStatus>,
    /// Workloads (containers, units) known by their cgroup.
    pub workloads: u64,
    /// Workloads that used up their capture budget and are no longer copied whole.
    pub flooding: Vec<Flooding>,
    /// What was counted and not told, of whom.
    #[serde(default)]
    pub withheld: Vec<Withheld>,
    /// Every counter of the agent by its metric name.
    pub counters: BTreeMap<String, u64>,
}

/// Figures a second over `window_seconds`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Rates {
    /// Length of the window that was measured, in seconds.
    pub window_seconds: f64,
    /// DNS packets captured a second.
    pub packets: f64,
    /// DNS messages screened a second.
    pub messages: f64,
    /// Findings (message x entry) a second.
    pub findings: f64,
}

/// Where something was lost since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// Packets that found the ring buffer full.
    pub ring_full: u64,
    /// Packets not copied because their workload or socket had used up its budget.
    pub over_budget: u64,
    /// Packets that the kernel refused to copy, and records that make no sense.
    #[serde(default)]
    pub unreadable: u64,
    /// Holes in TCP streams and in packets of several records.
    pub gaps: u64,
    /// Documents that the sink dropped.
    pub documents: u64,
}

impl Loss {
    /// Whether anything at all was lost.
    pub fn any(&self) -> bool {
        self != &Self::default()
    }
}

/// The threat set in use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThreatSetStatus {
    /// Epoch: a new one after a new key or a lost disk.
    pub epoch: u64,
    /// Number within the epoch.
    pub number: u64,
    /// SHA-256 of the set file, in hex.
    pub digest: String,
    /// Entries in the set.
    pub entries: u64,
    /// Seconds since it was taken into use.
    pub age_seconds: u64,
    /// Seconds since the controller compiled it; `None` of a set that is not a controller's alone.
    #[serde(default)]
    pub published_seconds: Option<u64>,
}

/// The controller as its agent knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControllerStatus {
    /// Where it is, without credentials.
    pub location: String,
    /// Seconds since it last answered as it should; `None` where it never did.
    pub answered_seconds: Option<u64>,
    /// Why the last question led to nothing.
    pub problem: Option<String>,
    /// Its set, as far as it is in use.
    pub threat_set: Option<ThreatSetStatus>,
}

/// Search engines as the agent knows them, and what waits for them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SearchStatus {
    /// What goes there: `alerts` or `dns-logs`.
    pub documents: String,
    /// Where they are, without credentials.
    pub locations: Vec<String>,
    /// Documents that they have.
    pub acknowledged: u64,
    /// Documents that wait in the spool.
    pub waiting: u64,
    /// Bytes of the spool that hold documents of this kind.
    pub spool_bytes: u64,
    /// Documents refused for good.
    pub refused: u64,
    /// Documents that a limit dropped, or that could not be read back.
    pub lost: u64,
    /// Seconds since one of them last took documents; `None` where none ever did.
    pub answered_seconds: Option<u64>,
    /// Why documents wait.
    pub problem: Option<String>,
}

/// One feed that the agent reads itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedStatus {
    /// Name of the feed.
    pub name: String,
    /// Path or URL, without credentials.
    pub location: String,
    /// Format that it was read in.
    pub format: String,
    /// Entries it contributes.
    pub entries: u64,
    /// Lines that were rejected.
    pub rejected: u64,
    /// Entries kept as exact only because they are public suffixes.
    pub guarded: u64,
    /// Whether it is a URL that was never fetched, and is being fetched now.
    #[serde(default)]
    pub pending: bool,
    /// Seconds since what is in use was read from its location, or was last known to be unchanged there; missing where
    /// nothing is in use.
    #[serde(default)]
    pub age_seconds: Option<u64>,
    /// Why the last reading was refused or failed; the last good copy is in use then, if there is one.
    pub problem: Option<String>,
}

/// A workload of which something was counted and not told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withheld {
    /// `resolver`: it asks on behalf of others; `excluded`: the operator left it out.
    pub reason: String,
    /// Its namespace; empty of workloads that are counted together.
    pub namespace: String,
    /// What it is one of, as `Deployment/coredns`.
    pub workload: String,
    /// Findings (message x entry) that raised no alert.
    pub findings: u64,
    /// Alerts that were not told.
    pub alerts: u64,
    /// Messages that no DNS log is made of.
    pub messages: u64,
}

/// A workload over its budget.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flooding {
    /// The workload, as in `message` of an alert.
    pub workload: String,
    /// Packets not copied so far.
    pub packets: u64,
}
