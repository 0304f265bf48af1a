//! What the tests of running controllers start from: an API server with the resource, a namespace with exactly the role
//! that ships, a server of lists, and controllers that run under that role.

use std::{
    collections::BTreeSet,
    fs,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context as _, Result};
use namewarden_protocol::threat_set::{ThreatSet, wire};
use namewarden_tests::{
    controller::{self, Controller, ControllerBuilder},
    feed_server::{Answer, Authority, FeedServer},
    kube::{Cluster, User, port},
    node::random_bytes,
    wait,
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    client::{Client, Reply},
    lane::{Lane, REFERENCE},
};

/// The role that ships.
const ROLE: &str = include_str!("../../../deploy/rbac/controller.yaml");
/// The roles for people that ship.
const PEOPLE: &str = include_str!("../../../deploy/rbac/people.yaml");
/// Whom tokens for the API server are for.
pub const API_SERVER: &str = "https://kubernetes.default.svc";
/// Whom tokens for the controller are for.
pub const CONTROLLER: &str = "namewarden";

/// A namespace and what is in it.
pub struct Scene {
    pub cluster: Arc<Cluster>,
    /// The API server, asked by the administrator.
    pub api: Client,
    /// Where lists are pulled from.
    pub lists: FeedServer,
    /// The group of the feeds.
    pub group: &'static str,
    /// The controllers' namespace.
    pub namespace: String,
    authority: Authority,
    folder: tempfile::TempDir,
    // Given back when all else is gone.
    _lane: Option<Lane>,
}

/// A running controller and who asks it.
pub struct Running {
    pub controller: Controller,
    /// The administrator.
    pub admin: Client,
    agent: Client,
    peer: Client,
    folder: tempfile::TempDir,
}

impl Scene {
    /// In the API server that tests share.
    pub fn new() -> Result<Self> {
        Self::within(Lane::any())
    }

    /// Likewise, with feeds of the reference's group.
    pub fn of_reference() -> Result<Self> {
        Self::within(Lane::of(REFERENCE))
    }

    /// In an API server of its own, to be broken.
    pub fn alone() -> Result<Self> {
        Self::set_up(Arc::new(Cluster::start()?), REFERENCE, None)
    }

    fn within(lane: Lane) -> Result<Self> {
        Self::set_up(Cluster::shared()?, lane.group, Some(lane))
    }

    fn set_up(cluster: Arc<Cluster>, group: &'static str, lane: Option<Lane>) -> Result<Self> {
        define(&cluster, group)?;
        let api = Client::new(&cluster.url(), &cluster.authority(), User::admin().token())?;
        let namespace = format!("controllers-{:08x}", u32::from_le_bytes(random_bytes()?));
        let scene = Self {
            api,
            lists: FeedServer::start()?,
            group,
            namespace,
            authority: Authority::new()?,
            folder: tempfile::tempdir()?,
            cluster,
            _lane: lane,
        };
        // What a test left that failed.
        scene.api.ask(Method::DELETE, &scene.feeds(), None)?.json()?;
        let space = json!({"metadata": {"name": scene.namespace}});
        scene.api.send(Method::POST, "/api/v1/namespaces", &space)?;
        scene.apply(&scene.role(ROLE))?;
        scene.api.send(
            Method::POST,
            &format!("/api/v1/namespaces/{}/serviceaccounts", scene.namespace),
            &json!({"metadata": {"name": "namewarden-agent"}}),
        )?;
        Ok(scene)
    }

    /// Connects to the API server anew, which was restarted.
    pub fn reconnect(&mut self) -> Result<()> {
        self.api = Client::new(&self.cluster.url(), &self.cluster.authority(), User::admin().token())?;
        Ok(())
    }

    /// Applies manifests by kubectl.
    pub fn apply(&self, manifests: &str) -> Result<String> {
        self.cluster.apply(manifests)
    }

    /// The role that ships, for this namespace and group; its objects of the whole cluster under names of their own.
    fn role(&self, role: &str) -> String {
        role.replace("namespace: namewarden\n", &format!("namespace: {}\n", self.namespace))
            .replace("namespace: namewarden}", &format!("namespace: {}}}", self.namespace))
            .replace("namewarden:controller", &format!("namewarden:{}", self.namespace))
            .replace(REFERENCE, self.group)
    }

    /// Applies the roles for people that ship, each under the namespace's name instead of ours.
    pub fn apply_people(&self) -> Result<()> {
        let named = PEOPLE.replace("name: namewarden:", &format!("name: {}:", self.namespace));
        self.apply(&named.replace(REFERENCE, self.group)).map(drop)
    }

    /// Takes a rule out of the role that ships, by a text of it.
    pub fn take_away(&self, rule: &str) -> Result<()> {
        assert!(ROLE.contains(rule), "the role holds no {rule}");
        self.apply(&self.role(&ROLE.replace(rule, ""))).map(drop)
    }

    /// A token of a service account of the namespace.
    pub fn token(&self, account: &str, audience: &str) -> Result<String> {
        let path = format!("/api/v1/namespaces/{}/serviceaccounts/{account}/token", self.namespace);
        let request = json!({"spec": {"audiences": [audience], "expirationSeconds": 3600}});
        let given = self.api.send(Method::POST, &path, &request)?;
        Ok(given.pointer("/status/token").and_then(Value::as_str).context("no token")?.to_owned())
    }

    /// A file by which the API server is reached under the controllers' service account.
    pub fn account(&self) -> Result<User> {
        let token = self.token("namewarden-controller", API_SERVER)?;
        Ok(User::of_token(&self.namespace, &token))
    }

    /// A controller of this namespace, alone.
    pub fn controller(&self, name: &str) -> Result<ControllerBuilder> {
        self.controller_through(name, &self.cluster.kubeconfig(&self.account()?)?)
    }

    /// Likewise, with a file that says how the API server is reached.
    pub fn controller_through(&self, name: &str, kubeconfig: &std::path::Path) -> Result<ControllerBuilder> {
        let builder = ControllerBuilder::of_cluster(&self.folder.path().join(name), kubeconfig)?;
        let place = ["--namespace", &self.namespace, "--group", self.group];
        Ok(builder.arguments(&place).arguments(&["--feed-proxy", "none", "--feed-reach", "loopback"]))
    }

    /// One that reaches feeds through a proxy.
    pub fn controller_behind(&self, name: &str, proxy: &str) -> Result<ControllerBuilder> {
        let kubeconfig = self.cluster.kubeconfig(&self.account()?)?;
        let builder = ControllerBuilder::of_cluster(&self.folder.path().join(name), &kubeconfig)?;
        let place = ["--namespace", &self.namespace, "--group", self.group];
        Ok(builder.arguments(&place).arguments(&["--feed-proxy", proxy]))
    }

    /// One of several controllers, with a certificate that the others trust, reached where it says.
    pub fn replica(&self, name: &str) -> Result<ControllerBuilder> {
        let [port] = port::free()?;
        let token = self.folder.path().join(format!("{name}.token"));
        fs::write(&token, self.token("namewarden-controller", CONTROLLER)?)?;
        let replica = self.certified(name)?.listen(SocketAddr::from(([127, 0, 0, 1], port)));
        let url = format!("https://127.0.0.1:{port}");
        Ok(replica.arguments(&["--advertise-url", &url, "--peer-token-file", &token.to_string_lossy()]))
    }

    /// One with a certificate that others trust, that nobody else knows of.
    pub fn certified(&self, name: &str) -> Result<ControllerBuilder> {
        let folder = self.folder.path().join(format!("{name}-certificate"));
        self.authority.write_pair(&folder, &["localhost", "127.0.0.1"])?;
        Ok(self.controller(name)?.certificate(&folder))
    }

    /// Starts a controller that is the only one, and waits until it leads.
    pub fn start_leading(&self, builder: &ControllerBuilder) -> Result<Running> {
        let running = self.start(builder)?;
        running.controller.wait_for_log("this controller leads")?;
        Ok(running)
    }

    /// Starts a controller.
    pub fn start(&self, builder: &ControllerBuilder) -> Result<Running> {
        let controller = builder.start()?;
        let client = |token: &str| Client::new(&controller.url(), controller.authority(), token);
        Ok(Running {
            admin: client(User::admin().token())?,
            agent: client(&self.token("namewarden-agent", CONTROLLER)?)?,
            peer: client(&self.token("namewarden-controller", CONTROLLER)?)?,
            controller,
            folder: tempfile::tempdir()?,
        })
    }

    fn feeds(&self) -> String {
        format!("/apis/{}/v3/globalthreatfeeds", self.group)
    }

    /// Makes a feed.
    pub fn add(&self, feed: &str, spec: &Value) -> Result<()> {
        let object = json!({
            "apiVersion": format!("{}/v3", self.group),
            "kind": "GlobalThreatFeed",
            "metadata": {"name": feed},
            "spec": spec,
        });
        self.api.send(Method::POST, &self.feeds(), &object).map(drop)
    }

    /// Makes a feed of these lines, pulled from `/FEED` of the server of lists.
    pub fn add_pulled(&self, feed: &str, lines: &str) -> Result<()> {
        self.lists.answer(&format!("/{feed}"), [Answer::text(lines)]);
        self.add(feed, &self.pulled(feed))
    }

    /// What a feed says that is pulled from there.
    pub fn pulled(&self, feed: &str) -> Value {
        let url = self.lists.url(&format!("/{feed}"));
        json!({"content": "DomainNameSet", "pull": {"period": "1h", "http": {"url": url}}})
    }

    /// Makes a feed that somebody pushes.
    pub fn add_pushed(&self, feed: &str) -> Result<()> {
        self.add(feed, &json!({"content": "DomainNameSet"}))
    }

    /// Changes a feed (JSON merge patch).
    pub fn change(&self, feed: &str, patch: &Value) -> Result<()> {
        self.api.send(Method::PATCH, &format!("{}/{feed}", self.feeds()), patch).map(drop)
    }

    /// Asks for a pull, as a person does by an annotation.
    pub fn pull_now(&self, feed: &str, mark: &str) -> Result<()> {
        self.change(feed, &json!({"metadata": {"annotations": {"namewarden.dev/pull": mark}}}))
    }

    /// Deletes a feed.
    pub fn remove(&self, feed: &str) -> Result<()> {
        self.api.ask(Method::DELETE, &format!("{}/{feed}", self.feeds()), None)?.json().map(drop)
    }

    /// A feed as the API server has it.
    pub fn feed(&self, feed: &str) -> Result<Value> {
        self.api.get(&format!("{}/{feed}", self.feeds()))?.json()
    }

    /// Waits until a feed is as `is_so` says; the feed.
    pub fn wait_for(&self, feed: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> Result<Value> {
        let mut last = Value::Null;
        wait::until(&format!("{feed}: {what}"), || {
            last = self.feed(feed)?;
            Ok(is_so(&last).then(|| last.clone()))
        })
        .with_context(|| format!("{last:#}"))
    }

    /// Waits until the status of a feed says so many entries.
    pub fn wait_for_entries(&self, feed: &str, entries: u64) -> Result<Value> {
        self.wait_for(feed, &format!("{entries} entries"), |feed| {
            feed.pointer("/status/entries").and_then(Value::as_u64) == Some(entries)
        })
    }

    /// Waits until a condition of a feed has this status and reason; its message.
    pub fn wait_for_condition(&self, feed: &str, kind: &str, status: &str, reason: &str) -> Result<String> {
        let feed = self.wait_for(feed, &format!("{kind} {status} {reason}"), |feed| {
            condition(feed, kind).is_some_and(|found| found["status"] == status && found["reason"] == reason)
        })?;
        let message = condition(&feed, kind).and_then(|found| found["message"].as_str());
        Ok(message.context("no message")?.to_owned())
    }

    /// Reasons of the events of a feed, each with its note.
    pub fn events(&self, feed: &str) -> Result<Vec<(String, String)>> {
        let all = self.api.get("/apis/events.k8s.io/v1/namespaces/default/events")?.json()?;
        let text = |event: &Value, at: &str| {
            event.pointer(at).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let all = all.get("items").and_then(Value::as_array).into_iter().flatten();
        let ours = all.filter(|event| text(event, "/regarding/name") == feed);
        Ok(ours.map(|event| (text(event, "/reason"), text(event, "/note"))).collect())
    }

    /// Where the controller is that the Lease names; `None` where nobody leads.
    pub fn leader(&self) -> Result<Option<String>> {
        let path = format!(
            "/apis/coordination.k8s.io/v1/namespaces/{}/leases/namewarden-controller",
            self.namespace
        );
        let Some(lease) = self.api.find(&path)? else { return Ok(None) };
        let holder = lease.pointer("/spec/holderIdentity").and_then(Value::as_str).unwrap_or_default();
        let url = lease.pointer("/metadata/annotations/namewarden.dev~1url").and_then(Value::as_str);
        Ok(url.filter(|_| !holder.is_empty()).map(str::to_owned))
    }

    /// How often a list was asked for.
    pub fn asked(&self, feed: &str) -> usize {
        self.lists.seen(&format!("/{feed}")).len()
    }

    /// A file of the test.
    pub fn file(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.folder.path().join(name);
        fs::write(&path, text)?;
        Ok(path)
    }
}

impl Running {
    /// The set that agents are given: `"epoch.number-digest"` as an entity tag; empty before the first one.
    pub fn tag(&self) -> Result<String> {
        self.served().map(|reply| reply.tag)
    }

    fn served(&self) -> Result<Reply> {
        self.agent.get("/v1/threat-set")
    }

    /// The set that agents are given.
    pub fn set(&self) -> Result<Option<ThreatSet>> {
        let reply = self.served()?;
        if reply.status != 200 {
            return Ok(None);
        }
        let path = self.folder.path().join("served.set");
        wire::apply_full(&reply.body, &path)?;
        Ok(Some(ThreatSet::open(&path)?))
    }

    /// Waits until agents are given a set in which exactly these of all names are listed.
    pub fn wait_for_names(&self, listed: &[&str], others: &[&str]) -> Result<String> {
        wait::until(&format!("a set with {listed:?} and without {others:?}"), || {
            let Some(set) = self.set()? else { return Ok(None) };
            let is_so = listed.iter().all(|name| set.find(name).is_some())
                && others.iter().all(|name| set.find(name).is_none());
            Ok(is_so.then(|| tag(&set)))
        })
        .with_context(|| self.controller.log())
    }

    /// Waits until it serves this set.
    pub fn wait_for_tag(&self, tag: &str) -> Result<()> {
        wait::until(&format!("set {tag}"), || Ok((self.tag()? == tag).then_some(())))
            .with_context(|| self.controller.log())
    }

    /// Everything that another controller copies of it.
    pub fn state(&self) -> Result<Value> {
        self.peer.get("/v1/replica/state?next_seq_no=0&wait=0&name=test")?.json()
    }

    /// Waits until it has a copy of all that `leader` has.
    pub fn wait_for_copy_of(&self, leader: &Running) -> Result<()> {
        wait::until("everything of the leader's copied", || {
            let (mine, theirs) = (self.state()?, leader.state()?);
            Ok((mine == theirs && mine.get("set").is_some_and(|set| !set.is_null())).then_some(()))
        })
        .with_context(|| self.controller.log())
    }
}

/// Has the resource served in a group, once for each API server.
pub fn define(cluster: &Cluster, group: &str) -> Result<()> {
    static DONE: Mutex<BTreeSet<(PathBuf, String)>> = Mutex::new(BTreeSet::new());
    let which = (cluster.folder().to_owned(), group.to_owned());
    let mut done = DONE.lock().unwrap_or_else(PoisonError::into_inner);
    if !done.contains(&which) {
        controller::define(cluster, group)?;
        done.insert(which);
    }
    Ok(())
}

/// A set's id, as an entity tag.
fn tag(set: &ThreatSet) -> String {
    namewarden_protocol::endpoint::controller::entity_tag(set.id())
}

/// Epoch and number of an entity tag.
pub fn position(tag: &str) -> Result<(u64, u64)> {
    let id = namewarden_protocol::endpoint::controller::parse_entity_tag(tag);
    let id = id.with_context(|| format!("{tag} is no set's"))?;
    Ok((id.epoch, id.number))
}

/// A condition of a feed.
pub fn condition<'f>(feed: &'f Value, kind: &str) -> Option<&'f Value> {
    let all = feed.pointer("/status/conditions")?.as_array()?;
    all.iter().find(|condition| condition["type"] == kind)
}
