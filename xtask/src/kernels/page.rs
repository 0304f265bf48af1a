//! docs/reference/kernels.md: what was seen on which kernel.

use std::fmt::Write as _;

use anyhow::Result;

use super::machine::Report;
use crate::layout::Layout;
use crate::tidy::write_files;

const PAGE: &str = "docs/reference/kernels.md";

const HEAD: &str = include_str!("page.md");

/// Writes the page anew, where it differs.
pub fn write(layout: &Layout, reports: &[Report]) -> Result<()> {
    write_files(layout, vec![(PAGE.to_owned(), text(reports))])
}

fn text(reports: &[Report]) -> String {
    let mut text = HEAD.to_owned();
    for report in reports {
        let proven: Vec<&str> = report.proven.iter().map(String::as_str).collect();
        let without =
            if report.without.is_empty() { "nothing".to_owned() } else { report.without.join("; ") };
        // Writing to a string cannot fail.
        _ = writeln!(text, "| {} | {} | {without} |", report.release, proven.join("; "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_is_a_row_of_the_table() {
        let report = Report {
            release: "6.1.0-50".to_owned(),
            proven: vec!["captures".to_owned(), "refuses".to_owned()],
            ..Report::default()
        };
        assert!(text(&[report]).ends_with("| --- |\n| 6.1.0-50 | captures; refuses | nothing |\n"));
    }
}
