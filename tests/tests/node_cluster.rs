//! `cargo xtask cluster`: one whose maker is killed is taken down whole, by what the kernel knows of it. Needs root.

use std::{
    env, fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use namewarden_tests::{program, wait};

const NAMESPACE: &str = "/run/netns/namewarden-cluster";

/// How long a cluster of other tests may take to go.
const PATIENCE: Duration = Duration::from_secs(60);

fn xtask() -> Result<PathBuf> {
    Ok(PathBuf::from(env::var_os("NAMEWARDEN_XTASK").context("run `cargo xtask test node`")?))
}

fn folder() -> PathBuf {
    env::var_os("NAMEWARDEN_CLUSTER").map_or_else(|| "/var/lib/namewarden-cluster".into(), PathBuf::from)
}

/// Processes of a network namespace, by the inode of its file.
fn inhabitants(inode: u64) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")?.filter_map(Result::ok) {
        let is_inside = fs::metadata(entry.path().join("ns/net")).is_ok_and(|file| file.ino() == inode);
        if is_inside {
            found.push(fs::read_to_string(entry.path().join("comm")).unwrap_or_default().trim().to_owned());
        }
    }
    Ok(found)
}

/// What is there of a cluster, in words.
fn left(inode: u64) -> Result<Vec<String>> {
    let mut left = inhabitants(inode)?;
    let places = [folder(), NAMESPACE.into(), "/sys/class/net/nwcluster".into()];
    left.extend(places.iter().filter(|place| place.exists()).map(|place| place.display().to_string()));
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    let ours = folder().display().to_string();
    left.extend(mounts.lines().filter(|line| line.contains(&ours)).map(str::to_owned));
    for line in mounts.lines().filter(|line| line.contains(" - cgroup")) {
        let root = line.split(' ').nth(4).context("a mount without a place")?;
        let group = Path::new(root).join("namewarden-cluster");
        left.extend(group.exists().then(|| group.display().to_string()));
    }
    Ok(left)
}

#[test]
fn a_cluster_whose_maker_was_killed_is_taken_down_whole() -> Result<()> {
    let is_free = || Ok((!folder().exists() && !Path::new(NAMESPACE).exists()).then_some(()));
    wait::within(PATIENCE, "no other cluster: `cargo xtask cluster down` ends one", is_free)?;
    let mut up = Command::new(xtask()?);
    up.args(["cluster", "up"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut up = up.spawn()?;
    let kept = folder();
    let started = wait::within(PATIENCE, "a kubelet", || {
        let text = fs::read_to_string(kept.join("daemons")).unwrap_or_default();
        Ok(text.contains("kubelet ").then_some(()))
    });
    up.kill()?;
    up.wait()?;
    let inode = fs::metadata(NAMESPACE).map(|file| file.ino()).unwrap_or_default();
    let inhabitants = inhabitants(inode)?;
    // Without its list of programs, too.
    let list = fs::remove_file(kept.join("daemons"));
    let down = program::finish(Command::new(xtask()?).args(["cluster", "down"]))?;
    started?;
    list?;
    ensure!(inhabitants.len() >= 4, "only {inhabitants:?} ran");
    ensure!(down.contains("nothing of it is left"), "{down}");
    let left = left(inode)?;
    ensure!(left.is_empty(), "{left:#?}");
    let again = program::finish(Command::new(xtask()?).args(["cluster", "down"]))?;
    ensure!(again.contains("there is no cluster"), "{again}");
    Ok(())
}
