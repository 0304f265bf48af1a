//! Compilers: rustup's pinned toolchains. Debian's own are older than what aya asks for (`docs/decisions/060`).

use std::fs;

use anyhow::{Result, bail};

use super::log;
use crate::command::{output, quietly};
use crate::compiler::{bare, host, static_target, toolchain_folder};
use crate::layout::Layout;
use crate::pinned;

/// A toolchain and what of it is needed.
pub struct Toolchain {
    name: &'static str,
    components: &'static [&'static str],
    is_static: bool,
}

/// Compiles everything that runs in user space.
pub const USER: Toolchain =
    Toolchain { name: pinned::USER_TOOLCHAIN, components: &["clippy", "rustfmt"], is_static: true };

/// Compiles the kernel half.
pub const BPF: Toolchain =
    Toolchain { name: pinned::BPF_TOOLCHAIN, components: &["clippy", "rust-src"], is_static: false };

/// What of `toolchain` is missing.
pub fn missing(toolchain: &Toolchain) -> Result<Vec<String>> {
    let folder = toolchain_folder(toolchain.name)?;
    if !folder.join("bin/rustc").exists() {
        return Ok(vec![format!("Rust {}", toolchain.name)]);
    }
    // rustup keeps the list of what it installed in this file.
    let installed = fs::read_to_string(folder.join("lib/rustlib/components")).unwrap_or_default();
    Ok(absent(toolchain, &installed))
}

fn absent(toolchain: &Toolchain, installed: &str) -> Vec<String> {
    let has = |name: &str| installed.lines().any(|line| line == name);
    let mut missing = Vec::new();
    for component in toolchain.components {
        let host = host();
        // Some components are still called previews in that list; sources belong to no host.
        let names =
            [(*component).to_owned(), format!("{component}-{host}"), format!("{component}-preview-{host}")];
        if !names.iter().any(|name| has(name)) {
            missing.push(format!("{component} of Rust {}", toolchain.name));
        }
    }
    if toolchain.is_static && !has(&format!("rust-std-{}", static_target())) {
        missing.push(format!("{} of Rust {}", static_target(), toolchain.name));
    }
    missing
}

/// Fails where there is no rustup to install toolchains with.
pub fn demand_rustup(program: &str) -> Result<()> {
    if output(bare(program).arg("--version")).is_err() {
        bail!(
            "there is no rustup, which installs Rust {} and {}: install it (Debian has it from 13 on, as the package \
             rustup); the compilers of a distribution are too old",
            pinned::USER_TOOLCHAIN,
            pinned::BPF_TOOLCHAIN
        );
    }
    Ok(())
}

/// Installs `toolchain` by rustup.
pub fn install(layout: &Layout, toolchain: &Toolchain) -> Result<String> {
    let mut rustup = bare("rustup");
    rustup.args(["toolchain", "install", toolchain.name, "--profile", "minimal", "--no-self-update"]);
    for component in toolchain.components {
        rustup.args(["--component", component]);
    }
    if toolchain.is_static {
        rustup.args(["--target", &static_target()]);
    }
    let title = format!("setup: Rust {}", toolchain.name);
    quietly(&title, &mut rustup, &log(layout, &format!("rust-{}", toolchain.name)))?;
    Ok(format!("installed Rust {}", toolchain.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(lines: &[String]) -> String {
        lines.join("\n")
    }

    #[test]
    fn a_whole_toolchain_misses_nothing() {
        let installed = list(&[
            format!("clippy-preview-{}", host()),
            format!("rustfmt-{}", host()),
            format!("rust-std-{}", static_target()),
        ]);
        assert_eq!(absent(&USER, &installed), Vec::<String>::new());
    }

    #[test]
    fn each_missing_component_is_named() {
        let installed = list(&[format!("clippy-preview-{}", host())]);
        let missing = absent(&USER, &installed);
        assert_eq!(missing.len(), 2);
        assert!(missing[0].starts_with("rustfmt of Rust"));
        assert!(missing[1].starts_with(&static_target()));
    }

    #[test]
    fn sources_belong_to_no_host() {
        let clippy = format!("clippy-preview-{}", host());
        assert_eq!(absent(&BPF, &format!("{clippy}\nrust-src")), Vec::<String>::new());
        assert_eq!(absent(&BPF, &clippy).len(), 1);
    }

    #[test]
    fn a_machine_without_rustup_is_told_what_to_install() {
        let error = demand_rustup("no-program-has-this-name").unwrap_err().to_string();
        assert!(error.starts_with("there is no rustup, which installs Rust 1."), "{error}");
        assert!(error.contains("install it"), "{error}");
        assert!(demand_rustup("cargo").is_ok());
    }
}
