//! The demo on a whole cluster: what a user does - install the chart, apply feeds, look at alerts - with real pods.
//!
//! The cluster is taken down at the end, unless it was up before or is to be kept.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use namewarden_tests::{program, wait};
use serde_json::Value;

use super::stage::PUBLISHER;
use crate::agent_binary::Profile;
use crate::cluster::{self, BUSYBOX, Clock, Place};
use crate::command::output;
use crate::image;
use crate::layout::Layout;

/// Where the lists are, as the controller finds them through the cluster's DNS.
const LISTS: &str = "http://lists.publisher.svc.cluster.local";

/// How long a step may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(180);

/// How often it is looked whether something is there.
const PACE: Duration = Duration::from_millis(200);

/// Feeds of the examples that are pulled from the pod.
const PULLED: usize = 2;

const PUBLISHER_MANIFESTS: &str = include_str!("publisher.yaml");

const SHOP: &str = include_str!("shop.yaml");

/// Fields of an alert that are shown, with what they are called.
const FIELDS: [(&str, &str); 10] = [
    ("namespace", "/kubernetes/namespace"),
    ("pod", "/kubernetes/pod/name"),
    ("container", "/container/name"),
    ("owner", "/kubernetes/owner/kind"),
    ("", "/kubernetes/owner/name"),
    ("account", "/kubernetes/service_account"),
    ("image", "/container/image/name"),
    ("process", "/process/name"),
    ("asked for", "/dns/question/name"),
    ("feed", "/threat/feed/name"),
];

/// Sets up, builds, brings the cluster up and shows it; how long it took from `helm install` to the first alert.
pub fn run(layout: &Layout, profile: Profile, keep: bool, interrupted: &Arc<AtomicBool>) -> Result<Duration> {
    let archives = image::ready(layout, profile)?;
    let place = Place::find()?;
    let was_up = cluster::is_up(&place);
    heading("A cluster of one node: etcd, API server, kubelet, containerd, kube-proxy, CoreDNS");
    cluster::up(layout, &place)?;
    let shown = show(layout, &place, &archives, interrupted);
    if keep || was_up {
        println!("\nIt stays: `cargo xtask cluster down` ends it.");
        return shown;
    }
    heading("The end");
    cluster::down(&place).and(shown)
}

fn show(layout: &Layout, place: &Place, archives: &[PathBuf], interrupted: &AtomicBool) -> Result<Duration> {
    cluster::load(place, archives)?;
    publish(layout, place)?;
    heading("helm install namewarden deploy/chart --namespace namewarden --create-namespace");
    let clock = Clock::start();
    install(layout, place)?;
    clock.step("agent and controller are ready");
    apply_feeds(layout, place)?;
    program::finish_fed(
        place.kubectl().args(["apply", "--filename", "-"]),
        &SHOP.replace("BUSYBOX", BUSYBOX),
    )?;
    clock.step("feeds applied; the Deployment cart asks for rat.example");
    let door = Door::open(layout, place)?;
    let alert = door.alert(interrupted)?;
    clock.step("the alert");
    let took = clock.elapsed();
    heading("The alert: namewarden-controller events --namespace shop");
    tell(&alert);
    heading("kubectl get globalthreatfeeds");
    print!("{}", feeds(place, interrupted)?);
    heading("kubectl get pods --all-namespaces");
    print!("{}", output(place.kubectl().args(["get", "pods", "--all-namespaces"]))?);
    Ok(took)
}

fn heading(text: &str) {
    println!("\n{text}");
}

/// The examples' lists, served by a pod.
fn publish(layout: &Layout, place: &Place) -> Result<()> {
    let apply = |text: &str| program::finish_fed(place.kubectl().args(["apply", "--filename", "-"]), text);
    apply(&PUBLISHER_MANIFESTS.replace("BUSYBOX", BUSYBOX))?;
    let mut lists = place.kubectl();
    lists.args(["create", "configmap", "lists", "--namespace", "publisher", "--dry-run=client"]);
    lists.args(["--output", "yaml", "--from-file"]).arg(layout.root.join("deploy/examples/feeds"));
    apply(&output(&mut lists)?).map(drop)
}

fn install(layout: &Layout, place: &Place) -> Result<()> {
    let chart = layout.root.join("deploy/chart");
    if !chart.is_dir() {
        bail!("there is no chart in {}", chart.display());
    }
    let mut helm = place.helm();
    helm.args(["upgrade", "--install", "namewarden"]).arg(chart);
    helm.args(["--namespace", "namewarden", "--create-namespace", "--wait", "--timeout", "180s"]);
    helm.args(["--set", "clusterName=demo", "--set", "image.pullPolicy=Never"]);
    // What the node keeps goes with the cluster.
    helm.args(["--set", &format!("agent.stateDir={}", place.text("agent-state"))]);
    output(&mut helm).context("the chart was not installed").map(drop)
}

/// The examples' manifests, with the pod as the publisher of the lists.
fn apply_feeds(layout: &Layout, place: &Place) -> Result<()> {
    let examples = layout.root.join("deploy/examples/manifests");
    for entry in fs::read_dir(&examples).with_context(|| format!("cannot read {}", examples.display()))? {
        let text = fs::read_to_string(entry?.path())?.replace(PUBLISHER, LISTS);
        program::finish_fed(place.kubectl().args(["apply", "--filename", "-"]), &text)?;
    }
    Ok(())
}

/// The table, once each feed that is pulled has its names.
fn feeds(place: &Place, interrupted: &AtomicBool) -> Result<String> {
    until("each feed pulled", interrupted, || {
        let table = output(place.kubectl().args(["get", "globalthreatfeeds"]))?;
        let pulled = table.lines().filter(|line| line.contains(" Ready ")).count();
        Ok((pulled >= PULLED).then_some(table))
    })
}

/// A person's way to the controller: a forwarded port, its authority, a token with the role for viewers.
struct Door {
    forward: Child,
    address: SocketAddr,
    program: PathBuf,
    folder: PathBuf,
}

impl Door {
    fn open(layout: &Layout, place: &Place) -> Result<Self> {
        let run = |words: &str| output(place.kubectl().args(words.split(' ')));
        let folder = place.path("person");
        fs::create_dir_all(&folder)?;
        for words in [
            "create serviceaccount person --namespace default",
            "create clusterrolebinding person --clusterrole=namewarden:viewer --serviceaccount=default:person",
        ] {
            // It may be there from an earlier demo.
            _ = run(words);
        }
        fs::write(folder.join("token"), run("create token person --namespace default")?.trim())?;
        let secret = "get secret namewarden-controller-tls --namespace namewarden-controller --output";
        let authority = run(&format!("{secret} jsonpath={{.data.ca\\.crt}}"))?;
        fs::write(folder.join("ca.crt"), data_encoding::BASE64.decode(authority.trim().as_bytes())?)?;
        let mut command = place.kubectl();
        command.args([
            "port-forward",
            "--namespace",
            "namewarden-controller",
            "service/namewarden-controller",
        ]);
        let mut forward =
            command.arg(":8443").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let said = BufReader::new(forward.stdout.take().context("no standard output")?);
        // Forwarding from 127.0.0.1:40123 -> 8443
        let mut lines = said.lines().map_while(Result::ok);
        let address = lines.find_map(|line| line.split(' ').nth(2)?.parse().ok());
        // It says a line for each connection, and ends where nobody reads it.
        thread::spawn(move || lines.count());
        let program = crate::controller_binary::ready(layout, Profile::Fast)?;
        let Some(address) = address else {
            _ = forward.kill();
            bail!("kubectl forwards no port to the controller");
        };
        Ok(Self { forward, address, program, folder })
    }

    fn events(&self) -> Command {
        let mut events = crate::compiler::bare(&self.program);
        events.args(["events", "--url", &format!("https://{}", self.address)]);
        events.arg("--ca").arg(self.folder.join("ca.crt"));
        events.arg("--token-file").arg(self.folder.join("token"));
        events.args(["--namespace", "shop", "--output", "json"]);
        events
    }

    /// The first alert that names the pod.
    fn alert(&self, interrupted: &AtomicBool) -> Result<Value> {
        let mut refusal = None;
        let alert = until("the alert", interrupted, || {
            let said = match output(&mut self.events()) {
                Ok(said) => said,
                // The controller may not have learnt yet what the person may.
                Err(error) => {
                    refusal = Some(error);
                    return Ok(None);
                }
            };
            let mut alerts = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            Ok(alerts.find(|alert| alert.pointer("/kubernetes/pod/name").is_some()))
        });
        match (alert, refusal) {
            (Err(error), Some(refusal)) => Err(error.context(format!("{refusal:#}"))),
            (alert, _) => alert,
        }
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        _ = self.forward.kill();
        _ = self.forward.wait();
    }
}

/// Looks until there is a value, or until Ctrl-C.
fn until<T>(what: &str, interrupted: &AtomicBool, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let mut next = Instant::now();
    wait::within(PATIENCE, what, || {
        if interrupted.load(Ordering::Relaxed) {
            bail!("interrupted");
        }
        if Instant::now() < next {
            return Ok(None);
        }
        let found = look();
        next = Instant::now() + PACE;
        found
    })
}

fn tell(alert: &Value) {
    let text = |path: &str| {
        let value = alert.pointer(path)?;
        let several = value.as_array().map(|list| list.iter().filter_map(Value::as_str).collect::<Vec<_>>());
        Some(several.map_or_else(|| value.as_str().unwrap_or_default().to_owned(), |list| list.join(", ")))
    };
    println!("  {}", text("/message").unwrap_or_default());
    for (name, path) in FIELDS {
        println!("    {name:10} {}", text(path).unwrap_or_else(|| "-".to_owned()));
    }
}
