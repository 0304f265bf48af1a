//! Saved objects, as both programs import them: those of Kibana 7.10, from which OpenSearch Dashboards was made; later versions
//! of Kibana bring them up to date as they import them.

use serde_json::{Value, json};

use super::panels::{Dashboard, Field, Kind, Measure, Panel, Shows};

/// Whose saved objects.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Product {
    /// Kibana.
    Kibana,
    /// OpenSearch Dashboards.
    OpenSearchDashboards,
}

impl Product {
    /// The file's name.
    pub fn file(self) -> &'static str {
        match self {
            Self::Kibana => "kibana",
            Self::OpenSearchDashboards => "opensearch-dashboards",
        }
    }
}

/// Every object, those that others refer to first.
pub fn of(product: Product, dashboards: &[Dashboard]) -> Vec<Value> {
    let mut objects: Vec<Value> = dashboards.iter().map(|dashboard| pattern(product, dashboard)).collect();
    for dashboard in dashboards {
        objects.extend(dashboard.panels.iter().map(|panel| self::panel(dashboard, panel)));
        objects.push(whole(dashboard));
    }
    objects
}

fn pattern_id(dashboard: &Dashboard) -> String {
    format!("namewarden-{}", dashboard.key)
}

fn panel_id(dashboard: &Dashboard, panel: &Panel) -> String {
    format!("namewarden-{}-{}", dashboard.key, panel.key)
}

fn pattern(product: Product, dashboard: &Dashboard) -> Value {
    let (pattern, time) = (dashboard.pattern, "@timestamp");
    let attributes = match product {
        Product::Kibana => {
            json!({ "title": pattern, "timeFieldName": time, "name": dashboard.title, "allowNoIndex": true })
        }
        Product::OpenSearchDashboards => json!({ "title": pattern, "timeFieldName": time }),
    };
    json!({
        "type": "index-pattern", "id": pattern_id(dashboard), "attributes": attributes, "references": [],
        "migrationVersion": { "index-pattern": "7.6.0" },
    })
}

/// An object's place of what it is about, and the reference to its index pattern.
fn source(dashboard: &Dashboard, query: &str) -> (Value, Value) {
    let name = "kibanaSavedObjectMeta.searchSourceJSON.index";
    let source = json!({
        "query": { "query": query, "language": "lucene" }, "filter": [], "indexRefName": name,
    });
    let reference = json!({ "name": name, "type": "index-pattern", "id": pattern_id(dashboard) });
    (json!({ "searchSourceJSON": source.to_string() }), reference)
}

fn panel(dashboard: &Dashboard, panel: &Panel) -> Value {
    let (meta, reference) = source(dashboard, panel.query);
    let title = format!("{}: {}", dashboard.title, panel.title);
    let id = panel_id(dashboard, panel);
    if let Shows::Documents(columns) = panel.shows {
        let attributes = json!({
            "title": title, "description": "", "columns": columns, "sort": [["@timestamp", "desc"]], "version": 1,
            "kibanaSavedObjectMeta": meta,
        });
        return json!({
            "type": "search", "id": id, "attributes": attributes, "references": [reference],
            "migrationVersion": { "search": "7.9.3" },
        });
    }
    let state = visualization(&title, &panel.shows);
    let attributes = json!({
        "title": title, "description": "", "uiStateJSON": "{}", "version": 1, "visState": state.to_string(),
        "kibanaSavedObjectMeta": meta,
    });
    json!({
        "type": "visualization", "id": id, "attributes": attributes, "references": [reference],
        "migrationVersion": { "visualization": "7.10.0" },
    })
}

fn visualization(title: &str, shows: &Shows) -> Value {
    let (kind, aggregations, parameters) = match shows {
        Shows::Numbers(measures) => ("metric", measured(measures), numbers()),
        Shows::OverTime { measure, by, size } => {
            let mut aggregations = measured(&[*measure]);
            aggregations.push(over_time(2));
            aggregations.push(values(3, "group", Field { path: by, label: "" }, *size));
            ("histogram", aggregations, axes("histogram", "left", "bottom", &[measure.label]))
        }
        Shows::Lines(measures) => {
            let mut aggregations = measured(measures);
            aggregations.push(over_time(measures.len() + 1));
            let labels: Vec<_> = measures.iter().map(|measure| measure.label).collect();
            ("line", aggregations, axes("line", "left", "bottom", &labels))
        }
        Shows::Bars { measure, by, size } => {
            let mut aggregations = measured(&[*measure]);
            aggregations.push(values(2, "segment", *by, *size));
            ("horizontal_bar", aggregations, axes("histogram", "bottom", "left", &[measure.label]))
        }
        Shows::Shares { measure, by } => {
            let mut aggregations = measured(&[*measure]);
            aggregations.push(values(2, "segment", *by, 10));
            ("pie", aggregations, shares())
        }
        Shows::Table { measures, by, size } => {
            let mut aggregations = measured(measures);
            let first = aggregations.len() + 1;
            aggregations.extend(by.iter().zip(first..).map(|(by, id)| values(id, "bucket", *by, *size)));
            ("table", aggregations, table())
        }
        Shows::Documents(_) => ("metric", Vec::new(), json!({})),
    };
    json!({ "title": title, "type": kind, "aggs": aggregations, "params": parameters })
}

fn measured(measures: &[Measure]) -> Vec<Value> {
    let of = |(measure, id): (&Measure, usize)| {
        let kind = match measure.kind {
            Kind::Different => "cardinality",
            Kind::Sum => "sum",
            Kind::Mean => "avg",
            Kind::Greatest => "max",
        };
        json!({
            "id": id.to_string(), "enabled": true, "type": kind, "schema": "metric",
            "params": { "field": measure.field, "customLabel": measure.label },
        })
    };
    measures.iter().zip(1..).map(of).collect()
}

fn over_time(id: usize) -> Value {
    json!({
        "id": id.to_string(), "enabled": true, "type": "date_histogram", "schema": "segment",
        "params": {
            "field": "@timestamp", "interval": "auto", "min_doc_count": 1, "drop_partials": false,
            "useNormalizedEsInterval": true, "extended_bounds": {}, "customLabel": "",
        },
    })
}

/// The most frequent values, by the first measure.
fn values(id: usize, schema: &str, by: Field, size: u32) -> Value {
    json!({
        "id": id.to_string(), "enabled": true, "type": "terms", "schema": schema,
        "params": {
            "field": by.path, "orderBy": "1", "order": "desc", "size": size, "otherBucket": false,
            "otherBucketLabel": "Other", "missingBucket": schema == "bucket", "missingBucketLabel": "-",
            "customLabel": by.label,
        },
    })
}

fn numbers() -> Value {
    let metric = json!({
        "percentageMode": false, "useRanges": false, "colorSchema": "Green to Red", "metricColorMode": "None",
        "colorsRange": [{ "from": 0, "to": 10000 }], "labels": { "show": true }, "invertColors": false,
        "style": { "bgFill": "#000", "bgColor": false, "labelColor": false, "subText": "", "fontSize": 32 },
    });
    json!({ "addTooltip": true, "addLegend": false, "type": "metric", "metric": metric })
}

fn shares() -> Value {
    let labels = json!({ "show": true, "values": true, "last_level": true, "truncate": 40 });
    json!({
        "type": "pie", "addTooltip": true, "addLegend": true, "legendPosition": "right", "isDonut": true,
        "labels": labels,
    })
}

fn table() -> Value {
    json!({
        "perPage": 10, "showPartialRows": false, "showMetricsAtAllLevels": false, "showTotal": false, "totalFunc": "sum",
        "percentageCol": "", "sort": { "columnIndex": null, "direction": null },
    })
}

/// Axes, and a series for each measure; `values` and `categories` say on which side they stand.
fn axes(kind: &str, values: &str, categories: &str, labels: &[&str]) -> Value {
    let truncate = if categories == "left" { 200 } else { 100 };
    let category = json!({
        "id": "CategoryAxis-1", "type": "category", "position": categories, "show": true, "style": {},
        "scale": { "type": "linear" }, "labels": { "show": true, "filter": true, "truncate": truncate }, "title": {},
    });
    let title = if labels.len() == 1 { labels.first().copied().unwrap_or_default() } else { "" };
    let value = json!({
        "id": "ValueAxis-1", "name": "ValueAxis-1", "type": "value", "position": values, "show": true, "style": {},
        "scale": { "type": "linear", "mode": "normal" }, "title": { "text": title },
        "labels": { "show": true, "rotate": 0, "filter": false, "truncate": 100 },
    });
    let one = |(label, id): (&&str, usize)| {
        json!({
            "show": true, "type": kind, "mode": if kind == "line" { "normal" } else { "stacked" },
            "data": { "label": label, "id": id.to_string() }, "valueAxis": "ValueAxis-1",
            "drawLinesBetweenPoints": true, "lineWidth": 2, "showCircles": true, "interpolate": "linear",
        })
    };
    let series: Vec<_> = labels.iter().zip(1..).map(one).collect();
    json!({
        "type": kind,
        "grid": { "categoryLines": false }, "categoryAxes": [category], "valueAxes": [value], "seriesParams": series,
        "addTooltip": true, "addLegend": true, "legendPosition": "right", "times": [], "addTimeMarker": false,
        "labels": { "show": false },
        "thresholdLine": { "show": false, "value": 10, "width": 1, "style": "full", "color": "#E7664C" },
    })
}

fn whole(dashboard: &Dashboard) -> Value {
    let (mut x, mut y, mut row) = (0, 0, 0);
    let mut placed = Vec::new();
    let mut references = Vec::new();
    for (number, panel) in dashboard.panels.iter().enumerate() {
        if x + panel.width > 48 {
            (x, y, row) = (0, y + row, 0);
        }
        let index = (number + 1).to_string();
        let name = format!("panel_{number}");
        placed.push(json!({
            "version": "7.10.0", "panelIndex": index, "panelRefName": name, "title": panel.title,
            "gridData": { "x": x, "y": y, "w": panel.width, "h": panel.height, "i": index },
            "embeddableConfig": { "title": panel.title },
        }));
        let kind = if matches!(panel.shows, Shows::Documents(_)) { "search" } else { "visualization" };
        references.push(json!({ "name": name, "type": kind, "id": panel_id(dashboard, panel) }));
        (x, row) = (x + panel.width, row.max(panel.height));
    }
    let source = json!({ "query": { "query": "", "language": "kuery" }, "filter": [] });
    let options = json!({ "useMargins": true, "hidePanelTitles": false });
    json!({
        "type": "dashboard", "id": format!("namewarden-{}-dashboard", dashboard.key),
        "attributes": {
            "title": dashboard.title, "description": dashboard.description, "hits": 0, "version": 1,
            "panelsJSON": Value::Array(placed).to_string(), "optionsJSON": options.to_string(),
            "timeRestore": true, "timeFrom": dashboard.from, "timeTo": "now",
            "refreshInterval": { "pause": false, "value": 60000 },
            "kibanaSavedObjectMeta": { "searchSourceJSON": source.to_string() },
        },
        "references": references,
        "migrationVersion": { "dashboard": "7.9.3" },
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::panels::DASHBOARDS;
    use super::*;

    #[test]
    fn every_reference_leads_to_an_object_before_it_and_every_id_is_one() {
        for product in [Product::Kibana, Product::OpenSearchDashboards] {
            let mut known = BTreeSet::new();
            for object in of(product, DASHBOARDS) {
                for reference in object["references"].as_array().unwrap() {
                    let target = (reference["type"].to_string(), reference["id"].to_string());
                    assert!(known.contains(&target), "{reference}");
                }
                assert!(known.insert((object["type"].to_string(), object["id"].to_string())), "{object}");
            }
        }
    }

    #[test]
    fn panels_fill_rows_and_do_not_overlap() {
        for dashboard in DASHBOARDS {
            let mut taken = BTreeSet::new();
            let whole = whole(dashboard);
            let placed: Value =
                serde_json::from_str(whole["attributes"]["panelsJSON"].as_str().unwrap()).unwrap();
            for panel in placed.as_array().unwrap() {
                let side = |side: &str| panel["gridData"][side].as_u64().unwrap();
                assert!(side("x") + side("w") <= 48);
                for x in side("x")..side("x") + side("w") {
                    for y in side("y")..side("y") + side("h") {
                        assert!(taken.insert((x, y)), "{panel}");
                    }
                }
            }
            let height = taken.iter().map(|(_, y)| y + 1).max().unwrap();
            assert_eq!(taken.len() as u64, 48 * height, "a hole in {}", dashboard.title);
        }
    }
}
