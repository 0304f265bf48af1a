//! Keeps `docs/reference/metrics.md` and `controller-http.md` true: every metric, every route with its right, and no other.
//!
//! With `NAMEWARDEN_UPDATE_REFERENCE=1` the tables are written anew instead of compared.

use std::{collections::BTreeSet, fmt::Write as _, path::Path};

use super::{Kind, Metric, Readings, list};
use crate::{access::Right, web::routes::ROUTES};

fn metrics() -> String {
    let mut table = "| metric | kind | labels | what it counts |\n| --- | --- | --- | --- |\n".to_owned();
    for metric in list(&Readings::default()) {
        let kind = if metric.kind == Kind::Counter { "counter" } else { "gauge" };
        let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        let _ = writeln!(
            table,
            "| `{}` | {kind} | {} | {} |",
            metric.full_name(),
            labels.join(", "),
            metric.help
        );
    }
    table
}

fn routes() -> String {
    let mut table = "| route | methods | may | takes in a cluster |\n| --- | --- | --- | --- |\n".to_owned();
    for route in ROUTES {
        let takes = route.right.map_or("nothing: open to all".to_owned(), Right::in_a_cluster);
        let may = route.right.map_or("-", Right::in_words);
        let _ = writeln!(table, "| `{}` | {} | {may} | {takes} |", route.path, route.methods.join(", "));
    }
    table
}

/// Compares the table between two marks of the page, or writes it anew.
fn keep_true(page: &str, name: &str, table: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference").join(page);
    let page = std::fs::read_to_string(&path).unwrap();
    let (start, end) = (format!("<!-- {name}:start -->\n"), format!("<!-- {name}:end -->"));
    let (before, rest) = page.split_once(&start).expect("the page marks where the table starts");
    let (shown, after) = rest.split_once(&end).expect("the page marks where the table ends");
    if std::env::var_os("NAMEWARDEN_UPDATE_REFERENCE").is_some() {
        std::fs::write(path, format!("{before}{start}{table}{end}{after}")).unwrap();
    } else {
        assert!(shown == table, "write the table anew with NAMEWARDEN_UPDATE_REFERENCE=1");
    }
}

#[test]
fn the_reference_names_every_route_and_metric_and_no_other() {
    keep_true("controller-http.md", "routes", &routes());
    keep_true("metrics.md", "controller", &metrics());
}

#[test]
fn no_two_metrics_share_a_name() {
    let metrics = list(&Readings::default());
    let names: BTreeSet<_> = metrics.iter().map(Metric::full_name).collect();
    assert_eq!(names.len(), metrics.len());
}
