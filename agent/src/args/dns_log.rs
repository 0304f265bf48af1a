//! What DNS logs say and leave out, as typed.

use clap::{Args, ValueEnum};

/// What DNS logs say and leave out.
#[derive(Clone, Debug, Args)]
pub struct DnsLogArgs {
    /// What one DNS log stands for: every exchange alone, equal exchanges of a container or unit and an interval (0), or those
    /// of all pods of one owner, as Deployment or `DaemonSet` (1).
    #[arg(
        long,
        env = "NAMEWARDEN_DNS_LOG_AGGREGATION",
        value_enum,
        default_value_t = DnsLogAggregation::Every,
        value_name = "LEVEL"
    )]
    pub dns_log_aggregation: DnsLogAggregation,

    /// Seconds after which counted DNS logs are written and the limit of DNS logs begins anew.
    #[arg(
        long,
        env = "NAMEWARDEN_DNS_LOG_INTERVAL",
        default_value_t = 300,
        value_parser = clap::value_parser!(u64).range(1..=3600),
        value_name = "SECONDS"
    )]
    pub dns_log_interval: u64,

    /// Whether DNS logs bear labels of pods, those of --pod-label.
    #[arg(long, env = "NAMEWARDEN_DNS_LOG_LABELS", value_enum, default_value_t = Switch::On, value_name = "SWITCH")]
    pub dns_log_labels: Switch,

    /// DNS logs of this node in one interval at most, of which one workload gets half at most; what goes beyond is counted,
    /// in a document for each workload. 0: no limit; of exchanges that are counted together 16384 different ones at most.
    #[arg(long, env = "NAMEWARDEN_DNS_LOG_LIMIT", default_value_t = 0, value_name = "DOCUMENTS")]
    pub dns_log_limit: u64,

    /// Whether DNS logs are made of what --resolver-pods ask on behalf of others; else it is counted.
    #[arg(long, env = "NAMEWARDEN_DNS_LOG_RESOLVERS", value_enum, default_value_t = Switch::Off, value_name = "SWITCH")]
    pub dns_log_resolvers: Switch,

    /// Domain of resolvers' search lists, as cluster.local: what is looked for in DOMAIN, svc.DOMAIN or NAMESPACE.svc.DOMAIN and
    /// does not exist is counted in the log of the name that was meant. Repeatable; separated by commas in the environment.
    #[arg(long, env = "NAMEWARDEN_DNS_LOG_FOLD_SEARCH", value_delimiter = ',', value_name = "DOMAIN")]
    pub dns_log_fold_search: Vec<String>,

    /// Names that no DNS log is written of, with all below them; they are counted. Alerts do not depend on it. Repeatable;
    /// separated by commas in the environment.
    #[arg(long, env = "NAMEWARDEN_DNS_LOG_EXCLUDE", value_delimiter = ',', value_name = "SUFFIX")]
    pub dns_log_exclude: Vec<String>,

    /// Of all other exchanges one in so many is logged, drawn at random; the others are counted. Alerts do not depend on it.
    #[arg(
        long,
        env = "NAMEWARDEN_DNS_LOG_SAMPLE",
        default_value_t = 1,
        value_parser = clap::value_parser!(u64).range(1..=1_000_000),
        value_name = "ONE_IN"
    )]
    pub dns_log_sample: u64,
}

/// What one DNS log stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DnsLogAggregation {
    /// One exchange, with process, ports, id and times to live.
    Every,
    /// Equal exchanges of a container or unit: how many, and how long they took.
    #[value(name = "0")]
    Workload,
    /// Equal exchanges of an owner's pods: how many of how many pods, and how long they took.
    #[value(name = "1")]
    Owner,
}

/// Whether something is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// It is done.
    On,
    /// It is not.
    Off,
}
