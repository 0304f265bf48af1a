//! The chart's alerts and the dashboard's questions, as Prometheus takes them: what is asked is well said, each alert fires on what it is
//! for, and is silent otherwise.

use std::{env, fs, path::Path, process::Command};

use anyhow::{Context as _, Result};
use namewarden_tests::{helm::deploy, program};
use serde_json::{Value, json};

use crate::chart::{find, rendered};

/// The variable with the path of promtool.
const VARIABLE: &str = "NAMEWARDEN_PROMTOOL";

fn promtool(folder: &Path, arguments: &[&str]) -> Result<String> {
    let program = env::var_os(VARIABLE)
        .with_context(|| format!("no promtool: run `cargo xtask test cluster`, or set {VARIABLE}"))?;
    program::finish(Command::new(program).current_dir(folder).args(arguments))
}

#[test]
fn each_alert_fires_on_what_it_is_for_and_is_silent_otherwise() -> Result<()> {
    let objects = rendered(&["--set=monitoring.rules.enabled=true".to_owned()])?;
    let rules = find(&objects, "PrometheusRule", "namewarden")?.get("spec").context("no rules")?;
    let folder = tempfile::tempdir()?;
    // JSON is YAML.
    fs::write(folder.path().join("rules.yaml"), rules.to_string())?;
    promtool(folder.path(), &["check", "rules", "rules.yaml"])?;

    let tests = fs::read_to_string(deploy("chart/tests/alerts.yaml"))?;
    fs::write(folder.path().join("alerts.yaml"), &tests)?;
    promtool(folder.path(), &["test", "rules", "alerts.yaml"])?;

    let tests: Value = serde_saphyr::from_str(&tests).context("the tests")?;
    let cases: Vec<&Value> =
        tests.pointer("/tests").and_then(Value::as_array).context("no tests")?.iter().collect();
    for rule in rules.pointer("/groups/0/rules").and_then(Value::as_array).context("no rules")? {
        let name = rule.get("alert").context("no name")?;
        for fires in [true, false] {
            let is_it = |case: &&&Value| {
                let expected = case.pointer("/alert_rule_test/0/exp_alerts").and_then(Value::as_array);
                case.pointer("/alert_rule_test/0/alertname") == Some(name)
                    && expected.is_some_and(|expected| expected.is_empty() != fires)
            };
            assert!(cases.iter().any(|case| is_it(&case)), "nothing shows when {name} fires ({fires})");
        }
    }
    Ok(())
}

#[test]
fn prometheus_understands_what_the_dashboard_asks() -> Result<()> {
    let dashboard: Value = serde_json::from_str(&fs::read_to_string(deploy("dashboards/grafana.json"))?)?;
    let mut asked = Vec::new();
    questions(&dashboard, &mut asked);
    assert!(asked.len() > 10, "{asked:?}");
    // What Grafana fills in.
    let filled = |question: &String| question.replace("$__rate_interval", "5m").replace("$__range", "1h");
    let rules: Vec<Value> =
        asked.iter().map(|question| json!({"record": "asked", "expr": filled(question)})).collect();
    let folder = tempfile::tempdir()?;
    // Two of them under one name would be one rule too many: each has a group of its own.
    let groups: Vec<Value> = rules
        .iter()
        .enumerate()
        .map(|(number, rule)| json!({"name": number.to_string(), "rules": [rule]}))
        .collect();
    fs::write(folder.path().join("asked.yaml"), json!({"groups": groups}).to_string())?;
    promtool(folder.path(), &["check", "rules", "--lint=none", "asked.yaml"]).map(drop)
}

/// Every `expr` in it.
fn questions(value: &Value, asked: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                match value.as_str() {
                    Some(question) if key == "expr" => asked.push(question.to_owned()),
                    _ => questions(value, asked),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| questions(value, asked)),
        _ => {}
    }
}
