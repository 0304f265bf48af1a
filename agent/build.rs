//! Finds the kernel half, which is built for its own target, and puts it where `kernel/load` includes it from.
//!
//! Looks at `NAMEWARDEN_EBPF_OBJECT`, then at `<target folder>/ebpf/namewarden-ebpf`, where `cargo xtask build-ebpf`
//! leaves it.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Of the object, in `OUT_DIR` and in the target folder.
const NAME: &str = "namewarden-ebpf";

fn main() -> ExitCode {
    println!("cargo::rerun-if-env-changed=NAMEWARDEN_EBPF_OBJECT");
    println!("cargo::rerun-if-env-changed=CARGO_TARGET_DIR");
    let Some(out) = env::var_os("OUT_DIR").map(PathBuf::from) else {
        return fail("cargo did not set OUT_DIR");
    };
    let Some(object) = env::var_os("NAMEWARDEN_EBPF_OBJECT").map(PathBuf::from).or_else(|| in_target(&out))
    else {
        return fail("no target folder above OUT_DIR; name the object in NAMEWARDEN_EBPF_OBJECT");
    };
    println!("cargo::rerun-if-changed={}", object.display());
    match fs::copy(&object, out.join(NAME)) {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => fail(&format!(
            "the kernel half is missing ({}: {error}); build it with: cargo xtask build-ebpf",
            object.display()
        )),
    }
}

/// `OUT_DIR` is `<target>[/<triple>]/<profile>/build/<package>/out`: the target folder is the one that cargo tagged.
fn in_target(out: &Path) -> Option<PathBuf> {
    let named = env::var_os("CARGO_TARGET_DIR").map(PathBuf::from).filter(|path| path.is_absolute());
    let tagged = || out.ancestors().find(|path| path.join("CACHEDIR.TAG").exists()).map(Path::to_path_buf);
    named.or_else(tagged).map(|target| target.join("ebpf").join(NAME))
}

fn fail(reason: &str) -> ExitCode {
    println!("cargo::error={reason}");
    ExitCode::FAILURE
}
