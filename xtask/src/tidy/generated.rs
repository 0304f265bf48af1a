//! Files that this program writes: rewritten by `cargo xtask tidy`, compared by `cargo xtask tidy --check`.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::Path;

use anyhow::{Context, Result};

use super::Remark;
use crate::agent_binary::{self, Profile};
use crate::command::output;
use crate::compiler::bare;
use crate::layout::Layout;

/// The agent's help, subcommand by subcommand.
const COMMAND_LINE: &str = "docs/reference/command-line.md";

/// The agent's subcommands, in the order of the page.
const SUBCOMMANDS: &[&str] = &["run", "replay", "lookup", "status", "completion"];

/// Writes each generated file that differs.
pub fn write(layout: &Layout) -> Result<()> {
    for (name, text) in files(layout)? {
        let path = layout.root.join(name);
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
        if !is_current(&layout.root.join(name), &text) {
            let what = "out of date: run `cargo xtask tidy`".to_owned();
            remarks.push(Remark { place: name.to_owned(), what, is_wrong: true });
        }
    }
    Ok(remarks)
}

fn is_current(path: &Path, text: &str) -> bool {
    fs::read_to_string(path).is_ok_and(|old| old == text)
}

/// Name and text of each.
fn files(layout: &Layout) -> Result<Vec<(&'static str, String)>> {
    let agent = agent_binary::named_or_ready(layout, Profile::Fast)?;
    let mut helps = vec![(String::from("namewarden-agent"), help(&agent, &[])?)];
    for subcommand in SUBCOMMANDS {
        helps.push((format!("namewarden-agent {subcommand}"), help(&agent, &[subcommand])?));
    }
    Ok(vec![(COMMAND_LINE, command_line(&helps))])
}

/// What the agent says of itself, whatever is set here: help shows the values of variables.
fn help(agent: &Path, subcommand: &[&str]) -> Result<String> {
    let mut command = bare(agent);
    // Help calls a program by the name it was called by.
    command.arg0("namewarden-agent");
    for (name, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("NAMEWARDEN_")) {
        command.env_remove(name);
    }
    output(command.args(subcommand).arg("--help"))
}

fn command_line(helps: &[(String, String)]) -> String {
    let mut page = String::from("# The agent's command line\n\n<!-- Written by `cargo xtask tidy`. -->\n");
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
        let page = command_line(&[("agent run".to_owned(), "Runs.  \n\n  --feed  \n".to_owned())]);
        assert!(page.ends_with("\n## agent run\n\n```text\nRuns.\n\n  --feed\n```\n"));
    }
}
