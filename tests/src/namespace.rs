//! Network namespaces: made and removed by `ip`, entered by a thread, so that sockets of a test live inside them.

use std::{
    fs::File,
    path::{Path, PathBuf},
    thread,
};

use anyhow::{Context as _, Result, anyhow};
use rustix::{
    fd::AsFd as _,
    thread::{LinkNameSpaceType, move_into_link_name_space},
};

use crate::program;

/// Where `ip netns` keeps its namespaces.
const FOLDER: &str = "/run/netns";

/// A network namespace that is removed when this value is dropped.
#[derive(Debug)]
pub struct Namespace {
    name: String,
    path: PathBuf,
}

impl Namespace {
    /// Makes the namespace `name` with its loopback device up.
    pub fn create(name: &str) -> Result<Self> {
        program::run("ip", &["netns", "add", name])?;
        let namespace = Self { name: name.to_owned(), path: Path::new(FOLDER).join(name) };
        // Nobody else uses these addresses; looking for doubles delays the first IPv6 packet by a second.
        namespace.set("net/ipv6/conf/default/dad_transmits", "0")?;
        namespace.ip("link set lo up\n")?;
        Ok(namespace)
    }

    /// Its name, as `ip netns` knows it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file that stands for it (`nsenter --net=PATH`).
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs lines of `ip` commands inside it, in one process.
    pub fn ip(&self, lines: &str) -> Result<()> {
        program::feed("ip", &["-netns", &self.name, "-batch", "-"], lines)
            .with_context(|| format!("in namespace {}:\n{lines}", self.name))?;
        Ok(())
    }

    /// Runs `action` in a thread inside it: sockets made there belong to the namespace.
    pub fn enter<T: Send>(&self, action: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        enter(&self.path, action)
    }

    /// Sets a kernel setting of the namespace, for example `net/ipv4/ip_forward`.
    pub fn set(&self, key: &str, value: &str) -> Result<()> {
        // The kernel resolves /proc/sys/net in the namespace of the thread that opens it.
        let path = Path::new("/proc/sys").join(key);
        self.enter(move || std::fs::write(&path, value).with_context(|| path.display().to_string()))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if let Err(error) = delete(&self.name) {
            eprintln!("cannot remove namespace {}: {error:#}", self.name);
        }
    }
}

/// Runs `action` in a thread inside the namespace that the file at `path` stands for, whoever made it.
pub fn enter<T: Send>(path: &Path, action: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    thread::scope(|scope| {
        let inside = scope.spawn(move || {
            move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))?;
            action()
        });
        inside.join().map_err(|_| anyhow!("a thread inside a namespace panicked"))?
    })
}

/// Removes the namespace `name`.
pub fn delete(name: &str) -> Result<()> {
    program::run("ip", &["netns", "delete", name]).map(drop)
}

/// Names of all namespaces that begin with `prefix`.
pub fn list(prefix: &str) -> Result<Vec<String>> {
    let Ok(folder) = std::fs::read_dir(FOLDER) else { return Ok(Vec::new()) };
    let mut names = Vec::new();
    for entry in folder {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.starts_with(prefix) {
            names.push(name);
        }
    }
    Ok(names)
}
