//! `namewarden.*`: facts that ECS has no field for.

use serde::{Deserialize, Serialize};

use super::{Text, Time};
use crate::entry::Scope;

/// `namewarden.*`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// Which names the entry speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
    /// `exact` (the name is the entry) or `subdomain` (it lies below it).
    #[serde(default, rename = "match", skip_serializing_if = "Option::is_none")]
    pub matched: Option<Text>,
    /// Type of the record that held the name, where it was not the question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record_type: Option<Text>,
    /// How the workload was found: `process`, `cgroup`, `interface`, `address`, `none`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attribution: Option<Text>,
    /// `server` where the workload was asked, or answered; absent where it asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub side: Option<Text>,
    /// Path of the workload's cgroup below the root of the hierarchy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<String>,
    /// The threat set that listed the entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set: Option<Set>,
    /// Equal in all documents about one workload and one entry in one window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Sightings (or exchanges) that this document stands for; the sum over a group is the number of sightings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// Exchanges of the resolver's search list, whose names do not exist, that are folded into this DNS log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folded: Option<u64>,
    /// Pods of the owner that this DNS log stands for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clients: Option<u64>,
    /// The pod of this node that was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<Server>,
    /// First sighting that this document stands for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_seen: Option<Time>,
    /// Last sighting that this document stands for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<Time>,
    /// Sightings of other listed names that were left out, because the workload reached its limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suppressed: Option<u64>,
    /// Packets of the workload that were not captured, because it used up its budget.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uncaptured: Option<Uncaptured>,
    /// Names of the message that were not looked up because it held too many: listed ones among them raise no alert.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unchecked_names: Option<u64>,
    /// Limit that was reached: listed names a workload and window, or DNS logs a node and interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// Only one exchange in so many is logged; absent where each is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample: Option<u64>,
    /// Time from query to answer of the exchanges that this DNS log stands for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<Latency>,
    /// Why nothing was captured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Text>,
    /// True where the entry was listed after the name was asked for: the alert was made of a stored DNS log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retroactive: Option<bool>,
}

impl Facts {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// `namewarden.set.*`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Set {
    /// Epoch of the set's numbers, as text: it uses all 64 bits.
    pub epoch: String,
    /// Number of the set within its epoch.
    pub number: u64,
    /// SHA-256 of the set, hexadecimal.
    pub digest: String,
}

impl Set {
    /// A set as its id says it.
    pub fn new(epoch: u64, number: u64, digest: &[u8]) -> Self {
        Self { epoch: epoch.to_string(), number, digest: super::id::hex(digest.iter().copied()) }
    }
}

/// `namewarden.server.*`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// Namespace of the pod.
    pub namespace: String,
    /// Its name.
    pub pod: String,
}

/// `namewarden.uncaptured.*`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uncaptured {
    /// Packets.
    pub packets: u64,
    /// Bytes of their payload.
    pub bytes: u64,
}

/// `namewarden.latency.*`, nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latency {
    /// Exchanges whose query and answer were both seen.
    pub count: u64,
    /// Mean.
    pub mean: u64,
    /// Longest.
    pub max: u64,
}
