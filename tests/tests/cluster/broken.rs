//! A watch that breaks, versions that are gone, an API server that restarts: nothing is missed, nothing is pulled twice.

use anyhow::{Context as _, Result, ensure};
use namewarden_tests::wait;

use crate::deployment::{Deployment, lists, served};

#[test]
fn what_changed_while_the_watch_was_broken_is_seen_also_when_its_versions_are_gone() -> Result<()> {
    let deployment = Deployment::start()?;
    let agent = deployment.agent()?;
    let link = deployment.cluster.link()?;
    let kubeconfig = deployment.cluster.kubeconfig_through(&link, &deployment.account()?)?;
    let controller = deployment.controller_by("one", &kubeconfig)?.start()?;
    deployment.add("a", "a.example\n")?;
    deployment.add("b", "b.example\n")?;
    deployment.wait_for_set_with("a")?;
    deployment.wait_for_set_with("b")?;
    link.cut();
    deployment.cluster.kubectl("delete globalthreatfeed a")?;
    deployment.add("c", "c.example\n")?;
    deployment.cluster.compact()?;
    link.mend();
    deployment.wait_for_set_with("c").with_context(|| controller.log())?;
    // While the link was cut nobody could review the agent's token: answers come back with it.
    wait::until("a out of the set", || {
        Ok((!lists(&controller, &agent, "a")? && lists(&controller, &agent, "c")?).then_some(()))
    })?;
    link.interrupt();
    deployment.add("d", "d.example\n")?;
    deployment.wait_for_set_with("d").with_context(|| controller.log())?;
    for feed in ["a", "b", "c", "d"] {
        assert_eq!(deployment.fetched(feed), 1, "{feed}\n{}", controller.log());
    }
    controller.stop().map(drop)
}

#[test]
fn an_api_server_that_restarts_changes_nothing() -> Result<()> {
    let deployment = Deployment::start()?;
    let agent = deployment.agent()?;
    let controller = deployment.controller("one")?.start()?;
    deployment.add("a", "a.example\n")?;
    deployment.wait_for_set_with("a")?;
    let before = served(&controller, &agent)?.context("no set")?.id();
    deployment.cluster.stop_server();
    // Agents are served from what is known of them meanwhile.
    let away = served(&controller, &agent)?.context("no set while the API server is away")?.id();
    deployment.cluster.start_server()?;
    deployment.add("b", "b.example\n")?;
    deployment.wait_for_set_with("b").with_context(|| controller.log())?;
    wait::until("b in the set", || Ok(lists(&controller, &agent, "b")?.then_some(())))?;
    ensure!(away == before, "{away} {before}");
    for feed in ["a", "b"] {
        assert_eq!(deployment.fetched(feed), 1, "{feed}\n{}", controller.log());
    }
    controller.stop().map(drop)
}
