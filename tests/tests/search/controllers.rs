//! The controller in a search engine's place: what agents send stands in its store once, whatever ends in between. Needs root.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use namewarden_agent::pipeline::sink::spool::Kind;
use namewarden_protocol::document::Action;
use namewarden_tests::agent::AgentBuilder;
use namewarden_tests::controller::{Controller, ControllerBuilder};
use namewarden_tests::node::{Node, random_bytes};
use namewarden_tests::server::{Server, Zone};
use namewarden_tests::wait;
use rustix::process::Signal;
use serde_json::Value;

use crate::agents::{ask, count, until};
use crate::rig::{PATIENCE, Rig, closes};

/// Kills of one test.
const ROUNDS: u64 = 50;
/// Documents of each kind that are written at once.
const TOGETHER: u64 = 200;
/// Documents that wait at most while more are written.
const AHEAD: u64 = 2_000;

/// What `events` prints of everything since that time.
fn kept(controller: &Controller, since: &str) -> Result<Vec<Value>> {
    let printed = controller.events(&["--since", since, "--output", "json"], 80)?;
    printed.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

/// DNS logs that it says it keeps.
fn logs(controller: &Controller) -> Result<u64> {
    let page = controller.curl("/metrics", &[])?;
    let value = page.lines().find_map(|line| {
        line.strip_prefix("namewarden_controller_store_documents{stream=\"logs\"} ")?.parse().ok()
    });
    value.with_context(|| page.clone())
}

#[test]
fn documents_of_an_agent_are_kept_once_over_a_controller_that_is_away_and_an_agent_that_is_killed()
-> Result<()> {
    let (folder, node) = (tempfile::tempdir()?, Node::start()?);
    let builder = ControllerBuilder::embedded(folder.path())?;
    let controller = builder.start()?;
    let address = controller.address();
    let _server = Server::start(node.dns(), Zone::new())?;
    let authority = controller.authority().to_string_lossy().into_owned();
    let agent = AgentBuilder::new("agent").feed("bad", "evil.example\nworse.example\n");
    let agent = agent.alerts(&controller.url()).arguments(&["--search-ca", &authority]);
    let agent = agent.arguments(&["--dns-logs", &controller.url()]);
    let pod = node.pod().start()?;

    let first = agent.start(&node)?;
    ask(&pod, "evil.example")?;
    until(&first, "alerts", "an alert is taken", |lane| count(lane, "acknowledged") == 1)?;
    until(&first, "dns-logs", "a DNS log is taken", |lane| count(lane, "acknowledged") == 1)?;
    controller.kill()?;
    ask(&pod, "worse.example")?;
    let waits =
        |lane: &Value| count(lane, "waiting") == 1 && lane.get("problem").is_some_and(Value::is_string);
    until(&first, "alerts", "an alert waits", waits)?;
    first.signal(Signal::KILL)?;
    drop(first);

    let controller = builder.listen(address).start()?;
    let second = agent.start(&node)?;
    until(&second, "alerts", "the alert is taken", |lane| count(lane, "waiting") == 0)?;
    // The same fact once more: its alert has the name of the first one.
    ask(&pod, "evil.example")?;
    wait::until("it is there already", || Ok((second.counter("alert_spool_conflicts")? == 1).then_some(())))?;
    second.stop()?;

    let found = kept(&controller, "1h")?;
    let of = |name: &str| {
        let is_of = |one: &&Value| one.pointer("/threat/indicator/name") == Some(&name.into());
        found.iter().filter(is_of).count()
    };
    ensure!((of("evil.example"), of("worse.example")) == (1, 1), "{found:#?}");
    ensure!(logs(&controller)? == 3);
    let table = controller.events(&["--domain", "worse.example"], 80)?;
    ensure!(table.lines().count() == 2 && table.contains("worse.example"), "{table}");
    Ok(())
}

/// Writes alerts and DNS logs, a few thousand ahead of what is taken, until it is told to end; how many of each.
fn write(rig: &Rig, end: &AtomicBool) -> Result<u64> {
    let mut written = 0;
    while !end.load(Ordering::Relaxed) {
        let mut waiting = 0;
        for kind in Kind::ALL {
            waiting = waiting.max(rig.lane(kind)?.counts.waiting);
        }
        if waiting > AHEAD {
            thread::yield_now();
            continue;
        }
        rig.write(Action::ListedName, written..written + TOGETHER);
        rig.write(Action::DnsLog, written..written + TOGETHER);
        written += TOGETHER;
    }
    Ok(written)
}

/// Lets a controller take something, and kills it at some instant within the next quarter of a second.
fn take_and_kill(rig: &Rig, builder: &ControllerBuilder) -> Result<()> {
    let before = rig.lane(Kind::Alerts)?.counts.acknowledged;
    let controller = builder.start()?;
    wait::within(PATIENCE, "documents are taken", || {
        Ok((rig.lane(Kind::Alerts)?.counts.acknowledged > before).then_some(()))
    })
    .with_context(|| controller.log())?;
    // The instant is the point of the test: there is no condition to wait for.
    thread::sleep(Duration::from_millis(u64::from(random_bytes::<1>()?[0])));
    controller.kill()
}

#[test]
fn a_controller_killed_fifty_times_loses_and_doubles_nothing() -> Result<()> {
    let folder = tempfile::tempdir()?;
    // The documents of a rig are all of one day.
    let years = ["--store-alert-days", "3650", "--store-log-days", "3650"];
    let builder = ControllerBuilder::embedded(&folder.path().join("controller"))?.arguments(&years);
    let first = builder.start()?;
    let (address, authority) = (first.address(), first.authority().to_owned());
    let url = first.url();
    first.kill()?;
    let builder = builder.listen(address);
    let rig = Rig::trusting(&authority, &url, &folder.path().join("spool"), "kills")?;
    let end = AtomicBool::new(false);
    let written = thread::scope(|scope| {
        let writer = scope.spawn(|| write(&rig, &end));
        let killed = (0..ROUNDS).try_for_each(|_| take_and_kill(&rig, &builder));
        end.store(true, Ordering::Relaxed);
        let written = writer.join().ok().context("the writer ended early")?;
        killed.and(written)
    })?;
    let controller = builder.start()?;
    for kind in Kind::ALL {
        let settled = wait::within(PATIENCE, "everything is taken", || {
            let counts = rig.lane(kind)?.counts;
            Ok((counts.appended == written && counts.waiting == 0).then_some(counts))
        })?;
        closes(&settled)?;
        ensure!(settled.acknowledged == written, "{settled:?}");
    }
    ensure!(written > ROUNDS * TOGETHER, "only {written} were written");
    exactly_once(&controller, written)?;
    ensure!(logs(&controller)? == written, "{} of {written} DNS logs", logs(&controller)?);
    same_after_a_restart(controller, &builder, written)
}

/// The store holds alerts of these numbers, each once.
fn exactly_once(controller: &Controller, written: u64) -> Result<()> {
    let mut times = BTreeMap::new();
    for document in kept(controller, "2026-11-01")? {
        let id = document.pointer("/event/id").and_then(Value::as_str).context("no id")?.parse::<u64>()?;
        *times.entry(id).or_insert(0) += 1;
    }
    let wrong: Vec<_> = (0..written).filter(|id| times.get(id) != Some(&1)).take(10).collect();
    ensure!(
        wrong.is_empty() && times.len() as u64 == written,
        "{} of {written}; not once: {wrong:?}",
        times.len()
    );
    Ok(())
}

fn same_after_a_restart(controller: Controller, builder: &ControllerBuilder, written: u64) -> Result<()> {
    controller.stop()?;
    exactly_once(&builder.start()?, written)
}
