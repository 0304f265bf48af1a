//! Is the tree as the house wants it? Lengths of files and functions, headers, names, words, generated files.

// Rust sources: how long, how they begin.
mod source;

// Words that no committed file may hold.
mod words;

// Links of the documents to each other.
mod links;

// What the guide says of sentences and figures.
mod guide;

// Files that this program writes.
mod generated;

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::command::output;
use crate::layout::Layout;

pub use generated::write_files;

/// Code of what users run.
const PROGRAMS: [&str; 3] = ["agent/src/", "controller/src/", "protocol/src/"];

/// What `cargo xtask tidy` is told.
#[derive(clap::Args)]
pub struct Arguments {
    /// Change nothing, and fail when something must be mended
    #[arg(long)]
    check: bool,
}

/// Something that is not as it should be.
#[derive(PartialEq, Eq, Debug)]
pub struct Remark {
    /// File, and line where there is one.
    place: String,
    /// What is wrong.
    what: String,
    /// It must be mended; else it is worth a second look.
    is_wrong: bool,
}

/// `cargo xtask tidy`: writes generated files anew, reports the rest; with `--check` it writes nothing.
pub fn run(layout: &Layout, arguments: &Arguments) -> Result<()> {
    if !arguments.check {
        generated::write(layout)?;
    }
    let remarks = remarks(layout)?;
    for remark in &remarks {
        let weight = if remark.is_wrong { "wrong" } else { "look" };
        println!("{weight}: {}: {}", remark.place, remark.what);
    }
    let wrong = remarks.iter().filter(|remark| remark.is_wrong).count();
    println!("{wrong} to mend, {} to look at", remarks.len() - wrong);
    if arguments.check && wrong > 0 {
        bail!("the tree is not tidy: {wrong} to mend");
    }
    Ok(())
}

/// Fails with what must be mended, one a line.
pub fn check(layout: &Layout) -> Result<()> {
    let wrong: Vec<String> = remarks(layout)?
        .iter()
        .filter(|remark| remark.is_wrong)
        .map(|remark| format!("tidy: {}: {}", remark.place, remark.what))
        .collect();
    if !wrong.is_empty() {
        bail!(wrong.join("\n"));
    }
    Ok(())
}

fn remarks(layout: &Layout) -> Result<Vec<Remark>> {
    let mut remarks = Vec::new();
    let [mut page, mut rules, mut sources] = [const { String::new() }; 3];
    for name in committed(layout)? {
        // Binary fixtures hold no prose.
        let Ok(text) = fs::read_to_string(layout.root.join(&name)) else { continue };
        remarks.extend(words::remarks(&name, &text));
        if Path::new(&name).extension().is_some_and(|extension| extension == "rs") {
            remarks.extend(source::remarks(&name, &text));
        }
        if PROGRAMS.iter().any(|folder| name.starts_with(folder)) {
            sources.push_str(&text);
        }
        if Path::new(&name).extension().is_some_and(|extension| extension == "md") {
            remarks.extend(links::remarks(layout, &name, &text));
        }
        if name == guide::RULES {
            sources.push_str(&text);
            rules = text;
        } else if name == guide::TROUBLESHOOTING {
            page = text;
        }
    }
    remarks.extend(guide::remarks(&page, &sources));
    remarks.extend(guide::unexplained(&page, &rules));
    remarks.extend(generated::remarks(layout)?);
    Ok(remarks)
}

/// Files that are committed or about to be.
fn committed(layout: &Layout) -> Result<Vec<String>> {
    let mut git = Command::new("git");
    git.args(["ls-files", "--cached", "--others", "--exclude-standard"]).current_dir(&layout.root);
    let names = output(&mut git).context("cannot list the files: tidy needs a git checkout")?;
    Ok(names.lines().map(String::from).collect())
}
