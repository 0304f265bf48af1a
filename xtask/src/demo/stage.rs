//! What the demo plays on: a node with three pods, Debian's nsd, a web server to reach, the controller with its feeds, and
//! the agent that follows it and sends it alerts.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::io::Write;
use std::net::{Ipv6Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use namewarden_tests::agent::{Agent, AgentBuilder};
use namewarden_tests::controller::{Controller, ControllerBuilder, Following};
use namewarden_tests::lists::Lists;
use namewarden_tests::node::{DNS_V4, Node};
use namewarden_tests::nsd::{Nsd, ZoneText};
use namewarden_tests::pod::Pod;
use namewarden_tests::search_engine::{Kind, SearchEngine};
use namewarden_tests::{program, wait};
use serde_json::Value;

use crate::layout::Layout;

use super::script::{PODS, PUSHED, Step, ZONE};

/// Where the manifests say that the lists are.
pub const PUBLISHER: &str = "https://feeds.example.net";

/// Gives what it becomes a resolver's file of its own.
const MOUNT: &str = "mount --bind \"$0\" /etc/resolv.conf && exec \"$@\"";

/// The programs that are shown.
pub struct Programs {
    pub agent: PathBuf,
    pub controller: PathBuf,
}

/// A feed as the controller tells of it.
#[derive(Debug)]
pub struct Feed {
    pub name: String,
    /// A URL, or `push`.
    pub location: String,
    pub entries: u64,
    /// Number of the set that it is in.
    set: u64,
}

/// Everything that runs; it ends in this order when the value is dropped.
pub struct Stage {
    pub agent: Agent,
    /// What the controller is sent, as it comes.
    pub events: Following,
    pub controller: Controller,
    /// What keeps the alerts, where it is not the controller.
    pub _engine: Option<SearchEngine>,
    _lists: Lists,
    pub pods: Vec<Pod>,
    pub feeds: Vec<Feed>,
    resolver: PathBuf,
    _dns: Nsd,
    node: Node,
}

impl Stage {
    /// Starts all of it; when this returns the agent captures, with the controller's set of all feeds in use.
    pub fn build(layout: &Layout, programs: &Programs, with_opensearch: bool) -> Result<Self> {
        let node = Node::start()?;
        let engine = with_opensearch.then(|| SearchEngine::start(Kind::OpenSearch)).transpose()?;
        let dns = Nsd::start(&node, &[ZoneText { name: "example", records: ZONE }])?;
        serve_web(&node)?;
        let resolver = node.folder().join("resolv.conf");
        fs::write(&resolver, format!("nameserver {DNS_V4}\n"))?;
        let pods = PODS.iter().map(|_| node.pod().start()).collect::<Result<_>>()?;
        let lists = Lists::serve(&node, &layout.root.join("deploy/examples/feeds"))?;
        let controller = start_controller(layout, &node, programs, &lists, engine.as_ref())?;
        let feeds = wait::until("every list pulled", || pulled(&controller))?;
        let events = controller.follow(super::screen::alert_columns())?;
        let authority = controller.authority().to_string_lossy();
        let agent = AgentBuilder::new("agent").program(&programs.agent);
        let agent = match &engine {
            Some(engine) => agent.alerts(&engine.url()),
            None => agent.alerts(&controller.url()).arguments(&["--search-ca", &authority]),
        };
        let agent = agent.arguments(&["--controller", &controller.url(), "--ca", &authority]).start(&node)?;
        let last = feeds.iter().map(|feed| feed.set).max().unwrap_or_default();
        agent.wait_for_controller_set("the set of all feeds", |set| number(set) >= last)?;
        Ok(Self {
            agent,
            events,
            controller,
            _engine: engine,
            _lists: lists,
            pods,
            feeds,
            resolver,
            _dns: dns,
            node,
        })
    }

    /// Runs the client of a step to its end; the last line that it printed.
    pub fn ask(&self, step: &Step) -> Result<String> {
        let pod = self.pods.get(step.pod).context("no such pod")?;
        // The resolver's file is the pod's own: mounted where only this client sees it.
        let mut command = pod.command("unshare");
        command.args(["--mount", "sh", "-c", MOUNT]);
        command.arg(&self.resolver).args(step.command);
        let said = program::finish(&mut command)?;
        Ok(said.lines().last().unwrap_or_default().to_owned())
    }

    /// Pushes names to the controller; how long it took until the agent matched them.
    pub fn push(&self, names: &[&str]) -> Result<Duration> {
        let started = Instant::now();
        let before = number(self.agent.status()?.pointer("/controller/threat_set").unwrap_or(&Value::Null));
        self.controller.push(PUSHED, names)?;
        self.agent.wait_for_controller_set("the pushed names", |set| number(set) > before)?;
        Ok(started.elapsed())
    }

    /// Alert groups that the controller keeps.
    pub fn kept(&self) -> Result<u64> {
        let printed = self.controller.events(&["--output", "json"], 0)?;
        let group = |line: &str| {
            let document: Value = serde_json::from_str(line).ok()?;
            Some(document.pointer("/namewarden/group")?.as_str()?.to_owned())
        };
        let groups: BTreeSet<_> = printed.lines().filter_map(group).collect();
        Ok(groups.len().try_into()?)
    }

    /// Writes a small program for each pod that runs its arguments inside, and one that pushes its arguments to the
    /// controller; returns their folder.
    pub fn doors(&self) -> Result<&Path> {
        let folder = self.node.folder();
        for (name, pod) in PODS.iter().zip(&self.pods) {
            let text = format!(
                "#!/bin/sh\n\
                 # Runs its arguments in this pod: cgroup, network and resolver.\n\
                 echo 0 > {group}/cgroup.procs || exit\n\
                 exec nsenter --net={network} unshare --mount sh -c '{MOUNT}' {resolver} \"$@\"\n",
                group = pod.cgroup.display(),
                network = pod.namespace()?.path().display(),
                resolver = self.resolver.display(),
            );
            write_program(&folder.join(name), &text)?;
        }
        let push = format!(
            "#!/bin/sh\n\
             # Makes its arguments the names of the feed {PUSHED}.\n\
             names=$(printf ',\"%s\"' \"$@\")\n\
             exec curl -sS -X PUT --cacert {authority} -H 'content-type: application/json' \\\n\
             \x20 -d \"{{\\\"domains\\\": [${{names#,}}]}}\" '{url}'\n",
            authority = self.controller.authority().display(),
            url = self.controller.push_url(PUSHED),
        );
        write_program(&folder.join("push"), &push)?;
        Ok(folder)
    }
}

fn write_program(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text)?;
    Ok(fs::set_permissions(path, Permissions::from_mode(0o755))?)
}

/// The examples' manifests, with this machine's server as the publisher of the lists.
fn start_controller(
    layout: &Layout,
    node: &Node,
    programs: &Programs,
    lists: &Lists,
    engine: Option<&SearchEngine>,
) -> Result<Controller> {
    let builder = ControllerBuilder::embedded(&node.folder().join("controller"))?
        .program(&programs.controller)
        .arguments(&["--feed-proxy", "none"]);
    let examples = layout.root.join("deploy/examples/manifests");
    for entry in fs::read_dir(&examples).with_context(|| format!("cannot read {}", examples.display()))? {
        let path = entry?.path();
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        builder.write(&file, &text.replace(PUBLISHER, lists.url()))?;
    }
    let Some(engine) = engine else { return builder.start_on(node) };
    let kept_there = ["--store", "off", "--elasticsearch", &engine.url()];
    let controller = builder.arguments(&kept_there).start_on(node)?;
    // Streams are made by the templates that it installs.
    controller.wait_for_log("the search engine is set up")?;
    Ok(controller)
}

/// The feeds, once each that is pulled is in a set.
fn pulled(controller: &Controller) -> Result<Option<Vec<Feed>>> {
    let answer: Value = serde_json::from_str(&controller.curl("/v1/feeds", &[])?)?;
    let feeds: Vec<Feed> =
        answer.pointer("/feeds").and_then(Value::as_array).into_iter().flatten().map(feed).collect();
    let is_in_a_set = |feed: &Feed| feed.location == "push" || feed.set > 0;
    Ok((!feeds.is_empty() && feeds.iter().all(is_in_a_set)).then_some(feeds))
}

fn feed(feed: &Value) -> Feed {
    let text = |place: &str| feed.pointer(place).and_then(Value::as_str).unwrap_or_default();
    Feed {
        name: text("/name").to_owned(),
        location: text("/location").to_owned(),
        entries: feed.pointer("/status/entries").and_then(Value::as_u64).unwrap_or_default(),
        // <epoch>.<number>
        set: text("/status/threatSet")
            .split('.')
            .nth(1)
            .and_then(|text| text.parse().ok())
            .unwrap_or_default(),
    }
}

fn number(set: &Value) -> u64 {
    set.pointer("/number").and_then(Value::as_u64).unwrap_or_default()
}

/// Answers every request to port 80 of the DNS server's address, so that curl has somebody to talk to.
fn serve_web(node: &Node) -> Result<()> {
    let listener = node.dns().enter(|| Ok(TcpListener::bind((Ipv6Addr::UNSPECIFIED, 80))?))?;
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(std::io::Result::ok) {
            // A client that has gone is no concern of ours.
            _ = stream.write_all(b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n");
        }
    });
    Ok(())
}
