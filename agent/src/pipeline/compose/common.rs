//! The fields that alerts and DNS logs share: dns, container, process, endpoints, network, related.

use std::borrow::Cow;
use std::net::IpAddr;

use namewarden_protocol::document::ecs::{self, Image, Resource, Service, Thread};
use namewarden_protocol::document::{
    Container, Dns, Document, Endpoint, Error, Kubernetes, Network, Process, Related, Text,
};

use crate::pipeline::attribute::pod::{Owner, Pod};
use crate::pipeline::attribute::{self, Attribution, Workload};
use crate::pipeline::dns_log::Owned;
use crate::pipeline::exchange::Exchange;
use crate::pipeline::packet::Transport;

/// Types whose data is one name.
const TARGET_TYPES: [&str; 3] = ["CNAME", "DNAME", "PTR"];

/// Whose it was, who was asked, and what was said.
pub(super) fn describe(document: &mut Document, exchange: &Exchange, pod: Option<&Pod>) {
    describe_workload(document, exchange, pod);
    describe_peers(document, exchange);
    document.dns = Some(exchange.dns.clone());
    document.error = error(exchange.malformed.as_ref());
    document.namewarden.unchecked_names = Some(exchange.unchecked_names).filter(|names| *names > 0);
    document.related = Some(related(Some(exchange.client.ip()), Some(exchange.server.ip()), &exchange.dns));
}

/// Whose it was.
pub(super) fn describe_workload(document: &mut Document, exchange: &Exchange, pod: Option<&Pod>) {
    let attributed = &exchange.attributed;
    document.namewarden.attribution = Some(attribution(attributed.attribution, pod));
    document.namewarden.side = side(exchange.server_side);
    workload(document, &attributed.workload, pod);
    if let Some(container) = document.container.as_mut().filter(|container| container.name.is_none()) {
        name(container, exchange.hints.container.as_deref(), pod);
    }
    document.process = process(&attributed.process);
}

/// How the workload was found; `contested` of a static pod that several objects claim to mirror.
pub(super) fn attribution(found: Attribution, pod: Option<&Pod>) -> Text {
    let is_contested = pod.is_some_and(|pod| pod.is_contested);
    Cow::Borrowed(if is_contested { "contested" } else { found.as_str() })
}

/// `server` for the server's side of an exchange; the client's goes without saying.
pub(super) fn side(server: bool) -> Option<Text> {
    server.then_some(Cow::Borrowed("server"))
}

/// `success`, `failure` or `unknown`, by the response code.
pub(super) fn outcome(dns: &Dns) -> Text {
    Cow::Borrowed(match dns.response_code.as_deref() {
        Some("NOERROR") => "success",
        Some(_) => "failure",
        None => "unknown",
    })
}

/// Why a message could not be read to its end.
pub(super) fn error(malformed: Option<&String>) -> Option<Error> {
    malformed.map(|message| Error { message: message.clone() })
}

/// Adds a name to those that can be searched for.
pub(super) fn relate(document: &mut Document, name: &str) {
    if let Some(related) = &mut document.related {
        push(&mut related.hosts, name.to_owned());
    }
}

/// Fills in what a workload is known by.
pub(super) fn workload(document: &mut Document, workload: &Workload, pod: Option<&Pod>) {
    document.namewarden.cgroup = Some(workload.path.clone()).filter(|path| !path.is_empty());
    document.container = container(workload, pod);
    document.service = workload.unit.clone().map(|name| Service { name });
    if let Some(uid) = workload.pod_uid.as_ref().or(pod.map(|pod| &pod.uid)) {
        let qos = workload.qos.map(|qos| Cow::Borrowed(qos.as_str()));
        document.kubernetes = Some(kubernetes(uid, qos, pod));
        document.orchestrator.kind = Some(Cow::Borrowed("kubernetes"));
        document.orchestrator.namespace = pod.map(|pod| pod.namespace.clone());
        document.orchestrator.resource = Some(resource(uid, pod));
    }
}

fn container(workload: &Workload, pod: Option<&Pod>) -> Option<Container> {
    let id = workload.container_id.clone()?;
    let known = pod.and_then(|pod| pod.container(&id));
    Some(Container {
        runtime: workload.runtime.map(|runtime| Cow::Borrowed(runtime.as_str())),
        name: known.map(|known| known.name.clone()),
        image: known.map(|known| Image { name: known.image.clone() }),
        id,
    })
}

/// Names a container as its process's mounts do, else as the pod's only one, and its image as the pod's object does.
fn name(container: &mut Container, name: Option<&str>, pod: Option<&Pod>) {
    let only = || pod?.only_container().map(|container| &*container.name);
    let name = name.or_else(only);
    let known = name.and_then(|name| pod?.container_named(name));
    container.image = known.map(|known| Image { name: known.image.clone() });
    container.name = name.map(str::to_owned);
}

fn kubernetes(uid: &str, qos: Option<Text>, pod: Option<&Pod>) -> Kubernetes {
    Kubernetes {
        pod: Some(ecs::Pod {
            uid: uid.to_owned(),
            qos,
            name: pod.map(|pod| pod.name.clone()),
            ip: pod.and_then(|pod| pod.ip),
        }),
        namespace: pod.map(|pod| pod.namespace.clone()),
        owner: pod.and_then(|pod| pod.owner.clone()).map(owner),
        service_account: pod.and_then(|pod| pod.service_account.clone()),
        labels: pod.map(|pod| pod.labels.clone()).unwrap_or_default(),
    }
}

fn owner(owner: Owner) -> ecs::Owner {
    ecs::Owner { kind: owner.kind, name: owner.name }
}

/// Fills in whose pods they were that exchanges are counted of.
pub(super) fn owned(document: &mut Document, owned: &Owned) {
    document.namewarden.clients = u64::try_from(owned.pods.len()).ok();
    document.kubernetes = Some(Kubernetes {
        pod: None,
        namespace: Some(owned.namespace.clone()),
        owner: Some(owner(owned.owner.clone())),
        service_account: None,
        labels: owned.labels.clone(),
    });
    document.orchestrator.kind = Some(Cow::Borrowed("kubernetes"));
    document.orchestrator.namespace = Some(owned.namespace.clone());
    document.orchestrator.resource = Some(Resource {
        kind: Cow::Owned(owned.owner.kind.to_ascii_lowercase()),
        id: None,
        name: Some(owned.owner.name.clone()),
        parent: None,
    });
}

fn resource(uid: &str, pod: Option<&Pod>) -> Resource {
    Resource {
        kind: Cow::Borrowed("pod"),
        id: Some(uid.to_owned()),
        name: pod.map(|pod| pod.name.clone()),
        parent: pod
            .and_then(|pod| pod.owner.as_ref())
            .map(|owner| ecs::Parent { kind: owner.kind.to_ascii_lowercase() }),
    }
}

/// Every address and name of an exchange, each once.
pub(super) fn related(client: Option<IpAddr>, server: Option<IpAddr>, dns: &Dns) -> Related {
    let mut related = Related::default();
    for address in [client, server].into_iter().flatten().chain(dns.resolved_ip.iter().copied()) {
        push(&mut related.ip, address.to_canonical());
    }
    if let Some(question) = &dns.question {
        push(&mut related.hosts, question.name.clone());
    }
    for record in &dns.answers {
        push(&mut related.hosts, record.name.clone());
        if TARGET_TYPES.contains(&&*record.kind) {
            record.data.all().iter().for_each(|name| push(&mut related.hosts, name.clone()));
        }
    }
    related
}

/// How a message travels.
pub(super) fn network(transport: Transport, address: IpAddr) -> Network {
    Network {
        transport: Cow::Borrowed(match transport {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
        }),
        kind: Cow::Borrowed(if address.to_canonical().is_ipv4() { "ipv4" } else { "ipv6" }),
        protocol: Cow::Borrowed("dns"),
    }
}

fn describe_peers(document: &mut Document, exchange: &Exchange) {
    let (client, server) = (Endpoint::from(exchange.client), Endpoint::from(exchange.server));
    (document.client, document.source) = (Some(client), Some(client));
    (document.server, document.destination) = (Some(server), Some(server));
    document.network = Some(network(exchange.transport, exchange.server.ip()));
}

fn process(process: &attribute::Process) -> Option<Process> {
    if process.pid == 0 {
        return None;
    }
    let text = |name: &Option<std::sync::Arc<str>>| name.as_deref().map(str::to_owned);
    let thread = Thread { id: process.tid, name: text(&process.thread_name) };
    Some(Process {
        pid: process.pid,
        name: text(&process.name),
        thread: (process.tid != 0).then_some(thread),
    })
}

fn push<T: PartialEq>(all: &mut Vec<T>, one: T) {
    if !all.contains(&one) {
        all.push(one);
    }
}
