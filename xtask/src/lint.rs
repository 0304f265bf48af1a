//! What is wrong with the code without running it: format, clippy on both targets, licences and sources, tidiness.

use std::process::Command;

use anyhow::{Context, Result};

use crate::command::{quietly, say};
use crate::compiler;
use crate::ebpf;
use crate::layout::Layout;
use crate::setup::{self, cargo_deny};
use crate::test::Tally;
use crate::tidy;

/// `cargo xtask lint`: the last line of its output is `N passed, N failed`, each check counted as one.
pub fn run(layout: &Layout) -> Result<()> {
    setup::ensure(layout, setup::COMMON)?;
    ebpf::ready(layout).context("nothing can be checked before the kernel half builds")?;
    let mut tally = Tally::default();
    let checks = [
        ("format", format(layout)),
        ("clippy", clippy(layout)),
        ("clippy of the kernel half", clippy_of_the_kernel_half(layout)),
        ("licences, sources, bans", deny(layout)),
    ];
    for (name, mut command) in checks {
        let log = layout.target.join(format!("xtask/lint-{}.log", name.replace([' ', ','], "-")));
        let result = quietly(&format!("lint: {name}"), &mut command, &log);
        count(&mut tally, result.map(drop));
    }
    count(&mut tally, tidy::check(layout));
    say(&format!("lint: {tally}"));
    println!("{tally}");
    if tally.failed > 0 {
        std::process::exit(1);
    }
    Ok(())
}

fn count(tally: &mut Tally, result: Result<()>) {
    match result {
        Ok(()) => tally.passed += 1,
        Err(error) => {
            println!("{error:#}");
            tally.failed += 1;
        }
    }
}

fn format(layout: &Layout) -> Command {
    let mut cargo = compiler::user_cargo(layout, "fmt");
    cargo.args(["--all", "--check"]);
    cargo
}

fn clippy(layout: &Layout) -> Command {
    let mut cargo = compiler::user_cargo(layout, "clippy");
    cargo.args(["--workspace", "--exclude", "namewarden-agent-ebpf", "--all-targets"]);
    cargo.args(["--", "--deny", "warnings"]);
    cargo
}

fn clippy_of_the_kernel_half(layout: &Layout) -> Command {
    let mut cargo = compiler::bpf_cargo(layout, "clippy");
    cargo.args(["--release", "-Z", "build-std=core", "--target", "bpfel-unknown-none"]);
    cargo.args(["--package", "namewarden-agent-ebpf"]).env("CARGO_TARGET_DIR", ebpf::scratch(layout));
    cargo.env_remove("RUSTFLAGS").args(["--", "--deny", "warnings"]);
    cargo
}

fn deny(layout: &Layout) -> Command {
    let mut deny = compiler::bare(cargo_deny(layout));
    // Advisories need a database that not every machine can fetch: `cargo deny check advisories` is for those that can.
    deny.args(["--all-features", "check", "bans", "licenses", "sources"]).current_dir(&layout.root);
    deny
}
