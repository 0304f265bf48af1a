//! A pod's object as the API server has it -> its names; only the fields that are needed are read.

use std::collections::BTreeMap;

use kube::api::ObjectMeta;
use kube::core::Object;
use serde::{Deserialize, Serialize};

use super::rules::Rules;
use crate::pipeline::attribute::pod::{Claim, Container, Life, Owner, Pod, Role};

/// What the kubelet calls a static pod; also on the object that mirrors it, where `MIRROR` says the same.
const STATIC_HASH: &str = "kubernetes.io/config.hash";
/// Makes an object the mirror of a static pod: no kubelet runs it.
const MIRROR: &str = "kubernetes.io/config.mirror";
/// Part of the name of every `ReplicaSet` that a Deployment made.
const TEMPLATE_HASH: &str = "pod-template-hash";
/// On every Job that a `CronJob` made; its name ends in the minute that it was made for.
const CRON_JOB_TIME: &str = "batch.kubernetes.io/cronjob-scheduled-timestamp";

/// Bytes of a name: what names of the API server's own objects take. It asks no more of an owner's than that there is one.
const NAME_MAX: usize = 253;
/// Bytes of an image's name.
const IMAGE_MAX: usize = 1024;
/// Containers of a pod.
const CONTAINERS_MAX: usize = 256;
/// Labels of a pod that documents bear.
const LABELS_MAX: usize = 128;

/// A pod's object, as far as it is read.
pub type PodObject = Object<Spec, Status>;

/// `spec`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Spec {
    service_account_name: Option<String>,
    host_network: bool,
    containers: Vec<SpecContainer>,
    init_containers: Vec<SpecContainer>,
    ephemeral_containers: Vec<SpecContainer>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct SpecContainer {
    name: String,
    image: String,
}

/// `status`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Status {
    phase: Option<String>,
    #[serde(rename = "podIP")]
    pod_ip: Option<String>,
    container_statuses: Vec<ContainerStatus>,
    init_container_statuses: Vec<ContainerStatus>,
    ephemeral_container_statuses: Vec<ContainerStatus>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ContainerStatus {
    name: String,
    #[serde(rename = "containerID")]
    container_id: Option<String>,
    /// Of the container before the last restart.
    last_state: Option<LastState>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct LastState {
    terminated: Option<Terminated>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Terminated {
    #[serde(rename = "containerID")]
    container_id: Option<String>,
}

/// Labels that are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Labels {
    /// Each of them.
    All,
    /// Those with these keys.
    Keys(Vec<String>),
}

impl Labels {
    fn of(&self, meta: &ObjectMeta) -> BTreeMap<String, String> {
        let labels = meta.labels.iter().flatten();
        let kept = labels.filter(|(key, _)| match self {
            Self::All => true,
            Self::Keys(keys) => keys.contains(key),
        });
        kept.take(LABELS_MAX).map(|(key, value)| (key.clone(), value.clone())).collect()
    }
}

/// The names in an object, and the role that the rules give it; `None` for one without UID. They are bounded, whoever wrote the object:
/// what is longer is cut.
pub fn names(object: &PodObject, labels: &Labels, rules: &Rules) -> Option<Pod> {
    let meta = &object.metadata;
    let status = object.status.clone().unwrap_or_default();
    let annotation = |key: &str| Some(cut(meta.annotations.as_ref()?.get(key)?, NAME_MAX));
    let pod = Pod {
        uid: meta.uid.clone()?,
        // Whoever bears the hash and is no mirror is a pod of his own.
        static_hash: annotation(STATIC_HASH).filter(|hash| annotation(MIRROR).as_ref() == Some(hash)),
        claim: Claim {
            is_unowned: !is_owned_by_node(meta),
            created: meta.creation_timestamp.as_ref().map_or(i64::MAX, |time| time.0.as_second()),
        },
        is_contested: false,
        life: life(&status),
        namespace: meta.namespace.clone().unwrap_or_default(),
        name: meta.name.clone().unwrap_or_default(),
        ip: status.pod_ip.as_ref().and_then(|ip| ip.parse().ok()),
        owns_ip: !object.spec.host_network && matches!(status.phase.as_deref(), Some("Pending" | "Running")),
        labels: labels.of(meta),
        ruling_labels: meta.labels.as_ref().map(|labels| rules.labels(labels)).unwrap_or_default(),
        role: Role::default(),
        owner: owner(meta),
        service_account: object.spec.service_account_name.clone().filter(|name| !name.is_empty()),
        containers: containers(&object.spec, &status),
    };
    Some(rules.judged(pod))
}

/// Whether its controller is a node, as the kubelet writes into the objects that mirror its static pods.
fn is_owned_by_node(meta: &ObjectMeta) -> bool {
    let owners = meta.owner_references.iter().flatten();
    owners.into_iter().any(|owner| owner.kind == "Node" && owner.controller == Some(true))
}

fn life(status: &Status) -> Life {
    let statuses =
        [&status.container_statuses, &status.init_container_statuses, &status.ephemeral_container_statuses];
    let is_made = statuses.into_iter().flatten().any(|status| status.container_id.is_some());
    match status.phase.as_deref() {
        Some("Succeeded" | "Failed") => Life::Ended,
        Some("Running") => Life::Running,
        _ if is_made => Life::Running,
        _ => Life::Waiting,
    }
}

/// Whoever controls the pod; through a `ReplicaSet` the Deployment, through a Job the
/// `CronJob`, as their names say.
fn owner(meta: &ObjectMeta) -> Option<Owner> {
    let owners = meta.owner_references.as_ref()?;
    let owner = owners.iter().find(|owner| owner.controller == Some(true)).or_else(|| owners.first())?;
    let (kind, name) = match &*owner.kind {
        "ReplicaSet" => ("Deployment", template_owner(meta, &owner.name)),
        "Job" => ("CronJob", cron_owner(meta, &owner.name)),
        _ => ("", None),
    };
    Some(match name {
        Some(name) => Owner { kind: kind.to_owned(), name: cut(name, NAME_MAX) },
        None => Owner { kind: cut(&owner.kind, NAME_MAX), name: cut(&owner.name, NAME_MAX) },
    })
}

/// The beginning of a text, in whole characters.
fn cut(text: &str, bytes: usize) -> String {
    text.get(..text.floor_char_boundary(bytes)).unwrap_or_default().to_owned()
}

fn template_owner<'n>(meta: &ObjectMeta, replica_set: &'n str) -> Option<&'n str> {
    let hash = meta.labels.as_ref()?.get(TEMPLATE_HASH)?;
    replica_set.strip_suffix(hash.as_str())?.strip_suffix('-').filter(|name| !name.is_empty())
}

fn cron_owner<'n>(meta: &ObjectMeta, job: &'n str) -> Option<&'n str> {
    let (name, minute) = job.rsplit_once('-')?;
    let is_marked = meta.annotations.as_ref().is_some_and(|all| all.contains_key(CRON_JOB_TIME));
    // Minutes since 1970: eight digits until the year 2160. Older controllers mark the Job alone, not its pods.
    let is_minute = minute.len() == 8 && minute.bytes().all(|byte| byte.is_ascii_digit());
    ((is_marked || is_minute) && !name.is_empty()).then_some(name)
}

fn containers(spec: &Spec, status: &Status) -> Vec<Container> {
    let wanted = spec.containers.iter().chain(&spec.init_containers).chain(&spec.ephemeral_containers);
    let image = |name: &str| {
        wanted.clone().find(|container| container.name == name).map(|container| &*container.image)
    };
    let statuses =
        [&status.container_statuses, &status.init_container_statuses, &status.ephemeral_container_statuses];
    let mut containers: Vec<Container> = Vec::new();
    for status in statuses.into_iter().flatten() {
        let last =
            status.last_state.as_ref().and_then(|last| last.terminated.as_ref()?.container_id.as_ref());
        for id in status.container_id.iter().chain(last) {
            containers.push(Container {
                id: cut(bare(id), NAME_MAX),
                name: cut(&status.name, NAME_MAX),
                image: cut(image(&status.name).unwrap_or_default(), IMAGE_MAX),
            });
        }
    }
    // Those that no status speaks of yet: what runs in them may be known by name.
    for SpecContainer { name, image } in wanted {
        if !containers.iter().any(|container| container.name == *name) {
            let (name, image) = (cut(name, NAME_MAX), cut(image, IMAGE_MAX));
            containers.push(Container { id: String::new(), name, image });
        }
    }
    containers.truncate(CONTAINERS_MAX);
    containers
}

/// `containerd://3f1c…` without its runtime.
fn bare(id: &str) -> &str {
    id.split_once("://").map_or(id, |(_, id)| id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(text: &str) -> PodObject {
        serde_json::from_str(text).unwrap()
    }

    fn owned(kind: &str, name: &str, more: &str) -> Option<Owner> {
        let text = format!(
            r#"{{"metadata": {{"uid": "u", "ownerReferences": [{{"apiVersion": "v1", "kind": "{kind}",
                "name": "{name}", "uid": "o", "controller": true}}]{more}}}, "spec": {{}}}}"#
        );
        names(&object(&text), &Labels::All, &Rules::default()).unwrap().owner
    }

    #[test]
    fn names_are_read_off_the_object() {
        let pod = names(
            &object(
                r#"{"apiVersion": "v1", "kind": "Pod",
                "metadata": {"uid": "u-1", "name": "cart-7d9f-x", "namespace": "shop",
                    "labels": {"app": "cart", "pod-template-hash": "7d9f"}},
                "spec": {"serviceAccountName": "cart", "nodeName": "n", "volumes": [{"name": "v"}],
                    "containers": [{"name": "app", "image": "cart:1"}], "initContainers": [{"name": "init", "image": "i"}]},
                "status": {"phase": "Running", "podIP": "10.1.2.3",
                    "containerStatuses": [{"name": "app", "containerID": "containerd://aa", "ready": true,
                        "lastState": {"terminated": {"containerID": "containerd://bb", "exitCode": 1}}}],
                    "initContainerStatuses": [{"name": "init", "containerID": "containerd://cc"}]}}"#,
            ),
            &Labels::Keys(vec!["app".to_owned()]),
            &Rules::default(),
        )
        .unwrap();
        assert_eq!(
            (&*pod.namespace, &*pod.name, pod.service_account.as_deref()),
            ("shop", "cart-7d9f-x", Some("cart"))
        );
        assert_eq!((pod.ip, pod.owns_ip), ("10.1.2.3".parse().ok(), true));
        assert_eq!(pod.labels.keys().collect::<Vec<_>>(), ["app"]);
        let named = |id: &str| pod.container(id).map(|container| (&*container.name, &*container.image));
        assert_eq!(
            (named("aa"), named("bb"), named("cc")),
            (Some(("app", "cart:1")), Some(("app", "cart:1")), Some(("init", "i")))
        );
        assert_eq!(named(""), None);
    }

    #[test]
    fn containers_of_every_kind_are_known_by_id_and_those_without_a_status_by_name() {
        let pod = object(
            r#"{"metadata": {"uid": "u"},
                "spec": {"containers": [{"name": "app", "image": "a"}, {"name": "late", "image": "l"}],
                    "initContainers": [{"name": "init", "image": "i"}],
                    "ephemeralContainers": [{"name": "debug", "image": "d", "targetContainerName": "app"}]},
                "status": {"containerStatuses": [{"name": "app", "containerID": "cri-o://aa"}, {"name": "late"}],
                    "initContainerStatuses": [{"name": "init", "containerID": "cri-o://bb"}],
                    "ephemeralContainerStatuses": [{"name": "debug", "containerID": "cri-o://cc"}]}}"#,
        );
        let pod = names(&pod, &Labels::All, &Rules::default()).unwrap();
        let image = |id: &str| pod.container(id).map(|container| &*container.image);
        assert_eq!((image("aa"), image("bb"), image("cc")), (Some("a"), Some("i"), Some("d")));
        assert_eq!(image("dd"), None, "a sandbox has no name");
        assert_eq!(pod.container_named("late").map(|container| &*container.image), Some("l"));
        assert_eq!(pod.container_named("other"), None);
    }

    #[test]
    fn names_that_somebody_made_endless_are_cut() {
        let long = "ä".repeat(500_000);
        let owner = owned(&long, &long, "").unwrap();
        assert_eq!((owner.kind.len(), owner.name.len()), (252, 252));
        let labels: Vec<String> = (0..10_000).map(|number| format!("\"l{number}\": \"v\"")).collect();
        let containers: Vec<String> = (0..1_000)
            .map(|number| format!(r#"{{"name": "c{number}", "image": "{}"}}"#, "i".repeat(2_000)))
            .collect();
        let text = format!(
            r#"{{"metadata": {{"uid": "u", "labels": {{{}}}}}, "spec": {{"containers": [{}]}}}}"#,
            labels.join(","),
            containers.join(",")
        );
        let pod = names(&object(&text), &Labels::All, &Rules::default()).unwrap();
        assert_eq!((pod.labels.len(), pod.containers.len()), (LABELS_MAX, CONTAINERS_MAX));
        assert!(pod.containers.iter().all(|container| container.image.len() == IMAGE_MAX));
    }

    #[test]
    fn a_deployment_owns_through_its_replica_set_and_a_cron_job_through_its_job() {
        let said =
            |owner: Option<Owner>| owner.map(|owner| format!("{}/{}", owner.kind, owner.name)).unwrap();
        let hash = r#", "labels": {"pod-template-hash": "7d9f8c"}"#;
        assert_eq!(said(owned("ReplicaSet", "cart-7d9f8c", hash)), "Deployment/cart");
        assert_eq!(said(owned("ReplicaSet", "cart-7d9f8c", "")), "ReplicaSet/cart-7d9f8c");
        assert_eq!(said(owned("Job", "backup-29384756", "")), "CronJob/backup");
        let mark =
            r#", "annotations": {"batch.kubernetes.io/cronjob-scheduled-timestamp": "2026-11-28T00:00:00Z"}"#;
        assert_eq!(said(owned("Job", "backup-1", mark)), "CronJob/backup");
        assert_eq!(said(owned("Job", "import", "")), "Job/import");
        assert_eq!(said(owned("DaemonSet", "agent", "")), "DaemonSet/agent");
    }

    #[test]
    fn a_nodes_address_and_one_that_was_given_back_are_no_pods_own() {
        for (network, phase) in [("true", "Running"), ("false", "Succeeded"), ("false", "Failed")] {
            let text = format!(
                r#"{{"metadata": {{"uid": "u"}}, "spec": {{"hostNetwork": {network}}},
                    "status": {{"phase": "{phase}", "podIP": "10.1.2.3"}}}}"#
            );
            assert!(
                !names(&object(&text), &Labels::All, &Rules::default()).unwrap().owns_ip,
                "{network} {phase}"
            );
        }
    }

    #[test]
    fn a_mirrored_static_pod_bears_the_kubelets_hash() {
        let hash = |annotations: &str| {
            let text =
                format!(r#"{{"metadata": {{"uid": "u", "annotations": {{{annotations}}}}}, "spec": {{}}}}"#);
            names(&object(&text), &Labels::All, &Rules::default()).unwrap().static_hash
        };
        let (hashed, mirror) =
            (r#""kubernetes.io/config.hash": "abc""#, r#""kubernetes.io/config.mirror": "abc""#);
        assert_eq!(hash(&format!("{hashed}, {mirror}")).as_deref(), Some("abc"));
        assert_eq!(hash(hashed), None, "a pod that calls itself so is no mirror");
        assert_eq!(hash(&format!("{hashed}, {}", mirror.replace("abc", "abd"))), None);
    }

    #[test]
    fn a_mirrors_claim_is_better_where_its_node_owns_it_and_older_ones_are() {
        let claim = |time: &str, owner: &str| {
            let text = format!(
                r#"{{"metadata": {{"uid": "u", "creationTimestamp": "2026-11-28T{time}Z", "ownerReferences": [{{
                    "apiVersion": "v1", "kind": "{owner}", "name": "n", "uid": "o", "controller": true}}]}}, "spec": {{}}}}"#
            );
            names(&object(&text), &Labels::All, &Rules::default()).unwrap().claim
        };
        let (old, new) = (claim("10:00:00", "Node"), claim("10:00:01", "Node"));
        assert!(old < new && new < claim("09:00:00", "ReplicaSet"), "{old:?} {new:?}");
    }

    #[test]
    fn a_pod_runs_once_its_kubelet_made_a_container_and_until_all_have_ended() {
        let life = |status: &str| {
            let text = format!(r#"{{"metadata": {{"uid": "u"}}, "spec": {{}}, "status": {{{status}}}}}"#);
            names(&object(&text), &Labels::All, &Rules::default()).unwrap().life
        };
        assert_eq!((life(""), life(r#""phase": "Pending""#)), (Life::Waiting, Life::Waiting));
        let made = r#""phase": "Pending", "initContainerStatuses": [{"name": "i", "containerID": "c://1"}]"#;
        assert_eq!((life(made), life(r#""phase": "Running""#)), (Life::Running, Life::Running));
        assert_eq!(
            (life(r#""phase": "Failed""#), life(r#""phase": "Succeeded""#)),
            (Life::Ended, Life::Ended)
        );
    }

    #[test]
    fn an_object_without_uid_names_nothing() {
        assert_eq!(
            names(&object(r#"{"metadata": {"name": "x"}, "spec": {}}"#), &Labels::All, &Rules::default()),
            None
        );
    }
}
