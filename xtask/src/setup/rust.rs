//! Compilers: rustup's pinned toolchains; Debian's where rustup cannot fetch.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::{debian, log};
use crate::command::{quietly, say};
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
pub fn missing(layout: &Layout, toolchain: &Toolchain) -> Result<Vec<String>> {
    let folder = toolchain_folder(toolchain.name)?;
    if !folder.join("bin/rustc").exists() {
        let instead = debian_compilers(layout) && Path::new("/usr/bin/cargo").exists();
        return Ok(if instead { Vec::new() } else { vec![format!("Rust {}", toolchain.name)] });
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

/// Installs `toolchain` by rustup, or Debian's compilers.
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
    let step = log(layout, &format!("rust-{}", toolchain.name));
    let Err(reason) = quietly(&title, &mut rustup, &step) else {
        return Ok(format!("installed Rust {}", toolchain.name));
    };
    say(&format!(
        "setup: rustup cannot install Rust {}, taking Debian's compilers: {reason:#}",
        toolchain.name
    ));
    let packages: Vec<&str> = pinned::DEBIAN_COMPILERS.iter().chain(pinned::DEBIAN_LLVM).copied().collect();
    debian::apt_install(layout, "debian-compilers", &packages).with_context(|| {
        format!("neither rustup nor apt-get can install a compiler: install Rust {} by hand", toolchain.name)
    })?;
    fs::write(marker(layout), "rustup could not fetch; Debian's compilers are used\n")?;
    Ok("installed Debian's compilers".to_owned())
}

/// True where set-up had to take Debian's compilers, until rustup's are there after all.
pub fn debian_compilers(layout: &Layout) -> bool {
    let is_there = |toolchain: &Toolchain| {
        toolchain_folder(toolchain.name).is_ok_and(|folder| folder.join("bin/rustc").exists())
    };
    marker(layout).exists() && !(is_there(&USER) && is_there(&BPF))
}

fn marker(layout: &Layout) -> PathBuf {
    layout.tools.join("debian-compilers")
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
}
