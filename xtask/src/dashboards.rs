//! Dashboards for Kibana and OpenSearch Dashboards, of one source: `panels` says what is shown, `objects` how saved objects
//! look. And one for Grafana, over metrics.

// What is shown.
mod panels;

// Saved objects as both programs import them.
mod objects;

// What is shown of metrics.
mod metrics;

// The one for Grafana.
mod grafana;

use anyhow::Result;

use crate::layout::Layout;
use crate::tidy;

use objects::Product;

/// `cargo xtask dashboards`: writes each file that differs.
pub fn run(layout: &Layout) -> Result<()> {
    tidy::write_files(layout, files())
}

/// Name and text of each, for `cargo xtask tidy` too.
pub fn files() -> Vec<(String, String)> {
    let saved = [Product::Kibana, Product::OpenSearchDashboards].map(|product| {
        let objects = objects::of(product, panels::DASHBOARDS);
        let lines: Vec<_> = objects.iter().map(ToString::to_string).collect();
        (format!("deploy/dashboards/{}.ndjson", product.file()), lines.join("\n") + "\n")
    });
    let grafana = grafana::FILES.map(|file| (file.to_owned(), grafana::text()));
    saved.into_iter().chain(grafana).collect()
}
