//! Files that this program writes: rewritten by `cargo xtask tidy`, compared by `cargo xtask tidy --check`.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::Path;

use anyhow::{Context, Result};

use super::{Remark, guide};
use crate::agent_binary::{self, Profile};
use crate::command::output;
use crate::compiler::bare;
use crate::controller_binary;
use crate::crds;
use crate::dashboards;
use crate::layout::Layout;

/// The agent's help, subcommand by subcommand.
const AGENT_PAGE: &str = "docs/reference/command-line.md";

/// The agent's subcommands, in the order of the page.
const AGENT_SUBCOMMANDS: &[&str] = &["run", "replay", "lookup", "status", "completion"];

/// The controller's help, likewise.
const CONTROLLER_PAGE: &str = "docs/reference/controller-command-line.md";

/// The controller's subcommands.
const CONTROLLER_SUBCOMMANDS: &[&str] = &["run", "events", "annotate", "check", "setup-search", "crd"];

/// Writes each generated file that differs.
pub fn write(layout: &Layout) -> Result<()> {
    write_files(layout, files(layout)?)
}

/// Writes each of these files that differs.
pub fn write_files(layout: &Layout, files: Vec<(String, String)>) -> Result<()> {
    for (name, text) in files {
        let path = layout.root.join(&name);
        if is_current(&path, &text) {
            continue;
        }
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        println!("wrote {name}");
    }
    Ok(())
}

/// The generated files that differ from what would be written now.
pub fn remarks(layout: &Layout) -> Result<Vec<Remark>> {
    let mut remarks = Vec::new();
    for (name, text) in files(layout)? {
        if !is_current(&layout.root.join(&name), &text) {
            let what = "out of date: run `cargo xtask tidy`".to_owned();
            remarks.push(Remark { place: name, what, is_wrong: true });
        }
    }
    Ok(remarks)
}

fn is_current(path: &Path, text: &str) -> bool {
    fs::read_to_string(path).is_ok_and(|old| old == text)
}

/// Name and text of each.
fn files(layout: &Layout) -> Result<Vec<(String, String)>> {
    let agent = agent_binary::named_or_ready(layout, Profile::Fast)?;
    let controller = controller_binary::named_or_ready(layout, Profile::Fast)?;
    let mut files = vec![
        (AGENT_PAGE.to_owned(), page("agent", &agent, AGENT_SUBCOMMANDS)?),
        (CONTROLLER_PAGE.to_owned(), page("controller", &controller, CONTROLLER_SUBCOMMANDS)?),
    ];
    files.extend(crds::files(&controller)?);
    files.extend(dashboards::files());
    files.push(guide::sizing(layout)?);
    Ok(files)
}

/// A program's help, and that of its subcommands.
fn page(what: &str, program: &Path, subcommands: &[&str]) -> Result<String> {
    let name = format!("namewarden-{what}");
    let mut helps = vec![(name.clone(), help(&name, program, &[])?)];
    for subcommand in subcommands {
        helps.push((format!("{name} {subcommand}"), help(&name, program, &[subcommand])?));
    }
    Ok(command_line(what, &helps))
}

/// What a program says of itself, whatever is set here: help shows the values of variables.
fn help(name: &str, program: &Path, subcommand: &[&str]) -> Result<String> {
    let mut command = bare(program);
    // Help calls a program by the name it was called by.
    command.arg0(name);
    for (name, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("NAMEWARDEN_")) {
        command.env_remove(name);
    }
    output(command.args(subcommand).arg("--help"))
}

fn command_line(what: &str, helps: &[(String, String)]) -> String {
    let mut page = format!("# The {what}'s command line\n\n<!-- Written by `cargo xtask tidy`. -->\n");
    for (title, help) in helps {
        let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
        // Writing to a string cannot fail.
        _ = write!(page, "\n## {title}\n\n```text\n{}\n```\n", lines.join("\n").trim());
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_has_a_chapter_without_blanks_at_the_end_of_lines() {
        let page = command_line("agent", &[("agent run".to_owned(), "Runs.  \n\n  --feed  \n".to_owned())]);
        assert!(page.ends_with("\n## agent run\n\n```text\nRuns.\n\n  --feed\n```\n"));
    }
}
