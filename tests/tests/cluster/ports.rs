//! Ports that containers of the cluster's resolvers name are captured on every node, as the controller tells them.

use anyhow::Result;
use namewarden_tests::{
    agent::{Agent, AgentBuilder},
    node::{DNS_V4, Node},
    pod::Pod,
    server::{Server, Zone},
    wait,
};
use serde_json::{Value, json};

use crate::scene::{CONTROLLER, Running, Scene};

/// A resolver that runs elsewhere, and listens where its Service does not.
const RESOLVER: &str = "
apiVersion: v1
kind: ServiceAccount
metadata: {name: dns, namespace: NAMESPACE}
---
apiVersion: v1
kind: Pod
metadata:
  name: NAME
  namespace: NAMESPACE
  labels: {k8s-app: kube-dns}
spec:
  nodeName: another-node
  serviceAccountName: dns
  automountServiceAccountToken: false
  containers:
  - name: dns
    image: registry.example/dns:1
    ports: [{containerPort: PORT, protocol: UDP}, {containerPort: PORT, protocol: TCP}, {containerPort: 9153}]
";

fn make(scene: &Scene, namespace: &str, name: &str, port: &str) -> Result<()> {
    let manifest = RESOLVER.replace("NAMESPACE", namespace).replace("NAME", name).replace("PORT", port);
    scene.apply(&manifest).map(drop)
}

/// An agent that follows the controller, and asks no API server.
fn agent(scene: &Scene, running: &Running, node: &Node) -> Result<Agent> {
    let token = scene.file("agent.token", &scene.token("namewarden-agent", CONTROLLER)?)?;
    let (url, authority) = (running.controller.url(), running.controller.authority().to_string_lossy());
    let options = ["--controller", &url, "--ca", &authority, "--token-file", &token.to_string_lossy()];
    AgentBuilder::new("agent").arguments(&options).start(node)
}

fn wait_for_ports(agent: &Agent, running: &Running, count: u64) -> Result<()> {
    let found = wait::until(&format!("{count} ports"), || {
        Ok((agent.metric("namewarden_agent_dns_ports", "")? == count).then_some(()))
    });
    found.map_err(|error| error.context(agent.log()).context(running.controller.log()))
}

fn ask(pod: &Pod, name: &str, port: u16) -> Result<()> {
    pod.client()?.tell_all(&["udp4", &format!("ask {name} A {DNS_V4}:{port}")])
}

fn names(documents: &[Value]) -> Vec<&str> {
    let alerts = documents.iter().filter(|one| one.pointer("/event/action") == Some(&json!("listed-name")));
    alerts.filter_map(|one| one.pointer("/dns/question/name")?.as_str()).collect()
}

#[test]
fn what_is_asked_on_a_port_that_a_resolvers_container_names_is_seen_while_there_is_one() -> Result<()> {
    let scene = Scene::new()?;
    let names_listed =
        "before.example\nmeanwhile.example\nafter.example\nforged.example\nlast.example\nagain.example\n";
    scene.add_pulled("feed", names_listed)?;
    let running = scene.start(&scene.controller("controller")?)?;
    running.wait_for_names(&["last.example"], &[])?;
    let node = Node::start()?;
    let _server = Server::start(node.dns(), Zone::new())?;
    let pod = node.pod().start()?;
    let first = agent(&scene, &running, &node)?;
    first.wait_for_controller_set("six entries", |set| set.pointer("/entries") == Some(&json!(6)))?;
    ask(&pod, "before.example", 5353)?;
    // Whoever labels himself so elsewhere makes nobody look at a port.
    make(&scene, &scene.namespace, "forger", "5300")?;
    make(&scene, "kube-system", "coredns-1", "5353")?;
    wait_for_ports(&first, &running, 2)?;
    ask(&pod, "meanwhile.example", 5353)?;
    let alert = first.wait_for("the alert", |document| {
        document.pointer("/dns/question/name") == Some(&json!("meanwhile.example"))
    })?;
    assert_eq!(alert.pointer("/destination/port"), Some(&json!(5353)), "{alert:#}");
    let seen = first.stop()?.documents;
    assert_eq!(names(&seen), ["meanwhile.example"], "{seen:#?}");

    // An agent knows the ports of the run before, whatever became of the controller.
    let address = running.controller.address();
    running.controller.kill()?;
    let again = {
        let token = scene.file("agent.token", &scene.token("namewarden-agent", CONTROLLER)?)?;
        let authority = scene.controller("controller")?.state().join("tls/ca.crt");
        let url = format!("https://{address}");
        let options = [
            "--controller",
            &url,
            "--ca",
            &authority.to_string_lossy(),
            "--token-file",
            &token.to_string_lossy(),
        ];
        AgentBuilder::new("agent").arguments(&options).start(&node)?
    };
    wait::until("the port of before", || {
        Ok((again.metric("namewarden_agent_dns_ports", "")? == 2).then_some(()))
    })?;
    ask(&pod, "again.example", 5353)?;

    let running = scene.start(&scene.controller("controller")?.listen(address))?;
    scene.cluster.kubectl("delete pod coredns-1 --namespace kube-system --force --grace-period 0")?;
    wait_for_ports(&again, &running, 1)?;
    ask(&pod, "after.example", 5353)?;
    ask(&pod, "last.example", 53)?;
    let seen = again.stop()?.documents;
    assert_eq!(names(&seen), ["again.example", "last.example"], "{seen:#?}");
    Ok(())
}
