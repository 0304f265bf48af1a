//! bpf-linker: links the kernel half with the LLVM that its compiler brings along, so no LLVM package is needed.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::log;
use crate::command::quietly;
use crate::compiler::{bare, toolchain_folder};
use crate::layout::Layout;
use crate::pinned;

fn folder(layout: &Layout) -> PathBuf {
    layout.tool("bpf-linker", pinned::BPF_LINKER)
}

/// The linker, where it is missing.
pub fn missing(layout: &Layout) -> Vec<String> {
    let present = folder(layout).join("bin/bpf-linker").exists();
    if present { Vec::new() } else { vec![format!("bpf-linker {}", pinned::BPF_LINKER)] }
}

/// Compiles the linker.
pub fn install(layout: &Layout) -> Result<String> {
    let mut cargo = with_own_llvm(layout)?;
    cargo.args(["bpf-linker", "--version", pinned::BPF_LINKER, "--force", "--root"]).arg(folder(layout));
    cargo.env("CARGO_TARGET_DIR", layout.tools.join("build/bpf-linker"));
    let step = log(layout, "bpf-linker");
    quietly(&format!("setup: bpf-linker {}", pinned::BPF_LINKER), &mut cargo, &step)?;
    // A failure to clean up costs disk, nothing else.
    _ = fs::remove_dir_all(layout.tools.join("build/bpf-linker"));
    Ok(format!("built bpf-linker {}", pinned::BPF_LINKER))
}

fn with_own_llvm(layout: &Layout) -> Result<std::process::Command> {
    let libraries = toolchain_folder(pinned::BPF_TOOLCHAIN)?.join("lib");
    let prefix = layout.tool("llvm", pinned::BPF_TOOLCHAIN);
    llvm_prefix(&libraries, &prefix)?;
    let mut cargo = bare("cargo");
    cargo.arg(format!("+{}", pinned::BPF_TOOLCHAIN)).arg("install");
    cargo.env("LLVM_PREFIX", &prefix);
    cargo.env("RUSTFLAGS", format!("-C link-arg=-Wl,-rpath,{}", libraries.display()));
    Ok(cargo)
}

/// A folder laid out as an installed LLVM, with the compiler's shared library in it.
fn llvm_prefix(libraries: &Path, prefix: &Path) -> Result<()> {
    let library = shared_llvm(libraries)?;
    fs::create_dir_all(prefix.join("lib"))?;
    link(&library, &prefix.join("lib/libLLVM.so"))?;
    link(Path::new("lib"), &prefix.join("lib64"))
}

/// The compiler's LLVM. Beside it lies a linker script of nearly the same name, a few bytes long: not that one.
fn shared_llvm(libraries: &Path) -> Result<PathBuf> {
    let entries =
        fs::read_dir(libraries).context("the compiler comes first: run `cargo xtask setup bpf-compiler`")?;
    entries
        .filter_map(Result::ok)
        .find(|entry| entry.file_name().to_string_lossy().starts_with("libLLVM.so."))
        .map(|entry| entry.path())
        .with_context(|| {
            format!(
                "{} has no libLLVM.so: install the toolchain anew with `rustup toolchain uninstall {}`",
                libraries.display(),
                pinned::BPF_TOOLCHAIN
            )
        })
}

fn link(target: &Path, place: &Path) -> Result<()> {
    if fs::read_link(place).is_ok_and(|old| old == target) {
        return Ok(());
    }
    _ = fs::remove_file(place);
    symlink(target, place).with_context(|| format!("cannot make the link {}", place.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_linker_script_is_not_taken_for_the_library() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("libLLVM-23-rust.so"), "INPUT(x)").unwrap();
        assert!(shared_llvm(folder.path()).is_err());
        fs::write(folder.path().join("libLLVM.so.23.1-rust"), "").unwrap();
        assert!(shared_llvm(folder.path()).unwrap().ends_with("libLLVM.so.23.1-rust"));
    }

    #[test]
    fn the_prefix_can_be_made_twice() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("libLLVM.so.23.1-rust"), "x").unwrap();
        let prefix = folder.path().join("prefix");
        llvm_prefix(folder.path(), &prefix).unwrap();
        llvm_prefix(folder.path(), &prefix).unwrap();
        assert_eq!(fs::read(prefix.join("lib64/libLLVM.so")).unwrap(), b"x");
    }
}
