//! `GlobalThreatFeed`: the resource field for field, its defaults and its rules, in either API group.
//!
//! In: what a person applied. Out: types for serde, and the CustomResourceDefinition that makes an API server refuse
//! what [`super::definition`] would refuse. Fields that only Namewarden knows are optional: the reference's manifests
//! apply as they are.

// What the controller writes back.
mod status;

// Fields that it does not have.
mod unknown;

// The CustomResourceDefinition of either group.
mod crd;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use crd::{Group, crd_yaml};
pub use status::{Condition, ErrorCondition, GlobalThreatFeedStatus, RejectedLine};
pub use unknown::unknown_fields;

/// The resource of either group: one code path.
pub type Resource = kube::core::Object<GlobalThreatFeedSpec, GlobalThreatFeedStatus>;

/// The annotation that asks for a pull whenever its value changes.
pub const PULL_ANNOTATION: &str = "namewarden.dev/pull";

/// Severity of a feed that says none.
pub const SEVERITY_DEFAULT: u8 = 75;

/// A threat feed: a list of names (or addresses) that is pulled from a URL, or pushed.
// Columns of one type are no duplicates.
#[allow(clippy::duplicated_attributes)]
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[kube(
    group = "projectcalico.org",
    version = "v3",
    kind = "GlobalThreatFeed",
    plural = "globalthreatfeeds",
    singular = "globalthreatfeed",
    shortname = "gtf",
    category = "threat-defense",
    status = "GlobalThreatFeedStatus",
    doc = "GlobalThreatFeed is a list of names that pods should not ask for: pulled from a URL, or pushed.",
    printcolumn(name = "Mode", type_ = "string", json_path = ".spec.mode"),
    printcolumn(name = "Content", type_ = "string", json_path = ".spec.content"),
    printcolumn(name = "Entries", type_ = "integer", json_path = ".status.entries"),
    printcolumn(name = "Rejected", type_ = "integer", json_path = ".status.rejected"),
    printcolumn(name = "Last sync", type_ = "date", json_path = ".status.lastSuccessfulSync"),
    printcolumn(
        name = "Status",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!(has(self.globalNetworkSet) && self.content == 'DomainNameSet')")
    .message("globalNetworkSet goes with content IPSet only: a DomainNameSet makes no network set"))]
pub struct GlobalThreatFeedSpec {
    /// What the feed lists. Namewarden alerts on DomainNameSet; an IPSet is accepted and contributes nothing yet.
    #[serde(default)]
    pub content: Content,

    /// A disabled feed leaves the threat set at once; it keeps its last good copy.
    #[serde(default)]
    pub mode: Mode,

    /// What a person should know of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub description: Option<String>,

    /// Who made it.
    #[serde(default)]
    pub feed_type: FeedType,

    /// The GlobalNetworkSet to sync an IPSet to. Accepted, not yet acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub global_network_set: Option<GlobalNetworkSetSync>,

    /// Where the list is pulled from. Without it the feed is a push feed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull: Option<Pull>,

    /// Which names a line speaks of where the format does not say so itself (plain, JSON and CSV lists).
    #[serde(default)]
    pub matching: Matching,

    /// What becomes of a line that is a URL: rejected, or its host is listed.
    #[serde(default)]
    pub urls: Urls,

    /// Severity of the feed's alerts.
    #[serde(default = "severity_default")]
    #[schemars(with = "i32", range(min = 1, max = 100))]
    pub severity: u8,

    /// MITRE ATT&CK technique ids of the feed's alerts, for example T1071.004 (the default).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "set"))]
    #[schemars(inner(regex(pattern = r"^T[0-9]{4}(\.[0-9]{3})?$"), length(max = 9)))]
    pub mitre: Vec<String>,
}

/// What a feed lists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Content {
    /// Addresses and networks.
    #[default]
    IPSet,
    /// Domain names.
    DomainNameSet,
}

/// Whether a feed is in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Mode {
    /// It is.
    #[default]
    Enabled,
    /// It is not.
    Disabled,
}

/// Who made a feed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum FeedType {
    /// It came with the product.
    Builtin,
    /// The operator.
    #[default]
    Custom,
}

/// Which names a line speaks of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Matching {
    /// The name itself.
    Exact,
    /// Every name below it.
    Subdomains,
    /// Both.
    #[default]
    Both,
}

/// What becomes of a line that is a URL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Urls {
    /// It is rejected: the rest of the host may be innocent.
    #[default]
    Reject,
    /// Its host is listed.
    Host,
}

/// Where an IPSet goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GlobalNetworkSetSync {
    /// Labels of the network set.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// Where a list is pulled from, and how often.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pull {
    /// Time between pulls, as Go writes durations (24h, 90m, 1h30m); at least 5m.
    #[serde(default = "period_default")]
    #[schemars(length(max = 32))]
    #[x_kube(
        validation = Rule::new(IS_DURATION).message("period must be a duration such as 24h, 90m or 1h30m"),
        validation = Rule::new(format!("!({IS_DURATION}) || duration(self) >= duration('5m')"))
            .message("period must be at least 5m")
    )]
    pub period: String,

    /// The request.
    pub http: Http,
}

/// As Go and CEL read durations: CEL would otherwise fail on others, in words that help nobody.
const IS_DURATION: &str = "self.matches('^(([0-9]+([.][0-9]*)?|[.][0-9]+)(ns|us|µs|ms|s|m|h))+$')";

/// An HTTP GET.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Http {
    /// An http or https URL.
    #[schemars(length(max = 8192), regex(pattern = r"^https?://"))]
    pub url: String,

    /// How the list is written; newline-delimited where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,

    /// Headers sent along.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "atomic"))]
    pub headers: Vec<Header>,
}

/// How a list is written: at most one of these.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new(ONE_FORMAT)
    .message("name at most one format: newlineDelimited, json, csv, hosts, adblock, dnsmasq, rpz or auto"))]
pub struct Format {
    /// A name a line; `#` begins a comment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newline_delimited: Option<Plainly>,
    /// A list of strings in a JSON document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json: Option<JsonFormat>,
    /// A column of a CSV table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub csv: Option<CsvFormat>,
    /// A hosts file: `0.0.0.0 name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hosts: Option<Plainly>,
    /// A filter list of an ad blocker: `||name^`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adblock: Option<Plainly>,
    /// dnsmasq's configuration: `local=/name/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dnsmasq: Option<Plainly>,
    /// A response policy zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rpz: Option<Plainly>,
    /// The first lines decide.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto: Option<Plainly>,
}

const ONE_FORMAT: &str = "[has(self.newlineDelimited), has(self.json), has(self.csv), has(self.hosts), \
                          has(self.adblock), has(self.dnsmasq), has(self.rpz), has(self.auto)]\
                          .filter(named, named).size() <= 1";

/// A format that has no options.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Plainly {}

/// A list of strings in a JSON document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JsonFormat {
    /// JSONPath to the list, for example `$.domains` or `$.`; without filters.
    #[schemars(length(min = 1, max = 1024))]
    pub path: String,
}

/// A column of a CSV table.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.fieldNum) != has(self.fieldName)")
        .message("name the column by exactly one of fieldNum and fieldName"),
    validation = Rule::new("!has(self.fieldName) || (has(self.header) && self.header)")
        .message("fieldName needs header: true"),
    validation = Rule::new("!(has(self.recordSize) && has(self.disableRecordSizeValidation) \
        && self.disableRecordSizeValidation)")
        .message("recordSize and disableRecordSizeValidation exclude each other")
)]
pub struct CsvFormat {
    /// Number of the column; the first one is 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<i32>", range(min = 0, max = 65_535))]
    pub field_num: Option<u32>,
    /// Name of the column in the header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub field_name: Option<String>,
    /// Whether the first record names the columns.
    #[serde(default)]
    pub header: bool,
    /// What stands between two fields; a comma where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1))]
    pub column_delimiter: Option<String>,
    /// What a line that is a comment begins with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1))]
    pub comment_delimiter: Option<String>,
    /// Fields of every record; the first record's number where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<i32>", range(min = 1, max = 65_535))]
    pub record_size: Option<u32>,
    /// Takes records of any number of fields.
    #[serde(default)]
    pub disable_record_size_validation: bool,
}

/// A header of the request.
#[derive(KubeSchema, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.value) != has(self.valueFrom)")
    .message("give the header exactly one of value and valueFrom"))]
pub struct Header {
    /// Its name.
    #[schemars(length(min = 1, max = 256), regex(pattern = r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"))]
    pub name: String,
    /// Its value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8192))]
    pub value: Option<String>,
    /// Where its value is read from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_from: Option<ValueFrom>,
}

/// Where a header's value is read from.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.configMapKeyRef) != has(self.secretKeyRef)")
    .message("name exactly one of configMapKeyRef and secretKeyRef"))]
pub struct ValueFrom {
    /// A ConfigMap of the controller's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map_key_ref: Option<KeyReference>,
    /// A Secret of the controller's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_key_ref: Option<KeyReference>,
}

/// A key of a Secret or a ConfigMap whose name begins with `globalthreatfeed-<feed>-`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KeyReference {
    /// Name of the object.
    #[serde(default)]
    #[schemars(length(max = 253))]
    pub name: String,
    /// Key in it.
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
    /// Without it the header is left out; else the pull is put off until it is there.
    #[serde(default)]
    pub optional: bool,
}

/// Hides the value: it may be a secret.
impl std::fmt::Debug for Header {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Header")
            .field("name", &self.name)
            .field("value_from", &self.value_from)
            .finish_non_exhaustive()
    }
}

fn severity_default() -> u8 {
    SEVERITY_DEFAULT
}

fn period_default() -> String {
    "24h".to_owned()
}
