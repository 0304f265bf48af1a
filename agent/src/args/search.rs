//! How search engines are reached, as typed, and what waits for them.

use clap::Args;
use namewarden_protocol::search_engine::SearchEngineArgs;

/// How search engines are reached, and what is kept until they have it. Secrets are read from files, or from the environment:
/// `NAMEWARDEN_SEARCH_PASSWORD`, `NAMEWARDEN_SEARCH_API_KEY`, `NAMEWARDEN_SEARCH_TOKEN`.
#[derive(Clone, Debug, Args)]
pub struct SearchArgs {
    /// How they are reached.
    #[command(flatten)]
    pub engine: SearchEngineArgs,

    /// MiB of documents that are kept in the state folder until a search engine has them; beyond, DNS logs give way first,
    /// the oldest before newer ones.
    #[arg(
        long,
        env = "NAMEWARDEN_SPOOL_MIB",
        default_value_t = 512,
        value_parser = clap::value_parser!(u64).range(1..=1_048_576),
        value_name = "MIB"
    )]
    pub spool_mib: u64,

    /// Hours after which documents that no search engine took are dropped.
    #[arg(
        long,
        env = "NAMEWARDEN_SPOOL_HOURS",
        default_value_t = 72,
        value_parser = clap::value_parser!(u64).range(1..=8_760),
        value_name = "HOURS"
    )]
    pub spool_hours: u64,
}
