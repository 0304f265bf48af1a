//! An agent that follows a controller: what is listed there alerts here, and a controller that is gone stops updates only.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use namewarden_tests::{
    agent::{Agent, AgentBuilder},
    controller::{Controller, ControllerBuilder},
    expect::Alert,
    feed_server::{Answer, FeedServer},
    node::Node,
    program,
    server::{Server, Zone},
    wait,
};
use serde_json::{Value, json};

use crate::scene::{DNS, Scene};

/// A controller with manifests of its own, and what it takes to follow it.
struct Leader {
    builder: ControllerBuilder,
    /// Lists that its feeds are pulled from.
    lists: FeedServer,
    _folder: tempfile::TempDir,
}

impl Leader {
    fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let builder = ControllerBuilder::embedded(folder.path())?.arguments(&["--feed-proxy", "none"]);
        Ok(Self { builder, lists: FeedServer::start()?, _folder: folder })
    }

    /// Adds a feed of these lines, pulled from the server of lists.
    fn add(&self, feed: &str, lines: &str) -> Result<()> {
        let path = format!("/{feed}");
        self.lists.answer(&path, [Answer::text(lines)]);
        self.builder.write(&format!("{feed}.yaml"), &manifest(feed, Some(&self.lists.url(&path))))
    }

    /// Adds a feed that somebody pushes.
    fn add_pushed(&self, feed: &str) -> Result<()> {
        self.builder.write(&format!("{feed}.yaml"), &manifest(feed, None))
    }

    fn remove(&self, feed: &str) -> Result<()> {
        self.builder.remove(&format!("{feed}.yaml"))
    }

    /// Starts it where it was before.
    fn start_again(&self, address: SocketAddr) -> Result<Controller> {
        self.builder.clone().listen(address).start()
    }

    /// An agent that follows it.
    fn agent(&self, controller: &Controller) -> AgentBuilder {
        follower(&controller.url(), &self.authority())
    }

    fn authority(&self) -> PathBuf {
        self.builder.state().join("tls/ca.crt")
    }
}

fn follower(url: &str, authority: &Path) -> AgentBuilder {
    AgentBuilder::new("agent").arguments(&["--controller", url, "--ca", &authority.to_string_lossy()])
}

fn manifest(feed: &str, url: Option<&str>) -> String {
    let pull = url.map(|url| format!("  pull:\n    period: 1h\n    http:\n      url: {url}\n"));
    format!(
        "apiVersion: projectcalico.org/v3\nkind: GlobalThreatFeed\nmetadata:\n  name: {feed}\n\
         spec:\n  content: DomainNameSet\n{}",
        pull.unwrap_or_default()
    )
}

fn entries(set: &Value) -> Option<u64> {
    set.pointer("/entries").and_then(Value::as_u64)
}

fn wait_for_entries(agent: &Agent, count: u64) -> Result<Value> {
    agent.wait_for_controller_set(&format!("{count} entries"), |set| entries(set) == Some(count))
}

/// Asks from a pod of its own, and waits until the agent has looked at question and answer; the alert that should follow
/// where the name is listed by `feed`.
fn ask(scene: &Scene, name: &str, feed: &str) -> Result<Alert> {
    let seen = || scene.agent.counter("screen_messages");
    let before = seen()?;
    let (pod, mut client) = scene.pod()?;
    client.tell_all(&["udp4", &format!("ask {name} A {DNS}")])?;
    wait::until("question and answer screened", || Ok((seen()? >= before + 2).then_some(())))?;
    Ok(Alert::on(name).by(&pod, &client).listed_by(&[feed], "both"))
}

#[test]
fn a_feed_that_is_added_alerts_and_one_that_is_deleted_is_silent() -> Result<()> {
    let leader = Leader::new()?;
    leader.add("first", "first.example\n")?;
    let controller = leader.builder.start()?;
    let scene = Scene::with(Zone::new(), &leader.agent(&controller))?;
    wait_for_entries(&scene.agent, 1)?;
    let mut alerts = vec![ask(&scene, "first.example", "first")?];
    ask(&scene, "second.example", "second")?;
    leader.add("second", "second.example\n")?;
    wait_for_entries(&scene.agent, 2)?;
    alerts.push(ask(&scene, "second.example", "second")?);
    leader.remove("first")?;
    wait_for_entries(&scene.agent, 1)?;
    ask(&scene, "first.example", "first")?;
    ensure!(scene.agent.counter("controller_sets_delta")? >= 2, "{}", scene.agent.get("/metrics")?);
    scene.expect(&alerts).map(drop)
}

#[test]
fn what_a_feed_says_of_itself_stands_in_the_alert() -> Result<()> {
    let leader = Leader::new()?;
    let says = "  description: Names of a test\n  severity: 91\n  mitre: [T1568.002, T1071.004]\n";
    leader.lists.answer("/list", [Answer::text("evil.example\n")]);
    let url = leader.lists.url("/list");
    leader.builder.write("list.yaml", &(manifest("list", Some(&url)) + says))?;
    let controller = leader.builder.start()?;
    let scene = Scene::with(Zone::new(), &leader.agent(&controller))?;
    wait_for_entries(&scene.agent, 1)?;
    let mut alerts = vec![ask(&scene, "evil.example", "list")?];
    // A new word makes a new set, and the next alert has it.
    leader.builder.write("list.yaml", &(manifest("list", Some(&url)) + &says.replace("91", "12")))?;
    scene.agent.wait_for_controller_set("the next set", |set| {
        set.pointer("/number").and_then(Value::as_u64) > Some(1)
    })?;
    alerts.push(ask(&scene, "evil.example", "list")?);
    let ended = scene.expect(&alerts)?;
    let facts = |alert: &Value| -> Vec<Value> {
        let at = ["/event/severity", "/threat/feed/description", "/threat/technique/id"];
        at.iter().map(|at| alert.pointer(at).cloned().unwrap_or_default()).collect()
    };
    let told: Vec<_> =
        ended.documents.iter().filter(|document| document.pointer("/threat").is_some()).collect();
    let mut severities: Vec<_> = told.iter().filter_map(|alert| facts(alert)[0].as_u64()).collect();
    severities.sort_unstable();
    assert_eq!(severities, [12, 91], "{told:#?}");
    for alert in told {
        assert_eq!(
            facts(alert)[1..],
            [json!(["Names of a test"]), json!(["T1568.002", "T1071.004"])],
            "{alert:#}"
        );
    }
    Ok(())
}

#[test]
fn a_token_that_is_renewed_in_its_file_is_shown_from_then_on() -> Result<()> {
    let leader = Leader::new()?;
    leader.add("first", "first.example\n")?;
    let file = |name: &str| leader.builder.state().with_file_name(name);
    let (theirs, ours) = (file("controller-token"), file("agent-token"));
    for path in [&theirs, &ours] {
        std::fs::write(path, "the-first-token-of-the-test")?;
    }
    let controller =
        leader.builder.clone().arguments(&["--token-file", &theirs.to_string_lossy()]).start()?;
    let builder = leader.agent(&controller).arguments(&["--token-file", &ours.to_string_lossy()]);
    let scene = Scene::with(Zone::new(), &builder)?;
    wait_for_entries(&scene.agent, 1)?;
    for path in [&theirs, &ours] {
        std::fs::write(path, "the-second-token-of-the-test")?;
    }
    wait::until("the first token refused", || {
        let shown = ["--header", "authorization: Bearer the-first-token-of-the-test"];
        Ok(controller.curl("/v1/feeds", &shown).is_err().then_some(()))
    })?;
    // The second set may answer a question that was open; the third answers one with the new token.
    for (feed, count) in [("second", 2), ("third", 3)] {
        leader.add(feed, &format!("{feed}.example\n"))?;
        wait_for_entries(&scene.agent, count)?;
    }
    let alert = ask(&scene, "third.example", "third")?;
    scene.expect(&[alert]).map(drop)
}

#[test]
fn a_pushed_feed_alerts() -> Result<()> {
    let leader = Leader::new()?;
    leader.add_pushed("pushed")?;
    let controller = leader.builder.start()?;
    let scene = Scene::with(Zone::new(), &leader.agent(&controller))?;
    controller.push("pushed", &["hacks.r.us", "pushed.example"])?;
    wait_for_entries(&scene.agent, 2)?;
    let alert = ask(&scene, "pushed.example", "pushed")?;
    scene.expect(&[alert]).map(drop)
}

#[test]
fn detection_goes_on_without_the_controller_and_over_a_restart() -> Result<()> {
    let leader = Leader::new()?;
    leader.add("list", "evil.example\n")?;
    let controller = leader.builder.start()?;
    let builder = leader.agent(&controller);
    let scene = Scene::with(Zone::new(), &builder)?;
    let set = wait_for_entries(&scene.agent, 1)?;
    controller.kill()?;
    wait::until("the controller missed", || {
        Ok((scene.agent.counter("controller_failures")? > 0).then_some(()))
    })?;
    let alert = ask(&scene, "evil.example", "list")?;
    let (server, node) = scene.stop_agent(&[alert])?;
    let agent = builder.start(&node)?;
    let scene = Scene { agent, server, node };
    let again = wait_for_entries(&scene.agent, 1)?;
    ensure!(again.pointer("/digest") == set.pointer("/digest"), "{again}, {set}");
    let alert = ask(&scene, "evil.example", "list")?;
    let status = scene.agent.status()?;
    let problem = status.pointer("/controller/problem").and_then(Value::as_str).unwrap_or_default();
    ensure!(problem.contains("does not answer"), "{status:#}");
    scene.expect(&[alert]).map(drop)
}

#[test]
fn after_its_disk_was_lost_the_controller_gives_a_whole_set_and_nobody_stays_on_the_old_one() -> Result<()> {
    let leader = Leader::new()?;
    leader.add("old", "old.example\n")?;
    let controller = leader.builder.start()?;
    let scene = Scene::with(Zone::new(), &leader.agent(&controller))?;
    let first = wait_for_entries(&scene.agent, 1)?;
    let address = controller.address();
    controller.kill()?;
    leader.builder.lose_state()?;
    leader.remove("old")?;
    leader.add("new", "new.example\nnewer.example\n")?;
    let controller = leader.start_again(address)?;
    let second = wait_for_entries(&scene.agent, 2)?;
    ensure!(first.pointer("/epoch") != second.pointer("/epoch"), "{first}, {second}");
    ensure!(scene.agent.counter("controller_sets_full")? >= 2, "{}", scene.agent.get("/metrics")?);
    ask(&scene, "old.example", "old")?;
    let alert = ask(&scene, "new.example", "new")?;
    drop(controller);
    scene.expect(&[alert]).map(drop)
}

#[test]
fn after_its_disk_was_put_back_from_an_old_copy_nobody_stays_on_a_later_set() -> Result<()> {
    let leader = Leader::new()?;
    leader.add("first", "first.example\n")?;
    let controller = leader.builder.start()?;
    let address = controller.address();
    let scene = Scene::with(Zone::new(), &leader.agent(&controller))?;
    wait_for_entries(&scene.agent, 1)?;
    controller.stop()?;
    let (state, copy) = (leader.builder.state(), leader.builder.state().with_file_name("copy"));
    let put = |from: &Path, to: &Path| {
        program::run("cp", &["-a", &from.to_string_lossy(), &to.to_string_lossy()]).map(drop)
    };
    put(&state, &copy)?;
    let controller = leader.start_again(address)?;
    for (feed, count) in [("second", 2), ("third", 3)] {
        leader.add(feed, &format!("{feed}.example\n"))?;
        wait_for_entries(&scene.agent, count)?;
    }
    let late = wait_for_entries(&scene.agent, 3)?;
    controller.kill()?;
    leader.builder.lose_state()?;
    put(&copy, &state)?;
    for feed in ["second", "third"] {
        leader.remove(feed)?;
    }
    let controller = leader.start_again(address)?;
    let back = wait_for_entries(&scene.agent, 1)?;
    let number = |set: &Value| set.pointer("/number").and_then(Value::as_u64);
    ensure!(
        back.pointer("/epoch") == late.pointer("/epoch") && number(&back) > number(&late),
        "{late}, {back}"
    );
    ask(&scene, "third.example", "third")?;
    let alert = ask(&scene, "first.example", "first")?;
    drop(controller);
    scene.expect(&[alert]).map(drop)
}

#[test]
fn feeds_of_the_agent_s_own_are_matched_beside_the_controller_s() -> Result<()> {
    let leader = Leader::new()?;
    leader.add("theirs", "theirs.example\nboth.example\n")?;
    let controller = leader.builder.start()?;
    let builder = leader.agent(&controller).feed("ours", "ours.example\nboth.example\n");
    let scene = Scene::with(Zone::new(), &builder)?;
    wait_for_entries(&scene.agent, 2)?;
    wait::until("both together", || {
        let used = scene.agent.status()?.pointer("/threat_set/entries").and_then(Value::as_u64);
        Ok((used == Some(3)).then_some(()))
    })?;
    let both = ask(&scene, "both.example", "ours")?;
    let alerts = [
        ask(&scene, "theirs.example", "theirs")?,
        ask(&scene, "ours.example", "ours")?,
        Alert { feeds: vec!["theirs".to_owned(), "ours".to_owned()], ..both },
    ];
    scene.expect(&alerts).map(drop)
}

#[test]
fn the_controller_knows_what_each_agent_uses() -> Result<()> {
    let leader = Leader::new()?;
    leader.add("list", "evil.example\n")?;
    let controller = leader.builder.start()?;
    let scene = Scene::with(Zone::new(), &leader.agent(&controller).arguments(&["--node-name", "n-1"]))?;
    let set = wait_for_entries(&scene.agent, 1)?;
    let reported = |agents: &Value| {
        let known = agents.pointer("/agents/0/threat_set/digest");
        known.is_some() && known == set.pointer("/digest")
    };
    wait::until("the agent's report", || {
        let agents: Value = serde_json::from_str(&controller.curl("/v1/agents", &[])?)?;
        Ok(reported(&agents).then_some(()))
    })
    .with_context(|| format!("{:?}", controller.curl("/v1/agents", &[])))?;
    scene.expect(&[]).map(drop)
}

#[test]
fn a_controller_that_cannot_be_trusted_or_refuses_is_said_and_stops_nothing() -> Result<()> {
    let (leader, stranger) = (Leader::new()?, Leader::new()?);
    let token = leader.builder.state().with_file_name("token");
    std::fs::write(&token, "a-token-of-the-test")?;
    let builder = leader.builder.clone().arguments(&["--token-file", &token.to_string_lossy()]);
    let controller = builder.start()?;
    let other = stranger.builder.start()?;
    let cases = [(leader.authority(), "--token-file"), (stranger.authority(), "certificate")];
    for (authority, words) in cases {
        let node = Node::start()?;
        let server = Server::start(node.dns(), Zone::new())?;
        let agent = follower(&controller.url(), &authority).feed("bad", "evil.example\n").start(&node)?;
        let scene = Scene { agent, server, node };
        let page = scene.agent.get("/readyz")?;
        assert!(page.contains("ready\nmissing: ") && page.contains(words), "{page}");
        let alert = ask(&scene, "evil.example", "bad")?;
        scene.expect(&[alert])?;
    }
    drop((controller, other));
    Ok(())
}

#[test]
fn a_read_only_state_folder_keeps_nothing_and_hides_nothing() -> Result<()> {
    let leader = Leader::new()?;
    leader.add("theirs", "theirs.example\n")?;
    let controller = leader.builder.start()?;
    let node = Node::start()?;
    let server = Server::start(node.dns(), Zone::new())?;
    let state = node.folder().join("agent/state");
    std::fs::create_dir_all(&state)?;
    // Read-only in the agent's own view of the files: nothing is left behind.
    let script = format!("mount -t tmpfs -o ro none {} && exec \"$@\"", state.display());
    let builder = leader
        .agent(&controller)
        .feed("ours", "ours.example\n")
        .within(&["unshare", "--mount", "sh", "-c", &script, "sh"]);
    let scene = Scene { agent: builder.start(&node)?, server, node };
    wait_for_entries(&scene.agent, 1)?;
    wait::until("both together", || {
        let used = scene.agent.status()?.pointer("/threat_set/entries").and_then(Value::as_u64);
        Ok((used == Some(2)).then_some(()))
    })?;
    let alerts = [ask(&scene, "theirs.example", "theirs")?, ask(&scene, "ours.example", "ours")?];
    let ended = scene.expect(&alerts)?;
    for words in ["nothing is kept over a restart", "not kept over a restart"] {
        assert!(ended.log.contains(words), "no {words:?} in:\n{}", ended.log);
    }
    Ok(())
}
