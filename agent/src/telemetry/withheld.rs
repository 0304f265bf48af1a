//! What was withheld of each workload, as figures with labels.

use super::Metric;
use crate::pipeline::withhold::{Account, Withheld};

/// One figure of an account.
type Figure = fn(&Account) -> u64;

/// What was withheld of each workload: at most 64 of them, and those beyond together; only where pods are known.
pub fn of_workloads(workloads: &[Withheld]) -> Vec<Metric> {
    let figures: [(_, _, Figure); 3] = [
        ("workload_withheld_findings", "Findings of a workload that raised no alert", |of| of.findings),
        ("workload_withheld_alerts", "Alerts of a workload that were not told", |of| of.alerts),
        ("workload_withheld_messages", "Messages of a workload that no DNS log is made of", |of| of.messages),
    ];
    let family = |(name, help, figure): (_, _, Figure)| {
        workloads.iter().map(move |withheld| {
            let Withheld { reason, namespace, workload, account } = withheld;
            Metric::counter(name, help, figure(account)).of(vec![
                ("reason", (*reason).to_owned()),
                ("workload_namespace", namespace.clone()),
                ("workload", workload.clone()),
            ])
        })
    };
    figures.into_iter().flat_map(family).collect()
}
