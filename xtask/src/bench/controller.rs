//! The controller: at rest, with a thousand agents, and from a manifest to an agent that matches it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use namewarden_tests::agent::AgentBuilder;
use namewarden_tests::controller::{Controller, ControllerBuilder};
use namewarden_tests::lines::Lines;
use namewarden_tests::lists::Lists;
use namewarden_tests::node::Node;
use namewarden_tests::{program, wait};
use serde_json::Value;

use super::figure::Figures;
use super::in_process;
use super::load::feed;
use super::memory::{reset_peak, resident};
use super::traffic::used;
use crate::agent_binary::Profile;
use crate::controller_binary;
use crate::layout::Layout;

/// How long it is watched at rest.
const REST: Duration = Duration::from_secs(20);

/// Agents that wait for its sets.
const AGENTS: &str = "1000";

/// How long what takes seconds may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// Names that change: 0.1 % of a million.
const CHURN: usize = 1000;

/// Measures all of it; the set has a million entries throughout.
pub fn measure(layout: &Layout, agent: &Path, figures: &mut Figures) -> Result<()> {
    let binary = controller_binary::named_or_ready(layout, Profile::Release)?;
    let many = in_process::example(layout, "namewarden-controller", "many_agents")?;
    let node = Node::start()?;
    let folder = node.folder().join("lists");
    fs::create_dir_all(&folder)?;
    let list = feed(&folder, 1)?;
    let lists = Lists::serve(&node, &folder)?;
    let builder = ControllerBuilder::embedded(&node.folder().join("controller"))?
        .program(&binary)
        .arguments(&["--feed-proxy", "none"]);
    builder.write("large.yaml", &manifest("large", &format!("{}/feed.txt", lists.url())))?;
    let controller = builder.start_on(&node)?;
    wait_for_entries(&controller, 1)?;
    rest(&node, &controller, figures)?;
    spread(&node, &controller, &many, &list, figures)?;
    fs::write(folder.join("small.txt"), "small.example\n")?;
    let url = format!("{}/small.txt", lists.url());
    let agent = AgentBuilder::new("agent")
        .program(agent)
        .arguments(&["--controller", &controller.url(), "--ca", &controller.authority().to_string_lossy()])
        .start(&node)?;
    let entries = |most: &Value| most.pointer("/entries").and_then(Value::as_u64).unwrap_or_default();
    let before = entries(&agent.wait_for_controller_set("the set", |set| entries(set) > 1)?);
    let started = Instant::now();
    builder.write("small.yaml", &manifest("small", &url))?;
    agent.wait_for_controller_set("a feed added", |set| entries(set) > before)?;
    figures.add("feed_added", started.elapsed().as_secs_f64())?;
    let started = Instant::now();
    builder.remove("small.yaml")?;
    agent.wait_for_controller_set("a feed deleted", |set| entries(set) == before)?;
    figures.add("feed_deleted", started.elapsed().as_secs_f64())?;
    Ok(())
}

/// Memory and processor time while nothing happens.
fn rest(node: &Node, controller: &Controller, figures: &mut Figures) -> Result<()> {
    let cgroup = node.cgroup().join("system.slice/namewarden-controller.service");
    let before = used(&cgroup)?;
    let started = Instant::now();
    thread::sleep(REST);
    let spent = (used(&cgroup)? - before) as f64 / 1e6 / started.elapsed().as_secs_f64();
    figures.add("controller_cpu_idle", spent * 100.0)?;
    figures.add("controller_rss_idle", resident(controller.pid(), "VmRSS")?)
}

/// A thousand agents get the whole set, then a change of it.
fn spread(
    node: &Node,
    controller: &Controller,
    many: &Path,
    list: &Path,
    figures: &mut Figures,
) -> Result<()> {
    // All of the controller on one core; the agents are where there is room.
    let pid = controller.pid().to_string();
    program::run("taskset", &["--all-tasks", "--cpu-list", "--pid", "0", &pid])?;
    reset_peak(controller.pid())?;
    let cgroup = node.cgroup().join("system.slice/namewarden-controller.service");
    let started = Instant::now();
    let agents = Agents::start(many, controller)?;
    agents.wait_for_sets(1)?;
    figures.add("agents_whole", started.elapsed().as_secs_f64())?;
    churn(list)?;
    let before = used(&cgroup)?;
    let started = Instant::now();
    controller.curl("/v1/feeds/large/pull", &["--request", "POST"])?;
    agents.wait_for_sets(2)?;
    figures.add("agents_change", started.elapsed().as_secs_f64())?;
    figures.add("agents_change_cpu", (used(&cgroup)? - before) as f64 / 1e6)?;
    figures.add("agents_rss_peak", resident(controller.pid(), "VmHWM")?)?;
    Ok(())
}

/// Many agents in one program; they end when this value is dropped.
struct Agents {
    child: Child,
    lines: std::sync::Arc<Lines>,
}

impl Agents {
    fn start(program: &Path, controller: &Controller) -> Result<Self> {
        let mut command = Command::new(program);
        command.arg(controller.url()).arg(controller.authority()).args(["-", AGENTS]);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let (lines, _) = Lines::follow(child.stdout.take().context("no standard output")?);
        Ok(Self { child, lines })
    }

    /// Waits until all of them have had so many sets.
    fn wait_for_sets(&self, sets: usize) -> Result<()> {
        let found = self.lines.find(sets - 1, PATIENCE, |line| line.starts_with("set ").then_some(()));
        found.context("not all of the agents have the set")
    }
}

impl Drop for Agents {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn manifest(name: &str, url: &str) -> String {
    format!(
        "apiVersion: projectcalico.org/v3\nkind: GlobalThreatFeed\nmetadata: {{name: {name}}}\n\
         spec:\n  content: DomainNameSet\n  pull:\n    period: 1h\n    http: {{url: \"{url}\"}}\n"
    )
}

/// Waits until the controller has published entries of its first feed.
fn wait_for_entries(controller: &Controller, least: u64) -> Result<()> {
    wait::within(PATIENCE, "the large list published", || {
        let feeds: Value = serde_json::from_str(&controller.curl("/v1/feeds", &[])?)?;
        let status = feeds.pointer("/feeds/0/status").unwrap_or(&Value::Null);
        let entries = status.pointer("/entries").and_then(Value::as_u64).unwrap_or_default();
        Ok((entries >= least && status.pointer("/threatSet").is_some()).then_some(()))
    })
}

/// Gives a thousandth of the list other names.
fn churn(list: &Path) -> Result<()> {
    let text = fs::read_to_string(list)?;
    let changed = text.lines().enumerate().fold(String::with_capacity(text.len()), |mut text, (at, line)| {
        text.push_str(if at < CHURN { "changed-" } else { "" });
        text.push_str(line);
        text.push('\n');
        text
    });
    let beside: PathBuf = list.with_extension("new");
    fs::write(&beside, changed)?;
    Ok(fs::rename(beside, list)?)
}
