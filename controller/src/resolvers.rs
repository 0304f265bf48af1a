//! Ports that the cluster's resolvers listen on: named by the containers of resolver pods, told to every agent.
//!
//! In: rules that say which pods are resolvers, by namespace and label. Out: [`ResolverPorts`], once every rule's pods are known.
//! One watch for each rule, of those pods alone; agents watch nothing for it. A pod that labels itself so in a namespace that no
//! rule names is never read. An API server that is away changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use kube::core::{ApiResource, Object};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client};
use namewarden_protocol::api_server;
use namewarden_protocol::endpoint::ports::{RESOLVER_PORTS_MAX, ResolverPorts};
use namewarden_protocol::pod_rule::Rule;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// An API server that has just started refuses what it grants a moment later: a refusal counts once it has lasted so long.
const REFUSAL_BELIEVED: Duration = Duration::from_secs(30);

/// A pod, as far as it is read.
type Pod = Object<Spec, Status>;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    service_account_name: Option<String>,
    containers: Vec<Container>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Container {
    ports: Vec<Port>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Port {
    #[serde(rename = "containerPort")]
    container: u16,
    #[serde(rename = "hostPort")]
    host: u16,
    protocol: Option<String>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Status {
    phase: Option<String>,
}

/// Follows the resolver pods for ever, and tells what ports they listen on.
pub async fn follow(client: Client, rules: Vec<Rule>, told: watch::Sender<Option<ResolverPorts>>) {
    if rules.is_empty() {
        // Agents may still have those of rules before.
        told.send_replace(Some(ResolverPorts::default()));
    }
    let mut known: Vec<Pods> = rules.iter().map(|_| Pods::default()).collect();
    let watches = rules.into_iter().enumerate().map(|(place, rule)| watch(&client, place, rule));
    let mut events = stream::select_all(watches);
    while let Some((place, rule, event)) = events.next().await {
        let Some(pods) = known.get_mut(place) else { continue };
        match event {
            Ok(event) => pods.take(event, &rule),
            Err(error) => pods.broken(&error, &rule, Instant::now()),
        }
        let ports = ports(&known);
        told.send_if_modified(|before| {
            let is_news = ports.is_some() && *before != ports;
            if is_news {
                before.clone_from(&ports);
                say(ports.as_ref());
            }
            is_news
        });
    }
}

type Event = Result<watcher::Event<Pod>, watcher::Error>;

fn watch(client: &Client, place: usize, rule: Rule) -> BoxStream<'static, (usize, Rule, Event)> {
    let resource = ApiResource {
        group: String::new(),
        version: "v1".to_owned(),
        api_version: "v1".to_owned(),
        kind: "Pod".to_owned(),
        plural: "pods".to_owned(),
    };
    let api: Api<Pod> = Api::namespaced_with(client.clone(), rule.namespace(), &resource);
    let mut config = watcher::Config::default().timeout(api_server::WATCH_SECONDS);
    if let Some((key, value)) = rule.label() {
        config = config.labels(&format!("{key}={value}"));
    }
    watcher(api, config).default_backoff().map(move |event| (place, rule.clone(), event)).boxed()
}

fn say(ports: Option<&ResolverPorts>) {
    if let Some(ports) = ports {
        tracing::info!("besides 53 the cluster's resolvers listen on: {ports}; agents are told");
    }
}

/// What is known of one rule's pods.
#[derive(Debug, Default)]
struct Pods {
    /// Ports of each pod that names any, by its UID.
    ports: BTreeMap<String, BTreeSet<u16>>,
    /// Likewise, of those that are being listed.
    listed: BTreeMap<String, BTreeSet<u16>>,
    /// Whether all of them are known, or none may be seen.
    is_known: bool,
    /// Whether all of them were seen once.
    is_seen: bool,
    /// Since when nothing but refusals has come.
    refused_since: Option<Instant>,
    /// Why the watch broke off, told once.
    told: Option<String>,
}

impl Pods {
    fn take(&mut self, event: watcher::Event<Pod>, rule: &Rule) {
        match event {
            watcher::Event::Init => self.listed.clear(),
            watcher::Event::InitApply(pod) => put(&mut self.listed, &pod, rule),
            watcher::Event::InitDone => {
                self.ports = std::mem::take(&mut self.listed);
                (self.is_known, self.is_seen, self.told) = (true, true, None);
                self.refused_since = None;
            }
            watcher::Event::Apply(pod) => put(&mut self.ports, &pod, rule),
            watcher::Event::Delete(pod) => {
                self.ports.remove(pod.metadata.uid.as_deref().unwrap_or_default());
            }
        }
    }

    /// What is known stays. Where it may not be seen at all, and not only for a moment, other rules do not wait for it.
    fn broken(&mut self, error: &watcher::Error, rule: &Rule, now: Instant) {
        use watcher::Error::{InitialListFailed, WatchStartFailed};
        let is_refused = matches!(
            error,
            InitialListFailed(kube::Error::Api(status)) | WatchStartFailed(kube::Error::Api(status)) if status.code == 403
        );
        self.refused_since = is_refused.then(|| self.refused_since.unwrap_or(now));
        let lasted = self.refused_since.map(|since| now.saturating_duration_since(since));
        self.is_known |= lasted >= Some(REFUSAL_BELIEVED);
        let reason = api_server::why_no_watch(error);
        if self.told.as_ref() != Some(&reason) {
            tracing::warn!(
                "the watch of resolver pods in {} broke off and is begun again: {reason}; ports other than 53 are captured as \
                 far as they are known",
                rule.namespace()
            );
            self.told = Some(reason);
        }
    }
}

/// Notes a pod's ports; a pod that has ended listens on none.
fn put(pods: &mut BTreeMap<String, BTreeSet<u16>>, pod: &Pod, rule: &Rule) {
    let Some(uid) = pod.metadata.uid.clone() else { return };
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    let labels = pod.metadata.labels.clone().unwrap_or_default();
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let is_meant = rule.speaks_of(namespace, &labels, pod.spec.service_account_name.as_deref());
    let ports = if is_meant && !matches!(phase, Some("Succeeded" | "Failed")) {
        listened(&pod.spec)
    } else {
        BTreeSet::new()
    };
    if ports.is_empty() {
        pods.remove(&uid);
    } else {
        pods.insert(uid, ports);
    }
}

/// Ports that DNS may be spoken on: those of UDP, for metrics and health are TCP alone; TCP follows at the same number.
fn listened(spec: &Spec) -> BTreeSet<u16> {
    let ports = spec.containers.iter().flat_map(|container| &container.ports);
    let udp = ports.filter(|port| port.protocol.as_deref() == Some("UDP"));
    let numbers = udp.flat_map(|port| [port.container, port.host]);
    let numbers: BTreeSet<u16> = numbers.filter(|port| ResolverPorts::takes(*port)).collect();
    numbers.into_iter().take(RESOLVER_PORTS_MAX).collect()
}

/// Ports of all rules' pods, those that most pods name where there are too many; `None` while some are not known, or none may be seen:
/// an API server that has just started refuses for a moment what it grants then.
fn ports(known: &[Pods]) -> Option<ResolverPorts> {
    if !known.iter().all(|pods| pods.is_known) || !known.iter().any(|pods| pods.is_seen) {
        return None;
    }
    let mut counts: BTreeMap<u16, usize> = BTreeMap::new();
    for port in known.iter().flat_map(|pods| pods.ports.values()).flatten() {
        *counts.entry(*port).or_default() += 1;
    }
    let mut ranked: Vec<_> = counts.into_iter().collect();
    ranked.sort_by_key(|(port, count)| (std::cmp::Reverse(*count), *port));
    if ranked.len() > RESOLVER_PORTS_MAX {
        tracing::debug!("resolver pods name {} ports: {RESOLVER_PORTS_MAX} are told", ranked.len());
    }
    Some(ranked.into_iter().map(|(port, _)| port).collect())
}

#[cfg(test)]
mod tests {
    use kube::core::Status as Refusal;

    use super::*;

    fn pod(uid: &str, more: &str, ports: &str) -> Pod {
        let text = format!(
            r#"{{"metadata": {{"uid": "{uid}", "namespace": "kube-system", "labels": {{"k8s-app": "kube-dns"}}}},
                "spec": {{"serviceAccountName": "coredns", "containers": [{{"name": "dns", "ports": [{ports}]}}]}},
                "status": {{"phase": "Running"}}}}"#
        );
        serde_json::from_str(&text.replace(r#""phase": "Running""#, more)).unwrap()
    }

    fn running(uid: &str, port: u16) -> Pod {
        pod(uid, r#""phase": "Running""#, &format!(r#"{{"containerPort": {port}, "protocol": "UDP"}}"#))
    }

    fn listed(rule: &str, pods: Vec<Pod>) -> Pods {
        let (mut known, rule) = (Pods::default(), rule.parse().unwrap());
        known.take(watcher::Event::Init, &rule);
        for pod in pods {
            known.take(watcher::Event::InitApply(pod), &rule);
        }
        assert_eq!(ports(std::slice::from_ref(&known)), None, "a list that is not whole says nothing");
        known.take(watcher::Event::InitDone, &rule);
        known
    }

    fn said(known: &[Pods]) -> String {
        ports(known).map_or_else(|| "unknown".to_owned(), |ports| ports.to_string())
    }

    const RULE: &str = "kube-system/k8s-app=kube-dns";

    #[test]
    fn udp_ports_of_living_resolvers_are_told_and_those_of_others_are_not() {
        let text = r#"{"containerPort": 1053, "protocol": "UDP"}, {"containerPort": 1053, "protocol": "TCP"},
            {"containerPort": 9153, "protocol": "TCP"}, {"containerPort": 853, "protocol": "UDP"},
            {"containerPort": 53, "hostPort": 8053, "protocol": "UDP"}"#;
        assert_eq!(said(&[listed(RULE, vec![pod("a", r#""phase": "Running""#, text)])]), "1053,8053");
        assert_eq!(said(&[listed(RULE, vec![pod("a", r#""phase": "Failed""#, text)])]), "none");
        let other = "kube-system/k8s-app=kube-dns@other";
        assert_eq!(said(&[listed(other, vec![running("a", 1053)])]), "none", "the account is another's");
        assert_eq!(said(&[listed("dns/k8s-app=kube-dns", vec![running("a", 1053)])]), "none");
    }

    #[test]
    fn a_port_goes_with_the_last_pod_that_names_it() {
        let rule = RULE.parse().unwrap();
        let mut known = listed(RULE, vec![running("a", 1053), running("b", 1053)]);
        known.take(watcher::Event::Delete(running("a", 1053)), &rule);
        assert_eq!(said(std::slice::from_ref(&known)), "1053");
        known.take(watcher::Event::Apply(running("b", 5353)), &rule);
        assert_eq!(said(std::slice::from_ref(&known)), "5353");
        known.take(watcher::Event::Delete(running("b", 5353)), &rule);
        assert_eq!(said(&[known]), "none");
    }

    #[test]
    fn the_eight_that_most_pods_name_are_told() {
        let mut pods: Vec<Pod> = (0..20).map(|port| running(&format!("p{port}"), 1000 + port)).collect();
        pods.extend([running("x", 1019), running("y", 1018)]);
        let told = said(&[listed(RULE, pods)]);
        assert_eq!(told, "1000,1001,1002,1003,1004,1005,1018,1019");
    }

    #[test]
    fn nothing_is_said_before_every_rule_is_known_and_one_that_may_not_be_seen_is_not_waited_for() {
        let mut known = [listed(RULE, vec![running("a", 1053)]), Pods::default()];
        assert_eq!(said(&known), "unknown");
        let rule = "dns/app=dns".parse().unwrap();
        let refused = |code| {
            watcher::Error::InitialListFailed(kube::Error::Api(Box::new(Refusal {
                code,
                ..Refusal::default()
            })))
        };
        let start = Instant::now();
        let mut broken = |code, after| {
            known[1].broken(&refused(code), &rule, start + Duration::from_secs(after));
            said(&known)
        };
        for (code, after) in [(500, 0), (403, 0), (403, 29), (500, 40), (403, 41), (403, 70)] {
            assert_eq!(broken(code, after), "unknown", "{code} after {after} s");
        }
        assert_eq!(broken(403, 71), "1053", "it was refused for half a minute");
        let mut hidden = [Pods::default()];
        hidden[0].broken(&refused(403), &rule, start);
        hidden[0].broken(&refused(403), &rule, start + REFUSAL_BELIEVED);
        assert_eq!(said(&hidden), "unknown", "an API server that has just started refuses everything");
    }
}
