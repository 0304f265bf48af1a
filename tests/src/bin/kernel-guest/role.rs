//! Another program in this process's place: in a cgroup, or with few capabilities and little locked memory.

use std::{fs, os::unix::process::CommandExt as _, path::Path, process::Command};

use anyhow::{Context as _, Result};
use rustix::{
    process::{Resource, Rlimit, setrlimit},
    thread::{CapabilitySet, capability_is_in_bounding_set, remove_capability_from_bounding_set},
};

/// Locked memory of a process of a container, as most runtimes have it.
const MEMLOCK: u64 = 64 << 10;

/// Where this program lies.
const OURSELVES: &str = "/init";

/// A command that becomes `program` in the group at `group`, with the pid that is spawned.
pub fn command_inside(group: &Path, program: &str) -> Command {
    let mut command = Command::new(OURSELVES);
    command.arg("inside").arg(group).arg(program);
    command
}

/// A command that becomes what follows with these capabilities only, in the group at `group`.
pub fn command_limited(group: &Path, names: &str) -> Command {
    let mut command = command_inside(group, OURSELVES);
    command.args(["limited", names]);
    command
}

/// Moves into `group` and becomes `command`.
pub fn inside(group: &str, command: &[&str]) -> Result<()> {
    fs::write(Path::new(group).join("cgroup.procs"), "0").with_context(|| format!("cannot enter {group}"))?;
    become_program(command)
}

/// Keeps the capabilities in `names` (`BPF,NET_ADMIN`), 64 KiB of locked memory, and becomes `command`: a program that
/// root starts has what the bounding set leaves.
pub fn limited(names: &str, command: &[&str]) -> Result<()> {
    let mut kept = CapabilitySet::empty();
    for name in names.split(',').filter(|name| !name.is_empty()) {
        kept |= CapabilitySet::from_name(name).with_context(|| format!("there is no capability {name}"))?;
    }
    setrlimit(Resource::Memlock, Rlimit { current: Some(MEMLOCK), maximum: Some(MEMLOCK) })?;
    for number in 0..64 {
        let capability = CapabilitySet::from_bits_retain(1 << number);
        // The kernel does not know numbers beyond its last one.
        if !kept.contains(capability) && capability_is_in_bounding_set(capability).unwrap_or(false) {
            remove_capability_from_bounding_set(capability)?;
        }
    }
    become_program(command)
}

fn become_program(command: &[&str]) -> Result<()> {
    let (program, arguments) = command.split_first().context("no program")?;
    let error = Command::new(program).args(arguments).exec();
    Err(error).with_context(|| format!("cannot run {program}"))
}
