//! What stands between a pod and the answer: a resolver that asks others, a socket load-balancer that leads elsewhere. Neither
//! raises an alert of its own, and neither hides one.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddrV4},
};

use anyhow::{Context as _, Result, ensure};
use namewarden_tests::cgroup;

use crate::{
    crowd::{Crowd, text},
    installation::{Installation, wait_for},
    rewriter,
};

/// An address that nobody has: it leads somewhere as long as the rewriter is there.
const VIRTUAL: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 53);

/// A listed name that no other test asks for: no cache knows it.
const NAME: &str = "upstream.paypa1.example";

/// The address of the pod that is `CoreDNS`.
fn resolver(installation: &Installation) -> Result<Ipv4Addr> {
    let pods = installation.get("pods --namespace kube-system --selector k8s-app=kube-dns")?;
    let [pod] = &pods[..] else { anyhow::bail!("not one resolver: {pods:#?}") };
    Ok(text(pod, "/status/podIP").parse()?)
}

/// Findings of `CoreDNS` that raised no alert, as the agent counts them.
fn withheld(installation: &Installation) -> Result<u64> {
    let pods = installation.get("pods --namespace namewarden-agent")?;
    let address = pods.first().map(|pod| text(pod, "/status/podIP")).context("no agent")?;
    let metrics =
        Installation::inside(&["curl", "-sS", "--fail", &format!("http://{address}:9091/metrics")])?;
    let is_it = |line: &&str| {
        line.starts_with("namewarden_workload_withheld_findings_total{")
            && ["reason=\"resolver\"", "workload_namespace=\"kube-system\"", "coredns"]
                .iter()
                .all(|part| line.contains(part))
    };
    let value = |line: &str| line.rsplit(' ').next()?.parse::<u64>().ok();
    Ok(metrics.lines().filter(is_it).filter_map(value).sum())
}

#[test]
fn the_resolver_that_asks_others_for_a_listed_name_raises_nothing_and_is_counted() -> Result<()> {
    let installation = Installation::turn()?;
    let (resolver, before) = (resolver(&installation)?, withheld(&installation)?);
    let crowd = Crowd::start_with(&installation, "asker", 1, 1, &format!("nslookup {NAME}. 10.96.0.10"))?;
    let pods = crowd.ended()?;
    let alerts = crowd.alerts_once(&pods)?;
    ensure!(alerts.iter().all(|alert| text(alert, "/dns/question/name") == NAME), "{alerts:#?}");
    // The resolver of the node's network says whom it answered.
    let log = fs::read_to_string(installation.folder("log").join("coredns.log"))?;
    let asked = |line: &str| line.contains(&format!(" {resolver}:")) && line.contains(&format!(" {NAME}. "));
    ensure!(log.lines().any(asked), "CoreDNS did not ask upstream for {NAME}:\n{log}");
    wait_for("CoreDNS counted", || Ok(withheld(&installation)? > before))?;
    let all = installation.alerts()?;
    let of_system = all.iter().filter(|alert| text(alert, "/kubernetes/namespace") == "kube-system");
    ensure!(of_system.count() == 0, "the resolver raised alerts");
    installation.end()
}

#[test]
fn a_socket_load_balancer_at_the_root_hides_nothing() -> Result<()> {
    let installation = Installation::turn()?;
    let server = SocketAddrV4::new(resolver(&installation)?, 5353);
    let rewriter = rewriter::attach(&cgroup::root()?, SocketAddrV4::new(VIRTUAL, 53), server)?;
    let ask = format!("nslookup rat.example. {VIRTUAL}");
    let crowd = Crowd::start_with(&installation, "rewritten", 6, 3, &ask)?;
    let pods = crowd.ended()?;
    drop(rewriter);
    for alert in crowd.alerts_once(&pods)? {
        let answered = text(&alert, "/dns/response_code") == "NOERROR";
        ensure!(answered, "nobody answered at an address that the rewriter leads elsewhere: {alert:#}");
        let reached = text(&alert, "/destination/ip") == server.ip().to_string();
        ensure!(reached, "the load-balancer did not lead elsewhere: {alert:#}");
    }
    installation.end()
}
