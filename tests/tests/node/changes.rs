//! Agent, controller and kubelet are deleted, replaced, started again, while pods go on asking: what is missed is told, what is not
//! missed is told once.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use jiff::Timestamp;
use serde_json::Value;

use crate::{
    crowd::{Crowd, text},
    installation::{Installation, wait_for},
};

/// Nanoseconds that the agent may be away when its pod is deleted.
const GAP: u64 = 30_000_000_000;

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
fn an_agent_that_is_replaced_misses_nothing_and_doubles_nothing() -> Result<()> {
    let installation = Installation::turn()?;
    let old = agent(&installation)?.context("no agent")?;
    let crowd = Crowd::start(&installation, "replaced", 40, 4)?;
    crowd.until_ended(1)?;
    installation.kubectl("rollout restart daemonset/namewarden-agent --namespace namewarden-agent")?;
    installation
        .kubectl("rollout status daemonset/namewarden-agent --namespace namewarden-agent --timeout 240s")?;
    wait_for_another(&installation, &old)?;
    let pods = crowd.ended()?;
    crowd.alerts_once(&pods)?;
    installation.end()
}

/// Whether what is told of the pod's only container says that it ran at a moment of a gap; to the second.
fn ran_in(gap: &Value, pod: &Value) -> Result<bool> {
    let second = |document: &Value, path: &str| -> Result<i64> {
        let at = text(document, path).parse::<Timestamp>();
        Ok(at.with_context(|| format!("{path} of {document:#}"))?.as_second())
    };
    let ended = "/status/containerStatuses/0/state/terminated";
    let (from, to) =
        (second(pod, &format!("{ended}/startedAt"))?, second(pod, &format!("{ended}/finishedAt"))?);
    Ok(from <= second(gap, "/event/end")? + 1 && to + 1 >= second(gap, "/event/start")?)
}

#[test]
fn an_agent_that_is_deleted_misses_nothing_but_what_asks_in_the_gap_that_it_tells_of() -> Result<()> {
    let installation = Installation::turn()?;
    let old = agent(&installation)?.context("no agent")?;
    let before = installation.events("capture-gap")?.len();
    let crowd = Crowd::start(&installation, "deleted", 30, 4)?;
    crowd.until_ended(1)?;
    installation.kubectl(&format!("delete pod {old} --namespace namewarden-agent"))?;
    wait_for_another(&installation, &old)?;
    crowd.ended()?;
    let pods = installation.get("pods --namespace churn --selector job-name=deleted")?;
    let name = |document: &Value| text(document, "/metadata/name").to_owned();
    let (mut seen, mut gaps) = (BTreeSet::new(), Vec::new());
    let mut missed = Vec::new();
    // Where the next agent began before this one ended there is no gap.
    let told = wait_for("an alert of each pod, or a gap in which it ran", || {
        let alerts = installation.alerts()?;
        seen = alerts.iter().map(|alert| text(alert, "/kubernetes/pod/name").to_owned()).collect();
        gaps = installation.events("capture-gap")?.split_off(before);
        missed.clear();
        for pod in pods.iter().filter(|pod| !seen.contains(&name(pod))) {
            let told = gaps.iter().map(|gap| ran_in(gap, pod)).collect::<Result<Vec<_>>>()?;
            missed.extend((!told.contains(&true)).then(|| pod.pointer("/status/containerStatuses").cloned()));
        }
        Ok(missed.is_empty())
    });
    told.with_context(|| format!("missed: {missed:#?}\ngaps: {gaps:#?}"))?;
    for gap in &gaps {
        let nanoseconds = gap.pointer("/event/duration").and_then(Value::as_u64).context("no duration")?;
        println!("the agent was away for {} ms", nanoseconds / 1_000_000);
        ensure!(nanoseconds < GAP, "the agent was away for {nanoseconds} ns");
    }
    let seen: Vec<_> = pods.iter().map(name).filter(|pod| seen.contains(pod)).collect();
    println!("{} of {} pods asked while an agent was there", seen.len(), pods.len());
    installation.engine.expect(&seen, 1);
    installation.end()
}

#[test]
fn while_the_controller_is_away_a_new_agent_has_the_set_and_alerts_go_on() -> Result<()> {
    let installation = Installation::turn()?;
    let old = agent(&installation)?.context("no agent")?;
    let deployment = installation.kubectl(
        "get deployment namewarden-controller --namespace namewarden-controller --output jsonpath={.spec.replicas}",
    )?;
    let scale = |count: &str| {
        let words = "scale deployment/namewarden-controller --namespace namewarden-controller --replicas";
        installation.kubectl(&format!("{words} {count}"))
    };
    scale("0")?;
    installation.kubectl("wait --for delete pod --all --namespace namewarden-controller --timeout 120s")?;
    installation.kubectl(&format!("delete pod {old} --namespace namewarden-agent"))?;
    wait_for_another(&installation, &old)?;
    let crowd = Crowd::start(&installation, "alone", 12, 4)?;
    let pods = crowd.ended()?;
    scale(deployment.trim())?;
    crowd.alerts_once(&pods)?;
    installation.end()
}

#[test]
fn a_controller_whose_pods_are_deleted_misses_no_alert() -> Result<()> {
    let installation = Installation::turn()?;
    let crowd = Crowd::start(&installation, "orphans", 12, 4)?;
    crowd.until_ended(1)?;
    installation.kubectl("delete pod --all --namespace namewarden-controller --wait=false")?;
    let pods = crowd.ended()?;
    crowd.alerts_once(&pods)?;
    installation.end()
}

#[test]
fn a_kubelet_that_is_started_again_costs_no_alert_and_no_name() -> Result<()> {
    let installation = Installation::turn()?;
    let old = agent(&installation)?;
    let crowd = Crowd::start(&installation, "kubelet", 30, 6)?;
    crowd.until_ended(1)?;
    installation.cluster(&["restart", "kubelet"])?;
    let pods = crowd.ended()?;
    ensure!(pods.len() == 30, "{} pods", pods.len());
    crowd.alerts_once(&pods)?;
    ensure!(old.is_some() && agent(&installation)? == old, "the kubelet replaced the agent");
    installation.end()
}
