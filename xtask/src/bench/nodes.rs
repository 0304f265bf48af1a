//! On a cluster: memory with a full node's pods, what it costs to say whose a message is, and what a thousand agents ask of an API
//! server.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use namewarden_tests::kube::{self, Cluster, User};
use namewarden_tests::lines::Lines;
use namewarden_tests::pod::Pod;

use super::agent::Agent;
use super::figure::Figures;
use super::in_process;
use super::load::{feed, run};
use super::memory::{reset_peak, resident};
use super::traffic::{STEADY, Traffic};
use crate::agent_binary::Profile;
use crate::demo::on_cluster;
use crate::image;
use crate::layout::Layout;
use crate::setup::{self, Part};

/// Pods of a large node.
const PODS: usize = 250;
/// Nodes of a large cluster.
const NODES: usize = 1000;
/// How long a thousand connections may take.
const PATIENCE: Duration = Duration::from_secs(300);
/// How long nothing changes.
const REST: Duration = Duration::from_secs(30);

/// The role that ships.
const ROLE: &str = include_str!("../../../deploy/rbac/agent.yaml");

/// Measures all of it.
pub fn measure(layout: &Layout, binary: &Path, figures: &mut Figures) -> Result<()> {
    setup::ensure(layout, &[Part::Kubernetes])?;
    kube::provide(setup::kubernetes_variables(layout)?);
    let example = in_process::example(layout, "namewarden-agent", "nodes")?;
    figures.add("attribution", in_process::printed_value(&example, &["attribute"], "attribution")?)?;
    many_pods(binary, figures)?;
    many_nodes(&example, figures)?;
    installation(layout, figures)
}

/// What a node pulls, and how soon a cluster that has nothing yet alerts.
fn installation(layout: &Layout, figures: &mut Figures) -> Result<()> {
    for archive in image::ready(layout, Profile::Release)? {
        let name = archive.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let figure = if name.contains("agent") { "image_agent" } else { "image_controller" };
        figures.add(figure, fs::metadata(&archive)?.len() as f64 / 1e6)?;
    }
    let took = on_cluster::run(layout, Profile::Release, false, &Arc::default())?;
    figures.add("first_alert", took.as_secs_f64())
}

/// An API server with the agent's role in it, and the kubeconfig of its account.
fn cluster() -> Result<(Cluster, std::path::PathBuf)> {
    let cluster = Cluster::start()?;
    for words in ["create namespace shop", "create namespace namewarden"] {
        cluster.kubectl(words)?;
    }
    cluster.apply("apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: cart, namespace: shop}\n")?;
    cluster.apply(
        "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: namewarden-agent, namespace: namewarden}\n",
    )?;
    cluster.apply(ROLE)?;
    let account: User =
        cluster.service_account("namewarden", "namewarden-agent", "https://kubernetes.default.svc")?;
    let kubeconfig = cluster.kubeconfig(&account)?;
    Ok((cluster, kubeconfig))
}

/// A pod's object on a node, as a Deployment makes it.
fn object(name: &str, node: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: shop, labels: {{app: cart, version: '1.2'}}, \
         ownerReferences: [{{apiVersion: apps/v1, kind: ReplicaSet, name: cart-7d9f8c, controller: true, \
         uid: 11111111-2222-3333-4444-555555555555}}]}}\nspec: {{nodeName: {node}, serviceAccountName: cart, \
         automountServiceAccountToken: false, containers: [{{name: app, image: 'registry.example/cart:1.2'}}]}}\n"
    )
}

fn objects(named: impl Iterator<Item = (String, String)>) -> String {
    named.fold(String::new(), |mut all, (name, node)| {
        _ = write!(all, "{}", object(&name, &node));
        all
    })
}

/// A node that is full, each of whose pods the API server knows and each of which asks, and a set of a million.
fn many_pods(binary: &Path, figures: &mut Figures) -> Result<()> {
    let (cluster, kubeconfig) = cluster()?;
    let traffic = Traffic::start()?;
    let node = traffic.node();
    cluster
        .apply(&objects((0..PODS).map(|number| (format!("cart-7d9f8c-{number:05}"), "full".to_owned()))))?;
    let list = cluster.read("/api/v1/namespaces/shop/pods")?;
    let objects = list.pointer("/items").and_then(serde_json::Value::as_array);
    let uids = objects.into_iter().flatten().filter_map(|pod| pod.pointer("/metadata/uid")?.as_str());
    let pods = uids.map(|uid| node.pod().uid(uid).host_network().start()).collect::<Result<Vec<Pod>>>()?;
    let first = feed(node.folder(), 1)?;
    let kubeconfig = kubeconfig.to_string_lossy();
    let options = ["--kubeconfig", &*kubeconfig, "--node-name", "full"];
    let agent = Agent::start_with(binary, &traffic, node.cgroup(), &first, &options)?;
    for pod in &pods {
        pod.run(
            "dig",
            &[
                "+tries=1",
                "+time=2",
                "www.example",
                &format!("@{}", namewarden_tests::node::dns_address(false)),
            ],
        )?;
    }
    traffic.ask(2, Some(STEADY))?;
    figures.add("rss_250_pods", resident(agent.pid(), "VmRSS")?)?;
    feed(node.folder(), 2)?;
    reset_peak(agent.pid())?;
    thread::scope(|scope| {
        let replaced = scope.spawn(|| agent.replace_set());
        let run = run(&agent, || traffic.ask(5, Some(STEADY)));
        replaced.join().map_err(|_| anyhow!("replacing the set stopped"))??;
        run
    })?;
    figures.add("rss_250_pods_peak", resident(agent.pid(), "VmHWM")?)?;
    agent.stop()
}

/// A thousand agents follow the pods of their nodes; then nothing happens, then each node gets a pod.
fn many_nodes(example: &Path, figures: &mut Figures) -> Result<()> {
    let (cluster, kubeconfig) = cluster()?;
    let all =
        |name: &str| objects((0..NODES).map(|number| (format!("{name}-{number}"), format!("node-{number}"))));
    cluster.apply(&all("first"))?;
    let before = asked(&cluster)?;
    let followers = Followers::start(example, &kubeconfig)?;
    followers.wait_for("following")?;
    let listed = asked(&cluster)?;
    thread::sleep(REST);
    cluster.apply(&all("second"))?;
    followers.wait_for("told")?;
    let steady = asked(&cluster)?;
    let nodes = NODES as f64;
    figures.add("lists_per_node", (listed.lists - before.lists) / nodes)?;
    figures.add("watches_per_node", (steady.watches - before.watches) / nodes)?;
    figures.add("lists_steady", steady.lists - listed.lists)
}

/// Of pods, as the API server counts.
struct Asked {
    /// Lists so far.
    lists: f64,
    /// Watches now.
    watches: f64,
}

fn asked(cluster: &Cluster) -> Result<Asked> {
    let text = cluster.kubectl("get --raw /metrics")?;
    let sum = |name: &str, verb: &str| {
        let is_meant = |line: &&str| {
            line.starts_with(name)
                && line.contains(&format!("verb=\"{verb}\""))
                && line.contains("resource=\"pods\"")
                && !line.contains("subresource=\"status\"")
        };
        let value = |line: &str| line.rsplit(' ').next().and_then(|value| value.parse::<f64>().ok());
        text.lines().filter(is_meant).filter_map(value).sum()
    };
    Ok(Asked {
        lists: sum("apiserver_request_total{", "LIST"),
        watches: sum("apiserver_longrunning_requests{", "WATCH"),
    })
}

/// Many agents in one program; they end when this value is dropped.
struct Followers {
    child: Child,
    lines: Arc<Lines>,
}

impl Followers {
    fn start(program: &Path, kubeconfig: &Path) -> Result<Self> {
        let mut command = Command::new(program);
        command.arg("follow").arg(kubeconfig).arg(NODES.to_string());
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let (lines, _) = Lines::follow(child.stdout.take().context("no standard output")?);
        Ok(Self { child, lines })
    }

    fn wait_for(&self, word: &str) -> Result<()> {
        let found = self.lines.find(0, PATIENCE, |line| (line == word).then_some(()));
        found.with_context(|| format!("not all agents are {word}"))
    }
}

impl Drop for Followers {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
