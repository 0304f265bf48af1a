//! A cluster of one node on this machine: real programs, each as a user's cluster has it, in a network namespace of its own.
//!
//! All that it keeps is in one folder; what it makes elsewhere (network, cgroups, mounts) is found again without it, so that a
//! cluster whose maker was killed is taken down as any other.

// Where it keeps what, and how its programs are called.
mod place;

// The network that it is in.
mod network;

// What its programs read: keys, users, settings.
mod config;

// The programs that make it up.
mod daemon;

// Images of what runs in it from the first moment.
mod images;

// The way up, step by step.
mod start;

// The way down, whatever is left.
mod stop;

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Subcommand;

use crate::command::output;
use crate::layout::Layout;
use crate::setup::{self, Part};

pub use images::BUSYBOX;
pub use place::Place;
pub use start::{Clock, is_up};

/// What `cargo xtask cluster` is told.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Start the cluster and return once it answers; the first time its programs are built, for about twenty minutes
    Up,
    /// Take in images from archives, as `cargo xtask image` makes them
    Load {
        /// The archives
        #[arg(required = true, value_name = "ARCHIVE")]
        archives: Vec<PathBuf>,
    },
    /// Print the file by which kubectl and helm reach the cluster
    Kubeconfig,
    /// End one of its programs and start it again, while everything else goes on: kubelet, containerd, kube-apiserver, ...
    Restart {
        /// The program
        #[arg(value_name = "PROGRAM")]
        program: String,
    },
    /// End the cluster and remove all that it made, also what a killed `up` left
    Down,
}

/// `cargo xtask cluster`.
pub fn run(layout: &Layout, arguments: &Arguments) -> Result<()> {
    demand_root()?;
    let place = Place::find()?;
    match &arguments.task {
        Task::Up => up(layout, &place),
        Task::Load { archives } => load(&place, archives),
        Task::Kubeconfig => kubeconfig(&place),
        Task::Restart { program } => restart(&place, program),
        Task::Down => down(&place),
    }
}

fn demand_root() -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        bail!("a cluster makes network namespaces and cgroups: run this with `sudo --preserve-env`");
    }
    Ok(())
}

/// Starts it unless it runs.
pub fn up(layout: &Layout, place: &Place) -> Result<()> {
    demand_root()?;
    setup::ensure(layout, &[Part::Packages, Part::Kubernetes, Part::Node])?;
    let _lock = place.lock()?;
    if is_up(place) {
        println!("the cluster is up already");
    } else {
        start::start(layout, place)?;
    }
    let (kubeconfig, programs) = (place.kubeconfig(), place.programs());
    println!("export KUBECONFIG={} PATH={}:$PATH", kubeconfig.display(), programs.display());
    Ok(())
}

/// Takes in images.
pub fn load(place: &Place, archives: &[PathBuf]) -> Result<()> {
    demand_up(place)?;
    for archive in archives {
        if !archive.is_file() {
            bail!("there is no archive {}: `cargo xtask image` makes them", archive.display());
        }
        let mut ctr = place.ctr();
        ctr.args(["images", "import"]).arg(archive);
        output(&mut ctr).with_context(|| format!("{} was not taken in", archive.display()))?;
        println!("took in {}", archive.display());
    }
    Ok(())
}

fn kubeconfig(place: &Place) -> Result<()> {
    demand_up(place)?;
    println!("{}", place.kubeconfig().display());
    Ok(())
}

fn restart(place: &Place, program: &str) -> Result<()> {
    let _lock = place.lock()?;
    daemon::restart(place, program)?;
    println!("started {program} again");
    Ok(())
}

fn demand_up(place: &Place) -> Result<()> {
    if !is_up(place) {
        bail!("the cluster is not up: run `cargo xtask cluster up`");
    }
    Ok(())
}

/// Ends it and removes all that it made.
pub fn down(place: &Place) -> Result<()> {
    let _lock = place.lock()?;
    let found = stop::stop(place)?;
    println!(
        "{}",
        if found { "the cluster is down, and nothing of it is left" } else { "there is no cluster" }
    );
    Ok(())
}
