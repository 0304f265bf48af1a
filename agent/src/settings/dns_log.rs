//! What DNS logs say and leave out, as used.

use std::time::Duration;

use anyhow::anyhow;

use crate::args::{DnsLogAggregation, DnsLogArgs, Switch};
use crate::pipeline::compose::LogFields;
use crate::pipeline::dns_log::{Aggregation, Settings, Suffixes};
use crate::pipeline::withhold;

/// Validates the options.
///
/// # Errors
/// One sentence for the first name that is none.
pub fn settings(arguments: &DnsLogArgs) -> anyhow::Result<Settings> {
    let DnsLogArgs {
        dns_log_aggregation,
        dns_log_interval,
        dns_log_labels: _,
        dns_log_resolvers: _,
        dns_log_limit,
        dns_log_fold_search,
        dns_log_exclude,
        dns_log_sample,
    } = arguments;
    Ok(Settings {
        aggregation: match dns_log_aggregation {
            DnsLogAggregation::Every => Aggregation::Every,
            DnsLogAggregation::Workload => Aggregation::Workload,
            DnsLogAggregation::Owner => Aggregation::Owner,
        },
        interval: Duration::from_secs(*dns_log_interval),
        limit: if *dns_log_limit == 0 { u64::MAX } else { *dns_log_limit },
        exclude: suffixes("--dns-log-exclude", dns_log_exclude)?,
        sample: *dns_log_sample,
        fold_search: suffixes("--dns-log-fold-search", dns_log_fold_search)?,
        ..Settings::default()
    })
}

/// What is counted and not told.
pub fn withhold(arguments: &DnsLogArgs) -> withhold::Settings {
    withhold::Settings { resolver_logs: arguments.dns_log_resolvers == Switch::On }
}

/// What each DNS log bears.
pub fn fields(arguments: &DnsLogArgs) -> LogFields {
    LogFields { labels: arguments.dns_log_labels == Switch::On, sample: arguments.dns_log_sample }
}

fn suffixes(option: &str, names: &[String]) -> anyhow::Result<Suffixes> {
    Suffixes::new(names).map_err(|(name, error)| {
        anyhow!("{option} {name:?} is no name: {error}; give a domain, as cluster.local")
    })
}
