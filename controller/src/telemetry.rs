//! Every metric of the controller as one list, and the page it is read on.
//!
//! `counts` is what the routes count while they run, `list` gives each figure its name and help; nothing else knows metric
//! names.

// What is counted while the controller runs.
mod counts;

// Which metrics there are: name, help, labels, value.
mod list;

// Keeps docs/reference/metrics.md and controller-http.md true.
#[cfg(test)]
mod reference;

use std::{fmt, time::Instant};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, text},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::Registry,
};

pub use counts::Counts;
pub use list::{Readings, SetReading, list};

use crate::web::Site;

/// Content type of the page.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Whether a figure only grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows; written with the suffix `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
}

/// One metric and its figures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Name without the prefix `namewarden_controller_` and without the suffix `_total`.
    pub name: &'static str,
    /// What it counts, one sentence without the final stop.
    pub help: &'static str,
    /// Whether it only grows.
    pub kind: Kind,
    /// Names of its labels.
    pub labels: &'static [&'static str],
    /// Values of the labels, and the figure.
    pub samples: Vec<(Vec<String>, u64)>,
}

impl Metric {
    /// Full name as a scraper sees it.
    pub fn full_name(&self) -> String {
        let suffix = if self.kind == Kind::Counter { "_total" } else { "" };
        format!("namewarden_controller_{}{suffix}", self.name)
    }
}

/// The page of a running controller.
pub fn page(site: &Site) -> Result<String, fmt::Error> {
    encode(list(&readings(site)))
}

fn readings(site: &Site) -> Readings {
    let set = site.publisher.current().borrow().as_ref().map(|set| SetReading {
        number: set.id.number,
        epoch: set.id.epoch,
        entries: set.entries,
        feeds: set.feeds as u64,
        bytes: set.bytes,
        wire: site.publisher.wire_bytes(),
        age_seconds: set.at.elapsed().unwrap_or_default().as_secs(),
        is_failing: false,
    });
    let is_failing = site.feeds.is_set_failing();
    Readings {
        set: SetReading { is_failing, ..set.unwrap_or_default() },
        agents_by_set: site.agents.by_set_number(Instant::now()),
        is_leader: site.leadership.is_leader(),
        waiting: site.waiting() as u64,
        documents: site.pushes.feeds().len() as u64,
        store: site.store.as_ref().map(|store| store.reading()).unwrap_or_default(),
        looked_back: site.looked_back.read(),
        lists: site.feeds.readings().to_vec(),
        counted: site.counts.read(),
        uptime_seconds: site.started.elapsed().as_secs(),
        ..Readings::default()
    }
    .with_feeds(&site.feeds.overview().borrow())
}

/// The list in Prometheus' text format, `OpenMetrics` 1.0.
pub fn encode(metrics: Vec<Metric>) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("namewarden_controller");
    registry.register_collector(Box::new(MetricList(metrics)));
    let mut page = String::with_capacity(8192);
    text::encode(&mut page, &registry)?;
    Ok(page)
}

#[derive(Debug)]
struct MetricList(Vec<Metric>);

impl Collector for MetricList {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        for metric in &self.0 {
            let kind = if metric.kind == Kind::Counter { MetricType::Counter } else { MetricType::Gauge };
            let mut described = encoder.encode_descriptor(metric.name, metric.help, None, kind)?;
            if let ([], [(_, figure)]) = (metric.labels, metric.samples.as_slice()) {
                write(*figure, metric.kind, described)?;
                continue;
            }
            for (values, figure) in &metric.samples {
                let labels: Vec<_> =
                    metric.labels.iter().copied().zip(values.iter().map(String::as_str)).collect();
                write(*figure, metric.kind, described.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

fn write(figure: u64, kind: Kind, encoder: MetricEncoder<'_>) -> fmt::Result {
    match kind {
        Kind::Counter => ConstCounter::new(figure).encode(encoder),
        Kind::Gauge => ConstGauge::new(i64::try_from(figure).unwrap_or(i64::MAX)).encode(encoder),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_with_labels_is_written_once_a_sample() {
        let metric = Metric {
            name: "requests",
            help: "Requests answered",
            kind: Kind::Counter,
            labels: &["route", "status"],
            samples: vec![(vec!["/v1/threat-set".to_owned(), "304".to_owned()], 7)],
        };
        let page = encode(vec![metric]).unwrap();
        assert!(page.contains("# HELP namewarden_controller_requests Requests answered\n"), "{page}");
        let line = "namewarden_controller_requests_total{route=\"/v1/threat-set\",status=\"304\"} 7\n";
        assert!(page.contains(line), "{page}");
    }

    #[test]
    fn a_gauge_without_labels_has_no_braces() {
        let metric =
            Metric { name: "x", help: "X", kind: Kind::Gauge, labels: &[], samples: vec![(vec![], 3)] };
        let page = encode(vec![metric]).unwrap();
        assert!(page.contains("\nnamewarden_controller_x 3\n"), "{page}");
    }
}
