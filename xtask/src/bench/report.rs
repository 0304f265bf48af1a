//! The page and the JSON: figures as they were measured, with the machine and the day.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use super::figure::{Better, Figures, KINDS, Kind, round};
use crate::command::output;
use crate::layout::Layout;

/// One line a figure, for the terminal.
pub fn lines(figures: &Figures) -> String {
    let line = |(kind, value): (&Kind, f64)| {
        let budget = kind.budget.map_or_else(String::new, |budget| format!("budget {}: ", round(budget)));
        let verdict = kind.verdict(value);
        format!("{:24} {:>9} {:16} {budget}{verdict}\n", kind.name, round(value), kind.unit)
    };
    figures.iter().map(line).collect()
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

/// Writes docs/benchmarks.md. Where only parts were measured, what the page says of others stays, each figure with its day and
/// revision; nothing is written where that is of another machine.
pub fn write_page(layout: &Layout, figures: &Figures, is_all: bool) -> Result<()> {
    let path = layout.root.join("docs/benchmarks.md");
    let (machine, told) = (machine(), fs::read_to_string(&path).unwrap_or_default());
    if !is_all && !told.contains(&machine) {
        println!("docs/benchmarks.md is of another machine: it is left as it is");
        return Ok(());
    }
    let told = if is_all { BTreeMap::new() } else { rows(&told) };
    fs::create_dir_all(layout.root.join("docs"))?;
    fs::write(&path, page(figures, told, &machine, &moment(layout)?))
        .with_context(|| format!("cannot write {}", path.display()))?;
    println!("wrote docs/benchmarks.md");
    Ok(())
}

/// Rows of a page by the names of their figures.
fn rows(page: &str) -> BTreeMap<&str, String> {
    let row = |line| Some((str::strip_prefix(line, "| `")?.split_once('`')?.0, format!("{line}\n")));
    page.lines().filter_map(row).collect()
}

fn page(figures: &Figures, mut rows: BTreeMap<&str, String>, machine: &str, moment: &str) -> String {
    let mut page = format!(
        "# What it costs\n\n<!-- Written by `cargo xtask bench`. -->\n\n{machine}\n\n\
         Measured on the static binary that ships (`cargo xtask build --release`). `cargo xtask bench` measures all of\n\
         it again; the column before the last names the part to measure alone (`cargo xtask bench --only PART`), the last one\n\
         when and at which revision it was measured. A figure without a budget is there for scale. Times on a shared machine\n\
         differ by a fifth from run to run.\n\n\
         | figure | what | value | unit | budget | | part | measured |\n| --- | --- | ---: | --- | ---: | --- | --- | --- |\n"
    );
    for (kind, value) in figures.iter() {
        rows.insert(kind.name, row(kind, value, moment));
    }
    for kind in KINDS {
        page.push_str(rows.get(kind.name).map_or("", String::as_str));
    }
    page.push_str(include_str!("method.md"));
    page
}

fn row(kind: &Kind, value: f64, moment: &str) -> String {
    format!(
        "| `{}` | {} | {} | {} | {} | {} | {} | {moment} |\n",
        kind.name,
        kind.meaning,
        round(value),
        kind.unit,
        kind.budget.map_or_else(String::new, round),
        kind.verdict(value),
        kind.part
    )
}

/// Day and revision.
fn moment(layout: &Layout) -> Result<String> {
    let day = output(Command::new("date").args(["--utc", "+%Y-%m-%d"]))?;
    let git = |arguments: &[&str]| output(Command::new("git").arg("-C").arg(&layout.root).args(arguments));
    let revision = git(&["rev-parse", "--short", "HEAD"]).unwrap_or_default();
    Ok(format!("{} {}", day.trim(), revision.trim()).trim_end().to_owned())
}

/// Processor, memory and kernel, as a sentence.
fn machine() -> String {
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let field = |text: &str, name: &str| {
        let value = text.lines().find(|line| line.starts_with(name)).and_then(|line| line.split_once(':'));
        value.map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
    };
    let cores = processors.lines().filter(|line| line.starts_with("processor")).count();
    let kilobytes: u64 = field(&memory, "MemTotal").trim_end_matches(" kB").parse().unwrap_or(0);
    format!(
        "{cores} cores of {}, {} GB of memory, Linux {}.",
        field(&processors, "model name"),
        kilobytes / 1_000_000,
        kernel.trim()
    )
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
        let page = page(&figures(), BTreeMap::new(), "A machine.", "2026-11-28 abc");
        let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| `")).collect();
        assert_eq!(rows.len(), 2);
        assert!(rows[0].starts_with("| `screen_query` |") && rows[0].contains("| 128 | ns | 130 | ok |"));
        assert!(rows[0].ends_with("| in-process | 2026-11-28 abc |"), "{}", rows[0]);
    }

    #[test]
    fn what_was_not_measured_stays_and_what_is_no_figure_any_more_goes() {
        let before = page(&figures(), BTreeMap::new(), "A machine.", "2026-11-28 abc");
        let before = before.replace("`tshark_cpu`", "`forgotten`");
        let mut measured = Figures::default();
        measured.add("screen_answer", 300.0).unwrap();
        let after = page(&measured, rows(&before), "A machine.", "2026-11-29 def");
        let told: Vec<_> = rows(&after).into_iter().map(|(name, row)| (name, row.contains("def"))).collect();
        assert_eq!(told, [("screen_answer", true), ("screen_query", false)]);
    }
}
