//! The way up: each step waits for what the next one needs, and says how long the cluster has taken so far.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use namewarden_tests::{program, wait};

use super::config::{self, NODE_NAME};
use super::daemon;
use super::images;
use super::network::{self, DNS, NODE};
use super::place::{Place, namespace};
use super::stop;
use crate::command::{output, say};
use crate::layout::Layout;

/// How long one step may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(180);

/// How long somebody who listens takes to be connected to.
const CONNECT: Duration = Duration::from_millis(200);

/// How often the API server is asked for what cannot be waited on.
const PACE: Duration = Duration::from_millis(200);

const COREDNS: &str = include_str!("coredns.yaml");
const UPSTREAM: &str = include_str!("upstream.corefile");

/// Says what is done and when.
pub struct Clock {
    started: Instant,
}

impl Clock {
    /// Starts now.
    pub fn start() -> Self {
        Self { started: Instant::now() }
    }

    /// Since the start.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// One line: seconds since the start, and what holds since.
    pub fn step(&self, what: &str) {
        println!("{:5.1} s  {what}", self.started.elapsed().as_secs_f64());
    }
}

/// Whether all of it runs and the API server says so.
pub fn is_up(place: &Place) -> bool {
    let daemons = daemon::list(place);
    let whole = daemons.len() == stop::ORDER.len() && daemons.iter().all(daemon::Daemon::runs);
    whole && namespace().exists() && is_ready(place)
}

/// Makes the folder, the network, starts every program; the node is ready and DNS answers once this returns.
pub fn start(layout: &Layout, place: &Place) -> Result<()> {
    if stop::stop(place)? {
        say("cluster: removed what an earlier one left");
    }
    let clock = Clock::start();
    let result = steps(layout, place, &clock);
    if result.is_err() {
        let kept = place.folder().with_extension("log");
        say(&format!("cluster: taking down what was started; the logs are kept in {}", kept.display()));
        _ = fs::remove_dir_all(&kept);
        _ = fs::rename(place.path("log"), &kept);
        _ = stop::stop(place);
    }
    result
}

fn steps(layout: &Layout, place: &Place, clock: &Clock) -> Result<()> {
    config::write(layout, place)?;
    network::make(place)?;
    clock.step("a network namespace, keys and settings");
    stop::remember_settings(place)?;
    stop::make_groups()?;
    fs::write(place.path(daemon::UPSTREAM), UPSTREAM.replace("UPSTREAM", NODE))?;
    for name in ["etcd", "kube-apiserver", "containerd", "coredns"] {
        daemon::start(place, name)?;
    }
    take_in_images(place)?;
    clock.step("containerd with images of CoreDNS and busybox");
    wait_for(place, "the API server", || is_ready(place))?;
    clock.step("the API server is ready");
    for name in ["kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy"] {
        daemon::start(place, name)?;
    }
    let manifests = COREDNS.replace("COREDNS_IMAGE", &images::coredns()).replace("DNS_ADDRESS", DNS);
    let manifests = manifests.replace("UPSTREAM", NODE);
    wait_for(place, "CoreDNS accepted by the API server", || apply(place, &manifests).is_ok())?;
    wait_for(place, "the node ready", || node_is_ready(place))?;
    clock.step("the node is ready");
    wait_for(place, "an answer of CoreDNS", || dns_answers(place))?;
    clock.step("CoreDNS answers at the address that pods are told");
    Ok(())
}

/// Applies manifests as the administrator.
pub fn apply(place: &Place, manifests: &str) -> Result<String> {
    program::finish_fed(place.kubectl().args(["apply", "--filename", "-"]), manifests)
}

/// Looks until it holds, or until a program of the cluster has ended.
fn wait_for(place: &Place, what: &str, mut holds: impl FnMut() -> bool) -> Result<()> {
    let mut next = Instant::now();
    wait::within(PATIENCE, what, || {
        if Instant::now() < next {
            return Ok(None);
        }
        daemon::check(place)?;
        let held = holds();
        // A look costs more than the wait for it: kubectl is started anew each time.
        next = Instant::now() + PACE;
        Ok(held.then_some(()))
    })
}

fn is_ready(place: &Place) -> bool {
    let address = format!("{NODE}:6443").parse::<SocketAddr>();
    let listens = address.is_ok_and(|address| TcpStream::connect_timeout(&address, CONNECT).is_ok());
    listens && output(place.kubectl().args(["get", "--raw", "/readyz"])).is_ok()
}

fn take_in_images(place: &Place) -> Result<()> {
    let archives = images::write(place)?;
    wait_for(place, "containerd", || output(place.ctr().arg("version")).is_ok())?;
    for archive in archives {
        output(place.ctr().args(["images", "import"]).arg(archive))?;
    }
    Ok(())
}

fn node_is_ready(place: &Place) -> bool {
    let path = "jsonpath={.status.conditions[?(@.type=='Ready')].status}";
    let mut get = place.kubectl();
    get.args(["get", "node", NODE_NAME, "--output", path]);
    output(&mut get).is_ok_and(|status| status == "True")
}

/// Asked as a pod asks: at the address of the service.
fn dns_answers(place: &Place) -> bool {
    let mut ask = place.inside(Path::new("busybox"));
    ask.args(["timeout", "2", "busybox", "nslookup", "kubernetes.default.svc.cluster.local.", DNS]);
    output(&mut ask).is_ok()
}
