//! The parts that ECS defines and that every kind of document shares: event, data stream, agent, host, workload, peers.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use super::{Text, Time};

/// What a document is about; everything else in `event` follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// A workload asked for, or was answered with, a listed name.
    ListedName,
    /// A workload reached its limit of alerts; what followed was only counted.
    LimitReached,
    /// A workload used up its capture budget; packets beyond were counted, not read.
    Flood,
    /// One exchange, or a number of equal exchanges in one interval.
    DnsLog,
    /// Exchanges that were not logged, because the node's limit was reached.
    Unlogged,
    /// A time in which nothing was captured.
    CaptureGap,
}

impl Action {
    /// `event.dataset` and `data_stream.dataset`.
    pub fn dataset(self) -> &'static str {
        match self {
            Self::ListedName | Self::LimitReached | Self::Flood | Self::CaptureGap => "namewarden.alert",
            Self::DnsLog | Self::Unlogged => "namewarden.dns",
        }
    }

    /// `event.kind`.
    fn kind(self) -> &'static str {
        match self {
            Self::ListedName | Self::LimitReached | Self::Flood => "alert",
            Self::DnsLog | Self::Unlogged | Self::CaptureGap => "event",
        }
    }

    /// `event.category`.
    fn categories(self) -> &'static [&'static str] {
        match self {
            Self::ListedName | Self::LimitReached => &["network", "threat"],
            Self::Flood | Self::DnsLog | Self::Unlogged => &["network"],
            Self::CaptureGap => &["host"],
        }
    }

    /// `event.type`.
    fn types(self) -> &'static [&'static str] {
        match self {
            Self::ListedName => &["protocol", "indicator"],
            Self::DnsLog => &["protocol"],
            Self::LimitReached | Self::Flood | Self::Unlogged | Self::CaptureGap => &["info"],
        }
    }
}

/// `event.*`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// The document's `_id`.
    pub id: String,
    /// `alert` or `event`.
    pub kind: Text,
    /// ECS categories.
    pub category: Vec<Text>,
    /// ECS types.
    #[serde(rename = "type")]
    pub types: Vec<Text>,
    /// What the document is about.
    pub action: Action,
    /// `namewarden`.
    pub module: Text,
    /// `namewarden.alert` or `namewarden.dns`.
    pub dataset: Text,
    /// `success` (NOERROR), `failure` (any other response code), `unknown` (no answer seen).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Text>,
    /// 1 to 100; the highest of the feeds that list the entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<u8>,
    /// When the agent made the document.
    pub created: Time,
    /// First moment that the document covers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Time>,
    /// Last moment that the document covers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Time>,
    /// Nanoseconds from query to answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<u64>,
}

impl Event {
    /// Event of one action.
    pub fn new(action: Action, id: String, created: Time) -> Self {
        let texts = |all: &'static [&'static str]| all.iter().map(|text| Text::Borrowed(text)).collect();
        Self {
            id,
            kind: Text::Borrowed(action.kind()),
            category: texts(action.categories()),
            types: texts(action.types()),
            action,
            module: Text::Borrowed("namewarden"),
            dataset: Text::Borrowed(action.dataset()),
            outcome: None,
            severity: None,
            created,
            start: None,
            end: None,
            duration: None,
        }
    }
}

/// `data_stream.*`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataStream {
    /// `logs`.
    #[serde(rename = "type")]
    pub kind: Text,
    /// Same as `event.dataset`.
    pub dataset: Text,
    /// The operator's, by default `default`.
    pub namespace: String,
}

impl DataStream {
    /// The data stream of documents about `action`.
    pub fn of(action: Action, namespace: &str) -> Self {
        Self {
            kind: Text::Borrowed("logs"),
            dataset: Text::Borrowed(action.dataset()),
            namespace: namespace.to_owned(),
        }
    }

    /// Its name: `logs-namewarden.alert-default`.
    pub fn name(&self) -> String {
        format!("{}-{}-{}", self.kind, self.dataset, self.namespace)
    }
}

/// `ecs.*`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ecs {
    /// Version of the schema.
    pub version: Text,
}

/// `agent.*`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent {
    /// `namewarden-agent`.
    #[serde(rename = "type")]
    pub kind: Text,
    /// One run of one agent.
    pub id: String,
    /// The program's version.
    pub version: String,
}

/// `host.*`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// The node.
    pub name: String,
}

/// `orchestrator.*`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Orchestrator {
    /// The cluster.
    pub cluster: Cluster,
    /// `kubernetes`, where the workload is a pod.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<Text>,
    /// The pod's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<Resource>,
}

impl Orchestrator {
    /// A cluster's, with no workload named.
    pub fn cluster(name: &str) -> Self {
        Self { cluster: Cluster { name: name.to_owned() }, kind: None, namespace: None, resource: None }
    }
}

/// `orchestrator.cluster.*`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cluster {
    /// `--cluster-name`.
    pub name: String,
}

/// `orchestrator.resource.*`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    /// `pod`; of exchanges counted by owner `deployment`, `cronjob`, …
    #[serde(rename = "type")]
    pub kind: Text,
    /// The pod's UID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its name; absent when unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What owns the pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Parent>,
}

/// `orchestrator.resource.parent.*`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parent {
    /// `deployment`, `cronjob`, …: in lower case.
    #[serde(rename = "type")]
    pub kind: String,
}

/// `container.*`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    /// The container's id in full, as its runtime shows it.
    pub id: String,
    /// `containerd`, `cri-o`, `docker` or `podman`; absent where the path does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime: Option<Text>,
    /// The container's name in its pod; absent when unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it was made of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Image>,
}

/// `container.image.*`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// As the pod's manifest names it.
    pub name: String,
}

/// `kubernetes.*`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kubernetes {
    /// The pod; absent where exchanges are counted by owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<Pod>,
    /// The pod's namespace; this and all that follows are absent when unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// What owns the pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// The service account that the pod runs under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account: Option<String>,
    /// The pod's labels, those that are kept.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// `kubernetes.owner.*`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// `Deployment`, `CronJob`, `DaemonSet`, …
    pub kind: String,
    /// Its name.
    pub name: String,
}

/// `kubernetes.pod.*`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pod {
    /// The pod's UID; of a static pod the hash that the kubelet made.
    pub uid: String,
    /// `guaranteed`, `burstable` or `besteffort`; absent where the path does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub qos: Option<Text>,
    /// The pod's name; absent when unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The pod's first address; absent when unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<IpAddr>,
}

/// `service.*`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// systemd unit.
    pub name: String,
}

/// `process.*`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Process id in the host's pid namespace.
    pub pid: u32,
    /// Name of the process (its thread-group leader); absent when unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The thread that connected or sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread: Option<Thread>,
}

/// `process.thread.*`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thread {
    /// Thread id in the host's pid namespace.
    pub id: u32,
    /// Its name; absent when unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// `source.*`, `destination.*`, `client.*`, `server.*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Address; an IPv4-mapped one is written as IPv4.
    pub ip: IpAddr,
    /// Port; absent where several exchanges are counted together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
}

impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Self {
        Self { ip: address.ip().to_canonical(), port: Some(address.port()) }
    }
}

/// `network.*`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// `udp` or `tcp`.
    pub transport: Text,
    /// `ipv4` or `ipv6`.
    #[serde(rename = "type")]
    pub kind: Text,
    /// `dns`.
    pub protocol: Text,
}

/// `related.*`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Related {
    /// Every address of the document, each once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ip: Vec<IpAddr>,
    /// Every name of the document, each once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
}

/// `error.*`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Error {
    /// What is wrong with the message.
    pub message: String,
}
