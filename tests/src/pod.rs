//! A pod as the kubelet and the runtime make it: a cgroup of their naming, a network namespace of its own or the
//! host's, and processes inside.

use std::{
    fmt::Write as _,
    net::{Ipv4Addr, Ipv6Addr},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result};

use crate::{
    cgroup,
    client::Client,
    namespace::Namespace,
    node::{Node, command_in, random_bytes},
    program,
};

/// How the kubelet names cgroups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// `kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod<uid_>.slice/cri-containerd-<id>.scope`
    Systemd,
    /// `kubepods/burstable/pod<uid>/<id>`
    Cgroupfs,
}

/// A pod that is being described.
#[derive(Debug)]
pub struct PodBuilder<'n> {
    node: &'n Node,
    number: u16,
    driver: Driver,
    host_network: bool,
    uid: Option<String>,
}

impl<'n> PodBuilder<'n> {
    pub(crate) fn new(node: &'n Node, number: u16) -> Self {
        Self { node, number, driver: Driver::Systemd, host_network: false, uid: None }
    }

    /// Names the cgroup as this driver does.
    #[must_use]
    pub fn driver(mut self, driver: Driver) -> Self {
        self.driver = driver;
        self
    }

    /// Gives it the host's network namespace instead of one of its own.
    #[must_use]
    pub fn host_network(mut self) -> Self {
        self.host_network = true;
        self
    }

    /// Gives it the UID of a pod's object, or the hash of a static pod, instead of one of its own.
    #[must_use]
    pub fn uid(mut self, uid: &str) -> Self {
        self.uid = Some(uid.to_owned());
        self
    }

    /// Makes cgroup and namespace; no process runs yet.
    pub fn start(self) -> Result<Pod> {
        let uid = self.uid.clone().map_or_else(random_uid, Ok)?;
        let container = hex(&random_bytes::<32>()?);
        let cgroup = self.node.cgroup().join(group_path(self.driver, &uid, &container));
        cgroup::create(&cgroup)?;
        let [high, low] = self.number.to_be_bytes();
        let v4 = Ipv4Addr::new(10, 88, high.wrapping_add(1), low);
        let v6 = Ipv6Addr::new(0xfd88, 0, 0, 0, 0, 0, 1, self.number);
        let namespace = if self.host_network { None } else { Some(self.namespace(v4, v6)?) };
        let network = namespace.as_ref().unwrap_or(self.node.host()).path().to_owned();
        Ok(Pod { uid, container, cgroup, network, v4, v6, own: namespace })
    }

    fn namespace(&self, v4: Ipv4Addr, v6: Ipv6Addr) -> Result<Namespace> {
        let namespace = Namespace::create(&format!("{}-p{}", self.node.name(), self.number))?;
        self.node.host().ip(&format!(
            "link add p{0} type veth peer name eth0 netns {1}\nlink set p{0} master br0 up\n",
            self.number,
            namespace.name()
        ))?;
        namespace.ip(&format!(
            "address add {v4}/16 dev eth0\n\
             address add {v6}/64 dev eth0 nodad\n\
             link set eth0 up\n\
             route add default via 10.88.0.1\n\
             route add default via fd88::1\n"
        ))?;
        Ok(namespace)
    }
}

/// A pod with one container.
#[derive(Debug)]
pub struct Pod {
    /// Its UID, as Kubernetes writes it.
    pub uid: String,
    /// Id of its container, 64 hex digits.
    pub container: String,
    /// The container's cgroup.
    pub cgroup: PathBuf,
    /// IPv4 address (unused by a pod in the host's network).
    pub v4: Ipv4Addr,
    /// IPv6 address (unused by a pod in the host's network).
    pub v6: Ipv6Addr,
    network: PathBuf,
    own: Option<Namespace>,
}

impl Pod {
    /// Its own network namespace; an error where it uses the host's.
    pub fn namespace(&self) -> Result<&Namespace> {
        self.own.as_ref().context("this pod uses the host's network")
    }

    /// A command that will run inside the pod under the pid that `spawn` returns.
    pub fn command(&self, program: &str) -> Command {
        let mut command = command_in(&self.cgroup, Some(&self.network), Path::new(program));
        command.stdin(Stdio::null());
        command
    }

    /// Runs a program inside the pod to its end and returns what it printed.
    pub fn run(&self, program: &str, arguments: &[&str]) -> Result<String> {
        program::finish(self.command(program).args(arguments))
    }

    /// Starts the DNS client of these tests inside the pod.
    pub fn client(&self) -> Result<Client> {
        Client::spawn(self.command(&Client::program()?.to_string_lossy()))
    }
}

fn group_path(driver: Driver, uid: &str, container: &str) -> String {
    match driver {
        Driver::Systemd => format!(
            "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{}.slice/cri-containerd-{container}.scope",
            uid.replace('-', "_")
        ),
        Driver::Cgroupfs => format!("kubepods/burstable/pod{uid}/{container}"),
    }
}

fn random_uid() -> Result<String> {
    let hex = hex(&random_bytes::<16>()?);
    let mut uid = String::with_capacity(36);
    for (index, digit) in hex.chars().enumerate() {
        if matches!(index, 8 | 12 | 16 | 20) {
            uid.push('-');
        }
        uid.push(digit);
    }
    Ok(uid)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
