//! Installs what is missing and says what it did. Quick when nothing is; safe to run several times at once.
//!
//! Whether a part is there is read from its files, never from a stamp: what was removed by hand is installed again.

// Compilers, by rustup.
mod rust;

// What compiles for the other processor.
mod cross;

// bpf-linker, linked to the compiler's own LLVM.
mod linker;

// Packages, by apt-get.
mod debian;

// cargo-deny.
mod deny;

// An API server with its store.
mod kubernetes;

// The rest of a node: kubelet, containerd, CoreDNS and their like.
mod node;

// Helm.
mod helm;

// What Prometheus makes of rules.
mod promtool;

// Definitions of other projects' kinds.
mod definitions;

// Go, and programs built with it.
mod go;

// Search engines, by Maven.
mod search;

use std::fs::{self, File, TryLockError};
use std::path::PathBuf;
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail};
use clap::ValueEnum;

use crate::command::{say, ticking};
use crate::layout::Layout;
use crate::pinned;

pub use cross::variables as cross_variables;
pub use definitions::{VARIABLE as DEFINITIONS_VARIABLE, folder as definitions};
pub use deny::program as cargo_deny;
pub use helm::{VARIABLE as HELM_VARIABLE, program as helm};
pub use kubernetes::variables as kubernetes_variables;
pub use node::programs as node_programs;
pub use promtool::{VARIABLE as PROMTOOL_VARIABLE, program as promtool};
pub use search::variables as search_variables;

/// What `cargo xtask setup` is told.
#[derive(clap::Args)]
pub struct Arguments {
    /// Only say what is missing: exit status 1 when something is
    #[arg(long)]
    check: bool,
    /// Parts to install; all but those that only one suite needs when none is named
    #[arg(value_name = "PART")]
    parts: Vec<Part>,
}

/// Something that can be missing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Part {
    /// Rust for user space, with clippy, rustfmt and the static target
    UserCompiler,
    /// Rust for the kernel half, with the sources of `core`
    BpfCompiler,
    /// The linker of the kernel half
    BpfLinker,
    /// Debian's packages: DNS servers and clients, captures, namespaces, musl
    Packages,
    /// For `image --target` alone: what compiles for the other processor
    CrossCompiler,
    /// For `kernels` alone: a machine to boot them in
    Emulator,
    /// The check of licences and sources
    CargoDeny,
    /// For the suite `cluster` alone: kube-apiserver, kubectl and etcd, built with Go
    Kubernetes,
    /// For a whole cluster alone (`cluster`, `demo --cluster`, the suite `node`): kubelet, containerd, runc, CoreDNS, helm and
    /// their like, built with Go
    Node,
    /// For the suite `cluster` alone: Helm, built with Go
    Helm,
    /// For the suite `cluster` alone: promtool, of Debian
    Promtool,
    /// For the suite `cluster` alone: definitions of the kinds of the Prometheus operator, cert-manager and `OpenShift`, fetched with Go
    Definitions,
    /// For the suite `search` alone: OpenSearch and Elasticsearch, fetched by Maven
    Search,
}

/// What most tasks need, in the order in which it is installed.
pub const COMMON: &[Part] =
    &[Part::UserCompiler, Part::BpfCompiler, Part::BpfLinker, Part::Packages, Part::CargoDeny];

/// Number of lanes.
const LANES: usize = 5;

impl Part {
    /// What is missing of it, in words; empty where it is whole.
    fn missing(self, layout: &Layout) -> Result<Vec<String>> {
        match self {
            Part::UserCompiler => rust::missing(&rust::USER),
            Part::BpfCompiler => rust::missing(&rust::BPF),
            Part::BpfLinker => Ok(linker::missing(layout)),
            Part::Packages => debian::missing(pinned::PACKAGES),
            Part::CrossCompiler => cross::missing(layout),
            Part::Emulator => debian::missing(pinned::EMULATOR),
            Part::CargoDeny => Ok(deny::missing(layout)),
            Part::Kubernetes => kubernetes::missing(layout),
            Part::Node => node::missing(layout),
            Part::Helm => helm::missing(layout),
            Part::Promtool => promtool::missing(layout),
            Part::Definitions => definitions::missing(layout),
            Part::Search => search::missing(layout),
        }
    }

    /// Installs it and says what it did.
    fn install(self, layout: &Layout) -> Result<String> {
        match self {
            Part::UserCompiler => rust::install(layout, &rust::USER),
            Part::BpfCompiler => rust::install(layout, &rust::BPF),
            Part::BpfLinker => linker::install(layout),
            Part::Packages => debian::install(layout, pinned::PACKAGES),
            Part::CrossCompiler => cross::install(layout),
            Part::Emulator => debian::install(layout, pinned::EMULATOR),
            Part::CargoDeny => deny::install(layout),
            Part::Kubernetes => kubernetes::install(layout),
            Part::Node => node::install(layout),
            Part::Helm => helm::install(layout),
            Part::Promtool => promtool::install(layout),
            Part::Definitions => definitions::install(layout),
            Part::Search => search::install(layout),
        }
    }

    /// Parts of one lane are installed one after the other, because they need each other or the same lock.
    fn lane(self) -> usize {
        match self {
            Part::UserCompiler | Part::BpfCompiler | Part::BpfLinker => 0,
            Part::Packages | Part::Emulator | Part::CrossCompiler | Part::Promtool => 1,
            Part::CargoDeny => 2,
            Part::Kubernetes | Part::Node | Part::Helm | Part::Definitions => 3,
            Part::Search => 4,
        }
    }
}

/// `cargo xtask setup`.
pub fn run(layout: &Layout, arguments: &Arguments) -> Result<()> {
    let parts = if arguments.parts.is_empty() { COMMON } else { &arguments.parts };
    if arguments.check {
        return check(layout, parts);
    }
    let started = Instant::now();
    ensure(layout, parts)?;
    println!("everything is in place ({:.1} s)", started.elapsed().as_secs_f64());
    Ok(())
}

fn check(layout: &Layout, parts: &[Part]) -> Result<()> {
    let mut missing = Vec::new();
    for part in parts {
        missing.extend(part.missing(layout)?);
    }
    if missing.is_empty() {
        println!("everything is in place");
        return Ok(());
    }
    for what in &missing {
        println!("missing: {what}");
    }
    bail!("{} missing: run `{}`", missing.len(), remedy(parts));
}

/// The command that installs `parts`.
fn remedy(parts: &[Part]) -> String {
    let mut command = "cargo xtask setup".to_owned();
    if parts != COMMON {
        for name in parts.iter().filter_map(Part::to_possible_value) {
            command = format!("{command} {}", name.get_name());
        }
    }
    command
}

/// Installs those of `parts` that are missing; says nothing when none is.
pub fn ensure(layout: &Layout, parts: &[Part]) -> Result<()> {
    if absent(layout, parts)?.is_empty() {
        return Ok(());
    }
    let lock = hold(layout)?;
    // Another set-up may have installed them while this one waited.
    let parts = absent(layout, parts)?;
    install(layout, &parts)?;
    drop(lock);
    Ok(())
}

fn absent(layout: &Layout, parts: &[Part]) -> Result<Vec<Part>> {
    let mut absent = Vec::new();
    for part in parts {
        if !part.missing(layout)?.is_empty() {
            absent.push(*part);
        }
    }
    Ok(absent)
}

/// Installs the lanes side by side; the first error is returned after all have ended.
fn install(layout: &Layout, parts: &[Part]) -> Result<()> {
    if parts.iter().any(|part| matches!(part, Part::UserCompiler | Part::BpfCompiler)) {
        // Said before anything else is installed: without it nothing can be built.
        rust::demand_rustup("rustup")?;
    }
    let ended: Vec<Result<()>> = thread::scope(|scope| {
        let lane = |number| {
            let lane: Vec<Part> = parts.iter().copied().filter(|part| part.lane() == number).collect();
            scope.spawn(move || lane.into_iter().try_for_each(|part| install_one(layout, part)))
        };
        let lanes: Vec<_> = (0..LANES).map(lane).collect();
        lanes.into_iter().map(|lane| lane.join().unwrap_or_else(|_| Err(anyhow!("set-up stopped")))).collect()
    });
    ended.into_iter().collect()
}

fn install_one(layout: &Layout, part: Part) -> Result<()> {
    let started = Instant::now();
    let missing = part.missing(layout)?;
    say(&format!("setup: installing {}", missing.join(", ")));
    let done = part.install(layout)?;
    let still = part.missing(layout)?;
    if !still.is_empty() {
        bail!("installed, and still missing: {}", still.join(", "));
    }
    say(&format!("setup: {done} ({:.0} s)", started.elapsed().as_secs_f64()));
    Ok(())
}

/// Waits until no other set-up uses this cache; the lock ends with the process, however it ends.
fn hold(layout: &Layout) -> Result<File> {
    fs::create_dir_all(&layout.tools).with_context(|| {
        format!(
            "cannot make the cache {}: set NAMEWARDEN_TOOLS to a folder you may write",
            layout.tools.display()
        )
    })?;
    let path = layout.tools.join("setup.lock");
    let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => return Ok(file),
        Err(TryLockError::WouldBlock) => say("setup: another set-up is at work, waiting for it"),
        Err(TryLockError::Error(error)) => return Err(error).context("cannot lock the cache of tools"),
    }
    ticking("setup: waiting for another set-up", || file.lock())?;
    Ok(file)
}

/// Where the output of one step goes.
fn log(layout: &Layout, step: &str) -> PathBuf {
    layout.tools.join("log").join(format!("{step}.log"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_remedy_names_the_parts_that_were_asked_for() {
        assert_eq!(remedy(COMMON), "cargo xtask setup");
        assert_eq!(remedy(&[Part::BpfLinker, Part::Kubernetes]), "cargo xtask setup bpf-linker kubernetes");
    }

    #[test]
    fn what_one_suite_alone_needs_is_installed_by_its_name_only() {
        for part in
            [Part::Kubernetes, Part::Node, Part::Helm, Part::Promtool, Part::Definitions, Part::Search]
        {
            assert!(!COMMON.contains(&part), "{part:?}");
        }
    }
}
