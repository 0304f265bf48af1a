//! cargo-deny, into the cache, by the cargo that runs xtask: it needs none of the pinned compilers.

use std::fs;
use std::path::PathBuf;

use anyhow::Result;

use super::log;
use crate::command::quietly;
use crate::compiler::bare;
use crate::layout::Layout;
use crate::pinned;

/// The program.
pub fn program(layout: &Layout) -> PathBuf {
    layout.tool("cargo-deny", pinned::CARGO_DENY).join("bin/cargo-deny")
}

/// The program, where it is missing.
pub fn missing(layout: &Layout) -> Vec<String> {
    let present = program(layout).exists();
    if present { Vec::new() } else { vec![format!("cargo-deny {}", pinned::CARGO_DENY)] }
}

/// Compiles it, unoptimised: that takes a third of the time, and a check takes a second either way.
pub fn install(layout: &Layout) -> Result<String> {
    let mut cargo = bare("cargo");
    cargo.args(["install", "cargo-deny", "--locked", "--debug", "--force"]);
    cargo
        .args(["--version", pinned::CARGO_DENY, "--root"])
        .arg(layout.tool("cargo-deny", pinned::CARGO_DENY));
    cargo.env("CARGO_TARGET_DIR", layout.tools.join("build/cargo-deny"));
    let step = log(layout, "cargo-deny");
    quietly(&format!("setup: cargo-deny {}", pinned::CARGO_DENY), &mut cargo, &step)?;
    // A failure to clean up costs disk, nothing else.
    _ = fs::remove_dir_all(layout.tools.join("build/cargo-deny"));
    Ok(format!("built cargo-deny {}", pinned::CARGO_DENY))
}
