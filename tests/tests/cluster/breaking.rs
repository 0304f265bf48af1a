//! An API server that breaks off, forgets, or goes away: the same set is served, nothing is pulled again, and what
//! changed meanwhile is seen.

use anyhow::{Context as _, Result};
use namewarden_tests::wait;
use reqwest::Method;
use serde_json::json;

use crate::scene::{Running, Scene};

/// A feed pulled once and in the set, whose tag it is.
fn settled(scene: &Scene, running: &Running) -> Result<String> {
    scene.add_pulled("feed", "evil.example\n")?;
    let tag = running.wait_for_names(&["evil.example"], &[])?;
    scene.wait_for("feed", "in a set", |feed| feed.pointer("/status/threatSet").is_some())?;
    Ok(tag)
}

#[test]
fn a_watch_that_breaks_off_is_begun_again_and_what_changed_meanwhile_is_seen() -> Result<()> {
    let scene = Scene::new()?;
    let link = scene.cluster.link()?;
    let file = scene.cluster.kubeconfig_through(&link, &scene.account()?)?;
    let running = scene.start(&scene.controller_through("controller", &file)?)?;
    let tag = settled(&scene, &running)?;
    // Once in passing, and nobody notices.
    link.interrupt();
    scene.add_pulled("second", "second.example\n")?;
    let second = running.wait_for_names(&["evil.example", "second.example"], &[])?;
    assert_ne!(second, tag);
    // For so long that it may lead no longer: it serves what it has.
    link.cut();
    running.controller.wait_for_log("this controller no longer leads")?;
    assert_eq!(running.tag()?, second);
    scene.remove("second")?;
    scene.add_pulled("third", "third.example\n")?;
    link.mend();
    running.wait_for_names(&["evil.example", "third.example"], &["second.example"])?;
    for feed in ["feed", "second", "third"] {
        assert_eq!(scene.asked(feed), 1, "{feed}");
    }
    Ok(())
}

#[test]
fn a_server_that_falls_silent_is_noticed_and_the_set_is_served_on() -> Result<()> {
    let scene = Scene::new()?;
    let link = scene.cluster.link()?;
    let file = scene.cluster.kubeconfig_through(&link, &scene.account()?)?;
    let running = scene.start(&scene.controller_through("controller", &file)?)?;
    let tag = settled(&scene, &running)?;
    link.die();
    running.controller.wait_for_log("this controller no longer leads")?;
    // Credentials that were seen a short time ago are still known.
    assert_eq!(running.tag()?, tag);
    link.mend();
    scene.add_pulled("second", "second.example\n")?;
    running.wait_for_names(&["evil.example", "second.example"], &[])?;
    assert_eq!(scene.asked("feed"), 1);
    Ok(())
}

#[test]
fn a_server_that_restarts_and_has_forgotten_changes_nothing() -> Result<()> {
    let mut scene = Scene::alone()?;
    let running = scene.start(&scene.controller("controller")?)?;
    let tag = settled(&scene, &running)?;
    // Versions that the controller's watch knows are gone when the server comes back: it gets 410 and lists anew.
    for mark in ["1", "2", "3"] {
        let labels = json!({"metadata": {"labels": {"mark": mark}}});
        scene.change("feed", &labels)?;
    }
    scene.cluster.stop_server();
    scene.cluster.compact()?;
    running.controller.wait_for_log("this controller no longer leads")?;
    assert_eq!(running.tag()?, tag);
    scene.cluster.start_server()?;
    scene.reconnect()?;
    let leads = || running.controller.log().matches("this controller leads").count();
    wait::until("it leads again", || Ok((leads() == 2).then_some(())))
        .with_context(|| running.controller.log())?;
    // Proof that it reads the resources again: a feed made now is in the set, and no other set came between.
    scene.add_pulled("second", "second.example\n")?;
    running.wait_for_names(&["evil.example", "second.example"], &[])?;
    assert_eq!((scene.asked("feed"), scene.asked("second")), (1, 1));
    Ok(())
}

#[test]
fn a_watch_from_a_version_that_is_forgotten_is_begun_anew() -> Result<()> {
    let mut scene = Scene::alone()?;
    let link = scene.cluster.link()?;
    let file = scene.cluster.kubeconfig_through(&link, &scene.account()?)?;
    let running = scene.start(&scene.controller_through("controller", &file)?)?;
    let tag = settled(&scene, &running)?;
    link.cut();
    scene.add_pulled("second", "second.example\n")?;
    scene.api.send(Method::POST, "/api/v1/namespaces", &json!({"metadata": {"name": "later"}}))?;
    // A server that starts knows only what the store still has.
    scene.cluster.stop_server();
    scene.cluster.compact()?;
    scene.cluster.start_server()?;
    scene.reconnect()?;
    assert_eq!(running.tag()?, tag);
    link.mend();
    running.wait_for_names(&["evil.example", "second.example"], &[])?;
    assert_eq!((scene.asked("feed"), scene.asked("second")), (1, 1));
    Ok(())
}

#[test]
fn a_restart_without_network_serves_the_same_set_at_once() -> Result<()> {
    let scene = Scene::new()?;
    let link = scene.cluster.link()?;
    let file = scene.cluster.kubeconfig_through(&link, &scene.account()?)?;
    let builder = scene.controller_through("controller", &file)?;
    let running = scene.start(&builder)?;
    let tag = settled(&scene, &running)?;
    running.controller.stop()?;
    // The server of lists answers no more: whoever pulls now says so in the status.
    scene.lists.answer("/feed", [namewarden_tests::feed_server::Answer::status(503)]);
    let running = scene.start(&builder)?;
    assert_eq!(running.tag()?, tag);
    running.controller.wait_for_log("this controller leads")?;
    scene.add_pulled("second", "second.example\n")?;
    running.wait_for_names(&["evil.example", "second.example"], &[])?;
    assert_eq!(scene.asked("feed"), 1);
    Ok(())
}
