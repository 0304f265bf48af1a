//! The agent on other kernels than this machine's: Debian's cloud kernels, each booted in an emulated machine whose first
//! process (`tests/src/bin/kernel-guest`) proves what it can and says so on the console.

// A kernel by its version: fetched from Debian's mirror once.
mod image;

// What the machine starts with: an archive of three programs.
mod archive;

// The machine, and what it says.
mod machine;

// docs/reference/kernels.md.
mod page;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Result, bail};

use crate::agent_binary::{self, Profile};
use crate::command::say;
use crate::layout::Layout;
use crate::pinned;
use crate::setup::{self, Part};
use crate::test::Tally;

use machine::Report;

/// What `cargo xtask kernels` is told.
#[derive(clap::Args)]
pub struct Arguments {
    /// Kernels to boot: a version that Debian has (5.10), `newest`, or a file. The ones of the table when none is named
    #[arg(value_name = "VERSION")]
    versions: Vec<String>,
    /// Fetch the kernels anew: what Debian has may have moved on
    #[arg(long)]
    update: bool,
}

/// `cargo xtask kernels`: the last line of its output is `N passed, N failed`, each proof counted as one.
pub fn run(layout: &Layout, arguments: &Arguments) -> Result<()> {
    let is_table = arguments.versions.is_empty();
    let versions = if is_table { table() } else { arguments.versions.clone() };
    let (tally, reports) = boot_all(layout, &versions, arguments.update)?;
    if is_table && tally.failed == 0 {
        page::write(layout, &reports)?;
    }
    println!("{tally}");
    if tally.failed > 0 {
        std::process::exit(1);
    }
    Ok(())
}

/// The suite `kernels`: those of the table.
pub fn suite(layout: &Layout) -> Result<Tally> {
    boot_all(layout, &table(), false).map(|(tally, _)| tally)
}

fn table() -> Vec<String> {
    pinned::KERNELS.iter().map(|(version, _)| (*version).to_owned()).collect()
}

fn boot_all(layout: &Layout, versions: &[String], update: bool) -> Result<(Tally, Vec<Report>)> {
    if std::env::consts::ARCH != "x86_64" {
        bail!("the kernels that are booted are those of x86-64: run this on such a machine");
    }
    setup::ensure(layout, &[Part::Emulator])?;
    // Every kernel is there before the first one boots: what cannot be had is said at once.
    let images: Vec<PathBuf> =
        versions.iter().map(|version| image::find(layout, version, update)).collect::<Result<_>>()?;
    let archive = archive(layout)?;
    let mut tally = Tally::default();
    let mut reports = Vec::new();
    for (version, image) in versions.iter().zip(&images) {
        let started = Instant::now();
        let report = machine::boot(layout, version, image, &archive)?;
        println!("{}", report.in_words(started.elapsed().as_secs()));
        tally += report.tally();
        reports.push(report);
    }
    Ok((tally, reports))
}

/// Builds the programs and packs them.
fn archive(layout: &Layout) -> Result<PathBuf> {
    let agent = agent_binary::named_or_ready(layout, Profile::Fast)?;
    let programs = ["kernel-guest", "dns-client"];
    let built = agent_binary::static_programs(layout, Profile::Fast, "namewarden-tests", &programs)?;
    let [guest, client] = built.as_slice() else { bail!("cargo built {} programs of 2", built.len()) };
    let path = layout.target.join("xtask/kernel-guest.cpio");
    let files = [("init", guest), ("bin/namewarden-agent", &agent), ("bin/dns-client", client)];
    archive::write(&path, &["bin", "dev", "proc", "run", "sys", "tmp"], &files)?;
    say(&format!("the guest's programs are in {}", path.display()));
    Ok(path)
}
