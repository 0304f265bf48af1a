//! The kernel half as seen from user space: load it, attach it, read its counters.
//!
//! `KernelSettings` come in; a ring of records goes out, and figures to read while it runs. Nothing is pinned: when
//! `Attached` is dropped, or the process ends in any way, every hook is gone.

// Why the kernel half cannot run on this machine, each with its remedy.
mod error;

// What the operator chose.
mod settings;

// Can it run here at all? Asked before anything is loaded.
mod preflight;

// The cgroup2 hierarchy: found by itself, or checked.
mod cgroup_root;

// The object -> programs and maps, with the settings in them.
mod load;

// Programs -> links at the root and at its first-level children.
mod hooks;

// A thread that attaches to new children as they appear.
mod watch;

// Counters, floods, muted streams.
mod figures;

// Which ports mean DNS now.
mod ports;

pub use self::{
    error::KernelError,
    figures::{Flood, Reading},
    load::Loaded,
    settings::{Budgets, KernelSettings},
};

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

use crate::pipeline::capture::Ring;

/// The door to the kernel half.
#[derive(Debug)]
pub struct Kernel;

impl Kernel {
    /// Checks the machine and the settings, then loads programs and maps. Nothing is attached yet.
    pub fn load(settings: &KernelSettings) -> Result<Loaded, KernelError> {
        settings.check()?;
        preflight::check(settings)?;
        let root = cgroup_root::find(settings.cgroup_root.as_deref())?;
        load::load(settings, root)
    }
}

/// The running kernel half; dropping it detaches every hook.
pub struct Attached {
    figures: figures::Figures,
    ports: Mutex<ports::Ports>,
    cgroup_root: std::path::PathBuf,
    watch: Mutex<Option<watch::Watch>>,
}

impl Loaded {
    /// Attaches every hook and starts to follow the children of the cgroup root.
    pub fn attach(self) -> Result<(Attached, Ring), KernelError> {
        let Self { programs, ring, figures, ports, cgroup_root, logger, .. } = self;
        let hooks = hooks::Hooks::attach(programs, &cgroup_root)?;
        let watch = watch::Watch::start(hooks, logger)?;
        let (ports, watch) = (Mutex::new(ports), Mutex::new(Some(watch)));
        Ok((Attached { figures, ports, cgroup_root, watch }, ring))
    }
}

impl Attached {
    /// Every kernel counter, summed over the CPUs.
    pub fn counters(&self) -> Result<Vec<Reading>, KernelError> {
        self.figures.counters()
    }

    /// The cgroups that used up their budget since the start, with what was not copied.
    pub fn floods(&self) -> Result<Vec<Flood>, KernelError> {
        self.figures.floods()
    }

    /// Ports that are captured now.
    pub fn ports(&self) -> BTreeSet<u16> {
        self.ports.lock().unwrap_or_else(PoisonError::into_inner).used().clone()
    }

    /// Captures these ports beside the operator's own, instead of those before, as far as there is room.
    pub fn capture_also(&self, ports: impl IntoIterator<Item = u16>) -> Result<(), KernelError> {
        self.ports.lock().unwrap_or_else(PoisonError::into_inner).capture_also(ports)
    }

    /// Stops copying the payload of a TCP stream that is not DNS, by its socket's cookie.
    pub fn mute(&self, socket_cookie: u64) -> Result<(), KernelError> {
        self.figures.mute(socket_cookie)
    }

    /// Detaches every hook; what was counted can still be read, and what waits in the ring drained.
    pub fn detach(&self) {
        drop(self.watch.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// The cgroup2 directory that the hooks are attached to.
    pub fn cgroup_root(&self) -> &std::path::Path {
        &self.cgroup_root
    }
}
