//! Every counter of the agent as one list, and the pages it is read on.
//!
//! The stages count in plain integers; `list` gives each integer its name and help; nothing else knows metric names.

use std::{borrow::Cow, fmt};

use namewarden_protocol::endpoint::AgentStatus;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, text},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::Registry,
};

// Which counters there are: name, help, value.
pub mod list;

// The same of each workload of which something is not told.
pub mod withheld;

// Keeps docs/reference/metrics.md true.
#[cfg(test)]
mod reference;

// /metrics, /healthz, /readyz over TCP and a unix socket, /status for this machine.
pub mod http;

// Connections to them from other machines: bounded in number and time.
pub mod connection;

/// Whether a figure only grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows; written with the suffix `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
}

/// One figure of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Name without the prefix `namewarden_` and without the suffix `_total`.
    pub name: Cow<'static, str>,
    /// What it counts, one sentence without the final stop.
    pub help: &'static str,
    /// Whether it only grows.
    pub kind: Kind,
    /// Names and values of its labels.
    pub labels: Vec<(&'static str, String)>,
    /// The figure.
    pub value: u64,
}

impl Metric {
    /// A figure that only grows.
    pub fn counter(name: &'static str, help: &'static str, value: u64) -> Self {
        Self { name: Cow::Borrowed(name), help, kind: Kind::Counter, labels: Vec::new(), value }
    }

    /// A figure that goes up and down.
    pub fn gauge(name: &'static str, help: &'static str, value: u64) -> Self {
        Self { name: Cow::Borrowed(name), help, kind: Kind::Gauge, labels: Vec::new(), value }
    }

    /// The same, of what these labels say.
    #[must_use]
    pub fn of(self, labels: Vec<(&'static str, String)>) -> Self {
        Self { labels, ..self }
    }

    /// Full name as a scraper sees it.
    pub fn full_name(&self) -> String {
        let suffix = if self.kind == Kind::Counter { "_total" } else { "" };
        format!("namewarden_{}{suffix}", self.name)
    }
}

/// What the pages ask of a running agent.
pub trait Observed: Send + Sync + 'static {
    /// Every figure, in the order of the journey.
    fn metrics(&self) -> Vec<Metric>;

    /// The agent's account of itself.
    fn status(&self) -> AgentStatus;

    /// Whether the hooks are attached, and every feed is in use or known not to be.
    fn is_ready(&self) -> bool;

    /// One line for each feed of which nothing is in use, and why.
    fn missing(&self) -> Vec<String>;

    /// Whether the pipeline still turns.
    fn is_alive(&self) -> bool;
}

/// The list in Prometheus' text format, `OpenMetrics` 1.0.
pub fn encode(metrics: Vec<Metric>) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("namewarden");
    registry.register_collector(Box::new(MetricList(metrics)));
    let mut page = String::with_capacity(8192);
    text::encode(&mut page, &registry)?;
    Ok(page)
}

#[derive(Debug)]
struct MetricList(Vec<Metric>);

impl Collector for MetricList {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        // Figures of one name that differ by their labels stand behind one another.
        for family in self.0.chunk_by(|one, other| one.name == other.name) {
            let Some(Metric { name, help, kind, .. }) = family.first() else { continue };
            let described = if *kind == Kind::Counter { MetricType::Counter } else { MetricType::Gauge };
            let mut described = encoder.encode_descriptor(name, help, None, described)?;
            for metric in family {
                if metric.labels.is_empty() {
                    write(metric, described)?;
                    break;
                }
                write(metric, described.encode_family(&metric.labels)?)?;
            }
        }
        Ok(())
    }
}

fn write(metric: &Metric, encoder: MetricEncoder<'_>) -> fmt::Result {
    match metric.kind {
        Kind::Counter => ConstCounter::new(metric.value).encode(encoder),
        Kind::Gauge => ConstGauge::new(i64::try_from(metric.value).unwrap_or(i64::MAX)).encode(encoder),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_written_with_prefix_help_and_suffix() {
        let page = encode(vec![Metric::counter("messages_screened", "DNS messages screened", 7)]).unwrap();
        assert!(page.contains("# HELP namewarden_messages_screened DNS messages screened\n"), "{page}");
        assert!(page.contains("namewarden_messages_screened_total 7"), "{page}");
    }

    #[test]
    fn figures_that_differ_by_their_labels_have_one_help() {
        let of = |name: &str, value| Metric::counter("x", "X", value).of(vec![("workload", name.to_owned())]);
        let page = encode(vec![of("a", 1), of("b\"", 2)]).unwrap();
        assert_eq!(page.matches("# HELP namewarden_x X\n").count(), 1, "{page}");
        let lines = "namewarden_x_total{workload=\"a\"} 1\nnamewarden_x_total{workload=\"b\\\"\"} 2\n";
        assert!(page.contains(lines), "{page}");
    }

    #[test]
    fn a_gauge_has_no_suffix() {
        let page = encode(vec![Metric::gauge("workloads", "Workloads known", 3)]).unwrap();
        assert!(page.contains("\nnamewarden_workloads 3\n"), "{page}");
    }
}
