//! The programs that make up the cluster: how each is started, and whether it runs.
//!
//! They outlive the task that started them. Which ones there are is written down with the time at which each began, so that a
//! process id that was given anew is never taken for theirs.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use namewarden_tests::claim::start_time;

use super::config::NODE_NAME;
use super::network::{NODE, PODS, SERVICES};
use super::place::Place;

/// The file with name, process id and start of each.
const LIST: &str = "daemons";

/// What the resolver that the cluster's own asks is told.
pub const UPSTREAM: &str = "upstream.corefile";

/// Bytes of a log that an error shows.
const TAIL: usize = 3_000;

/// A program that was started.
#[derive(PartialEq, Eq, Debug)]
pub struct Daemon {
    /// Its name.
    pub name: String,
    /// Its process id.
    pub pid: u32,
    /// Clock ticks after boot at which it began.
    started: u64,
}

impl Daemon {
    /// Whether it still runs, it and no other of the same number.
    pub fn runs(&self) -> bool {
        start_time(self.pid) == Some(self.started) && !is_dead(self.pid)
    }
}

/// Those that were started, in this order.
pub fn list(place: &Place) -> Vec<Daemon> {
    parse(&fs::read_to_string(place.path(LIST)).unwrap_or_default())
}

fn parse(text: &str) -> Vec<Daemon> {
    let daemon = |line: &str| {
        let mut words = line.split(' ');
        let (name, pid, started) = (words.next()?, words.next()?, words.next()?);
        Some(Daemon { name: name.to_owned(), pid: pid.parse().ok()?, started: started.parse().ok()? })
    };
    text.lines().filter_map(daemon).collect()
}

/// Starts the program `name` inside the cluster's network.
pub fn start(place: &Place, name: &str) -> Result<()> {
    let path = place.path(&format!("log/{name}.log"));
    let log = File::options().create(true).append(true).open(&path)?;
    let program = place.programs().join(name);
    let mut command = match name {
        "containerd" => place.inside_with_mounts(&program),
        // It mounts what containers are given.
        "kubelet" => place.inside_with_mounts_of(running(place, "containerd")?, &program),
        _ => place.inside(&program),
    };
    command.args(arguments(place, name)).current_dir(place.folder());
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    // Ctrl-C is for the task, not for the cluster.
    command.process_group(0);
    let child = command.spawn().with_context(|| format!("cannot start {name}"))?;
    let pid = child.id();
    let started = start_time(pid).with_context(|| format!("{name} ended at once: see {}", path.display()))?;
    let mut list = File::options().create(true).append(true).open(place.path(LIST))?;
    writeln!(list, "{name} {pid} {started}")?;
    Ok(())
}

/// Ends the program `name` and starts it again, as a person who changes its settings does; what it started goes on.
pub fn restart(place: &Place, name: &str) -> Result<()> {
    let (ended, kept): (Vec<Daemon>, Vec<Daemon>) =
        list(place).into_iter().partition(|daemon| daemon.name == name);
    if ended.is_empty() {
        let known: Vec<&str> = kept.iter().map(|daemon| &*daemon.name).collect();
        bail!("no program of the cluster is called `{name}`: there are {}", known.join(", "));
    }
    ended.iter().try_for_each(super::stop::end_daemon)?;
    let lines = kept.iter().map(|Daemon { name, pid, started }| format!("{name} {pid} {started}\n"));
    let text: String = lines.collect();
    // Renamed, so that whoever reads it finds all of them.
    let draft = place.path("daemons.new");
    fs::write(&draft, text)?;
    fs::rename(draft, place.path(LIST))?;
    start(place, name)
}

/// The process id of one that runs.
fn running(place: &Place, name: &str) -> Result<u32> {
    let found = list(place).into_iter().find(|daemon| daemon.name == name && daemon.runs());
    Ok(found.with_context(|| format!("{name} does not run"))?.pid)
}

/// An error with what it said, when one of them has ended.
pub fn check(place: &Place) -> Result<()> {
    let Some(ended) = list(place).into_iter().find(|daemon| !daemon.runs()) else {
        return Ok(());
    };
    let path = place.path(&format!("log/{}.log", ended.name));
    let text = fs::read(&path).unwrap_or_default();
    let tail = text.get(text.len().saturating_sub(TAIL)..).unwrap_or_default();
    bail!("{} ended:\n{}", ended.name, String::from_utf8_lossy(tail));
}

/// One that ended is listed until its parent has asked after it.
fn is_dead(pid: u32) -> bool {
    let line = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    line.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('Z'))
}

fn arguments(place: &Place, name: &str) -> Vec<String> {
    match name {
        "etcd" => store(place),
        "kube-apiserver" => server(place),
        "containerd" => vec![format!("--config={}", place.text("containerd.toml"))],
        "kube-controller-manager" => vec![
            format!("--kubeconfig={}", place.text("controller-manager.kubeconfig")),
            format!("--service-account-private-key-file={}", place.text("accounts.key")),
            format!("--root-ca-file={}", place.text("certificates/apiserver.crt")),
            "--use-service-account-credentials=true".to_owned(),
            "--leader-elect=false".to_owned(),
            "--secure-port=0".to_owned(),
        ],
        "kube-scheduler" => vec![
            format!("--kubeconfig={}", place.text("scheduler.kubeconfig")),
            "--leader-elect=false".to_owned(),
            "--secure-port=0".to_owned(),
        ],
        "kubelet" => vec![
            format!("--config={}", place.text("kubelet.yaml")),
            format!("--kubeconfig={}", place.text("kubelet.kubeconfig")),
            format!("--root-dir={}", place.text("kubelet")),
            format!("--cert-dir={}", place.text("kubelet/pki")),
            format!("--hostname-override={NODE_NAME}"),
            format!("--node-ip={NODE}"),
        ],
        "coredns" => vec![format!("-conf={}", place.text(UPSTREAM))],
        "kube-proxy" => vec![
            format!("--kubeconfig={}", place.text("proxy.kubeconfig")),
            format!("--hostname-override={NODE_NAME}"),
            format!("--cluster-cidr={PODS}"),
            "--proxy-mode=iptables".to_owned(),
            "--iptables-min-sync-period=200ms".to_owned(),
            // The kernel's own bounds are left alone.
            "--conntrack-max-per-core=0".to_owned(),
        ],
        _ => Vec::new(),
    }
}

fn store(place: &Place) -> Vec<String> {
    let client = "http://127.0.0.1:2379";
    vec![
        format!("--data-dir={}", place.text("etcd")),
        format!("--listen-client-urls={client}"),
        format!("--advertise-client-urls={client}"),
        "--listen-peer-urls=http://127.0.0.1:2380".to_owned(),
        // The cluster does not outlive the machine's next start.
        "--unsafe-no-fsync".to_owned(),
    ]
}

fn server(place: &Place) -> Vec<String> {
    let key = place.text("accounts.key");
    vec![
        "--etcd-servers=http://127.0.0.1:2379".to_owned(),
        format!("--cert-dir={}", place.text("certificates")),
        format!("--token-auth-file={}", place.text("tokens.csv")),
        format!("--service-account-key-file={key}"),
        format!("--service-account-signing-key-file={key}"),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        format!("--service-cluster-ip-range={SERVICES}"),
        "--authorization-mode=Node,RBAC".to_owned(),
        "--enable-admission-plugins=NodeRestriction".to_owned(),
        "--allow-privileged=true".to_owned(),
        format!("--bind-address={NODE}"),
        format!("--advertise-address={NODE}"),
        "--secure-port=6443".to_owned(),
        format!("--kubelet-client-certificate={}", place.text("client.crt")),
        format!("--kubelet-client-key={}", place.text("client.key")),
        // The node's name is known to no resolver.
        "--kubelet-preferred-address-types=InternalIP".to_owned(),
        "--profiling=false".to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_process_of_the_same_number_is_does_not_count() {
        let pid = std::process::id();
        let started = start_time(pid).unwrap();
        let [here, other] = &parse(&format!("kubelet {pid} {started}\nold {pid} 1\nhalf a li"))[..] else {
            panic!("not two")
        };
        assert!(here.runs());
        assert!(!other.runs());
    }
}
