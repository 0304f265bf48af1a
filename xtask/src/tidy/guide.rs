//! Keeps the guide true: sentences of its troubleshooting page are those that the programs print, figures of its page on
//! sizing are those that were measured.

use std::fs;

use anyhow::{Context, Result};

use super::Remark;
use crate::layout::Layout;

/// Where sentences stand with cause and cure.
pub const TROUBLESHOOTING: &str = "docs/guide/troubleshooting.md";
/// Prometheus' alerts.
pub const RULES: &str = "deploy/chart/templates/monitoring/rules.yaml";
/// Where figures stand.
pub const SIZING: &str = "docs/guide/sizing.md";
/// Where they were written by who measured them.
const BENCHMARKS: &str = "docs/benchmarks.md";

const START: &str = "<!-- figures:start -->\n";
const END: &str = "<!-- figures:end -->";
/// Stands in a sentence for what differs.
const DIFFERS: char = '…';

/// The page on sizing, with the figures that stand in the benchmarks now.
pub fn sizing(layout: &Layout) -> Result<(String, String)> {
    let read =
        |name: &str| fs::read_to_string(layout.root.join(name)).with_context(|| format!("{name} is gone"));
    let (page, benchmarks) = (read(SIZING)?, read(BENCHMARKS)?);
    let text =
        filled_in(&page, &benchmarks).with_context(|| format!("{SIZING} does not mark its figures"))?;
    Ok((SIZING.to_owned(), text))
}

fn filled_in(page: &str, benchmarks: &str) -> Option<String> {
    let (before, rest) = page.split_once(START)?;
    let (table, after) = rest.split_once(END)?;
    let row = |line: &str| match cells(line)[..] {
        [figure, ..] if figure.starts_with('`') => {
            let measured = benchmarks.lines().map(cells).find(|cells| cells.first() == Some(&figure));
            let known =
                measured.as_ref().and_then(|cells| cells.get(1..4)).unwrap_or(&["not measured", "", ""]);
            format!("| {figure} | {} |\n", known.join(" | "))
        }
        _ => format!("{line}\n"),
    };
    let table: String = table.lines().map(row).collect();
    Some(format!("{before}{START}{table}{END}{after}"))
}

fn cells(line: &str) -> Vec<&str> {
    let Some(row) = line.trim().strip_prefix('|').and_then(|row| row.strip_suffix('|')) else {
        return Vec::new();
    };
    row.split('|').map(str::trim).collect()
}

/// Sentences of the page that no program prints; `sources` is all their code.
pub fn remarks(page: &str, sources: &str) -> Vec<Remark> {
    let sources = joined(sources);
    let mut remarks = Vec::new();
    for (number, line) in page.lines().enumerate() {
        let cells = cells(line);
        let Some(sentence) = cells.first().and_then(|cell| cell.strip_prefix('`')?.strip_suffix('`')) else {
            continue;
        };
        if let Some(part) = parts(sentence).find(|part| !sources.contains(part)) {
            let place = format!("{TROUBLESHOOTING}:{}", number + 1);
            remarks.push(Remark { place, what: format!("no program prints `{part}`"), is_wrong: true });
        }
    }
    remarks
}

/// Alerts of Prometheus that the page does not explain.
pub fn unexplained(page: &str, rules: &str) -> Vec<Remark> {
    let names = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: "));
    let unexplained = names.filter(|name| !page.contains(&format!("| `{name}` |")));
    let remark = |name| Remark {
        place: TROUBLESHOOTING.to_owned(),
        what: format!("the alert {name} is not explained"),
        is_wrong: true,
    };
    unexplained.map(remark).collect()
}

/// What is always the same in a sentence.
fn parts(sentence: &str) -> impl Iterator<Item = &str> {
    sentence.split(DIFFERS).map(str::trim).filter(|part| part.len() > 2)
}

/// Code whose sentences are each on one line, without escapes.
fn joined(sources: &str) -> String {
    let mut text = String::with_capacity(sources.len());
    for line in sources.lines() {
        match line.strip_suffix('\\') {
            // Rust goes on at the first letter of the next line.
            Some(begun) => text.push_str(if text.ends_with('\n') { begun } else { begun.trim_start() }),
            None if text.ends_with('\n') || text.is_empty() => text.extend([line, "\n"]),
            None => text.extend([line.trim_start(), "\n"]),
        }
    }
    text.replace("\\\"", "\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCES: &str =
        "#[error(\n    \"the agent lacks {missing}; run it as \\\n     root\"\n)]\n\"{0} is \\\"odd\\\"\"\n";

    #[test]
    fn a_sentence_is_found_over_the_ends_of_lines() {
        let page = "| it says | do |\n| --- | --- |\n| `the agent lacks …; run it as root` | so |\n| `… is \"odd\"` | so |\n";
        assert_eq!(remarks(page, SOURCES), []);
    }

    #[test]
    fn a_sentence_that_nobody_prints_is_said() {
        let remarks = remarks("| `the agent lacks …; run it as user` | so |\n", SOURCES);
        assert_eq!(remarks[0].what, "no program prints `; run it as user`");
    }

    #[test]
    fn an_alert_without_an_explanation_is_said() {
        let rules = "    rules:\n    - alert: Known\n      expr: 1\n    - alert: Other\n";
        let remarks = unexplained("| `Known` | so | so |\n", rules);
        assert!(matches!(&remarks[..], [one] if one.what == "the alert Other is not explained"));
    }

    #[test]
    fn figures_are_those_of_the_benchmarks() {
        let benchmarks =
            "| figure | what |\n| `rss_1m` | resident memory | 27.9 | MB |  |  | memory | now |\n";
        let page = format!("a\n{START}| figure | what |\n| `rss_1m` | | | |\n| `gone` | | | |\n{END}b\n");
        let told = filled_in(&page, benchmarks).unwrap();
        assert!(told.contains("| `rss_1m` | resident memory | 27.9 | MB |\n"), "{told}");
        assert!(told.contains("| `gone` | not measured |"), "{told}");
        assert_eq!(filled_in(&told, benchmarks).unwrap(), told);
    }
}
