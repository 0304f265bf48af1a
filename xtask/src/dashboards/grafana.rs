//! A dashboard for Grafana over the metrics of agents and controllers: how its file looks.

use serde_json::{Value, json};

use super::metrics::{Panel, ROWS};

/// The file, for whoever imports it and for the chart.
pub const FILES: [&str; 2] = ["deploy/dashboards/grafana.json", "deploy/chart/files/grafana.json"];

/// Columns of a row.
const WIDTH: u32 = 24;
/// Height of a panel.
const HEIGHT: u32 = 7;

/// The dashboard.
pub fn text() -> String {
    let mut panels = Vec::new();
    let mut top = 0;
    for row in ROWS {
        panels.push(json!({
            "type": "row", "title": row.title, "collapsed": false, "panels": [],
            "gridPos": {"h": 1, "w": WIDTH, "x": 0, "y": top},
        }));
        top += 1;
        let mut left = 0;
        for panel in row.panels {
            if left + panel.width > WIDTH {
                (left, top) = (0, top + HEIGHT);
            }
            panels.push(panel_at(panel, left, top));
            left += panel.width;
        }
        top += HEIGHT;
    }
    for (id, panel) in (1..).zip(&mut panels) {
        if let Some(panel) = panel.as_object_mut() {
            panel.insert("id".to_owned(), json!(id));
        }
    }
    format!("{:#}\n", dashboard(&panels))
}

fn dashboard(panels: &[Value]) -> Value {
    let source = json!({
        "name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus",
        "current": {}, "hide": 0, "includeAll": false, "multi": false, "options": [], "refresh": 1, "regex": "",
    });
    json!({
        "uid": "namewarden",
        "title": "Namewarden",
        "description": "Agents, feeds and documents of Namewarden.",
        "tags": ["namewarden", "dns", "security"],
        "schemaVersion": 39,
        "version": 1,
        "editable": true,
        "graphTooltip": 1,
        "refresh": "1m",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "",
        "templating": {"list": [source]},
        "annotations": {"list": []},
        "panels": panels,
    })
}

fn panel_at(panel: &Panel, left: u32, top: u32) -> Value {
    let source = json!({"type": "prometheus", "uid": "${datasource}"});
    let target = |(place, (query, legend)): (usize, &(&str, &str))| {
        // A, B, C: Grafana's names of queries.
        let name = char::from_u32('A' as u32 + u32::try_from(place).unwrap_or_default()).unwrap_or('A');
        json!({"refId": name.to_string(), "datasource": source, "expr": query, "legendFormat": legend})
    };
    let targets: Vec<Value> = panel.queries.iter().enumerate().map(target).collect();
    let options = if panel.is_number {
        json!({"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": false}, "graphMode": "area"})
    } else {
        json!({"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi", "sort": "desc"}})
    };
    json!({
        "type": if panel.is_number { "stat" } else { "timeseries" },
        "title": panel.title,
        "description": panel.help,
        "datasource": source,
        "gridPos": {"h": HEIGHT, "w": panel.width, "x": left, "y": top},
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "options": options,
        "targets": targets,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_panel_lies_over_another_or_beyond_the_edge() {
        let dashboard: Value = serde_json::from_str(&text()).unwrap();
        let mut taken = std::collections::BTreeSet::new();
        for panel in dashboard["panels"].as_array().unwrap() {
            let side = |name: &str| panel["gridPos"][name].as_u64().unwrap();
            assert!(side("x") + side("w") <= u64::from(WIDTH), "{panel}");
            for column in side("x")..side("x") + side("w") {
                for line in side("y")..side("y") + side("h") {
                    assert!(taken.insert((column, line)), "{panel}");
                }
            }
        }
    }
}
