//! Several controllers: one leads, the others serve what it made and take over; none needs what another one had on disk.

use anyhow::{Context as _, Result, ensure};
use namewarden_protocol::threat_set::{SetId, ThreatSet};
use namewarden_tests::{
    controller::{Controller, ControllerBuilder},
    kube::User,
    wait,
};

use crate::deployment::{self, Deployment, NAMESPACE, bearer, served};

/// Waits until a controller serves a set that is as `condition` says.
fn wait_for_set(
    controller: &Controller,
    agent: &User,
    what: &str,
    condition: impl Fn(&ThreatSet) -> bool,
) -> Result<SetId> {
    wait::until(what, || Ok(served(controller, agent)?.filter(|set| condition(set)).map(|set| set.id())))
        .with_context(|| controller.log())
}

/// Pushes a name to a feed through this controller, as somebody who may.
fn push(controller: &Controller, who: &User, feed: &str, name: &str) -> Result<String> {
    let path = format!("/tigera_secure_ee_threatfeeds_domainnameset.cluster./_doc/{feed}");
    let document = format!("{{\"domains\": [\"{name}\"]}}");
    let bearer = bearer(who);
    let json = "content-type: application/json";
    controller.curl(&path, &["--request", "PUT", "--header", json, "--header", &bearer, "--data", &document])
}

#[test]
fn a_follower_serves_the_same_set_and_takes_over_without_fetching_again() -> Result<()> {
    let deployment = Deployment::start()?;
    let agent = deployment.agent()?;
    let first = deployment.controller("one")?.start()?;
    first.wait_for_log("this controller leads")?;
    deployment.add("a", "a.example\n")?;
    deployment.add("b", "b.example\n")?;
    let whole = wait_for_set(&first, &agent, "both feeds", |set| set.len() == 2)?;
    let second = deployment.controller("two")?.start()?;
    wait_for_set(&second, &agent, "the leader's set", |set| set.id() == whole)?;
    // The copies come after the set: a leader to be needs both.
    second.wait_for_log("everything of the leader is here")?;
    first.kill()?;
    second.wait_for_log("this controller leads")?;
    deployment.add("c", "c.example\n")?;
    let next = wait_for_set(&second, &agent, "the third feed", |set| set.len() == 3)?;
    ensure!(next.epoch == whole.epoch && next.number > whole.number, "{whole} {next}\n{}", second.log());
    for feed in ["a", "b", "c"] {
        assert_eq!(deployment.fetched(feed), 1, "{feed}\n{}", second.log());
    }
    second.stop().map(drop)
}

#[test]
fn what_was_pushed_through_a_follower_is_not_lost_with_the_leader() -> Result<()> {
    let deployment = Deployment::start()?;
    let agent = deployment.agent()?;
    let one = deployment.controller("one")?;
    let first = one.start()?;
    first.wait_for_log("this controller leads")?;
    deployment.apply_pushed("pushed")?;
    deployment.wait_for_reason("pushed", "AwaitingPush")?;
    let second = deployment.controller("two")?.start()?;
    second.wait_for_log("everything of the leader is here")?;
    let said = push(&second, &User::admin(), "pushed", "evil.example")?;
    ensure!(said.contains("\"created\""), "{said}");
    first.kill()?;
    second.wait_for_log("this controller leads")?;
    wait_for_set(&second, &agent, "the pushed name", |set| set.find("evil.example").is_some())?;
    let first = one.start()?;
    wait_for_set(&first, &agent, "the same on the one that came back", |set| {
        set.find("evil.example").is_some()
    })?;
    second.stop().map(drop)
}

#[test]
fn a_controller_that_lost_its_disk_begins_a_new_epoch_and_pulls_anew() -> Result<()> {
    let deployment = Deployment::start()?;
    let agent = deployment.agent()?;
    let builder = deployment.controller("one")?;
    let controller = builder.start()?;
    deployment.add("a", "a.example\n")?;
    let before = wait_for_set(&controller, &agent, "a set", |set| set.len() == 1)?;
    controller.kill()?;
    builder.lose_state()?;
    let controller = builder.start()?;
    let after = wait_for_set(&controller, &agent, "a set", |set| set.len() == 1)?;
    ensure!(
        after.epoch != before.epoch || after.number > before.number,
        "{before} may have been used before {after}"
    );
    assert_eq!(deployment.fetched("a"), 2);
    controller.stop().map(drop)
}

#[test]
fn controllers_that_cannot_reach_each_other_say_why() -> Result<()> {
    let deployment = Deployment::start()?;
    let lonely = |name: &str| -> Result<ControllerBuilder> {
        let builder = ControllerBuilder::of_cluster(&deployment.file(name), &deployment.kubeconfig()?)?;
        Ok(builder.arguments(&["--namespace", NAMESPACE]))
    };
    let first = lonely("one")?.start()?;
    first.wait_for_log("without --peer-ca")?;
    first.wait_for_log("this controller leads")?;
    let second = lonely("two")?.start()?;
    second.wait_for_log("--advertise-url")?;
    drop((first, second));
    Ok(())
}

#[test]
fn a_right_that_is_missing_is_said_in_one_sentence() -> Result<()> {
    let deployment = Deployment::start()?;
    deployment.cluster.kubectl("delete clusterrolebinding namewarden-controller")?;
    let controller = deployment.controller("one")?.start()?;
    let line = controller.wait_for_log("the watch of feeds broke off")?;
    ensure!(line.contains("forbidden") && line.contains("globalthreatfeeds"), "{line}");
    deployment.cluster.apply(deployment::ROLE)?;
    deployment.add("a", "a.example\n")?;
    deployment.wait_for_set_with("a")?;
    controller.stop().map(drop)
}
