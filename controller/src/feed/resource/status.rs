//! What the controller writes back: when a feed was synced, what it contributes, what is wrong with it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What became of a feed. Times are RFC 3339, to the second.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GlobalThreatFeedStatus {
    /// When the list was last pulled (or pushed) and accepted, or seen to be unchanged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub last_successful_sync: Option<String>,

    /// When stored DNS logs were last searched for the feed's names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub last_successful_search: Option<String>,

    /// What keeps the feed from being synced or searched for; empty where all is well.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub error_conditions: Vec<ErrorCondition>,

    /// Ready, Supported and Synced, as other resources have them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,

    /// Entries of the copy in use; exceptions count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entries: Option<i64>,

    /// Lines of the copy in use (or of the list refused, where nothing is in use) that were rejected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected: Option<i64>,

    /// The first of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub rejected_lines: Vec<RejectedLine>,

    /// Entries that are public suffixes and count for their own name only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guarded: Option<i64>,

    /// The format that the list was read in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,

    /// When it is pulled next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub next_sync: Option<String>,

    /// The threat set that its entries are in, as epoch.number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threat_set: Option<String>,

    /// Generation of the resource that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

/// Something that keeps a feed from being synced or searched for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorCondition {
    /// Kind of the error.
    #[serde(rename = "type")]
    pub kind: String,
    /// What happened, in a sentence.
    pub message: String,
}

/// A condition as all of Kubernetes has them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// What it speaks of.
    #[serde(rename = "type")]
    pub kind: String,
    /// True, False or Unknown.
    #[schemars(extend("enum" = ["True", "False", "Unknown"]))]
    pub status: String,
    /// One word for why.
    pub reason: String,
    /// A sentence for why.
    pub message: String,
    /// When the status changed last.
    #[schemars(extend("format" = "date-time"))]
    pub last_transition_time: String,
    /// Generation of the resource that it speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

/// A line that was not taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RejectedLine {
    /// Its number, from 1.
    pub line: i64,
    /// Its beginning, control characters escaped.
    pub text: String,
    /// Why.
    pub reason: String,
}
