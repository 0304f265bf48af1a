//! Where things are: sources, target folder, cache of tools. Nothing here creates anything.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The folders that every task works in, as absolute paths.
pub struct Layout {
    /// The workspace's root.
    pub root: PathBuf,
    /// Cargo's target folder: `CARGO_TARGET_DIR`, else `target` in the root.
    pub target: PathBuf,
    /// The cache of tools, outside the checkout: `NAMEWARDEN_TOOLS`, else `~/.cache/namewarden/tools`.
    pub tools: PathBuf,
}

impl Layout {
    /// Reads the environment.
    pub fn find() -> Result<Layout> {
        let package = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        let root = Path::new(&package).parent().context("xtask stands in no workspace")?.to_path_buf();
        let target = match set("CARGO_TARGET_DIR") {
            Some(folder) => std::path::absolute(folder)?,
            None => root.join("target"),
        };
        let tools = match set("NAMEWARDEN_TOOLS") {
            Some(folder) => std::path::absolute(folder)?,
            None => cache()?.join("namewarden/tools"),
        };
        Ok(Layout { root, target, tools })
    }

    /// The folder of one tool of one version.
    pub fn tool(&self, name: &str, version: &str) -> PathBuf {
        self.tools.join(format!("{name}-{version}"))
    }
}

fn cache() -> Result<PathBuf> {
    if let Some(folder) = set("XDG_CACHE_HOME") {
        return Ok(PathBuf::from(folder));
    }
    Ok(home()?.join(".cache"))
}

/// The user's home folder.
pub fn home() -> Result<PathBuf> {
    set("HOME").map(PathBuf::from).context("HOME is not set: set it, or NAMEWARDEN_TOOLS and RUSTUP_HOME")
}

/// A variable of the environment, unless it is empty.
pub fn set(name: &str) -> Option<std::ffi::OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}
