//! Options of `run` on the documents that it keeps.

use clap::Args;

/// Documents that are kept.
#[derive(Clone, Debug, Args)]
pub struct StoreArgs {
    /// Folder to keep alerts and DNS logs in, which agents send to this controller as they would to a search engine; or `off`
    /// (default: `store` in the state folder with --manifests and without --elasticsearch, else off). Other controllers do not
    /// see them: with a store there is exactly one controller.
    #[arg(long, env = "NAMEWARDEN_STORE", value_name = "DIR|off")]
    pub store: Option<String>,

    /// Days that alerts are kept.
    #[arg(
        long,
        env = "NAMEWARDEN_STORE_ALERT_DAYS",
        default_value_t = 91,
        value_parser = clap::value_parser!(u16).range(1..=3650),
        value_name = "DAYS"
    )]
    pub store_alert_days: u16,

    /// Days that DNS logs are kept.
    #[arg(
        long,
        env = "NAMEWARDEN_STORE_LOG_DAYS",
        default_value_t = 8,
        value_parser = clap::value_parser!(u16).range(1..=3650),
        value_name = "DAYS"
    )]
    pub store_log_days: u16,

    /// Hours of stored DNS logs that are searched for names that were not listed before: what was asked for then alerts too.
    /// 0: none.
    #[arg(
        long,
        env = "NAMEWARDEN_LOOK_BACK_HOURS",
        default_value_t = 24,
        value_parser = clap::value_parser!(u16).range(0..=8760),
        value_name = "HOURS"
    )]
    pub look_back_hours: u16,

    /// Most MiB of alerts and DNS logs; what is beyond gives way: DNS logs first, the oldest before newer ones.
    #[arg(
        long,
        env = "NAMEWARDEN_STORE_MIB",
        default_value_t = 10_240,
        value_parser = clap::value_parser!(u64).range(64..=67_108_864),
        value_name = "MIB"
    )]
    pub store_mib: u64,
}
