//! The way down, whatever is left: processes, mounts, network, cgroups, settings of the kernel, files - in this order.
//!
//! What is ours is read from the kernel: who is in our network namespace or in our cgroups, what is mounted in our folder. A
//! signal goes to a process by a handle that cannot come to mean another one.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use namewarden_tests::wait;
use rustix::mount::{UnmountFlags, unmount};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::daemon;
use super::network;
use super::place::{NAMESPACE, Place, namespace};

/// The programs, in the order in which they end: who starts others anew ends first.
pub const ORDER: [&str; 8] = [
    "kubelet",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
    "containerd",
    "kube-apiserver",
    "etcd",
    "coredns",
];

/// The cgroup, in each hierarchy, in which the kubelet makes its own.
pub const GROUP: &str = NAMESPACE;

/// How long ending may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Settings of the kernel that a kubelet changes for itself.
const SETTINGS: [&str; 6] = [
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
];

/// The file that remembers them.
const REMEMBERED: &str = "settings";

/// Ends and removes all of it; whether there was anything.
pub fn stop(place: &Place) -> Result<bool> {
    let found = place.folder().exists() || namespace().exists();
    if !found {
        return Ok(false);
    }
    end_daemons(place)?;
    let inode = fs::metadata(namespace()).map(|file| file.ino()).ok();
    end("containers", is_in_pod)?;
    end("the cluster's processes", |pid| inode.is_some_and(|inode| is_inside(pid, inode)))?;
    // By the list as well: whoever outlived the namespace's name is not found by it.
    daemon::list(place).iter().try_for_each(end_daemon)?;
    remove_sockets(place);
    unmount_all(place.folder())?;
    network::remove()?;
    for root in hierarchies()? {
        remove_groups(&root.join(GROUP))?;
    }
    restore_settings(place);
    remove_traces(place);
    if place.folder().exists() {
        let folder = place.folder().display();
        fs::remove_dir_all(place.folder()).with_context(|| format!("cannot remove {folder}"))?;
    }
    Ok(true)
}

/// Makes the cgroup that the kubelet is told to work in.
pub fn make_groups() -> Result<()> {
    for root in hierarchies()? {
        let group = root.join(GROUP);
        fs::create_dir_all(&group).with_context(|| format!("cannot make the cgroup {}", group.display()))?;
    }
    Ok(())
}

/// Ends one of the programs and returns when it is gone; its containers go on.
pub fn end_daemon(daemon: &daemon::Daemon) -> Result<()> {
    end(&daemon.name, |pid| u32::try_from(pid) == Ok(daemon.pid) && daemon.runs())
}

/// By their list, and by their order.
fn end_daemons(place: &Place) -> Result<()> {
    let daemons = daemon::list(place);
    for name in ORDER.iter().take_while(|name| **name != "containerd") {
        daemons.iter().filter(|daemon| daemon.name == *name).try_for_each(end_daemon)?;
    }
    Ok(())
}

/// Ends every process that is one of `what`, and returns when all are gone.
fn end(what: &str, is_one: impl Fn(i32) -> bool) -> Result<()> {
    wait::within(PATIENCE, &format!("{what} ended"), || {
        let mut left = 0;
        for pid in processes()?.into_iter().filter(|pid| is_one(*pid)) {
            left += 1;
            let Some(number) = Pid::from_raw(pid) else { continue };
            let Ok(handle) = pidfd_open(number, PidfdFlags::empty()) else { continue };
            // Looked at again: now the handle is of whom is looked at, or of nobody.
            if is_one(pid) {
                _ = pidfd_send_signal(handle, Signal::KILL);
            }
        }
        Ok((left == 0).then_some(()))
    })
}

fn processes() -> Result<Vec<i32>> {
    let entries = fs::read_dir("/proc")?.filter_map(Result::ok);
    Ok(entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect())
}

fn is_dead(pid: i32) -> bool {
    let line = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    line.rsplit_once(')').is_none_or(|(_, rest)| rest.trim_start().starts_with('Z'))
}

fn is_in_pod(pid: i32) -> bool {
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    let is_of_pod = |line: &str| {
        let path = line.splitn(3, ':').nth(2).unwrap_or_default();
        path.trim_start_matches('/').split('/').next() == Some(GROUP)
    };
    groups.lines().any(is_of_pod) && !is_dead(pid)
}

/// The namespace is known by the inode of its file.
fn is_inside(pid: i32, inode: u64) -> bool {
    fs::metadata(format!("/proc/{pid}/ns/net")).is_ok_and(|file| file.ino() == inode)
}

/// Sockets of containers' keepers lie where every containerd has them, under names that only they know.
fn remove_sockets(place: &Place) {
    let tasks = place.path("containerd-state/io.containerd.runtime.v2.task/k8s.io");
    for task in fs::read_dir(tasks).into_iter().flatten().filter_map(Result::ok) {
        let text = fs::read_to_string(task.path().join("bootstrap.json")).unwrap_or_default();
        let told: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        let address = told.pointer("/address").and_then(serde_json::Value::as_str).unwrap_or_default();
        if let Some(path) = address.strip_prefix("unix://") {
            // It may be gone already.
            _ = fs::remove_file(path);
        }
    }
}

/// Takes off whatever is mounted below `folder`; the last first.
fn unmount_all(folder: &Path) -> Result<()> {
    for mount in mounts(folder)?.iter().rev() {
        // One that is gone with another is no failure; what stays is seen below.
        _ = unmount(mount, UnmountFlags::DETACH);
    }
    // Files are removed after this: what is mounted there still would be emptied.
    if let Some(left) = mounts(folder)?.first() {
        bail!("{} cannot be unmounted: unmount it and run this again", left.display());
    }
    Ok(())
}

fn mounts(folder: &Path) -> Result<Vec<PathBuf>> {
    let table = fs::read_to_string("/proc/self/mountinfo").context("cannot read the mount table")?;
    Ok(mounts_in(&table, folder))
}

/// Mount points of lines of `proc_pid_mountinfo(5)` below `folder`.
fn mounts_in(table: &str, folder: &Path) -> Vec<PathBuf> {
    let points = table.lines().filter_map(|line| line.split(' ').nth(4));
    points
        .map(|point| PathBuf::from(point.replace("\\040", " ")))
        .filter(|at| at.starts_with(folder))
        .collect()
}

/// Where cgroups are mounted, of either version.
fn hierarchies() -> Result<Vec<PathBuf>> {
    let table = fs::read_to_string("/proc/self/mountinfo").context("cannot read the mount table")?;
    let hierarchy = |line: &str| {
        let (mount, source) = line.split_once(" - ")?;
        source.starts_with("cgroup").then(|| mount.split(' ').nth(4).map(PathBuf::from))?
    };
    Ok(table.lines().filter_map(hierarchy).collect())
}

fn remove_groups(group: &Path) -> Result<()> {
    if !group.exists() {
        return Ok(());
    }
    for entry in fs::read_dir(group)?.filter_map(Result::ok) {
        if entry.file_type()?.is_dir() {
            remove_groups(&entry.path())?;
        }
    }
    // Its last process may still be on its way out.
    wait::within(PATIENCE, &format!("the cgroup {} removed", group.display()), || {
        Ok(match fs::remove_dir(group) {
            Ok(()) => Some(()),
            Err(_) => (!group.exists()).then_some(()),
        })
    })
}

/// Writes down what the kubelet is about to change.
pub fn remember_settings(place: &Place) -> Result<()> {
    let lines = SETTINGS.iter().filter_map(|name| {
        let value = fs::read_to_string(Path::new("/proc/sys").join(name)).ok()?;
        Some(format!("{name} {}\n", value.trim()))
    });
    Ok(fs::write(place.path(REMEMBERED), lines.collect::<String>())?)
}

fn restore_settings(place: &Place) {
    let text = fs::read_to_string(place.path(REMEMBERED)).unwrap_or_default();
    for (name, value) in text.lines().filter_map(|line| line.split_once(' ')) {
        if SETTINGS.contains(&name) {
            // The machine may not let it be set: then nobody changed it either.
            _ = fs::write(Path::new("/proc/sys").join(name), value);
        }
    }
}

/// What libraries keep outside our folder, under names of ours.
fn remove_traces(place: &Place) {
    let results = Path::new("/var/lib/cni/results");
    for entry in fs::read_dir(results).into_iter().flatten().filter_map(Result::ok) {
        if entry.file_name().to_string_lossy().starts_with(NAMESPACE) {
            _ = fs::remove_file(entry.path());
        }
    }
    let links = Path::new("/var/log/containers");
    for entry in fs::read_dir(links).into_iter().flatten().filter_map(Result::ok) {
        if fs::read_link(entry.path()).is_ok_and(|target| target.starts_with(place.folder())) {
            _ = fs::remove_file(entry.path());
        }
    }
    let sockets = ["/run/containerd/s", "/run/containerd"].map(Path::new);
    for folder in [results, Path::new("/var/lib/cni"), links].into_iter().chain(sockets) {
        // Removed where it is empty: then nobody else uses it.
        _ = fs::remove_dir(folder);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_mounts_below_the_folder_are_ours() {
        let table = "1 2 8:1 / / rw - ext4 x rw\n1 2 8:1 / /var/c/a rw - tmpfs x rw\n1 2 8:1 / /var/cc rw - tmpfs x rw\n\
                     1 2 8:1 / /var/c/a/with\\040blank rw - tmpfs x rw\n";
        let found = mounts_in(table, Path::new("/var/c"));
        assert_eq!(found, [PathBuf::from("/var/c/a"), PathBuf::from("/var/c/a/with blank")]);
    }

    #[test]
    fn ending_waits_until_the_process_is_gone() {
        let mut child = std::process::Command::new("sleep").arg("600").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        end("a sleeper", |other| other == pid && !is_dead(other)).unwrap();
        assert!(is_dead(pid));
        child.wait().unwrap();
    }

    #[test]
    fn this_process_is_in_no_pod() {
        assert!(!is_in_pod(i32::try_from(std::process::id()).unwrap()));
    }
}
