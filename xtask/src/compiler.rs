//! The cargo commands of the pinned compilers: rustup's toolchains by name.

use std::env;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;
use clap::ValueEnum;

use crate::layout::{self, Layout};
use crate::pinned;

/// The machine's own target, as rustup names toolchains after it.
pub fn host() -> String {
    format!("{}-unknown-linux-gnu", env::consts::ARCH)
}

/// A processor that what ships is built for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Architecture {
    /// 64-bit x86
    #[value(name = "x86_64", alias = "amd64")]
    X86,
    /// 64-bit Arm
    #[value(name = "aarch64", alias = "arm64")]
    Arm,
}

impl Architecture {
    /// Both.
    pub const ALL: [Architecture; 2] = [Architecture::X86, Architecture::Arm];

    /// This machine's.
    pub fn host() -> Self {
        if env::consts::ARCH == "aarch64" { Architecture::Arm } else { Architecture::X86 }
    }

    /// As Rust calls it.
    pub fn name(self) -> &'static str {
        match self {
            Architecture::X86 => "x86_64",
            Architecture::Arm => "aarch64",
        }
    }

    /// As Go does, and container engines.
    pub fn go_name(self) -> &'static str {
        match self {
            Architecture::X86 => "amd64",
            Architecture::Arm => "arm64",
        }
    }
}

/// The target of the static binary.
pub fn static_target() -> String {
    static_target_of(Architecture::host())
}

/// The same for a processor.
pub fn static_target_of(processor: Architecture) -> String {
    format!("{}-unknown-linux-musl", processor.name())
}

/// The folder of a rustup toolchain, whether it is there or not.
pub fn toolchain_folder(name: &str) -> Result<PathBuf> {
    let rustup = match layout::set("RUSTUP_HOME") {
        Some(folder) => PathBuf::from(folder),
        None => layout::home()?.join(".rustup"),
    };
    Ok(rustup.join("toolchains").join(format!("{name}-{}", host())))
}

/// `cargo <verb>` of the user-space compiler, in the workspace's root.
pub fn user_cargo(layout: &Layout, verb: &str) -> Command {
    cargo(layout, pinned::USER_TOOLCHAIN, verb)
}

/// `cargo <verb>` of the kernel half's compiler, with bpf-linker in its PATH.
pub fn bpf_cargo(layout: &Layout, verb: &str) -> Command {
    let mut command = cargo(layout, pinned::BPF_TOOLCHAIN, verb);
    let linker = layout.tool("bpf-linker", pinned::BPF_LINKER).join("bin");
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(linker).chain(env::split_paths(&path));
    // A folder of PATH came out of PATH, so joining cannot fail but for the cache's own name.
    command.env("PATH", env::join_paths(folders).unwrap_or(path));
    command
}

fn cargo(layout: &Layout, toolchain: &str, verb: &str) -> Command {
    let mut command = bare("cargo");
    command.args([&format!("+{toolchain}"), verb]);
    command.current_dir(&layout.root).env("CARGO_TARGET_DIR", &layout.target);
    command
}

/// A command without what `cargo run` put into the environment for xtask itself.
pub fn bare(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        let ours = text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_");
        if ours || matches!(&*text, "CARGO" | "RUSTUP_TOOLCHAIN" | "RUST_RECURSION_COUNT" | "LD_LIBRARY_PATH")
        {
            command.env_remove(&name);
        }
    }
    command
}
