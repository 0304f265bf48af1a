//! Feeds of a cluster, pulled and pushed by a controller with the role that ships; what their status says.

use anyhow::{Result, ensure};
use namewarden_tests::{
    controller::ControllerBuilder,
    feed_server::{Answer, Authority, FeedServer, ForwardProxy},
    kube::User,
    wait,
};
use serde_json::Value;

use crate::deployment::{self, AUDIENCE, Deployment, NAMESPACE, bearer, pulled, reason, served};

fn number(status: &Value, field: &str) -> Option<u64> {
    status.get(field)?.as_u64()
}

/// No right was missing: that would be a warning.
fn ensure_no_refusal(log: &str) -> Result<()> {
    ensure!(!log.contains("forbidden") && !log.contains("could not be told"), "{log}");
    Ok(())
}

#[test]
fn a_pulled_feed_has_a_status_columns_and_events() -> Result<()> {
    let deployment = Deployment::start()?;
    let controller = deployment.controller("one")?.start()?;
    deployment.add("urls", "evil.example\n# a comment\nnot a name\nco.uk\n")?;
    let status = deployment.wait_for_set_with("urls")?;
    // A public suffix is listed by itself, without what is below it.
    let figures = ["entries", "rejected", "guarded"].map(|field| number(&status, field));
    assert_eq!(figures, [Some(2), Some(1), Some(1)], "{status:#}");
    assert_eq!(reason(&status, "Ready"), Some("Ready"), "{status:#}");
    for field in ["lastSuccessfulSync", "nextSync", "observedGeneration", "format"] {
        assert!(status.get(field).is_some(), "no {field} in {status:#}");
    }
    let table = deployment.cluster.kubectl("get globalthreatfeeds")?;
    let row = table.lines().find(|line| line.starts_with("urls")).unwrap_or_default();
    let words: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(words.get(1..5), Some(&["Enabled", "DomainNameSet", "2", "1"][..]), "{table}");
    assert!(row.contains("Ready"), "{table}");
    let events = wait::until("an event", || {
        let events = deployment.cluster.kubectl("get events --all-namespaces")?;
        Ok(events.contains("globalthreatfeed/urls").then_some(events))
    })?;
    assert!(events.contains("2 entries are in use"), "{events}");
    ensure_no_refusal(&controller.stop()?)
}

#[test]
fn the_references_feed_is_pulled_from_its_own_host() -> Result<()> {
    let deployment = Deployment::start()?;
    let authority = Authority::new()?;
    let publisher = FeedServer::start_tls(&authority, &["my.threatfeed.com"])?;
    publisher.answer("/deny-list", [Answer::text("malicious.badstuff\nhacks.r.us\n")]);
    // Names of the world lead nowhere here: a proxy takes the name to the test's own server.
    let proxy = ForwardProxy::start(publisher.address())?;
    let trusted = deployment.file("publisher.crt");
    authority.write(&trusted)?;
    let kubeconfig = deployment.kubeconfig()?;
    let controller = ControllerBuilder::of_cluster(&deployment.file("one"), &kubeconfig)?
        .arguments(&["--namespace", NAMESPACE, "--feed-proxy", &proxy.url()])
        .arguments(&["--feed-ca", &trusted.to_string_lossy()])
        .start()?;
    deployment.apply_pulled("my-threat-feed", "https://my.threatfeed.com/deny-list", "")?;
    let status = deployment.wait_for_set_with("my-threat-feed")?;
    assert_eq!(number(&status, "entries"), Some(2), "{status:#}");
    assert_eq!(publisher.seen("/deny-list").len(), 1);
    ensure_no_refusal(&controller.stop()?)
}

#[test]
fn values_of_headers_come_from_secrets_and_configmaps_of_the_controllers_namespace() -> Result<()> {
    let deployment = Deployment::start()?;
    let controller = deployment.controller("one")?.start()?;
    deployment.lists.answer("/urls", [Answer::text("evil.example\n")]);
    let headers = "      headers:
      - name: X-Key
        valueFrom: {secretKeyRef: {name: globalthreatfeed-urls-key, key: token}}
      - name: X-Team
        valueFrom: {configMapKeyRef: {name: globalthreatfeed-urls-team, key: team}}
      - name: X-Maybe
        valueFrom: {configMapKeyRef: {name: globalthreatfeed-urls-none, key: none, optional: true}}
";
    let manifest = pulled("urls", &deployment.lists.url("/urls"), "") + headers;
    deployment.cluster.apply(&manifest)?;
    deployment.wait_for_reason("urls", "HeaderUnavailable")?;
    assert_eq!(deployment.fetched("urls"), 0);
    let create = format!("--namespace {NAMESPACE} create");
    let secret = format!("{create} secret generic globalthreatfeed-urls-key --from-literal token=hush-hush");
    deployment.cluster.kubectl(&secret)?;
    let map = format!("{create} configmap globalthreatfeed-urls-team --from-literal team=blue");
    deployment.cluster.kubectl(&map)?;
    deployment.cluster.kubectl("annotate globalthreatfeed urls namewarden.dev/pull=now")?;
    deployment.wait_for_set_with("urls")?;
    let seen = deployment.lists.last("/urls")?;
    assert_eq!((seen.header("x-key"), seen.header("x-team")), ("hush-hush", "blue"));
    assert!(!seen.headers.contains_key("x-maybe"));
    let log = controller.stop()?;
    ensure!(!log.contains("hush-hush"), "{log}");
    ensure_no_refusal(&log)
}

#[test]
fn a_feed_that_is_disabled_or_deleted_leaves_the_set_and_comes_back() -> Result<()> {
    let deployment = Deployment::start()?;
    let controller = deployment.controller("one")?.start()?;
    deployment.add("a", "a.example\n")?;
    deployment.add("b", "b.example\n")?;
    deployment.wait_for_set_with("a")?;
    deployment.wait_for_set_with("b")?;
    let agent = deployment.agent()?;
    let listed = |feed: &str| deployment::lists(&controller, &agent, feed);
    deployment.cluster.kubectl("patch gtf a --type merge --patch {\"spec\":{\"mode\":\"Disabled\"}}")?;
    deployment.wait_for_reason("a", "Disabled")?;
    wait::until("a out of the set", || Ok((!listed("a")? && listed("b")?).then_some(())))?;
    deployment.cluster.kubectl("delete gtf b")?;
    wait::until("b out of the set", || Ok((!listed("b")?).then_some(())))?;
    deployment.cluster.kubectl("patch gtf a --type merge --patch {\"spec\":{\"mode\":\"Enabled\"}}")?;
    wait::until("a in the set again", || Ok(listed("a")?.then_some(())))?;
    ensure_no_refusal(&controller.stop()?)
}

#[test]
fn a_pushed_feed_takes_documents_of_those_only_who_may() -> Result<()> {
    let deployment = Deployment::start()?;
    let controller = deployment.controller("one")?.start()?;
    deployment.apply_pushed("pushed")?;
    deployment.wait_for_reason("pushed", "AwaitingPush")?;
    let (alice, bob) = (User::alice(), User::bob());
    deployment.cluster.kubectl(
        "create clusterrole pusher --verb update --resource globalthreatfeeds.projectcalico.org/domains \
         --resource-name pushed",
    )?;
    deployment.cluster.kubectl("create clusterrolebinding pusher --clusterrole pusher --user alice")?;
    let push = |options: &[&str]| {
        let mut all = vec!["--request", "PUT", "--header", "content-type: application/json"];
        all.extend(["--data", "{\"domains\": [\"malicious.badstuff\", \"hacks.r.us\"]}"]);
        all.extend(options);
        let path = "/tigera_secure_ee_threatfeeds_domainnameset.cluster./_doc/pushed";
        controller.curl(path, &all)
    };
    let refused = |options: &[&str], status: &str| -> Result<()> {
        let error = format!("{:#}", push(options).unwrap_err());
        ensure!(error.contains(status), "{error}");
        Ok(())
    };
    refused(&[], "401")?;
    refused(&["--header", &bearer(&User::of_token("nobody", "wrong"))], "401")?;
    refused(&["--header", &bearer(&bob)], "403")?;
    // Clients of the reference speak basic: the token is the password.
    let said = push(&["--user", &format!("any:{}", alice.token())])?;
    ensure!(said.contains("\"created\""), "{said}");
    let status = deployment.wait_for_set_with("pushed")?;
    assert_eq!(number(&status, "entries"), Some(2), "{status:#}");
    ensure_no_refusal(&controller.stop()?)
}

#[test]
fn agents_show_a_token_of_their_service_account_and_audience() -> Result<()> {
    let deployment = Deployment::start()?;
    let controller = deployment.controller("one")?.start()?;
    deployment.add("urls", "evil.example\n")?;
    deployment.wait_for_set_with("urls")?;
    let agent = deployment.agent()?;
    ensure!(served(&controller, &agent)?.is_some(), "{}", controller.log());
    let elsewhere = deployment.cluster.service_account(NAMESPACE, "namewarden-agent", "elsewhere")?;
    let other = deployment.cluster.service_account(NAMESPACE, "default", AUDIENCE)?;
    for (who, status) in [(&elsewhere, "401"), (&other, "403"), (&User::alice(), "40")] {
        let bearer = bearer(who);
        let error = controller.curl("/v1/threat-set", &["--header", &bearer]).unwrap_err();
        ensure!(format!("{error:#}").contains(status), "{error:#}");
    }
    ensure_no_refusal(&controller.stop()?)
}

#[test]
fn five_hundred_feeds_are_one_set() -> Result<()> {
    let deployment = Deployment::start()?;
    let controller = deployment.controller("one")?.start()?;
    let mut manifests = String::new();
    for feed in 0..500 {
        let path = format!("/feed-{feed}");
        deployment.lists.answer(&path, [Answer::text(&format!("name-{feed}.example\n"))]);
        manifests += &pulled(&format!("feed-{feed}"), &deployment.lists.url(&path), "");
        manifests += "---\n";
    }
    deployment.cluster.apply(&manifests)?;
    let patience = std::time::Duration::from_secs(120);
    wait::within(patience, "500 feeds in use", || {
        let table = deployment.cluster.kubectl("get gtf --no-headers")?;
        Ok((table.lines().filter(|line| line.contains("Ready")).count() == 500).then_some(()))
    })?;
    for feed in 0..500 {
        assert_eq!(deployment.fetched(&format!("feed-{feed}")), 1, "feed-{feed}");
    }
    ensure_no_refusal(&controller.stop()?)
}
