//! Keeps the agent's table in `docs/reference/metrics.md` true: it names every metric and no other.
//!
//! With `NAMEWARDEN_UPDATE_REFERENCE=1` the table is written anew instead of compared.

use std::{collections::BTreeSet, fmt::Write as _, path::PathBuf};

use namewarden_agent_common::counters::COUNTERS;

use super::{Kind, Metric, list, withheld};
use crate::{
    kernel::Reading,
    machine::MachineCounts,
    pipeline::{
        PipelineCounts,
        sink::{
            SinkCounts,
            search::{self, LaneView},
            spool,
        },
        withhold::{Account, Withheld},
    },
    pods::PodCounts,
    threat_source::controller::Contact,
};

const START: &str = "<!-- agent:start -->\n";
const END: &str = "<!-- agent:end -->";

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/metrics.md")
}

fn every_metric() -> Vec<Metric> {
    let readings: Vec<_> = COUNTERS.iter().map(|info| Reading { info, value: 0 }).collect();
    let mut metrics = list::kernel(&readings);
    metrics.extend(list::pipeline(&PipelineCounts::default()));
    metrics.extend(list::sink(&SinkCounts::default()));
    for kind in spool::Kind::ALL {
        let lane = LaneView { kind, counts: spool::Counts::default(), contact: search::Contact::default() };
        metrics.extend(list::search(&lane, 0));
    }
    metrics.extend(list::left(&list::LeftCounts::default()));
    metrics.extend(list::machine(&MachineCounts::default()));
    metrics.extend(list::standing(&list::Standing::default()));
    metrics.extend(list::pods(&PodCounts::default()));
    let (namespace, workload) = (String::new(), String::new());
    let nobody = Withheld { reason: "", namespace, workload, account: Account::default() };
    metrics.extend(withheld::of_workloads(&[nobody]));
    metrics.extend(list::controller(&Contact::default(), 0));
    metrics
}

fn table() -> String {
    let mut table = "| metric | kind | labels | what it counts |\n| --- | --- | --- | --- |\n".to_owned();
    for metric in every_metric() {
        let kind = if metric.kind == Kind::Counter { "counter" } else { "gauge" };
        let labels: Vec<_> = metric.labels.iter().map(|(label, _)| format!("`{label}`")).collect();
        let (name, labels) = (metric.full_name(), labels.join(", "));
        let _ = writeln!(table, "| `{name}` | {kind} | {labels} | {} |", metric.help);
    }
    table
}

#[test]
fn the_reference_names_every_metric_and_no_other() {
    let page = std::fs::read_to_string(path()).unwrap();
    let (before, rest) = page.split_once(START).expect("the page marks where the table starts");
    let (shown, after) = rest.split_once(END).expect("the page marks where the table ends");
    if std::env::var_os("NAMEWARDEN_UPDATE_REFERENCE").is_some() {
        std::fs::write(path(), format!("{before}{START}{}{END}{after}", table())).unwrap();
    } else {
        assert!(shown == table(), "write the table anew with NAMEWARDEN_UPDATE_REFERENCE=1");
    }
}

#[test]
fn no_two_metrics_share_a_name() {
    let metrics = every_metric();
    let names: BTreeSet<_> = metrics.iter().map(Metric::full_name).collect();
    assert_eq!(names.len(), metrics.len());
}
