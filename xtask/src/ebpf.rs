//! The kernel half: builds the eBPF object and leaves it where the agent's build looks for it.
//!
//! The contract with agent/build.rs: the object is `<target folder>/ebpf/namewarden-ebpf`.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use object::{Object, ObjectSection};

use crate::command::{quietly, say};
use crate::compiler;
use crate::layout::Layout;
use crate::reproducible;
use crate::setup::{self, Part};

/// `cargo xtask build-ebpf`: builds, and prints path and size.
pub fn run(layout: &Layout) -> Result<()> {
    let object = ready(layout)?;
    let bytes = fs::metadata(&object)?.len();
    println!("{} ({bytes} bytes, with BTF)", object.display());
    Ok(())
}

/// Builds the object, where something changed.
pub fn ready(layout: &Layout) -> Result<PathBuf> {
    setup::ensure(layout, &[Part::BpfCompiler, Part::BpfLinker])?;
    let scratch = scratch(layout);
    let mut cargo = compiler::bpf_cargo(layout, "build");
    cargo.args(["--release", "-Z", "build-std=core", "--target", "bpfel-unknown-none"]);
    cargo.args(["--package", "namewarden-agent-ebpf"]).env("CARGO_TARGET_DIR", &scratch);
    // Added to what .cargo/config.toml says.
    let folders = reproducible::folders(layout)?;
    cargo.args(["--config", &reproducible::option(&folders, "bpfel-unknown-none")?]);
    // Without its symbols and BTF the object cannot be loaded.
    cargo.env("CARGO_PROFILE_RELEASE_STRIP", "none").env_remove("RUSTFLAGS");
    let took = quietly("the kernel half", &mut cargo, &layout.target.join("xtask/build-ebpf.log"))?;
    if took.as_secs() >= 5 {
        say(&format!("built the kernel half in {} s", took.as_secs()));
    }
    publish(layout, &scratch.join("bpfel-unknown-none/release/namewarden-ebpf"))
}

/// A target folder of its own: the two compilers would otherwise wait for each other's lock.
pub fn scratch(layout: &Layout) -> PathBuf {
    layout.target.join("ebpf-build")
}

/// Copies the object to its place when it differs: an unchanged one must not make the agent build again.
fn publish(layout: &Layout, built: &std::path::Path) -> Result<PathBuf> {
    let bytes = fs::read(built).with_context(|| format!("cannot read {}", built.display()))?;
    let size = section_size(&bytes, ".BTF")?;
    if size == 0 {
        bail!(
            "{} has no .BTF section: the rustflags for bpfel-unknown-none in .cargo/config.toml must be in force",
            built.display()
        );
    }
    let folder = layout.target.join("ebpf");
    let place = folder.join("namewarden-ebpf");
    if fs::read(&place).is_ok_and(|old| old == bytes) {
        return Ok(place);
    }
    fs::create_dir_all(&folder)?;
    let fresh = folder.join(format!("namewarden-ebpf.{}", std::process::id()));
    fs::write(&fresh, &bytes)?;
    fs::rename(&fresh, &place)?;
    Ok(place)
}

/// Bytes of a section of an ELF object, 0 where there is none.
fn section_size(object: &[u8], name: &str) -> Result<u64> {
    let file = object::File::parse(object).context("the compiler left something that is no ELF object")?;
    Ok(file.section_by_name(name).map_or(0, |section| section.size()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_that_is_missing_has_no_bytes() {
        let test = fs::read(std::env::current_exe().unwrap()).unwrap();
        assert_ne!(section_size(&test, ".text").unwrap(), 0);
        assert_eq!(section_size(&test, ".BTF").unwrap(), 0);
    }

    #[test]
    fn what_is_no_object_is_refused() {
        assert!(section_size(b"no object", ".BTF").is_err());
    }
}
