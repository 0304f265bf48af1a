//! The page and the JSON: figures as they were measured, with the machine and the day.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use super::figure::{Better, Figures, round};
use crate::command::output;
use crate::layout::Layout;

/// One line a figure, for the terminal.
pub fn lines(figures: &Figures) -> String {
    figures.iter().fold(String::new(), |mut text, (kind, value)| {
        let budget = kind.budget.map_or_else(String::new, |budget| format!("budget {}: ", round(budget)));
        let verdict = kind.verdict(value);
        _ = writeln!(text, "{:24} {:>9} {:16} {budget}{verdict}", kind.name, round(value), kind.unit);
        text
    })
}

/// Writes `{name: {value, unit, budget, better}}`.
pub fn write_json(path: &Path, figures: &Figures) -> Result<()> {
    let text = serde_json::to_string_pretty(&Value::Object(object(figures)))?;
    fs::write(path, text + "\n").with_context(|| format!("cannot write {}", path.display()))
}

fn object(figures: &Figures) -> Map<String, Value> {
    let entry = |value: f64, unit: &str, budget: Option<f64>, better: Better| {
        let better = if better == Better::Lower { "lower" } else { "higher" };
        json!({ "value": value, "unit": unit, "budget": budget, "better": better })
    };
    figures
        .iter()
        .map(|(kind, value)| (kind.name.to_owned(), entry(value, kind.unit, kind.budget, kind.better)))
        .collect()
}

/// Writes docs/benchmarks.md.
pub fn write_page(layout: &Layout, figures: &Figures) -> Result<()> {
    let path = layout.root.join("docs/benchmarks.md");
    fs::create_dir_all(layout.root.join("docs"))?;
    fs::write(&path, page(figures, &machine()?))
        .with_context(|| format!("cannot write {}", path.display()))?;
    println!("wrote docs/benchmarks.md");
    Ok(())
}

fn page(figures: &Figures, machine: &str) -> String {
    let mut page = format!(
        "# What it costs\n\n<!-- Written by `cargo xtask bench`. -->\n\n{machine}\n\n\
         Measured on the static binary that ships (`cargo xtask build --release`). `cargo xtask bench` measures all of\n\
         it again; the last column names the part to measure alone (`cargo xtask bench --only PART`). A figure without a\n\
         budget is there for scale. Times on a shared machine differ by a fifth from run to run.\n\n\
         | figure | what | value | unit | budget | | part |\n| --- | --- | ---: | --- | ---: | --- | --- |\n"
    );
    for (kind, value) in figures.iter() {
        let budget = kind.budget.map_or_else(String::new, round);
        _ = writeln!(
            page,
            "| `{}` | {} | {} | {} | {budget} | {} | {} |",
            kind.name,
            kind.meaning,
            round(value),
            kind.unit,
            kind.verdict(value),
            kind.part
        );
    }
    page.push_str(include_str!("method.md"));
    page
}

/// Day, kernel, processor and memory, as a sentence.
fn machine() -> Result<String> {
    let day = output(Command::new("date").args(["--utc", "+%Y-%m-%d"]))?;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let field = |text: &str, name: &str| {
        let value = text.lines().find(|line| line.starts_with(name)).and_then(|line| line.split_once(':'));
        value.map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
    };
    let cores = processors.lines().filter(|line| line.starts_with("processor")).count();
    let kilobytes: u64 = field(&memory, "MemTotal").trim_end_matches(" kB").parse().unwrap_or(0);
    Ok(format!(
        "{}: {cores} cores of {}, {} GB of memory, Linux {}.",
        day.trim(),
        field(&processors, "model name"),
        kilobytes / 1_000_000,
        kernel.trim()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures() -> Figures {
        let mut figures = Figures::default();
        figures.add("tshark_cpu", 76.0).unwrap();
        figures.add("screen_query", 128.25).unwrap();
        figures
    }

    #[test]
    fn the_json_has_value_unit_budget_and_direction() {
        let object = object(&figures());
        assert_eq!(
            object["screen_query"],
            json!({ "value": 128.25, "unit": "ns", "budget": 130.0, "better": "lower" })
        );
        assert_eq!(object["tshark_cpu"]["budget"], Value::Null);
    }

    #[test]
    fn the_page_has_a_row_a_figure_in_the_order_of_the_list() {
        let page = page(&figures(), "A machine.");
        let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| `")).collect();
        assert_eq!(rows.len(), 2);
        assert!(rows[0].starts_with("| `screen_query` |") && rows[0].contains("| 128 | ns | 130 | ok |"));
    }
}
