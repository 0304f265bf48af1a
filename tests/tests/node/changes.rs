//! Agent and controller are deleted, replaced, uninstalled, while pods go on asking: what is missed is told, what is not missed is
//! told once.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use anyhow::{Context as _, Result, bail, ensure};
use namewarden_tests::program;
use serde_json::Value;

use crate::installation::{Installation, wait_for};

/// A Job whose pods ask once each for `rat.example` and live 200 ms: NAME, how many (COUNT), how many at a time (SIDE).
const JOB: &str = "
apiVersion: batch/v1
kind: Job
metadata: {name: NAME, namespace: churn}
spec:
  completions: COUNT
  parallelism: SIDE
  template:
    spec:
      restartPolicy: Never
      containers:
      - name: once
        image: busybox:1
        imagePullPolicy: Never
        command: [sh, -c, 'nslookup rat.example. 10.96.0.10; usleep 200000']
";

/// Nanoseconds that the agent may be away when its pod is deleted.
const GAP: u64 = 30_000_000_000;

fn text<'a>(document: &'a Value, path: &str) -> &'a str {
    document.pointer(path).and_then(Value::as_str).unwrap_or_default()
}

/// Starts the job.
fn start(installation: &Installation, name: &str, count: usize, side: usize) -> Result<()> {
    let namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: churn}\n---\n";
    let job = JOB.replace("NAME", name).replace("COUNT", &count.to_string());
    installation.apply(&format!("{namespace}{}", job.replace("SIDE", &side.to_string()))).map(drop)
}

/// The names of its pods, once all have ended.
fn ended(installation: &Installation, name: &str) -> Result<BTreeSet<String>> {
    installation
        .kubectl(&format!("wait --for condition=Complete --timeout 280s --namespace churn job/{name}"))?;
    let pods = installation.get(&format!("pods --namespace churn --selector job-name={name}"))?;
    Ok(pods.iter().map(|pod| text(pod, "/metadata/name").to_owned()).collect())
}

/// Waits until each pod has an alert with its names; fails where one has two groups or says of another owner.
fn each_alerts_once(installation: &Installation, name: &str, pods: &BTreeSet<String>) -> Result<()> {
    let of_job = |alert: &&Value| text(alert, "/kubernetes/owner/name") == name;
    let named = |alerts: &[Value]| -> BTreeMap<String, BTreeSet<String>> {
        let mut groups: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for alert in alerts.iter().filter(of_job) {
            let pod = text(alert, "/kubernetes/pod/name").to_owned();
            groups.entry(pod).or_default().insert(text(alert, "/namewarden/group").to_owned());
        }
        groups
    };
    let alerts = installation.wait_for_alerts("an alert of each pod of the job", |alerts| {
        let named = named(alerts);
        pods.iter().all(|pod| named.contains_key(pod))
    })?;
    for (pod, groups) in named(&alerts) {
        ensure!(pods.contains(&pod), "{pod} is no pod of {name}");
        ensure!(groups.len() == 1, "{pod} has alerts of {} groups", groups.len());
    }
    let containers = alerts.iter().filter(of_job).map(|alert| text(alert, "/container/name"));
    let named: Vec<_> = containers.collect();
    ensure!(named.iter().all(|name| *name == "once"), "an alert names another container, or none: {named:?}");
    Ok(())
}

/// The pod of the agent that is ready, when there is one and no other.
fn agent(installation: &Installation) -> Result<Option<String>> {
    let pods = installation.get("pods --namespace namewarden-agent")?;
    let [pod] = &pods[..] else { return Ok(None) };
    let is_ready = pod.pointer("/status/containerStatuses/0/ready") == Some(&Value::Bool(true));
    Ok(is_ready.then(|| text(pod, "/metadata/name").to_owned()))
}

/// Waits for an agent other than `old`.
fn wait_for_another(installation: &Installation, old: &str) -> Result<()> {
    wait_for("another agent ready", || Ok(agent(installation)?.is_some_and(|agent| agent != old)))
}

#[test]
fn pods_that_come_and_go_are_all_named() -> Result<()> {
    let installation = Installation::turn()?;
    start(&installation, "crowd", 60, 15)?;
    let pods = ended(&installation, "crowd")?;
    assert_eq!(pods.len(), 60);
    each_alerts_once(&installation, "crowd", &pods)
}

#[test]
fn an_agent_that_is_replaced_misses_nothing_and_doubles_nothing() -> Result<()> {
    let installation = Installation::turn()?;
    let old = agent(&installation)?.context("no agent")?;
    start(&installation, "upgrade", 40, 4)?;
    installation.kubectl("rollout restart daemonset/namewarden-agent --namespace namewarden-agent")?;
    installation
        .kubectl("rollout status daemonset/namewarden-agent --namespace namewarden-agent --timeout 120s")?;
    wait_for_another(&installation, &old)?;
    let pods = ended(&installation, "upgrade")?;
    each_alerts_once(&installation, "upgrade", &pods)
}

#[test]
fn an_agent_that_is_deleted_misses_nothing_or_tells_of_the_gap() -> Result<()> {
    let installation = Installation::turn()?;
    let old = agent(&installation)?.context("no agent")?;
    let before = installation.events("capture-gap")?.len();
    start(&installation, "deleted", 30, 4)?;
    installation.kubectl(&format!("delete pod {old} --namespace namewarden-agent"))?;
    wait_for_another(&installation, &old)?;
    let pods = ended(&installation, "deleted")?;
    let is_seen = |alerts: &[Value], pod: &String| {
        alerts.iter().any(|alert| text(alert, "/kubernetes/pod/name") == pod.as_str())
    };
    // Where the next agent began before this one ended there is no gap.
    wait_for("an alert of each pod, or a gap", || {
        let alerts = installation.alerts()?;
        let gaps = installation.events("capture-gap")?.len();
        Ok(gaps > before || pods.iter().all(|pod| is_seen(&alerts, pod)))
    })?;
    for gap in installation.events("capture-gap")?.iter().skip(before) {
        let nanoseconds = gap.pointer("/event/duration").and_then(Value::as_u64).context("no duration")?;
        println!("the agent was away for {} ms", nanoseconds / 1_000_000);
        ensure!(nanoseconds < GAP, "the agent was away for {nanoseconds} ns");
    }
    Ok(())
}

#[test]
fn while_the_controller_is_away_a_new_agent_has_the_set_and_alerts_come_later() -> Result<()> {
    let installation = Installation::turn()?;
    let old = agent(&installation)?.context("no agent")?;
    let scale = |count: u32| {
        let words = "scale deployment/namewarden-controller --namespace namewarden-controller --replicas";
        installation.kubectl(&format!("{words} {count}"))
    };
    scale(0)?;
    installation.kubectl("wait --for delete pod --all --namespace namewarden-controller --timeout 60s")?;
    installation.kubectl(&format!("delete pod {old} --namespace namewarden-agent"))?;
    wait_for_another(&installation, &old)?;
    start(&installation, "alone", 3, 3)?;
    let pods = ended(&installation, "alone")?;
    scale(1)?;
    each_alerts_once(&installation, "alone", &pods)
}

/// Numbers of the programs that a process has loaded into the kernel.
fn programs(pid: u32) -> Result<BTreeSet<u64>> {
    let mut numbers = BTreeSet::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fdinfo"))?.filter_map(Result::ok) {
        let text = fs::read_to_string(entry.path()).unwrap_or_default();
        let number = text.lines().find_map(|line| line.strip_prefix("prog_id:")?.trim().parse::<u64>().ok());
        numbers.extend(number);
    }
    Ok(numbers)
}

#[test]
fn what_is_uninstalled_leaves_the_feeds_and_nothing_in_the_kernel() -> Result<()> {
    let installation = Installation::turn()?;
    let pods = installation.get("pods --namespace namewarden-agent")?;
    let id = pods.first().and_then(|pod| pod.pointer("/status/containerStatuses/0/containerID")?.as_str());
    let id = id.and_then(|id| id.strip_prefix("containerd://")).context("no container")?;
    let loaded = programs(crate::rights::process(id)?)?;
    ensure!(loaded.len() > 1, "the agent has loaded {loaded:?}");
    installation.helm("uninstall namewarden --namespace namewarden --wait --timeout 120s")?;
    let left = |number: &&u64| program::run("bpftool", &["prog", "show", "id", &number.to_string()]).is_ok();
    wait_for("programs gone", || Ok(!loaded.iter().any(|number| left(&number))))?;
    let feeds = installation.get("globalthreatfeeds")?;
    ensure!(feeds.len() == 2, "{feeds:#?}");
    if Path::new("/sys/fs/bpf/namewarden").exists() {
        bail!("something is pinned");
    }
    installation.install_chart()
}
