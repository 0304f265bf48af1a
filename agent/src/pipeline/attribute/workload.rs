//! What a packet belongs to: a container, a pod, a systemd unit, the host itself, or only an address.

use std::net::IpAddr;

/// What kind of thing a workload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A container, of a pod or of none.
    Container,
    /// A pod, where the path names no container of it.
    Pod,
    /// A systemd unit or any other cgroup of the host.
    Unit,
    /// The root of the hierarchy: the kernel, or a machine whose containers are in cgroup v1 only.
    Host,
    /// Nothing but an address.
    Address,
    /// Nothing at all.
    Unknown,
}

/// Kubernetes' quality of service, by the slice that the kubelet put the pod into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Qos {
    /// Directly below `kubepods`.
    Guaranteed,
    /// Below `kubepods-burstable`.
    Burstable,
    /// Below `kubepods-besteffort`.
    BestEffort,
}

impl Qos {
    /// As documents write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Guaranteed => "guaranteed",
            Self::Burstable => "burstable",
            Self::BestEffort => "besteffort",
        }
    }
}

/// What runs the container, as far as the path says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Runtime {
    /// containerd.
    Containerd,
    /// CRI-O.
    CriO,
    /// Docker.
    Docker,
    /// Podman.
    Podman,
}

impl Runtime {
    /// As documents write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Containerd => "containerd",
            Self::CriO => "cri-o",
            Self::Docker => "docker",
            Self::Podman => "podman",
        }
    }
}

/// Who names the cgroups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Driver {
    /// Slices and scopes.
    Systemd,
    /// Plain folders.
    Cgroupfs,
}

/// What a packet belongs to, as its cgroup's path says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// Container's id in full.
    pub container_id: Option<String>,
    /// Pod's UID with dashes; of a static pod 32 hexadecimal digits.
    pub pod_uid: Option<String>,
    /// Quality of service of the pod.
    pub qos: Option<Qos>,
    /// What runs the container.
    pub runtime: Option<Runtime>,
    /// Who names the cgroups.
    pub driver: Option<Driver>,
    /// systemd unit, where it is no container.
    pub unit: Option<String>,
    /// Path of the cgroup below the root of its hierarchy; empty when it has none.
    pub path: String,
    kind: Kind,
    key: String,
}

impl Workload {
    /// A workload of the cgroup at this path; its kind and key follow from what was found in it.
    pub(super) fn of_path(path: String, found: Found) -> Self {
        let Found { container_id, pod_uid, qos, runtime, driver, unit } = found;
        let (kind, key) = match (&container_id, &pod_uid, &unit) {
            (Some(id), _, _) => (Kind::Container, format!("container/{id}")),
            (None, Some(uid), _) => (Kind::Pod, format!("pod/{uid}")),
            (None, None, Some(unit)) => (Kind::Unit, format!("unit/{}", through(&path, unit))),
            // Seen through a cgroup namespace the root is above: `/../..`.
            (None, None, None) if path.split('/').all(|part| matches!(part, "" | "..")) => {
                (Kind::Host, "host".to_owned())
            }
            (None, None, None) => (Kind::Unit, format!("unit{path}")),
        };
        Self { container_id, pod_uid, qos, runtime, driver, unit, path, kind, key }
    }

    /// A workload of which only the address is known.
    pub fn address(address: IpAddr) -> Self {
        Self::bare(Kind::Address, format!("address/{address}"))
    }

    /// A workload of which nothing is known.
    pub fn unknown() -> Self {
        Self::bare(Kind::Unknown, "unknown".to_owned())
    }

    /// What kind of thing it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What tells it from all other workloads of the cluster but for the node: `container/<id>`, `pod/<uid>`,
    /// `unit/<path>`, `host`, `address/<ip>`, `unknown`.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Whether the key is the same workload's on every node: containers and pods, not units and the host.
    pub fn is_global(&self) -> bool {
        matches!(self.kind, Kind::Container | Kind::Pod)
    }

    /// What tells it from all other workloads of the cluster: units and the host are told apart by node.
    pub fn global_key(&self, node: &str) -> String {
        if self.is_global() { self.key.clone() } else { format!("node/{node}/{}", self.key) }
    }

    /// As a person is told of it: the container's short id, the pod's UID, the unit, the address.
    pub fn label(&self) -> String {
        match self.kind {
            Kind::Container => self.container_id.as_deref().unwrap_or_default().chars().take(12).collect(),
            Kind::Pod => self.pod_uid.clone().unwrap_or_default(),
            Kind::Unit => self.unit.clone().unwrap_or_else(|| self.path.clone()),
            Kind::Host => "host".to_owned(),
            Kind::Address => self.key.trim_start_matches("address/").to_owned(),
            Kind::Unknown => "unknown".to_owned(),
        }
    }

    fn bare(kind: Kind, key: String) -> Self {
        let Found { container_id, pod_uid, qos, runtime, driver, unit } = Found::default();
        Self { container_id, pod_uid, qos, runtime, driver, unit, path: String::new(), kind, key }
    }
}

/// What the segments of a path said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub container_id: Option<String>,
    pub pod_uid: Option<String>,
    pub qos: Option<Qos>,
    pub runtime: Option<Runtime>,
    pub driver: Option<Driver>,
    pub unit: Option<String>,
}

/// The path up to and with the unit's segment, without the leading slash: two users' units of one name differ.
fn through<'p>(path: &'p str, unit: &str) -> &'p str {
    let path = path.trim_start_matches('/');
    match path.rfind(unit) {
        Some(start) => path.get(..start + unit.len()).unwrap_or(path),
        None => path,
    }
}
