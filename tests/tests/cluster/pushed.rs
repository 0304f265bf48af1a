//! Feeds that somebody pushes: who may, in which spelling, and when the names are in the set.

use anyhow::Result;
use namewarden_tests::kube::User;
use reqwest::Method;
use serde_json::json;

use crate::{
    client::{Client, Reply},
    scene::{Running, Scene},
};

/// The reference's two spellings of the same index.
const ALIAS: &str = "/tigera_secure_ee_threatfeeds_domainnameset.cluster./_doc/";
const DATE_MATH: &str = "/%3Ctigera_secure_ee_threatfeeds_domainnameset.cluster.linseed-%7Bnow%2Fs%7ByyyyMMdd%7D%7D-000001%3E/_doc/";

fn started(scene: &Scene) -> Result<Running> {
    scene.start_leading(&scene.controller("controller")?)
}

fn push(client: &Client, path: &str, names: &[&str]) -> Result<Reply> {
    client.ask(Method::PUT, path, Some(&json!({"domains": names})))
}

#[test]
fn the_references_pushes_are_in_the_set_in_either_spelling() -> Result<()> {
    let scene = Scene::new()?;
    let running = started(&scene)?;
    scene.add_pushed("my-threat-feed")?;
    scene.wait_for_condition("my-threat-feed", "Ready", "False", "AwaitingPush")?;
    let names = ["malicious.badstuff", "hacks.r.us"];
    let reply = push(&running.admin, &format!("{ALIAS}my-threat-feed"), &names)?;
    assert_eq!((reply.status, &reply.json()?["result"]), (201, &json!("created")));
    running.wait_for_names(&["a.malicious.badstuff", "hacks.r.us"], &[])?;
    scene.wait_for_entries("my-threat-feed", 2)?;
    let reply = push(&running.admin, &format!("{DATE_MATH}my-threat-feed"), &["later.example"])?;
    assert_eq!((reply.status, &reply.json()?["result"]), (200, &json!("updated")));
    running.wait_for_names(&["later.example"], &["hacks.r.us"])?;
    running.admin.ask(Method::DELETE, &format!("{ALIAS}my-threat-feed"), None)?.json()?;
    running.wait_for_names(&[], &["later.example"])?;
    scene.wait_for_condition("my-threat-feed", "Ready", "False", "AwaitingPush")?;
    Ok(())
}

#[test]
fn a_document_waits_for_its_feed_and_outlives_the_controller() -> Result<()> {
    let scene = Scene::new()?;
    let builder = scene.controller("controller")?;
    let running = scene.start_leading(&builder)?;
    assert_eq!(push(&running.admin, &format!("{ALIAS}early"), &["early.example"])?.status, 201);
    running.controller.kill()?;
    let running = scene.start_leading(&builder)?;
    scene.add_pushed("early")?;
    running.wait_for_names(&["early.example"], &[])?;
    Ok(())
}

#[test]
fn a_person_pushes_to_the_feed_that_a_role_allows_and_to_no_other() -> Result<()> {
    let scene = Scene::new()?;
    let running = started(&scene)?;
    let authority = running.controller.authority();
    let alice = Client::new(&running.controller.url(), authority, User::alice().token())?;
    let stranger = Client::new(&running.controller.url(), authority, "nobody-knows-this-token")?;
    scene.apply(&format!(
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {{name: push-{0}}}\n\
         rules: [{{apiGroups: [{1}], resources: [globalthreatfeeds/domains], resourceNames: [hers], verbs: [update]}}]\n\
         ---\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {{name: push-{0}}}\n\
         roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: push-{0}}}\n\
         subjects: [{{apiGroup: rbac.authorization.k8s.io, kind: User, name: alice}}]\n",
        scene.namespace, scene.group
    ))?;
    let reply = push(&stranger, &format!("{ALIAS}hers"), &["hers.example"])?;
    assert_eq!(reply.status, 401, "{}", reply.text());
    let reply = push(&alice, &format!("{ALIAS}theirs"), &["theirs.example"])?;
    assert_eq!(reply.status, 403, "{}", reply.text());
    assert!(reply.text().contains("`update` on"), "{}", reply.text());
    scene.add_pushed("hers")?;
    // The API server learns of a binding a moment later.
    namewarden_tests::wait::until("she may", || {
        Ok((push(&alice, &format!("{ALIAS}hers"), &["hers.example"])?.status == 201).then_some(()))
    })?;
    running.wait_for_names(&["hers.example"], &["theirs.example"])?;
    // Clients of the reference speak basic: the token is the password.
    let document = json!({"domains": ["basic.example"]}).to_string();
    let user = format!("any:{}", User::alice().token());
    let json = "content-type: application/json";
    running.controller.curl(
        &format!("{ALIAS}hers"),
        &["--request", "PUT", "--header", json, "--user", &user, "--data", &document],
    )?;
    running.wait_for_names(&["basic.example"], &["hers.example"])?;
    scene.cluster.kubectl(&format!("delete clusterrole,clusterrolebinding push-{}", scene.namespace))?;
    Ok(())
}
