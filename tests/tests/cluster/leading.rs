//! Several controllers: one leads and pulls, the others copy what it has, pass on what they are pushed, and take over.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use namewarden_tests::wait;
use reqwest::Method;
use serde_json::json;

use crate::scene::{Running, Scene, position};

/// The longest that is promised from a leader's end to the next one.
const FAILOVER: Duration = Duration::from_secs(15);

/// Two controllers of a scene, the leader first.
fn pair(scene: &Scene) -> Result<(Running, Running)> {
    let first = scene.start(&scene.replica("first")?)?;
    wait_until_leading(scene, &first)?;
    let second = scene.start(&scene.replica("second")?)?;
    Ok((first, second))
}

fn wait_until_leading(scene: &Scene, controller: &Running) -> Result<()> {
    let url = format!("{}/", controller.controller.url());
    wait::until("it leads", || Ok((scene.leader()?.as_deref() == Some(&*url)).then_some(())))
        .with_context(|| controller.controller.log())
}

fn doc(feed: &str) -> String {
    format!("/tigera_secure_ee_threatfeeds_domainnameset.cluster./_doc/{feed}")
}

fn push(to: &Running, feed: &str, name: &str) -> Result<serde_json::Value> {
    to.admin.send(Method::PUT, &doc(feed), &json!({"domains": [name]}))
}

#[test]
fn followers_serve_the_leaders_set_and_pull_nothing() -> Result<()> {
    let scene = Scene::new()?;
    let (leader, follower) = pair(&scene)?;
    scene.add_pulled("feed", "evil.example\n")?;
    let tag = leader.wait_for_names(&["evil.example"], &[])?;
    follower.wait_for_tag(&tag)?;
    scene.lists.answer("/feed", [namewarden_tests::feed_server::Answer::text("worse.example\n")]);
    // Asked of the follower, which passes it on.
    let reply = follower.admin.ask(Method::POST, "/v1/feeds/feed/pull", None)?;
    assert_eq!(reply.status, 202, "{}", reply.text());
    let tag = leader.wait_for_names(&["worse.example"], &["evil.example"])?;
    follower.wait_for_tag(&tag)?;
    assert_eq!(scene.asked("feed"), 2);
    let shown = follower.admin.get("/v1/feeds")?.text();
    assert!(shown.contains("\"feed\""), "{shown}");
    Ok(())
}

#[test]
fn after_a_crash_another_leads_within_fifteen_seconds_and_pulls_nothing_again() -> Result<()> {
    let scene = Scene::new()?;
    let (leader, follower) = pair(&scene)?;
    scene.add_pulled("feed", "evil.example\n")?;
    scene.add_pulled("other", "other.example\n")?;
    let before = leader.wait_for_names(&["evil.example", "other.example"], &[])?;
    follower.wait_for_copy_of(&leader)?;
    let crashed = Instant::now();
    leader.controller.kill()?;
    wait_until_leading(&scene, &follower)?;
    assert!(crashed.elapsed() < FAILOVER, "{:?}", crashed.elapsed());
    // It does what a leader does, and the agents go on in the same epoch.
    scene.add_pulled("new", "new.example\n")?;
    let after = follower.wait_for_names(&["evil.example", "other.example", "new.example"], &[])?;
    assert!(crashed.elapsed() < FAILOVER, "{:?}", crashed.elapsed());
    let ((old_epoch, old), (new_epoch, new)) = (position(&before)?, position(&after)?);
    assert!(new_epoch == old_epoch && new > old, "{before} -> {after}");
    scene.wait_for_entries("new", 1)?;
    for feed in ["feed", "other", "new"] {
        assert_eq!(scene.asked(feed), 1, "{feed} was pulled again:\n{}", follower.controller.log());
    }
    Ok(())
}

#[test]
fn a_leader_that_is_stopped_gives_way_at_once() -> Result<()> {
    let scene = Scene::new()?;
    let (leader, follower) = pair(&scene)?;
    scene.add_pulled("feed", "evil.example\n")?;
    leader.wait_for_names(&["evil.example"], &[])?;
    follower.wait_for_copy_of(&leader)?;
    let told = Instant::now();
    leader.controller.stop()?;
    wait_until_leading(&scene, &follower)?;
    assert!(told.elapsed() < Duration::from_secs(5), "{:?}", told.elapsed());
    scene.add_pulled("new", "new.example\n")?;
    follower.wait_for_names(&["evil.example", "new.example"], &[])?;
    assert_eq!(scene.asked("feed"), 1);
    Ok(())
}

#[test]
fn a_push_to_a_follower_is_the_leaders_and_outlives_it() -> Result<()> {
    let scene = Scene::new()?;
    let (leader, follower) = pair(&scene)?;
    scene.add_pushed("pushed")?;
    follower.controller.wait_for_log("everything of the leader's is copied")?;
    let answer = push(&follower, "pushed", "pushed.example")?;
    assert_eq!(
        (&answer["result"], &answer["_shards"]["successful"]),
        (&json!("created"), &json!(2)),
        "{answer}"
    );
    leader.wait_for_names(&["pushed.example"], &[])?;
    leader.controller.kill()?;
    wait_until_leading(&scene, &follower)?;
    follower.wait_for_names(&["pushed.example"], &[])?;
    let kept = follower.admin.get(&doc("pushed"))?.json()?;
    assert_eq!(kept["_source"]["domains"], json!(["pushed.example"]));
    // Numbers of operations go on too.
    assert_eq!(push(&follower, "pushed", "later.example")?["_version"], json!(2));
    Ok(())
}

#[test]
fn while_nobody_leads_a_push_is_refused_and_not_lost() -> Result<()> {
    let scene = Scene::new()?;
    let (leader, follower) = pair(&scene)?;
    scene.add_pushed("pushed")?;
    follower.wait_for_copy_of(&leader).ok();
    leader.controller.kill()?;
    // Refused until it leads, taken from then on: an answer of success is never a lie.
    let mut refused = 0;
    wait::until("the push taken", || {
        let reply =
            follower.admin.ask(Method::PUT, &doc("pushed"), Some(&json!({"domains": ["a.example"]})))?;
        match reply.status {
            201 => Ok(Some(())),
            503 => {
                refused += 1;
                Ok(None)
            }
            other => bail!("{other}: {}", reply.text()),
        }
    })?;
    assert!(refused > 0);
    follower.wait_for_names(&["a.example"], &[])?;
    Ok(())
}

#[test]
fn a_controller_that_comes_back_follows_and_catches_up() -> Result<()> {
    let scene = Scene::new()?;
    let builder = scene.replica("first")?;
    let first = scene.start(&builder)?;
    wait_until_leading(&scene, &first)?;
    scene.add_pulled("feed", "evil.example\n")?;
    first.wait_for_names(&["evil.example"], &[])?;
    let second = scene.start(&scene.replica("second")?)?;
    second.wait_for_copy_of(&first)?;
    first.controller.stop()?;
    wait_until_leading(&scene, &second)?;
    scene.add_pulled("new", "new.example\n")?;
    let tag = second.wait_for_names(&["evil.example", "new.example"], &[])?;
    let first = scene.start(&builder)?;
    first.wait_for_tag(&tag)?;
    first.wait_for_copy_of(&second)?;
    assert_eq!((scene.asked("feed"), scene.asked("new")), (1, 1));
    Ok(())
}

#[test]
fn who_cannot_copy_says_why_and_takes_no_push() -> Result<()> {
    let scene = Scene::new()?;
    let (leader, _follower) = pair(&scene)?;
    scene.add_pushed("pushed")?;
    leader.wait_for_names(&[], &["a.example"])?;
    let lonely = scene.start(&scene.controller("lonely")?)?;
    lonely.controller.wait_for_log("give every controller --peer-ca")?;
    let reply = lonely.admin.ask(Method::PUT, &doc("pushed"), Some(&json!({"domains": ["a.example"]})))?;
    assert_eq!(reply.status, 503, "{}", reply.text());
    let unknown = scene.start(&scene.certified("unknown")?)?;
    unknown.controller.wait_for_log("the leader answers 401 Unauthorized: give --peer-token-file")?;
    let gone = scene.certified("gone")?.arguments(&["--peer-token-file", "/nowhere/token"]);
    scene.start(&gone)?.controller.wait_for_log("the token /nowhere/token cannot be read")?;
    let stranger = scene.file("stranger.crt", namewarden_tests::feed_server::Authority::new()?.pem())?;
    let other = scene.certified("other")?.arguments(&["--peer-ca", &stranger.to_string_lossy()]);
    scene.start(&other)?.controller.wait_for_log("the leader cannot be reached: invalid peer certificate")?;
    Ok(())
}

#[test]
fn a_leader_that_nobody_can_reach_is_told_of() -> Result<()> {
    let scene = Scene::new()?;
    let hidden = scene.start(&scene.controller("hidden")?)?;
    hidden.controller.wait_for_log("this controller leads")?;
    let follower = scene.start(&scene.replica("follower")?)?;
    follower.controller.wait_for_log("give every controller --advertise-url")?;
    Ok(())
}
