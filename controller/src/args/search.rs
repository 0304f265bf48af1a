//! The search engine, as typed.

use clap::Args;
use namewarden_protocol::search_engine::SearchEngineArgs;
use reqwest::Url;

/// A search engine, and who asks it. Secrets are read from files, or from the environment: `NAMEWARDEN_SEARCH_PASSWORD`,
/// `NAMEWARDEN_SEARCH_API_KEY`, `NAMEWARDEN_SEARCH_TOKEN`.
#[derive(Clone, Debug, Args)]
pub struct SearchArgs {
    /// Elasticsearch (8 or later) or OpenSearch (2 or later), `http[s]://HOST[:PORT][/PATH]`. Repeatable: other nodes of the
    /// same cluster, asked when the first does not answer; separated by commas in the environment.
    #[arg(long, env = "NAMEWARDEN_ELASTICSEARCH", value_delimiter = ',', value_name = "URL")]
    pub elasticsearch: Vec<Url>,

    /// Days that alerts are kept there.
    #[arg(
        long,
        env = "NAMEWARDEN_ALERT_DAYS",
        default_value_t = 91,
        value_parser = clap::value_parser!(u16).range(1..=3650),
        value_name = "DAYS"
    )]
    pub alert_days: u16,

    /// Days that DNS logs are kept there.
    #[arg(
        long,
        env = "NAMEWARDEN_DNS_LOG_DAYS",
        default_value_t = 8,
        value_parser = clap::value_parser!(u16).range(1..=3650),
        value_name = "DAYS"
    )]
    pub dns_log_days: u16,

    /// How it is reached.
    #[command(flatten)]
    pub engine: SearchEngineArgs,
}

/// Options of `setup-search`.
#[derive(Debug, Args)]
pub struct SetupSearchArgs {
    /// The search engine.
    #[command(flatten)]
    pub search: SearchArgs,

    /// Name of the cluster: part of the alias that feeds are pushed to.
    #[arg(long, env = "NAMEWARDEN_CLUSTER_NAME", default_value = "cluster", value_name = "NAME")]
    pub cluster_name: String,
}
