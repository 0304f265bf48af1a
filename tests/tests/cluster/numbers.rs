//! Numbers of sets: none is used twice, whoever leads, whatever disk was lost; another key is another epoch.

use std::{collections::BTreeMap, fs};

use anyhow::{Context as _, Result, ensure};
use namewarden_tests::wait;
use reqwest::Method;
use serde_json::json;

use crate::scene::{Running, Scene, position};

/// Every set that was seen, by epoch and number.
#[derive(Default)]
struct Seen(BTreeMap<(u64, u64), String>);

impl Seen {
    /// Notes a set; an error where another one had its number.
    fn note(&mut self, tag: &str) -> Result<(u64, u64)> {
        let position = position(tag)?;
        let known = self.0.insert(position, tag.to_owned());
        ensure!(known.is_none_or(|known| known == tag), "{position:?} was used twice");
        Ok(position)
    }
}

fn wait_until_leading(controller: &Running) -> Result<()> {
    controller.controller.wait_for_log("this controller leads").map(drop)
}

/// Pushes a name that nobody pushed, and waits for the set with it.
fn change(scene: &Scene, controller: &Running, name: &str) -> Result<String> {
    let path = "/tigera_secure_ee_threatfeeds_domainnameset.cluster./_doc/feed";
    wait::until("the push taken", || {
        let reply = controller.admin.ask(Method::PUT, path, Some(&json!({"domains": [name]})))?;
        Ok((reply.status < 300).then_some(()))
    })
    .with_context(|| format!("{}\n{}", scene.namespace, controller.controller.log()))?;
    controller.wait_for_names(&[name], &[])
}

#[test]
fn no_number_is_used_twice_whoever_leads() -> Result<()> {
    let scene = Scene::new()?;
    scene.add_pushed("feed")?;
    let builders = [scene.replica("first")?, scene.replica("second")?];
    let mut seen = Seen::default();
    let mut leader = scene.start(&builders[0])?;
    wait_until_leading(&leader)?;
    let mut last = seen.note(&change(&scene, &leader, "n0.example")?)?;
    for turn in 1..5 {
        let follower = scene.start(&builders[turn % 2])?;
        follower.wait_for_copy_of(&leader)?;
        // The last set of a leader may be one that nobody copied: it is published and the leader is gone.
        seen.note(&change(&scene, &leader, &format!("n{turn}-last.example"))?)?;
        if turn % 2 == 0 {
            leader.controller.kill()?;
        } else {
            leader.controller.stop()?;
        }
        wait_until_leading(&follower)?;
        let now = seen.note(&change(&scene, &follower, &format!("n{turn}.example"))?)?;
        assert!(now > last && now.0 == last.0, "{last:?} -> {now:?}");
        (leader, last) = (follower, now);
    }
    Ok(())
}

#[test]
fn a_lost_disk_is_a_new_epoch_and_a_whole_set() -> Result<()> {
    let scene = Scene::new()?;
    scene.add_pulled("feed", "evil.example\n")?;
    let builder = scene.controller("controller")?;
    let running = scene.start(&builder)?;
    let before = running.wait_for_names(&["evil.example"], &[])?;
    running.controller.kill()?;
    builder.lose_state()?;
    let running = scene.start(&builder)?;
    let after = running.wait_for_names(&["evil.example"], &[])?;
    assert!(position(&after)?.0 > position(&before)?.0, "{before} -> {after}");
    running.controller.wait_for_log("a new epoch begins")?;
    Ok(())
}

#[test]
fn who_lost_its_disk_lets_the_other_lead_which_pulls_nothing() -> Result<()> {
    let scene = Scene::new()?;
    scene.add_pulled("feed", "evil.example\n")?;
    let (first, second) = (scene.replica("first")?, scene.replica("second")?);
    let leader = scene.start(&first)?;
    let before = leader.wait_for_names(&["evil.example"], &[])?;
    let follower = scene.start(&second)?;
    follower.wait_for_copy_of(&leader)?;
    leader.controller.kill()?;
    fs::remove_dir_all(first.state())?;
    let empty = scene.start(&first)?;
    wait_until_leading(&follower)?;
    empty.wait_for_copy_of(&follower)?;
    assert_eq!(position(&empty.tag()?)?.0, position(&before)?.0, "the same key, the same epoch");
    assert_eq!(scene.asked("feed"), 1);
    Ok(())
}

#[test]
fn controllers_that_never_met_do_not_share_an_epoch() -> Result<()> {
    let scene = Scene::new()?;
    scene.add_pulled("feed", "evil.example\n")?;
    let first = scene.start(&scene.controller("first")?)?;
    let before = first.wait_for_names(&["evil.example"], &[])?;
    first.controller.stop()?;
    let second = scene.start(&scene.controller("second")?)?;
    let after = second.wait_for_names(&["evil.example"], &[])?;
    assert!(position(&after)?.0 > position(&before)?.0, "{before} -> {after}");
    second.controller.wait_for_log("the last leader had another hash key")?;
    Ok(())
}

#[test]
fn the_key_of_a_secret_is_the_key_of_every_set_also_after_it_was_changed() -> Result<()> {
    let scene = Scene::new()?;
    let secret = format!("/api/v1/namespaces/{}/secrets", scene.namespace);
    let key = "000102030405060708090a0b0c0d0e0f";
    scene.api.send(
        Method::POST,
        &secret,
        &json!({"metadata": {"name": "hash-key"}, "stringData": {"key": key}}),
    )?;
    scene.add_pulled("feed", "evil.example\n")?;
    let (first, second) = (scene.replica("first")?, scene.replica("second")?);
    let given = ["--key-secret", "hash-key"];
    let leader = scene.start(&first.arguments(&given))?;
    let before = leader.wait_for_names(&["evil.example"], &[])?;
    let served = |running: &Running| -> Result<[u8; 16]> { Ok(running.set()?.context("no set")?.key().0) };
    assert_eq!(served(&leader)?, std::array::from_fn(|at| u8::try_from(at).unwrap()));
    // The follower starts with the new key: it serves the leader's set, and its own once it leads.
    scene.api.send(
        Method::PATCH,
        &format!("{secret}/hash-key"),
        &json!({"stringData": {"key": "ff".repeat(16)}}),
    )?;
    let follower = scene.start(&second.arguments(&given))?;
    follower.wait_for_copy_of(&leader)?;
    assert_eq!(served(&follower)?, served(&leader)?);
    leader.controller.stop()?;
    wait_until_leading(&follower)?;
    wait::until("its own key", || Ok((served(&follower)? == [0xff; 16]).then_some(())))?;
    let after = follower.tag()?;
    assert!(position(&after)?.0 > position(&before)?.0, "{before} -> {after}");
    assert_eq!(scene.asked("feed"), 1);
    Ok(())
}

#[test]
fn controllers_with_the_same_secret_go_on_in_the_same_epoch() -> Result<()> {
    let scene = Scene::new()?;
    let secret = format!("/api/v1/namespaces/{}/secrets", scene.namespace);
    let key = json!({"metadata": {"name": "hash-key"}, "stringData": {"key": "0f".repeat(16)}});
    scene.api.send(Method::POST, &secret, &key)?;
    scene.add_pushed("feed")?;
    let given = ["--key-secret", "hash-key"];
    let leader = scene.start(&scene.replica("first")?.arguments(&given))?;
    let before = leader.wait_for_names(&[], &["evil.example"])?;
    let follower = scene.start(&scene.replica("second")?.arguments(&given))?;
    follower.wait_for_copy_of(&leader)?;
    leader.controller.stop()?;
    wait_until_leading(&follower)?;
    scene.add_pulled("other", "evil.example\n")?;
    let after = follower.wait_for_names(&["evil.example"], &[])?;
    assert_eq!(position(&after)?.0, position(&before)?.0, "{before} -> {after}");
    assert!(position(&after)?.1 > position(&before)?.1, "{before} -> {after}");
    Ok(())
}

#[test]
fn a_secret_without_a_key_ends_the_start_with_what_is_wrong() -> Result<()> {
    let scene = Scene::new()?;
    let start = |name: &str| -> Result<String> {
        let builder = scene.controller(name)?.arguments(&["--key-secret", name]);
        let ended = builder.start().err().context("it started")?;
        Ok(format!("{ended:#}"))
    };
    let said = start("missing")?;
    assert!(said.contains(&format!("there is no Secret {}/missing; create it", scene.namespace)), "{said}");
    let secret = json!({"metadata": {"name": "bad"}, "stringData": {"key": "0123 secret"}});
    scene.api.send(Method::POST, &format!("/api/v1/namespaces/{}/secrets", scene.namespace), &secret)?;
    let said = start("bad")?;
    assert!(said.contains("is not 32 hexadecimal digits") && !said.contains("0123 secret"), "{said}");
    Ok(())
}
