//! What Kubernetes calls a pod: its names, beside the UID that the path of its cgroup bears.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Names of a pod, as far as its object says them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pod {
    /// UID of the object.
    pub uid: String,
    /// What the kubelet calls a static pod: the hash that its cgroup's path bears instead of the UID.
    pub static_hash: Option<String>,
    /// Of a static pod's mirror: how good its claim is, better ones first.
    #[serde(default)]
    pub claim: Claim,
    /// Whether other objects claim to mirror the same static pod; said by whoever finds it by its hash.
    #[serde(skip)]
    pub is_contested: bool,
    /// Whether it runs, as far as is known. What an earlier run knew of it is out of date.
    #[serde(skip)]
    pub life: Life,
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// First address.
    pub ip: Option<IpAddr>,
    /// Whether the address is the pod's alone: not its node's, and not given back since the pod ended. What an earlier run
    /// knew of it is out of date.
    #[serde(skip)]
    pub owns_ip: bool,
    /// Labels, those that are kept.
    pub labels: BTreeMap<String, String>,
    /// Labels that say which role it has; documents do not bear them.
    #[serde(default)]
    pub ruling_labels: BTreeMap<String, String>,
    /// What is done with what it asks. What an earlier run was told of roles is out of date.
    #[serde(skip)]
    pub role: Role,
    /// What owns it; `None` for a pod of nobody.
    pub owner: Option<Owner>,
    /// Service account that it runs under.
    pub service_account: Option<String>,
    /// Containers of all kinds: ordinary, init and ephemeral.
    pub containers: Vec<Container>,
}

/// How good an object's claim is to mirror a static pod: whoever may make a pod may annotate it so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Claim {
    /// Its owner is not its node, as the kubelet writes.
    pub is_unowned: bool,
    /// When the API server made it, in seconds since 1970.
    pub created: i64,
}

/// Whether a pod runs: those that do not make room first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Life {
    /// It is deleted.
    Gone,
    /// All its containers have ended.
    Ended,
    /// None of its containers was made yet: anybody can make such an object, however many.
    Waiting,
    /// Its kubelet has made a container of it.
    #[default]
    Running,
}

/// What is done with what a pod asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// It alerts.
    #[default]
    Watched,
    /// It asks on behalf of others, whose own questions alert: its own are counted.
    Resolver,
    /// The operator left it out: what it asks, and is asked, is counted.
    Excluded,
}

/// What owns a pod.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Owner {
    /// `Deployment`, `CronJob`, `DaemonSet`, …
    pub kind: String,
    /// Its name.
    pub name: String,
}

/// A container of a pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    /// Id in full, without its runtime's name; empty before it was made.
    pub id: String,
    /// Name in its pod.
    pub name: String,
    /// Image, as the manifest names it.
    pub image: String,
}

impl Pod {
    /// The container with this id.
    pub fn container(&self, id: &str) -> Option<&Container> {
        self.containers.iter().find(|container| !container.id.is_empty() && container.id == id)
    }

    /// The container with this name.
    pub fn container_named(&self, name: &str) -> Option<&Container> {
        self.containers.iter().find(|container| container.name == name)
    }

    /// The one container that its object names, as long as nobody told its id: whatever runs in the pod and asks is that one.
    /// (The sandbox asks nothing; a container that is added later is added to one whose id is told.)
    pub fn only_container(&self) -> Option<&Container> {
        let [container] = &*self.containers else { return None };
        container.id.is_empty().then_some(container)
    }

    /// What it is one of: `Deployment/cart`, or `Pod/cart` of a pod of nobody.
    pub fn kin(&self) -> String {
        match &self.owner {
            Some(owner) => format!("{}/{}", owner.kind, owner.name),
            None => format!("Pod/{}", self.name),
        }
    }

    /// As a person is told of it: `namespace/name`.
    pub fn label(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }
}

/// Whoever knows names of pods.
pub trait Pods: Debug + Send + Sync {
    /// Names of the pod that a cgroup's path calls so; also for a while after it is gone.
    fn pod(&self, uid: &str) -> Option<Arc<Pod>>;

    /// The pod of this node that alone has this address now; none where that is not sure.
    fn pod_at(&self, _address: IpAddr) -> Option<Arc<Pod>> {
        None
    }

    /// Whether names of pods may be known at all: where not, nobody waits for them.
    fn is_asked(&self) -> bool;
}

/// Where there is no Kubernetes.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoPods;

impl Pods for NoPods {
    fn pod(&self, _: &str) -> Option<Arc<Pod>> {
        None
    }

    fn is_asked(&self) -> bool {
        false
    }
}
