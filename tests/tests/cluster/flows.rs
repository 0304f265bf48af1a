//! The chart's `NetworkPolicies`, read as a network plugin reads them: what agents and controllers need is let through, and nothing else.

use anyhow::{Context as _, Result};
use serde_json::{Map, Value, json};

use crate::chart::{rendered, text};

/// One end of a connection: a pod by namespace and labels, or an address outside of the cluster.
#[derive(Clone, Debug)]
enum End {
    Pod { namespace: String, labels: Map<String, Value>, ports: Vec<Value> },
    Outside,
}

/// What is let through between pods of one rendering.
struct Network {
    policies: Vec<Value>,
    agent: End,
    controller: End,
}

impl Network {
    fn of(options: &[&str]) -> Result<Self> {
        let options: Vec<String> = options.iter().map(|option| format!("--set={option}")).collect();
        let objects = rendered(&options)?;
        let pod = |kind: &str| -> Result<End> {
            let owner = objects.iter().find(|object| text(object, "/kind") == kind).context("no pods")?;
            let labels = owner.pointer("/spec/template/metadata/labels").and_then(Value::as_object);
            let ports = owner.pointer("/spec/template/spec/containers/0/ports").and_then(Value::as_array);
            Ok(End::Pod {
                namespace: text(owner, "/metadata/namespace").to_owned(),
                labels: labels.context("no labels")?.clone(),
                ports: ports.context("no ports")?.clone(),
            })
        };
        let (agent, controller) = (pod("DaemonSet")?, pod("Deployment")?);
        let policies =
            objects.into_iter().filter(|object| text(object, "/kind") == "NetworkPolicy").collect();
        Ok(Self { policies, agent, controller })
    }

    /// Whether a TCP connection gets through: what holds for its start lets it out, what holds for its end lets it in.
    fn lets(&self, from: &End, to: &End, port: u16) -> bool {
        self.takes("egress", from, to, to, port) && self.takes("ingress", to, from, to, port)
    }

    /// Whether the policies of `one` let it talk to `other`; without any everything is let.
    fn takes(&self, way: &str, one: &End, other: &End, server: &End, port: u16) -> bool {
        let End::Pod { namespace, labels, .. } = one else { return true };
        let own = |policy: &&Value| {
            text(policy, "/metadata/namespace") == namespace
                && selects(policy.pointer("/spec/podSelector").unwrap_or(&Value::Null), labels)
        };
        let mut own = self.policies.iter().filter(own).peekable();
        own.peek().is_none()
            || own.any(|policy| {
                let rules = policy.pointer(&format!("/spec/{way}")).and_then(Value::as_array);
                rules.is_some_and(|rules| {
                    rules.iter().any(|rule| lets(rule, way, namespace, other, server, port))
                })
            })
    }
}

fn lets(rule: &Value, way: &str, namespace: &str, other: &End, server: &End, port: u16) -> bool {
    let ports = rule.get("ports").and_then(Value::as_array);
    let is_port = ports.is_none_or(|ports| {
        ports
            .iter()
            .any(|listed| text(listed, "/protocol") == "TCP" && is_it(listed.get("port"), server, port))
    });
    let peers = rule.get(if way == "egress" { "to" } else { "from" }).and_then(Value::as_array);
    is_port && peers.is_none_or(|peers| peers.iter().any(|peer| is_peer(peer, namespace, other)))
}

/// A number, or a name among the ports of the pod that is asked.
fn is_it(listed: Option<&Value>, server: &End, port: u16) -> bool {
    match (listed, server) {
        (Some(Value::String(name)), End::Pod { ports, .. }) => ports
            .iter()
            .any(|own| text(own, "/name") == name && own.get("containerPort") == Some(&json!(port))),
        (Some(number), _) => *number == json!(port),
        (None, _) => true,
    }
}

fn is_peer(peer: &Value, own: &str, other: &End) -> bool {
    let End::Pod { namespace, labels, .. } = other else { return peer.get("ipBlock").is_some() };
    let name = Map::from_iter([("kubernetes.io/metadata.name".to_owned(), json!(namespace))]);
    let is_namespace = match peer.get("namespaceSelector") {
        Some(selector) => selects(selector, &name),
        None => namespace == own,
    };
    is_namespace
        && peer.get("ipBlock").is_none()
        && peer.get("podSelector").is_none_or(|pods| selects(pods, labels))
}

fn selects(selector: &Value, labels: &Map<String, Value>) -> bool {
    let wanted = selector.get("matchLabels").and_then(Value::as_object);
    wanted.is_none_or(|wanted| wanted.iter().all(|(key, value)| labels.get(key) == Some(value)))
}

fn pod(namespace: &str, labels: &Value) -> End {
    let labels = labels.as_object().cloned().unwrap_or_default();
    End::Pod { namespace: namespace.to_owned(), labels, ports: Vec::new() }
}

#[test]
fn what_agents_and_controllers_need_is_let_through_and_nothing_else() -> Result<()> {
    const FEED: &str = "feeds.far.pull.http.url=https://feeds.example:8081/list";
    const CLIENT: &str =
        "networkPolicy.clients[0].namespaceSelector.matchLabels.kubernetes\\.io/metadata\\.name=intel";
    let network = Network::of(&[FEED, CLIENT])?;
    let (agent, controller, outside) = (&network.agent, &network.controller, &End::Outside);
    let resolver = &pod("kube-system", &json!({"k8s-app": "kube-dns"}));
    let pusher = &pod("intel", &json!({"app": "pusher"}));
    let stranger = &pod("shop", &json!({"app": "cart"}));
    let impostor = &pod(
        "shop",
        &json!({"app.kubernetes.io/name": "namewarden", "app.kubernetes.io/component": "agent"}),
    );
    let prometheus = &pod("monitoring", &json!({"app": "prometheus"}));
    for (from, to, port, is_let, what) in [
        (agent, controller, 8443, true, "sets, reports, documents"),
        (controller, controller, 8443, true, "followers copy, pushes are passed on"),
        (pusher, controller, 8443, true, "clients of the values"),
        (stranger, controller, 8443, false, "any other pod"),
        (impostor, controller, 8443, false, "an agent's labels in another namespace"),
        (outside, controller, 8443, false, "from outside, unless the values say so"),
        (prometheus, agent, 9091, true, "metrics of agents"),
        (prometheus, controller, 9092, true, "metrics of controllers"),
        (stranger, agent, 8443, false, "an agent serves nothing else"),
        (agent, resolver, 53, true, "DNS"),
        (agent, resolver, 5353, true, "DNS of OpenShift, behind its Service"),
        (controller, outside, 6443, true, "the API server"),
        (agent, outside, 443, true, "the API server of a cloud"),
        (agent, outside, 16443, true, "the API server of MicroK8s"),
        (controller, outside, 80, true, "a feed"),
        (controller, outside, 8081, true, "a feed's port of its own"),
        (agent, outside, 8081, false, "an agent pulls no feeds"),
        (agent, outside, 9200, false, "there is no search engine"),
        (controller, outside, 25, false, "mail"),
        (agent, agent, 9091, false, "agents do not talk to each other"),
    ] {
        assert_eq!(network.lets(from, to, port), is_let, "{what}: port {port}, {from:?} to {to:?}");
    }
    Ok(())
}

#[test]
fn a_search_engine_is_reached_where_it_is_and_only_there() -> Result<()> {
    const URLS: &str = "searchEngine.urls={https://es.search.svc:9200,https://other.example}";
    const PLACE: &str =
        "networkPolicy.searchEngine[0].namespaceSelector.matchLabels.kubernetes\\.io/metadata\\.name=search";
    let engine = pod("search", &json!({"app": "elasticsearch"}));
    let stranger = pod("shop", &json!({"app": "cart"}));
    let anywhere = Network::of(&[URLS])?;
    let placed = Network::of(&[URLS, PLACE])?;
    let behind =
        Network::of(&["searchEngine.urls={https://es.example}", "networkPolicy.searchEnginePorts={9200}"])?;
    for (network, to, is_let) in [
        (&anywhere, &engine, true),
        (&anywhere, &End::Outside, true),
        (&placed, &engine, true),
        (&placed, &stranger, false),
        (&behind, &engine, true),
    ] {
        for from in [&network.agent, &network.controller] {
            assert_eq!(network.lets(from, to, 9200), is_let, "{from:?} to {to:?}");
        }
    }
    Ok(())
}
