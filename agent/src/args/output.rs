//! Where documents go, and how they look, as typed.

use clap::{Args, ValueEnum};

use super::{DnsLogArgs, RotationArgs};

/// Where documents go, and how they look.
#[derive(Clone, Debug, Args)]
pub struct OutputArgs {
    /// Where alerts go: stdout, file: and a path, or the URL of Elasticsearch or OpenSearch; several URLs with commas between
    /// them are asked in turn.
    #[arg(long, env = "NAMEWARDEN_ALERTS", default_value = "stdout", value_name = "stdout|file:PATH|URL")]
    pub alerts: String,

    /// Where DNS logs (every query with its answer) go: off, stdout, file: and a path, or URLs as for alerts.
    #[arg(long, env = "NAMEWARDEN_DNS_LOGS", default_value = "off", value_name = "off|stdout|file:PATH|URL")]
    pub dns_logs: String,

    /// What DNS logs say.
    #[command(flatten)]
    pub dns_log: DnsLogArgs,

    /// How files are kept within a size.
    #[command(flatten)]
    pub rotation: RotationArgs,

    /// How documents on standard output look. Files are always NDJSON.
    #[arg(long, env = "NAMEWARDEN_FORMAT", value_enum, default_value_t = OutputFormat::Auto)]
    pub format: OutputFormat,

    /// Name of the cluster, in every document.
    #[arg(long, env = "NAMEWARDEN_CLUSTER_NAME", default_value = "cluster", value_name = "NAME")]
    pub cluster_name: String,

    /// Name of this node, in every document (default: the host's name).
    #[arg(long, env = "NAMEWARDEN_NODE_NAME", value_name = "NAME")]
    pub node_name: Option<String>,
}

/// How documents on standard output look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// Readable lines on a terminal, NDJSON elsewhere.
    Auto,
    /// Readable lines.
    Text,
    /// One JSON document a line.
    Json,
}
