//! An agent's part in a cluster, for `cargo xtask bench`.
//!
//! `nodes attribute`: what it costs to say whose a message is, of 250 pods that are known; prints `{"name":…,"value":…}`.
//! `nodes follow KUBECONFIG COUNT`: as many agents follow the pods of their nodes (`node-0`, `node-1`, …), each with a connection
//! of its own; prints `following` once each of them knows of a pod, and goes on until it is ended.

use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::MetadataExt as _,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use namewarden_agent::{
    machine::LiveMachine,
    pipeline::{
        attribute::{Attribution, Attributor, pod::NoPods},
        packet::{Direction, Origin, RawMessage, Timestamp, Transport},
    },
    pods::{Follower, Labels, Rules, Settings},
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const PODS: usize = 250;
const PASSES: usize = 400;
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(100);

fn main() -> Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["attribute"] => attribute(),
        ["follow", kubeconfig, count] => follow(Path::new(kubeconfig), count.parse().context("COUNT")?),
        _ => bail!("usage: nodes attribute | nodes follow KUBECONFIG COUNT"),
    }
}

/// The quickest pass is taken: whatever disturbs one only adds to it.
#[expect(clippy::cast_precision_loss, reason = "figures")]
fn attribute() -> Result<()> {
    let root = std::env::temp_dir().join(format!("namewarden-nodes-{}", std::process::id()));
    let ids = groups(&root)?;
    let mut attributor = Attributor::new(LiveMachine::start(&root, None)?);
    let began = Instant::now();
    while ids.iter().any(|id| attributor.attribute(&message(*id), &NoPods).attribution != Attribution::Cgroup)
    {
        anyhow::ensure!(began.elapsed() < PATIENCE, "not all pods become known");
    }
    let mut quickest = f64::MAX;
    for _ in 0..PASSES {
        let began = Instant::now();
        for id in &ids {
            std::hint::black_box(attributor.attribute(std::hint::black_box(&message(*id)), &NoPods));
        }
        quickest = quickest.min(began.elapsed().as_secs_f64() * 1e9 / ids.len() as f64);
    }
    fs::remove_dir_all(&root)?;
    println!("{{\"name\":\"attribution\",\"value\":{quickest}}}");
    Ok(())
}

/// Folders as containers' cgroups are called; their numbers.
fn groups(root: &Path) -> Result<Vec<u64>> {
    let group = |number: usize| {
        let path = format!("kubepods/burstable/pod{number:08x}-0000-4000-8000-000000000000/{number:064x}");
        let path = root.join(path);
        fs::create_dir_all(&path)?;
        Ok(fs::metadata(&path)?.ino())
    };
    (0..PODS).map(group).collect()
}

/// A query of a process whose socket is in this cgroup.
fn message(cgroup_id: u64) -> RawMessage<'static> {
    let mut thread_name = [0; 16];
    thread_name[..4].copy_from_slice(b"curl");
    let origin = Origin {
        cgroup_id,
        owner_cgroup_id: cgroup_id,
        socket: 77,
        pid: 4711,
        tid: 4711,
        thread_name,
        server: false,
    };
    RawMessage {
        time: Timestamp(1_795_359_600_000_000_000),
        transport: Transport::Udp,
        direction: Direction::Egress,
        source: SocketAddr::from(([10, 1, 0, 7], 40_000)),
        destination: SocketAddr::from(([10, 96, 0, 10], 53)),
        origin,
        frame: 0,
        bytes: &[],
    }
}

#[tokio::main(flavor = "current_thread")]
async fn follow(kubeconfig: &Path, count: usize) -> Result<()> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut directories = Vec::with_capacity(count);
    for number in 0..count {
        let follower = Follower::connect(&Settings {
            kubeconfig: Some(kubeconfig.to_owned()),
            node: format!("node-{number}"),
            labels: Labels::All,
            rules: Rules::default(),
            state_dir: None,
        })
        .await?;
        directories.push(follower.directory());
        tokio::spawn(follower.run());
    }
    while directories.iter().any(|directory| directory.counts().known == 0) {
        tokio::time::sleep(LOOK).await;
    }
    println!("following");
    let told =
        |known: u64| directories.iter().map(|directory| directory.counts().known).sum::<u64>() >= known;
    // What is made from now on is told too.
    let at_first: u64 = directories.iter().map(|directory| directory.counts().known).sum();
    while !told(at_first + count as u64) {
        tokio::time::sleep(LOOK).await;
    }
    println!("told");
    std::future::pending().await
}
