//! Origin of a packet -> the workload and the process behind it, and how they were found.
//!
//! What the machine knows (the cgroup tree, the process table) is asked through [`Machine`], so that this stage reads no
//! file: a replay and the tests bring tables. What cannot be known stays empty; nothing is guessed.

use std::net::IpAddr;
use std::sync::Arc;

use super::packet::{Direction, Origin, RawMessage, Timestamp};

// What a packet belongs to: a container, a pod, a unit, the host, an address.
pub mod workload;

// Path of a cgroup -> workload.
pub mod cgroup_path;

// What Kubernetes calls a pod.
pub mod pod;

// What is known of a pod beside its UID.
mod hints;

pub use workload::{Driver, Kind, Qos, Runtime, Workload};

use pod::{Pod, Pods};

/// What this machine knows of cgroups and processes; nothing, where nothing else is said.
pub trait Machine {
    /// The workload of a cgroup of the cgroup2 hierarchy, by inode; also for a while after it is gone.
    fn cgroup(&mut self, _id: u64) -> Option<Arc<Workload>> {
        None
    }

    /// Name of the process (its thread-group leader) that had this id at that time.
    fn process_name(&mut self, _pid: u32, _at: Timestamp) -> Option<Arc<str>> {
        None
    }

    /// Name of the thread of that process that had this id at that time.
    fn thread_name(&mut self, _pid: u32, _tid: u32, _at: Timestamp) -> Option<Arc<str>> {
        None
    }

    /// The workload of the process that had this id at that time, by its cgroup path of any hierarchy.
    fn process_cgroup(&mut self, _pid: u32, _at: Timestamp) -> Option<Arc<Workload>> {
        None
    }

    /// Name of the pod's container that the process of that time runs in.
    fn container_name(&mut self, _pid: u32, _pod_uid: &str, _at: Timestamp) -> Option<Arc<str>> {
        None
    }

    /// Name of the pod's container with this id, as any process says that runs in it now.
    fn name_of_container(&mut self, _id: &str, _pod_uid: &str) -> Option<Arc<str>> {
        None
    }
}

/// A machine that knows nothing: what a replay has.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoMachine;

impl Machine for NoMachine {}

/// How the workload was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Attribution {
    /// By the task that connected or sent: its cgroup, or its pid's.
    Process,
    /// By the cgroup that the socket was made in.
    Cgroup,
    /// By the client's address only.
    Address,
    /// Not at all: an address of the machine itself says nothing.
    None,
}

impl Attribution {
    /// As documents write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Cgroup => "cgroup",
            Self::Address => "address",
            Self::None => "none",
        }
    }
}

/// The process behind a packet, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Process {
    /// Thread-group id in the host's pid namespace; 0 when unknown.
    pub pid: u32,
    /// Name of the process; `None` when unknown.
    pub name: Option<Arc<str>>,
    /// Thread id; 0 when unknown.
    pub tid: u32,
    /// Name of the thread; `None` when unknown.
    pub thread_name: Option<Arc<str>>,
}

/// What a packet was attributed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attributed {
    /// Whom it belongs to.
    pub workload: Arc<Workload>,
    /// Which process of it.
    pub process: Process,
    /// How that was found.
    pub attribution: Attribution,
    /// Whether its pod was known when the message came, as one that is watched: what it becomes later takes nothing back.
    pub is_watched: bool,
}

/// What is known of a pod by other means than the UID and the ids of its object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hints {
    /// Name of the container, as the process's mounts say.
    pub container: Option<Arc<str>>,
    /// The pod that alone had the client's address when the message came, where nothing but the address is known.
    pub pod_at: Option<Arc<Pod>>,
}

/// Messages by how their workload was found; the sum is the number of messages attributed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AttributeCounts {
    /// Messages that came in.
    pub seen: u64,
    /// Found by the task that connected or sent.
    pub process: u64,
    /// Found by the socket's cgroup.
    pub cgroup: u64,
    /// Found by the client's address only.
    pub address: u64,
    /// Not found.
    pub none: u64,
    /// Of all, those whose process has a name.
    pub named_processes: u64,
}

/// The stage.
#[derive(Debug)]
pub struct Attributor<M> {
    machine: M,
    nobody: Arc<Workload>,
    names: hints::ContainerNames,
    counts: AttributeCounts,
}

impl<M: Machine> Attributor<M> {
    /// A stage that asks this machine.
    pub fn new(machine: M) -> Self {
        Self {
            machine,
            nobody: Arc::new(Workload::unknown()),
            names: hints::ContainerNames::default(),
            counts: AttributeCounts::default(),
        }
    }

    /// Counted so far.
    pub fn counts(&self) -> AttributeCounts {
        self.counts
    }

    /// Says whom a message belongs to.
    pub fn attribute(&mut self, message: &RawMessage<'_>, pods: &dyn Pods) -> Attributed {
        let (workload, attribution) = self.workload(message, pods);
        let process = self.process(&message.origin, message.time);
        self.count(attribution, &process);
        Attributed { workload, process, attribution, is_watched: false }
    }

    /// The task that connected or sent wins over the socket's maker: a process may move, a socket may be handed on.
    fn workload(&mut self, message: &RawMessage<'_>, pods: &dyn Pods) -> (Arc<Workload>, Attribution) {
        let (origin, local) = (&message.origin, own_address(message));
        let socket = self.cgroup(origin.cgroup_id);
        let owner = if origin.owner_cgroup_id == origin.cgroup_id {
            None
        } else {
            self.cgroup(origin.owner_cgroup_id)
        };
        let found = match (owner, socket) {
            // Another cgroup of the same container (a service inside it) is no other workload.
            (Some(owner), Some(socket)) if owner.key() == socket.key() => Some((socket, Attribution::Cgroup)),
            (Some(owner), _) => Some((owner, Attribution::Process)),
            (None, Some(socket)) => Some((socket, Attribution::Cgroup)),
            (None, None) => None,
        };
        match found {
            Some((workload, attribution)) if workload.kind() != Kind::Host => (workload, attribution),
            // Where pods are in cgroup v1 only, every packet carries the root of cgroup2: the pid leads further. Where its process is
            // gone, a pod's address is no host's.
            rest => {
                let process = self.by_pid(origin, message.time);
                // A shell of the host's inside a pod's network is the host's.
                let is_hosts = process.as_ref().is_some_and(|process| process.kind() == Kind::Host);
                let inside = process.filter(|_| !is_hosts).map(|process| (process, Attribution::Process));
                let host = || rest.filter(|_| is_hosts || pods.pod_at(local).is_none());
                inside.or_else(host).unwrap_or_else(|| self.by_address(local))
            }
        }
    }

    fn cgroup(&mut self, id: u64) -> Option<Arc<Workload>> {
        if id == 0 { None } else { self.machine.cgroup(id) }
    }

    fn by_pid(&mut self, origin: &Origin, at: Timestamp) -> Option<Arc<Workload>> {
        if origin.pid == 0 { None } else { self.machine.process_cgroup(origin.pid, at) }
    }

    fn by_address(&self, local: IpAddr) -> (Arc<Workload>, Attribution) {
        if local.is_loopback() || local.is_unspecified() {
            return (self.nobody.clone(), Attribution::None);
        }
        (Arc::new(Workload::address(local)), Attribution::Address)
    }

    /// Names that the kernel half gave are those of the moment of sending; what it may not say is read from the process
    /// table at once.
    fn process(&mut self, origin: &Origin, at: Timestamp) -> Process {
        let Origin { pid, tid, thread_name, .. } = *origin;
        let given = text(&thread_name);
        let (name, thread_name) = match given {
            _ if pid == 0 => (None, given),
            // The leader's thread is named as the process is.
            Some(name) if pid == tid => (Some(name.clone()), Some(name)),
            Some(thread) => (self.machine.process_name(pid, at), Some(thread)),
            None => (self.machine.process_name(pid, at), self.thread_name(pid, tid, at)),
        };
        Process { pid, name, tid, thread_name }
    }

    fn thread_name(&mut self, pid: u32, tid: u32, at: Timestamp) -> Option<Arc<str>> {
        if tid == 0 { None } else { self.machine.thread_name(pid, tid, at) }
    }

    fn count(&mut self, attribution: Attribution, process: &Process) {
        self.counts.seen += 1;
        self.counts.named_processes += u64::from(process.name.is_some());
        *match attribution {
            Attribution::Process => &mut self.counts.process,
            Attribution::Cgroup => &mut self.counts.cgroup,
            Attribution::Address => &mut self.counts.address,
            Attribution::None => &mut self.counts.none,
        } += 1;
    }
}

/// Address of the socket's own end: sender on the way out, receiver on the way in.
fn own_address(message: &RawMessage<'_>) -> IpAddr {
    let own = match message.direction {
        Direction::Egress => message.source,
        Direction::Ingress => message.destination,
    };
    own.ip().to_canonical()
}

/// Name up to its first NUL; none when empty.
fn text(name: &[u8; 16]) -> Option<Arc<str>> {
    let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
    let name = String::from_utf8_lossy(name.get(..end)?);
    if name.is_empty() { None } else { Some(Arc::from(name.as_ref())) }
}

#[cfg(test)]
mod tests;
