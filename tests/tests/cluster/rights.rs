//! What the controller may. Every test of the suite runs it under the role that ships; here rights are missing from it, and
//! each one that is missing is one clear sentence.

use anyhow::{Context as _, Result};
use namewarden_tests::kube::User;

use crate::{client::Client, scene::Scene};

/// Starts a controller whose role lacks `rule`; the line of its log with `said` in it.
fn without(rule: &str, said: &str) -> Result<()> {
    let scene = Scene::new()?;
    scene.take_away(rule)?;
    scene.add_pulled("feed", "evil.example\n")?;
    let running = scene.start(&scene.controller("controller")?)?;
    let line = running.controller.wait_for_log(said)?;
    let (_, sentence) = line.split_once("a right is missing in the role: ").context(line.clone())?;
    let who = format!("system:serviceaccount:{}:namewarden-controller", scene.namespace);
    assert!(sentence.contains(&who) && sentence.contains("cannot"), "{line}");
    assert!(!line.contains("Status {"), "{line}");
    Ok(())
}

#[test]
fn without_the_right_to_read_feeds_it_says_so() -> Result<()> {
    without(
        "- apiGroups: [projectcalico.org]\n  resources: [globalthreatfeeds]\n  verbs: [list, watch]\n",
        "cannot list resource \"globalthreatfeeds\"",
    )
}

#[test]
fn without_the_right_to_write_a_status_it_says_so() -> Result<()> {
    without(
        "- apiGroups: [projectcalico.org]\n  resources: [globalthreatfeeds/status]\n  verbs: [patch]\n",
        "cannot patch resource \"globalthreatfeeds/status\"",
    )
}

#[test]
fn without_the_right_to_lead_it_says_so() -> Result<()> {
    without(
        "- apiGroups: [coordination.k8s.io]\n  resources: [leases]\n  verbs: [create]\n",
        "cannot create resource \"leases\"",
    )
}

#[test]
fn without_the_right_to_tell_events_it_says_so() -> Result<()> {
    without(
        "- apiGroups: [events.k8s.io]\n  resources: [events]\n  verbs: [create, patch]\n",
        "cannot create resource \"events\"",
    )
}

#[test]
fn without_the_right_to_read_secrets_the_feed_says_so() -> Result<()> {
    let scene = Scene::new()?;
    scene.take_away("- apiGroups: [\"\"]\n  resources: [secrets, configmaps]\n  verbs: [get]\n")?;
    let _running = scene.start(&scene.controller("controller")?)?;
    let mut spec = scene.pulled("keyed");
    spec["pull"]["http"]["headers"] = serde_json::json!([
        {"name": "APIKey", "valueFrom": {"secretKeyRef": {"name": "globalthreatfeed-keyed-creds", "key": "key"}}}
    ]);
    scene.add("keyed", &spec)?;
    let message = scene.wait_for_condition("keyed", "Ready", "False", "HeaderUnavailable")?;
    assert!(message.contains("a right is missing in the role: secrets"), "{message}");
    Ok(())
}

#[test]
fn without_the_right_to_see_resolvers_it_says_so() -> Result<()> {
    without(
        "- apiGroups: [\"\"]\n  resources: [pods]\n  verbs: [list, watch]\n",
        "cannot list resource \"pods\"",
    )
}

#[test]
fn without_the_right_to_review_nobody_is_admitted_and_nobody_is_called_a_stranger() -> Result<()> {
    let scene = Scene::new()?;
    scene.take_away(
        "- apiGroups: [authentication.k8s.io]\n  resources: [tokenreviews]\n  verbs: [create]\n",
    )?;
    let running = scene.start(&scene.controller("controller")?)?;
    let reply = running.admin.get("/v1/feeds")?;
    assert_eq!(reply.status, 503, "{}", reply.text());
    assert!(
        reply.text().contains("the controller's own role may not create tokenreviews"),
        "{}",
        reply.text()
    );
    Ok(())
}

#[test]
fn agents_show_a_token_of_their_service_account_for_our_audience() -> Result<()> {
    let scene = Scene::new()?;
    scene.add_pulled("feed", "evil.example\n")?;
    let running = scene.start(&scene.controller("controller")?)?;
    running.wait_for_names(&["evil.example"], &[])?;
    let status = |token: &str| -> Result<u16> {
        let controller = &running.controller;
        Ok(Client::new(&controller.url(), controller.authority(), token)?.get("/v1/threat-set")?.status)
    };
    assert_eq!(status(&scene.token("namewarden-agent", "elsewhere")?)?, 401);
    assert_eq!(status(&scene.token("namewarden-controller", "namewarden")?)?, 403);
    assert_eq!(status(User::alice().token())?, 401, "a person's token is not made for us");
    Ok(())
}

#[test]
fn the_role_that_ships_allows_nothing_beyond() -> Result<()> {
    let scene = Scene::new()?;
    let account = scene.account()?;
    let may = |words: &str| {
        let asked = format!("auth can-i {words}");
        let said =
            scene.cluster.kubectl_as(&account, &asked, "").unwrap_or_else(|error| format!("{error:#}"));
        Ok::<_, anyhow::Error>(said.trim().starts_with("yes"))
    };
    let feeds = format!("globalthreatfeeds.{}", scene.group);
    let here = format!("--namespace {}", scene.namespace);
    assert!(may(&format!("list {feeds}"))?);
    assert!(may(&format!("get secrets {here}"))?);
    assert!(may("list pods --namespace kube-system")? && may("watch pods --namespace kube-system")?);
    for words in [
        format!("update {feeds}"),
        format!("delete {feeds}"),
        format!("update {feeds} --subresource status"),
        format!("list secrets {here}"),
        format!("create secrets {here}"),
        format!("update leases.coordination.k8s.io/other {here}"),
        "get secrets --namespace default".to_owned(),
        "get configmaps --namespace kube-system".to_owned(),
        "create events --namespace kube-system".to_owned(),
        "list pods --all-namespaces".to_owned(),
        "list pods --namespace default".to_owned(),
        "get pods --namespace kube-system".to_owned(),
        "delete pods --namespace kube-system".to_owned(),
    ] {
        assert!(!may(&words)?, "it may {words}");
    }
    // Somebody without a role may not even that.
    assert!(scene.cluster.kubectl_as(&User::bob(), &format!("get {feeds}"), "").is_err());
    Ok(())
}
