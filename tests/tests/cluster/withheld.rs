//! What resolvers ask on behalf of others, and what pods ask that the operator left out, is counted and not told.

use anyhow::Result;
use namewarden_tests::{agent::Agent, node::Node, pod::Pod, wait};
use serde_json::{Value, json};

use crate::pods::{DNS, Scene};

const ACCOUNT: &str = "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: dns, namespace: NAMESPACE}\n";

/// A pod of a Deployment `dns` that has this label.
const MANIFEST: &str = "
apiVersion: v1
kind: Pod
metadata:
  name: NAME
  namespace: NAMESPACE
  labels: {LABEL, pod-template-hash: 7d9f8c}
  ownerReferences:
  - {apiVersion: apps/v1, kind: ReplicaSet, name: dns-7d9f8c, uid: 11111111-2222-3333-4444-555555555555, controller: true}
spec:
  nodeName: node-1
  serviceAccountName: dns
  automountServiceAccountToken: false
  containers:
  - {name: app, image: 'registry.example/dns:1'}
";

const KUBE_DNS: &str = "k8s-app: kube-dns";
const NODE_LOCAL: &str = "k8s-app: node-local-dns";

/// Makes a pod's object, and the pod.
fn run(scene: &Scene, namespace: &str, name: &str, label: &str) -> Result<Pod> {
    pod_of(&scene.node, &object(scene, namespace, name, label)?, false)
}

/// Makes a pod's object; its UID.
fn object(scene: &Scene, namespace: &str, name: &str, label: &str) -> Result<String> {
    scene.cluster.apply(&ACCOUNT.replace("NAMESPACE", namespace))?;
    let manifest = MANIFEST.replace("NAMESPACE", namespace).replace("NAME", name).replace("LABEL", label);
    scene.cluster.apply(&manifest)?;
    scene.uid(namespace, name)
}

fn pod_of(node: &Node, uid: &str, is_host: bool) -> Result<Pod> {
    let pod = node.pod().uid(uid);
    if is_host { pod.host_network() } else { pod }.start()
}

/// Has a pod ask for the listed name and for another.
fn ask(pod: &Pod) -> Result<()> {
    let questions = ["evil.example", "www.example"].map(|name| format!("ask {name} A {DNS}"));
    pod.client()?.tell_all(&["udp4", &questions[0], &questions[1]])
}

fn wait_for_names(agent: &Agent, pods: u64) -> Result<()> {
    wait::until("names of pods", || Ok((agent.metric("namewarden_pods_known", "")? >= pods).then_some(())))
}

/// What was withheld of a workload; it has no row before there is something.
fn withheld(agent: &Agent, what: &str, labels: &str) -> u64 {
    agent.metric(&format!("namewarden_workload_withheld_{what}_total"), labels).unwrap_or(0)
}

/// Names of the pods that documents with this action are of, sorted: pods do not wait for each other.
fn whose<'d>(documents: &'d [Value], action: &str) -> Vec<&'d str> {
    let of = documents.iter().filter(|document| document.pointer("/event/action") == Some(&json!(action)));
    let mut names: Vec<_> = of.filter_map(|one| one.pointer("/kubernetes/pod/name")?.as_str()).collect();
    names.sort_unstable();
    names
}

#[test]
fn a_resolver_raises_no_alert_and_whoever_labels_himself_so_elsewhere_does() -> Result<()> {
    let scene = Scene::start()?;
    let resolver = run(&scene, "kube-system", "coredns-1", KUBE_DNS)?;
    // NodeLocal DNSCache runs in the host's network, and has a cgroup of its own all the same.
    let local = pod_of(&scene.node, &object(&scene, "kube-system", "local-1", NODE_LOCAL)?, true)?;
    let stranger = run(&scene, "shop", "stranger-1", KUBE_DNS)?;
    let neighbour = run(&scene, "kube-system", "proxy-1", "k8s-app: kube-proxy")?;
    let agent = scene.agent_with(&["--dns-logs", "stdout"])?;
    wait_for_names(&agent, 5)?;
    for pod in [&resolver, &local, &stranger, &neighbour] {
        ask(pod)?;
    }
    let labels = "reason=\"resolver\",workload_namespace=\"kube-system\",workload=\"Deployment/dns\"";
    wait::until("both resolvers counted", || Ok((withheld(&agent, "findings", labels) == 4).then_some(())))?;
    let status = agent.status()?;
    let withheld = json!([{
        "reason": "resolver", "namespace": "kube-system", "workload": "Deployment/dns",
        "findings": 4, "alerts": 0, "messages": 8
    }]);
    assert_eq!(status.pointer("/withheld"), Some(&withheld), "{status:#}");
    assert_eq!(agent.counter("withheld_resolver_findings")?, 4);
    let documents = agent.stop()?.documents;
    assert_eq!(whose(&documents, "listed-name"), ["proxy-1", "stranger-1"], "{documents:#?}");
    assert_eq!(
        whose(&documents, "dns-log"),
        ["proxy-1", "proxy-1", "stranger-1", "stranger-1"],
        "{documents:#?}"
    );

    let agent = scene.agent_with(&["--dns-logs", "stdout", "--dns-log-resolvers", "on"])?;
    wait_for_names(&agent, 5)?;
    ask(&resolver)?;
    let documents = agent.stop()?.documents;
    assert_eq!(whose(&documents, "listed-name"), Vec::<&str>::new(), "{documents:#?}");
    assert_eq!(whose(&documents, "dns-log"), ["coredns-1", "coredns-1"], "{documents:#?}");

    let agent = scene.agent_with(&["--resolver-pods", "shop/k8s-app=kube-dns@dns"])?;
    wait_for_names(&agent, 5)?;
    for pod in [&resolver, &stranger] {
        ask(pod)?;
    }
    let documents = agent.stop()?.documents;
    assert_eq!(whose(&documents, "listed-name"), ["coredns-1"], "{documents:#?}");

    // What an earlier run was told is judged by the rules of this one.
    scene.cluster.stop_server();
    let agent = scene.agent_with(&[])?;
    for pod in [&resolver, &stranger] {
        ask(pod)?;
    }
    let documents = agent.stop()?.documents;
    assert_eq!(whose(&documents, "listed-name"), ["stranger-1"], "{documents:#?}");
    drop(scene);
    Ok(())
}

#[test]
fn pods_are_left_out_by_label_in_the_namespaces_that_the_operator_names() -> Result<()> {
    let scene = Scene::start()?;
    scene.cluster.kubectl("create namespace lab")?;
    let excluded = run(&scene, "lab", "scanner-1", "role: scanner")?;
    let elsewhere = run(&scene, "shop", "scanner-2", "role: scanner")?;
    let neighbour = run(&scene, "lab", "other-1", "role: other")?;
    let agent = scene.agent_with(&["--exclude-pods", "lab/role=scanner", "--dns-logs", "stdout"])?;
    wait_for_names(&agent, 4)?;
    for pod in [&excluded, &elsewhere, &neighbour] {
        ask(pod)?;
    }
    let labels = "reason=\"excluded\",workload_namespace=\"lab\",workload=\"Deployment/dns\"";
    let count = |what| withheld(&agent, what, labels);
    wait::until("the pod left out counted", || {
        Ok(((count("findings"), count("messages")) == (2, 4)).then_some(()))
    })?;
    // A label that is taken away takes the exclusion with it.
    let changes = || agent.metric("namewarden_pods_changes_total", "");
    let before = changes()?;
    scene.cluster.kubectl("label pod scanner-1 --namespace lab role-")?;
    wait::until("the label gone", || Ok((changes()? > before).then_some(())))?;
    ask(&excluded)?;
    let documents = agent.stop()?.documents;
    assert_eq!(whose(&documents, "listed-name"), ["other-1", "scanner-1", "scanner-2"], "{documents:#?}");
    assert_eq!(whose(&documents, "dns-log").iter().filter(|name| **name == "scanner-1").count(), 2);
    drop(scene);
    Ok(())
}
