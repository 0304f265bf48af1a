//! A node: one cgroup for everything that it starts, a namespace that plays the host (bridge for pods, route to the
//! DNS server), a namespace for the DNS server. Addresses are the same in every node; names carry the owner's pid.

use std::{
    fs::{self, File},
    io::Read as _,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Once,
        atomic::{AtomicU16, Ordering},
    },
};

use anyhow::{Context as _, Result};

use crate::{
    cgroup, claim,
    namespace::{self, Namespace},
    pod::PodBuilder,
    program,
};

/// IPv4 address of the DNS server.
pub const DNS_V4: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 53);
/// IPv6 address of the DNS server.
pub const DNS_V6: Ipv6Addr = Ipv6Addr::new(0xfd99, 0, 0, 0, 0, 0, 0, 0x53);
/// Address of the DNS Service, once `Node::add_service` made it.
pub const SERVICE_V4: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 10);

static SWEEP: Once = Once::new();

/// A node with its own cgroup and namespaces; everything in it ends when the value is dropped.
#[derive(Debug)]
pub struct Node {
    name: String,
    cgroup: PathBuf,
    folder: tempfile::TempDir,
    host: Namespace,
    dns: Namespace,
    pods: AtomicU16,
}

impl Node {
    /// Makes a node, after removing what runs that are gone left behind.
    pub fn start() -> Result<Self> {
        SWEEP.call_once(|| {
            if let Err(error) = sweep() {
                eprintln!("cannot remove what an earlier run left: {error:#}");
            }
        });
        let name = claim::name();
        let cgroup = cgroup::root()?.join(&name);
        cgroup::create(&cgroup)?;
        let host = Namespace::create(&format!("{name}-host"))?;
        let dns = Namespace::create(&format!("{name}-dns"))?;
        let folder = tempfile::Builder::new().prefix(claim::PREFIX).tempdir()?;
        let node = Self { name, cgroup, folder, host, dns, pods: AtomicU16::new(0) };
        node.connect()?;
        Ok(node)
    }

    /// Bridge for the pods, and a routed link to the DNS server. Link-local addresses are given by hand: the kernel
    /// takes up to a second for its own, and a router asks for its neighbours from them.
    fn connect(&self) -> Result<()> {
        self.host.set("net/ipv4/ip_forward", "1")?;
        self.host.set("net/ipv6/conf/all/forwarding", "1")?;
        self.host.ip(&format!(
            "link add br0 type bridge mcast_snooping 0\n\
             link set br0 addrgenmode none\n\
             address add 10.88.0.1/16 dev br0\n\
             address add fd88::1/64 dev br0 nodad\n\
             address add fe80::88/64 dev br0 nodad\n\
             link set br0 up\n\
             link add dns0 type veth peer name eth0 netns {}\n\
             link set dns0 addrgenmode none\n\
             address add 10.99.0.1/24 dev dns0\n\
             address add fd99::1/64 dev dns0 nodad\n\
             address add fe80::99/64 dev dns0 nodad\n\
             link set dns0 up\n\
             route add default via {DNS_V4}\n\
             route add default via {DNS_V6}\n",
            self.dns.name()
        ))?;
        self.dns.ip(&format!(
            "address add {DNS_V4}/24 dev eth0\n\
             address add {DNS_V6}/64 dev eth0 nodad\n\
             link set eth0 up\n\
             route add default via 10.99.0.1\n\
             route add default via fd99::1\n"
        ))
    }

    /// Name that its namespaces and its cgroup begin with.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its cgroup: what the agent takes for the root of the tree.
    pub fn cgroup(&self) -> &Path {
        &self.cgroup
    }

    /// A folder for files of this node, removed with it.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The namespace that plays the host: bridge, routes, address translation, pods with `hostNetwork`.
    pub fn host(&self) -> &Namespace {
        &self.host
    }

    /// The namespace of the DNS server.
    pub fn dns(&self) -> &Namespace {
        &self.dns
    }

    /// A pod to be described and started.
    pub fn pod(&self) -> PodBuilder<'_> {
        PodBuilder::new(self, self.pods.fetch_add(1, Ordering::Relaxed))
    }

    /// A command that runs as the systemd unit `unit` of this node, outside any pod, in the caller's namespaces.
    pub fn unit_command(&self, unit: &str, program: &Path) -> Result<Command> {
        let group = self.cgroup.join("system.slice").join(unit);
        cgroup::create(&group)?;
        Ok(command_in(&group, None, program))
    }

    /// Makes the DNS Service as kube-proxy does: port 53 of `SERVICE_V4` leads to port 5353 of the DNS server, for
    /// packets of pods and of the host itself.
    pub fn add_service(&self) -> Result<()> {
        for chain in ["PREROUTING", "OUTPUT"] {
            for protocol in ["udp", "tcp"] {
                let rule = format!(
                    "-t nat -A {chain} -d {SERVICE_V4} -p {protocol} --dport 53 -j DNAT --to-destination {DNS_V4}:5353"
                );
                self.iptables(&rule)?;
            }
        }
        Ok(())
    }

    /// Runs `iptables` in the host's namespace.
    pub fn iptables(&self, rule: &str) -> Result<()> {
        let net = format!("--net={}", self.host.path().display());
        let mut arguments = vec![net.as_str(), "iptables", "-w"];
        arguments.extend(rule.split(' '));
        program::run("nsenter", &arguments).map(drop)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Err(error) = cgroup::remove(&self.cgroup) {
            eprintln!("cannot remove {}: {error:#}", self.cgroup.display());
        }
    }
}

/// A command that moves itself into `group`, and into `namespace` where one is given, before it becomes `program`:
/// the pid that is spawned is the program's, and every socket it makes belongs to the group.
pub fn command_in(group: &Path, namespace: Option<&Path>, program: &Path) -> Command {
    // `ip netns exec` would mount /sys anew and hide the cgroup tree; nsenter does not.
    let script = match namespace {
        Some(_) => "echo 0 > \"$1\" && shift && exec nsenter --net=\"$1\" -- \"${@:2}\"",
        None => "echo 0 > \"$1\" && exec \"${@:2}\"",
    };
    let mut command = Command::new("bash");
    command.args(["--norc", "-c", script, "enter"]).arg(group.join("cgroup.procs"));
    if let Some(namespace) = namespace {
        command.arg(namespace);
    }
    command.arg(program);
    command
}

/// Address of the DNS server for clients that speak IPv6 or IPv4.
pub fn dns_address(v6: bool) -> IpAddr {
    if v6 { DNS_V6.into() } else { DNS_V4.into() }
}

/// `count` random bytes from the kernel.
pub fn random_bytes<const COUNT: usize>() -> Result<[u8; COUNT]> {
    let mut bytes = [0; COUNT];
    File::open("/dev/urandom")?.read_exact(&mut bytes).context("cannot read random bytes")?;
    Ok(bytes)
}

/// Removes cgroups and namespaces of runs whose process is gone.
fn sweep() -> Result<()> {
    for entry in fs::read_dir(cgroup::root()?)? {
        let entry = entry?;
        if claim::is_orphan(&entry.file_name().to_string_lossy()) {
            cgroup::remove(&entry.path())?;
        }
    }
    for name in namespace::list(claim::PREFIX)? {
        if claim::is_orphan(&name) {
            namespace::delete(&name)?;
        }
    }
    Ok(())
}
