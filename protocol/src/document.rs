//! Alerts, DNS logs and what else the agent writes down, in the Elastic Common Schema (ECS 9).
//!
//! One type for every document: which of its parts are there follows from its [`Action`]. Every field, with its type
//! and meaning, stands in `docs/reference/documents.md`; a test there compares the examples with this code.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

// Nanoseconds since the epoch, written as RFC 3339.
pub mod time;

// Names of documents and of groups of documents: equal for equal facts, whoever writes them.
pub mod id;

// event, data_stream, agent, host, orchestrator, container, process, endpoints.
pub mod ecs;

// dns.*: question, records, flags.
pub mod dns;

// threat.*: the entry, the feeds, the name of the message that matched.
pub mod threat;

// namewarden.*: what ECS has no field for.
pub mod namewarden;

// A stored DNS log whose name was listed later -> an alert.
pub mod retroactive;

// Every field and its type in a search engine.
pub mod mapping;

pub use dns::{Dns, Question, RecordData, ResourceRecord};
pub use ecs::{
    Action, Agent, Container, DataStream, Endpoint, Error, Event, Host, Kubernetes, Network, Orchestrator,
    Process, Related,
};
pub use namewarden::{Facts, Latency, Server, Set, Uncaptured};
pub use threat::{Enrichment, Threat};
pub use time::Time;

/// Version of the Elastic Common Schema that documents follow.
pub const ECS_VERSION: &str = "9.4.0";

/// A string that is nearly always a constant.
pub type Text = Cow<'static, str>;

/// One document, ready to be written as one line of NDJSON or one item of a bulk request (`_id` = `event.id`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Document {
    /// When it happened: the first sighting of an alert, the query of a DNS log.
    #[serde(rename = "@timestamp")]
    pub timestamp: Time,
    /// One plain sentence that says what happened.
    pub message: String,
    /// What kind of document, and its `_id`.
    pub event: Event,
    /// Facts of ours that ECS has no field for.
    #[serde(default, skip_serializing_if = "Facts::is_empty")]
    pub namewarden: Facts,
    /// The entry, the feeds and the name that matched; alerts only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threat: Option<Threat>,
    /// The DNS message or exchange.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns: Option<Dns>,
    /// The container behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<Container>,
    /// The pod behind it, in the fields that Beats and their dashboards use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubernetes: Option<Kubernetes>,
    /// The process behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<Process>,
    /// systemd unit behind it, where it is no container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ecs::Service>,
    /// Who asked: the same as `client`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Endpoint>,
    /// Who was asked: the same as `server`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<Endpoint>,
    /// Who asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<Endpoint>,
    /// Who was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<Endpoint>,
    /// How the message travelled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<Network>,
    /// Every address and every name of the document, for searches across fields.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub related: Option<Related>,
    /// Why a message could not be read to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Error>,
    /// Cluster, and the pod as its resource.
    pub orchestrator: Orchestrator,
    /// The node.
    pub host: Host,
    /// Who wrote the document.
    pub agent: Agent,
    /// Where the document belongs.
    pub data_stream: DataStream,
    /// Version of the schema.
    pub ecs: ecs::Ecs,
}

impl Document {
    /// A document with what all have in common; its data stream follows from `event.action`.
    pub fn new(timestamp: Time, event: Event, identity: &Identity) -> Self {
        let data_stream = DataStream::of(event.action, &identity.namespace);
        Self {
            timestamp,
            message: String::new(),
            event,
            namewarden: Facts::default(),
            threat: None,
            dns: None,
            container: None,
            kubernetes: None,
            process: None,
            service: None,
            source: None,
            destination: None,
            client: None,
            server: None,
            network: None,
            related: None,
            error: None,
            orchestrator: Orchestrator::cluster(&identity.cluster),
            host: Host { name: identity.node.clone() },
            agent: Agent {
                kind: Cow::Borrowed("namewarden-agent"),
                id: identity.instance.clone(),
                version: identity.version.clone(),
            },
            data_stream,
            ecs: ecs::Ecs { version: Cow::Borrowed(ECS_VERSION) },
        }
    }

    /// The document's `_id`, unique in its data stream.
    pub fn id(&self) -> &str {
        &self.event.id
    }

    /// The data stream that the document belongs to: `logs-namewarden.alert-default`.
    pub fn stream(&self) -> String {
        self.data_stream.name()
    }

    /// Whether it is a DNS log, and not an alert, a summary or a report of the agent's.
    pub fn is_log(&self) -> bool {
        matches!(self.event.action, Action::DnsLog | Action::Unlogged)
    }
}

/// Who writes documents: equal in every document of one run of an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// `--cluster-name`.
    pub cluster: String,
    /// `--node-name`.
    pub node: String,
    /// Third part of the data stream's name; no `-` in it.
    pub namespace: String,
    /// One run of one agent: random, hexadecimal.
    pub instance: String,
    /// The agent's version.
    pub version: String,
}

#[cfg(test)]
mod tests;
