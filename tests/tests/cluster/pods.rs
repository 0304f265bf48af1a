//! The agent names pods as the API server does: by an object with the UID that the cgroup's path bears.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};
use namewarden_tests::{
    agent::{Agent, AgentBuilder},
    client::Client,
    kube::Cluster,
    node::Node,
    pod::Pod,
    server::{Server, Zone},
    wait,
};
use serde_json::{Value, json};

/// The role that ships.
const ROLE: &str = include_str!("../../../deploy/rbac/agent.yaml");

pub(crate) const DNS: &str = "10.99.0.53:53";

/// An API server with a Deployment's pod in it, and the node that runs it.
pub(crate) struct Scene {
    server: Server,
    pod: Pod,
    pub(crate) node: Node,
    kubeconfig: PathBuf,
    pub(crate) cluster: Cluster,
}

const CART: &str = "
apiVersion: v1
kind: Pod
metadata:
  name: cart-7d9f8c-x2x4z
  namespace: shop
  labels: {app: cart, pod-template-hash: 7d9f8c, secret-label: x}
  ownerReferences:
  - {apiVersion: apps/v1, kind: ReplicaSet, name: cart-7d9f8c, uid: 11111111-2222-3333-4444-555555555555, controller: true}
spec:
  nodeName: node-1
  serviceAccountName: cart
  automountServiceAccountToken: false
  containers:
  - {name: app, image: 'registry.example/cart:1.2'}
";

impl Scene {
    pub(crate) fn start() -> Result<Self> {
        Self::start_on(Cluster::start()?)
    }

    fn start_on(cluster: Cluster) -> Result<Self> {
        for words in
            ["create namespace shop", "create namespace namewarden", "create sa cart --namespace shop"]
        {
            cluster.kubectl(words)?;
        }
        cluster.apply(ROLE)?;
        cluster.apply(CART)?;
        let account =
            cluster.service_account("namewarden", "namewarden-agent", "https://kubernetes.default.svc")?;
        let kubeconfig = cluster.kubeconfig(&account)?;
        let uid = uid(&cluster, "shop", "cart-7d9f8c-x2x4z")?;
        let node = Node::start()?;
        let server = Server::start(node.dns(), Zone::new())?;
        let pod = node.pod().uid(&uid).start()?;
        let status = format!(
            "{{\"status\":{{\"podIP\":\"{}\",\"podIPs\":[{{\"ip\":\"{}\"}}],\"containerStatuses\":[{{\"name\":\"app\",\
             \"image\":\"i\",\"imageID\":\"\",\"ready\":true,\"restartCount\":0,\"containerID\":\"containerd://{}\"}}]}}}}",
            pod.v4, pod.v4, pod.container
        );
        let words = "patch pod cart-7d9f8c-x2x4z --namespace shop --subresource status --type merge --patch";
        cluster.kubectl(&format!("{words} {status}"))?;
        Ok(Self { server, pod, node, kubeconfig, cluster })
    }

    /// UID of a pod's object.
    pub(crate) fn uid(&self, namespace: &str, name: &str) -> Result<String> {
        uid(&self.cluster, namespace, name)
    }

    fn agent(&self) -> Result<Agent> {
        self.agent_with(&[])
    }

    pub(crate) fn agent_with(&self, more: &[&str]) -> Result<Agent> {
        let kubeconfig = self.kubeconfig.to_string_lossy();
        let names = ["--kubeconfig", &kubeconfig, "--node-name", "node-1"];
        let builder = AgentBuilder::new("agent").feed("bad", "evil.example\n").arguments(&names);
        builder.arguments(more).start(&self.node)
    }
}

/// The object by which the API server knows a static pod; it may name no service account.
fn mirror(name: &str, hash: &str) -> String {
    let marks = format!("{{kubernetes.io/config.hash: {hash}, kubernetes.io/config.mirror: {hash}}}");
    CART.replace("cart-7d9f8c-x2x4z", name)
        .replace("  labels:", &format!("  annotations: {marks}\n  labels:"))
        .replace("  serviceAccountName: cart\n", "")
}

/// The same, as the kubelet of its node makes it.
fn owned_by_node(mirror: &str) -> String {
    mirror.replace(
        "apiVersion: apps/v1, kind: ReplicaSet, name: cart-7d9f8c",
        "apiVersion: v1, kind: Node, name: node-1",
    )
}

fn uid(cluster: &Cluster, namespace: &str, name: &str) -> Result<String> {
    let object = cluster.read(&format!("/api/v1/namespaces/{namespace}/pods/{name}"))?;
    Ok(object.pointer("/metadata/uid").and_then(Value::as_str).context("no UID")?.to_owned())
}

/// Asks for the listed name in this pod; the alert.
fn ask(agent: &Agent, pod: &Pod) -> Result<Value> {
    let mut client = pod.client()?;
    client.tell_all(&["udp4", &format!("ask evil.example A {DNS}")])?;
    agent.wait_for("the alert", |document| {
        document.pointer("/kubernetes/pod/uid").is_some_and(|value| *value == *pod.uid)
    })
}

fn wait_for_names(agent: &Agent) -> Result<()> {
    wait::until("the pod's names", || Ok((agent.metric("namewarden_pods_known", "")? > 0).then_some(())))
}

fn assert_named(alert: &Value) {
    for (path, value) in [
        ("/kubernetes/namespace", "shop"),
        ("/kubernetes/pod/name", "cart-7d9f8c-x2x4z"),
        ("/kubernetes/owner/kind", "Deployment"),
        ("/kubernetes/owner/name", "cart"),
        ("/kubernetes/service_account", "cart"),
        ("/kubernetes/labels/app", "cart"),
        ("/container/name", "app"),
        ("/container/image/name", "registry.example/cart:1.2"),
        ("/orchestrator/namespace", "shop"),
        ("/orchestrator/resource/name", "cart-7d9f8c-x2x4z"),
        ("/orchestrator/resource/parent/type", "deployment"),
        ("/process/name", "dns-client"),
    ] {
        assert_eq!(alert.pointer(path).and_then(Value::as_str), Some(value), "{path} of {alert:#}");
    }
    assert_eq!(alert.pointer("/kubernetes/labels/secret-label"), None);
    let message = alert.pointer("/message").and_then(Value::as_str).unwrap_or_default();
    assert!(message.starts_with("shop/cart-7d9f8c-x2x4z (dns-client) asked for evil.example"), "{message}");
}

#[test]
fn an_alert_names_pod_owner_container_image_and_service_account() -> Result<()> {
    let scene = Scene::start()?;
    let agent = scene.agent()?;
    wait_for_names(&agent)?;
    assert_named(&ask(&agent, &scene.pod)?);
    let ended = agent.stop()?;
    assert!(!ended.log.contains("forbidden"), "{}", ended.log);
    Ok(())
}

#[test]
fn pods_come_one_by_one_and_as_a_list_where_the_api_server_tells_of_them_in_no_other_way() -> Result<()> {
    for (cluster, takes_lists) in
        [(Cluster::start()?, false), (Cluster::start_without_streamed_lists()?, true)]
    {
        let scene = Scene::start_on(cluster)?;
        let before = pods_listed(&scene.cluster)?;
        let agent = scene.agent()?;
        wait_for_names(&agent)?;
        assert_named(&ask(&agent, &scene.pod)?);
        let [lists, of_store] = pods_listed(&scene.cluster)?;
        assert_eq!(lists > before[0], takes_lists, "{lists} lists");
        assert_eq!(of_store, before[1], "a thousand agents would read the API server's store");
        let ended = agent.stop()?;
        assert!(!ended.log.contains("broke off"), "{}", ended.log);
    }
    Ok(())
}

/// Lists of pods that the API server was asked for, and those that it read from its store.
fn pods_listed(cluster: &Cluster) -> Result<[u64; 2]> {
    let page = cluster.kubectl("get --raw /metrics")?;
    let sum = |parts: &[&str]| {
        let lines = page.lines().filter(|line| parts.iter().all(|part| line.contains(part)));
        lines
            .map(|line| line.rsplit(' ').next().unwrap_or_default().parse::<u64>().context(line.to_owned()))
            .sum::<Result<u64>>()
    };
    let pods = "resource=\"pods\"";
    let of_store = sum(&["apiserver_storage_list_total{", pods])?;
    anyhow::ensure!(of_store > 0, "the API server itself read its pods when it began");
    Ok([sum(&["apiserver_request_total{", pods, "verb=\"LIST\""])?, of_store])
}

#[test]
fn dns_logs_of_a_deployments_pods_are_counted_by_their_owner() -> Result<()> {
    let scene = Scene::start()?;
    let second = CART
        .replace("cart-7d9f8c-x2x4z", "cart-7d9f8c-y3y5y")
        .replace("secret-label: x", "secret-label: x, app.kubernetes.io/instance: second");
    scene.cluster.apply(&second)?;
    let uid = scene.uid("shop", "cart-7d9f8c-y3y5y")?;
    let pods = [&scene.pod, &scene.node.pod().uid(&uid).start()?];
    let stranger = scene.node.pod().start()?;
    let agent = scene.agent_with(&["--dns-logs", "stdout", "--dns-log-aggregation", "1"])?;
    wait::until("both pods' names", || Ok((agent.metric("namewarden_pods_known", "")? > 1).then_some(())))?;
    for pod in pods.into_iter().chain([&stranger]) {
        pod.client()?.tell_all(&["udp4", &format!("ask www.example A {DNS}")])?;
    }
    // A pod of this node is asked, and says nothing.
    stranger.client()?.tell_all(&["udp4", &format!("send silent.example A {}:53", scene.pod.v4)])?;
    let logs = agent.stop()?.documents;
    let of = |path: &str| {
        let logs: Vec<_> = logs.iter().filter(|log| log.pointer(path).is_some()).collect();
        let [log] = logs[..] else { anyhow::bail!("not one log with {path}: {logs:#?}") };
        Ok(log.clone())
    };
    let owned = of("/kubernetes/owner")?;
    for (path, value) in [
        ("/namewarden/count", json!(2)),
        ("/namewarden/clients", json!(2)),
        ("/kubernetes/owner", json!({ "kind": "Deployment", "name": "cart" })),
        ("/kubernetes/labels", json!({ "app": "cart" })),
        ("/kubernetes/namespace", json!("shop")),
        ("/server/ip", json!("10.99.0.53")),
        ("/dns/question/name", json!("www.example")),
    ] {
        assert_eq!(owned.pointer(path), Some(&value), "{path} of {owned:#}");
    }
    for path in ["/kubernetes/pod", "/container", "/client", "/source", "/namewarden/cgroup"] {
        assert_eq!(owned.pointer(path), None, "{path} of {owned:#}");
    }
    let alone = logs.iter().filter(|log| log.pointer("/kubernetes/pod/uid") == Some(&json!(stranger.uid)));
    assert_eq!((alone.count(), logs.len()), (2, 3), "{logs:#?}");
    let asked = of("/namewarden/server")?;
    let server = json!({ "namespace": "shop", "pod": "cart-7d9f8c-x2x4z" });
    assert_eq!(asked.pointer("/namewarden/server"), Some(&server));
    assert_eq!(asked.pointer("/dns/question/name"), Some(&json!("silent.example")));
    Ok(())
}

#[test]
fn a_pod_without_an_object_alerts_by_its_uid_and_static_pods_are_found_by_their_hash() -> Result<()> {
    let scene = Scene::start()?;
    let agent = scene.agent()?;
    wait_for_names(&agent)?;
    let stranger = scene.node.pod().start()?;
    let alert = ask(&agent, &stranger)?;
    assert_eq!(alert.pointer("/kubernetes/pod/name"), None);
    assert_eq!(agent.counter("naming_unnamed")?, 1);
    let hash = "0123456789abcdef0123456789abcdef";
    scene.cluster.apply(&owned_by_node(&mirror("etcd-node-1", hash)))?;
    wait::until("the second pod", || Ok((agent.metric("namewarden_pods_known", "")? > 1).then_some(())))?;
    let pod = scene.node.pod().uid(hash).start()?;
    let alert = ask(&agent, &pod)?;
    let name = alert.pointer("/kubernetes/pod/name").and_then(Value::as_str);
    assert_eq!(name, Some("etcd-node-1"), "{alert:#}");
    // Somebody else's object that says it mirrors the same pod hides no name, and is told of.
    scene.cluster.apply(&mirror("aaa-forger", hash))?;
    wait::until("the forger told", || {
        Ok((agent.metric("namewarden_pods_contested", "")? == 1).then_some(()))
    })?;
    pod.client()?.tell_all(&["udp4", &format!("ask evil.example A {DNS}")])?;
    let documents = agent.stop()?.documents;
    let last = documents.last().context("no document")?;
    for (path, value) in [
        ("/namewarden/attribution", "contested"),
        ("/kubernetes/pod/name", "etcd-node-1"),
        ("/kubernetes/owner/kind", "Node"),
    ] {
        assert_eq!(last.pointer(path).and_then(Value::as_str), Some(value), "{path} of {last:#}");
    }
    Ok(())
}

#[test]
fn names_that_come_late_follow_in_the_next_document_and_a_container_is_named_by_its_mounts() -> Result<()> {
    let scene = Scene::start()?;
    let agent = scene.agent()?;
    wait_for_names(&agent)?;
    let hash = "fedcba9876543210fedcba9876543210";
    let pod = scene.node.pod().uid(hash).start()?;
    let mut client = Client::spawn(in_container(&scene, &pod, "app")?)?;
    let question = format!("ask evil.example A {DNS}");
    client.tell_all(&["udp4", &question])?;
    let alert = agent.wait_for("the alert", |document| document.pointer("/kubernetes/pod/uid").is_some())?;
    assert_eq!(alert.pointer("/kubernetes/pod/name"), None, "{alert:#}");
    assert_eq!(alert.pointer("/container/name"), Some(&json!("app")), "{alert:#}");
    let mirror = mirror("late-node-1", hash);
    scene.cluster.apply(&mirror)?;
    wait::until("the second pod", || Ok((agent.metric("namewarden_pods_known", "")? > 1).then_some(())))?;
    client.tell_all(&[&question])?;
    let documents = agent.stop()?.documents;
    let [_, repeats] = &documents[..] else { anyhow::bail!("not two documents: {documents:#?}") };
    for (path, value) in [
        ("/namewarden/count", json!(1)),
        ("/kubernetes/pod/name", json!("late-node-1")),
        ("/kubernetes/owner/name", json!("cart")),
        ("/container/name", json!("app")),
        ("/container/image/name", json!("registry.example/cart:1.2")),
    ] {
        assert_eq!(repeats.pointer(path), Some(&value), "{path} of {repeats:#}");
    }
    Ok(())
}

/// The DNS client with the mount that the kubelet gives each container for its last words.
fn in_container(scene: &Scene, pod: &Pod, name: &str) -> Result<Command> {
    let folder = scene.node.folder().join("kubelet/pods").join(&pod.uid).join("containers").join(name);
    std::fs::create_dir_all(&folder)?;
    let (file, place) = (folder.join("6f8a1c02"), scene.node.folder().join("termination-log"));
    std::fs::write(&file, "")?;
    std::fs::write(&place, "")?;
    let mut command = pod.command("unshare");
    command.args(["--mount", "sh", "-c", "mount --bind \"$1\" \"$2\" && exec \"$3\"", "sh"]);
    command.arg(file).arg(place).arg(Client::program()?);
    Ok(command)
}

#[test]
fn without_the_right_to_see_pods_the_agent_says_so_and_alerts_by_uid() -> Result<()> {
    let scene = Scene::start()?;
    scene.cluster.kubectl("delete clusterrolebinding namewarden-agent")?;
    let agent = scene.agent()?;
    wait::until("what is missing", || {
        Ok(agent.log().contains("a right is missing in the role: pods is forbidden").then_some(()))
    })
    .with_context(|| agent.log())?;
    let alert = ask(&agent, &scene.pod)?;
    assert_eq!(alert.pointer("/kubernetes/pod/name"), None, "{alert:#}");
    agent.stop().map(drop)
}

#[test]
fn names_outlive_the_pod_the_api_server_and_the_agent() -> Result<()> {
    let scene = Scene::start()?;
    let agent = scene.agent()?;
    wait_for_names(&agent)?;
    let kept = scene.node.folder().join("agent/state/pods.json");
    wait::until("the names on disk", || {
        let text = std::fs::read_to_string(&kept).unwrap_or_default();
        Ok(text.contains(&scene.pod.container).then_some(()))
    })?;
    agent.stop()?;
    scene.cluster.stop_server();
    let agent = scene.agent()?;
    assert_named(&ask(&agent, &scene.pod)?);
    agent.stop()?;
    scene.cluster.start_server()?;
    let agent = scene.agent()?;
    wait_for_names(&agent)?;
    let changes = || agent.metric("namewarden_pods_changes_total", "");
    let before = changes()?;
    scene.cluster.kubectl("delete pod cart-7d9f8c-x2x4z --namespace shop --force --grace-period 0")?;
    wait::until("the pod deleted", || Ok((changes()? > before).then_some(())))?;
    assert_named(&ask(&agent, &scene.pod)?);
    drop(scene.server);
    agent.stop().map(drop)
}
