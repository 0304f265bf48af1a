//! A name that a feed lists only after a pod asked for it: the stored DNS log alerts. Needs root.

use anyhow::{Context as _, Result, ensure};
use namewarden_tests::agent::AgentBuilder;
use namewarden_tests::controller::{Controller, ControllerBuilder};
use namewarden_tests::node::Node;
use namewarden_tests::server::{Server, Zone};
use namewarden_tests::wait;
use serde_json::Value;

use crate::agents::{ask, count, until};

const FEED: &str = "apiVersion: projectcalico.org/v3\nkind: GlobalThreatFeed\nmetadata:\n  name: late\nspec:\n  content: \
                    DomainNameSet\n";

/// The events of a name, once there are so many.
fn events(controller: &Controller, name: &str, number: usize) -> Result<Vec<Value>> {
    let mut last = Vec::new();
    let found = wait::until(&format!("{number} events of {name}"), || {
        let printed = controller.events(&["--domain", name, "--output", "json"], 80)?;
        last = printed.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>()?;
        Ok((last.len() == number).then(|| last.clone()))
    });
    found.with_context(|| format!("{last:#?}\n{}", controller.log()))
}

#[test]
fn a_name_that_is_listed_after_it_was_asked_for_alerts_with_the_pod_that_asked() -> Result<()> {
    let (folder, node) = (tempfile::tempdir()?, Node::start()?);
    let builder = ControllerBuilder::embedded(folder.path())?;
    builder.write("late.yaml", FEED)?;
    let controller = builder.start()?;
    let authority = controller.authority().to_string_lossy().into_owned();
    let _server = Server::start(node.dns(), Zone::new())?;
    let url = controller.url();
    let agent = AgentBuilder::new("agent").alerts(&url).arguments(&["--search-ca", &authority]);
    let agent =
        agent.arguments(&["--dns-logs", &url, "--controller", &url, "--ca", &authority]).start(&node)?;
    let pod = node.pod().start()?;

    controller.push("late", &["early.example"])?;
    agent.wait_for_controller_set("the first list", |set| set.pointer("/entries") == Some(&1.into()))?;
    ask(&pod, "asked.late.example")?;
    until(&agent, "dns-logs", "the DNS log is taken", |lane| count(lane, "acknowledged") == 1)?;
    ensure!(events(&controller, "asked.late.example", 0)?.is_empty());

    controller.push("late", &["early.example", "late.example"])?;
    let found = events(&controller, "late.example", 1)?;
    let alert = found.first().context("no event")?;
    let says = |path: &str, value: &str| alert.pointer(path) == Some(&value.into());
    ensure!(alert.pointer("/namewarden/retroactive") == Some(&true.into()), "{alert:#}");
    ensure!(
        says("/dns/question/name", "asked.late.example") && says("/threat/feed/name/0", "late"),
        "{alert:#}"
    );
    ensure!(
        alert.pointer("/container/id").and_then(Value::as_str).is_some_and(|id| !id.is_empty()),
        "{alert:#}"
    );
    wait::until("the search is told of", || {
        Ok(builder.status("late").contains("lastSuccessfulSearch").then_some(()))
    })
    .with_context(|| builder.status("late"))?;

    // The agent knows the name by now, and gives the same fact the same name.
    agent.wait_for_controller_set("the second list", |set| set.pointer("/entries") == Some(&2.into()))?;
    ask(&pod, "asked.late.example")?;
    until(&agent, "alerts", "the alert is taken", |lane| count(lane, "acknowledged") == 1)?;
    if agent.counter("alert_spool_conflicts")? == 1 {
        return events(&controller, "late.example", 1).map(drop);
    }
    // It was asked for in the next hour of the clock, which is another group.
    let hour = |event: &Value| {
        event.pointer("/@timestamp").and_then(Value::as_str).map(|time| time[..13].to_owned())
    };
    let hours: Vec<_> = events(&controller, "late.example", 2)?.iter().map(hour).collect();
    ensure!(hours[0] != hours[1] && hours.iter().all(Option::is_some), "twice in one hour: {hours:?}");
    Ok(())
}
