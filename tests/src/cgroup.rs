//! The cgroup2 tree: where it is mounted (hybrid hierarchies too), and groups that are made, ended and removed.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use crate::wait;

/// Where the cgroup2 tree is mounted, from this process's mount table.
pub fn root() -> Result<PathBuf> {
    let table = fs::read_to_string("/proc/self/mountinfo").context("cannot read the mount table")?;
    table.lines().find_map(cgroup2_mount).context("no cgroup2 tree is mounted")
}

/// Mount point of a line of mountinfo when its file system is cgroup2 (`proc_pid_mountinfo(5)`).
fn cgroup2_mount(line: &str) -> Option<PathBuf> {
    let (mount, source) = line.split_once(" - ")?;
    if source.split(' ').next()? != "cgroup2" {
        return None;
    }
    mount.split(' ').nth(4).map(PathBuf::from)
}

/// Makes the group at `path` and all above it.
pub fn create(path: &Path) -> Result<()> {
    fs::create_dir_all(path).with_context(|| format!("cannot make cgroup {}", path.display()))
}

/// Number by which the kernel knows the group: the inode of its folder.
pub fn id(path: &Path) -> Result<u64> {
    Ok(fs::metadata(path)?.ino())
}

/// Moves process `pid` into the group at `path`.
pub fn move_process(pid: u32, path: &Path) -> Result<()> {
    fs::write(path.join("cgroup.procs"), pid.to_string())
        .with_context(|| format!("cannot move process {pid} into {}", path.display()))
}

/// Ends every process in the group and below it, then removes the whole branch.
pub fn remove(path: &Path) -> Result<()> {
    if !path.exists() {
        return Ok(());
    }
    fs::write(path.join("cgroup.kill"), "1")
        .with_context(|| format!("cannot end the processes of {}", path.display()))?;
    wait::until("cgroup empty", || Ok(is_empty(path)?.then_some(())))?;
    remove_branch(path)
}

fn is_empty(path: &Path) -> Result<bool> {
    Ok(fs::read_to_string(path.join("cgroup.events"))?.lines().any(|line| line == "populated 0"))
}

fn remove_branch(path: &Path) -> Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_branch(&entry.path())?;
        }
    }
    fs::remove_dir(path).with_context(|| format!("cannot remove cgroup {}", path.display()))
}
