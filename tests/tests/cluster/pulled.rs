//! Feeds that are pulled: what is shown of them, which headers are sent along, when they are pulled, when they leave the set.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use namewarden_tests::feed_server::{Answer, Authority, FeedServer, ForwardProxy};
use reqwest::Method;
use serde_json::{Value, json};

use crate::definition::PULLED;
use crate::scene::{Running, Scene, condition};

/// The longest that is promised from a change to the set without it.
const GONE: Duration = Duration::from_secs(5);

fn started(scene: &Scene) -> Result<Running> {
    scene.start(&scene.controller("controller")?)
}

fn time(feed: &Value, field: &str) -> Result<Timestamp> {
    let text = feed.pointer(&format!("/status/{field}")).and_then(Value::as_str);
    Ok(text.with_context(|| format!("no {field}: {feed:#}"))?.parse()?)
}

#[test]
fn the_references_feed_is_pulled_over_tls_from_the_host_that_it_names() -> Result<()> {
    let scene = Scene::of_reference()?;
    let authority = Authority::new()?;
    let server = FeedServer::start_tls(&authority, &["my.threatfeed.com"])?;
    server.answer("/deny-list", [Answer::text("malicious.badstuff\nhacks.r.us\n-not a name-\n")]);
    // Whoever asks for that host is led to the server of the test.
    let network = ForwardProxy::start(server.address())?;
    let trusted = scene.file("feeds.crt", authority.pem())?;
    let builder = scene.controller_behind("controller", &network.url())?;
    let running = scene.start(&builder.arguments(&["--feed-ca", &trusted.to_string_lossy()]))?;
    scene.apply(PULLED)?;
    let feed = scene.wait_for_entries("my-threat-feed", 2)?;
    running.wait_for_names(&["a.malicious.badstuff", "hacks.r.us"], &["badstuff", "my.threatfeed.com"])?;
    let feed_in_set =
        scene.wait_for("my-threat-feed", "in a set", |feed| feed.pointer("/status/threatSet").is_some())?;
    assert_eq!(feed.pointer("/status/rejected"), Some(&json!(1)), "{feed:#}");
    assert_eq!(feed.pointer("/status/rejectedLines/0/line"), Some(&json!(3)), "{feed:#}");
    assert_eq!(feed_in_set.pointer("/status/observedGeneration"), Some(&json!(1)));
    assert_eq!(condition(&feed_in_set, "Ready").context("not ready")?["message"], "2 entries are in use");
    for kind in ["Supported", "Synced"] {
        assert_eq!(condition(&feed_in_set, kind).context(kind)?["status"], "True");
    }
    Ok(())
}

#[test]
fn a_person_sees_the_state_of_a_feed_in_one_line_and_its_history_as_events() -> Result<()> {
    let scene = Scene::new()?;
    let _running = started(&scene)?;
    scene.add_pulled("urlhaus", "evil.example\nworse.example\n# a comment\n?\n")?;
    scene.wait_for_entries("urlhaus", 2)?;
    let resource = format!("globalthreatfeeds.{}", scene.group);
    let table = scene.cluster.kubectl(&format!("get {resource} urlhaus"))?;
    let row: Vec<&str> = table.lines().nth(1).unwrap_or_default().split_whitespace().collect();
    // The last two are how long ago it was synced and made: seconds.
    assert_eq!(row.get(..5), Some(&["urlhaus", "Enabled", "DomainNameSet", "2", "1"][..]), "{table}");
    assert_eq!(row.get(6), Some(&"Ready"), "{table}");
    assert!(row.get(5).is_some_and(|age| age.ends_with('s')), "{table}");
    scene.lists.answer("/urlhaus", [Answer::status(500)]);
    scene.pull_now("urlhaus", "1")?;
    let message = scene.wait_for_condition("urlhaus", "Synced", "False", "PullFailed")?;
    assert!(message.contains("500"), "{message}");
    scene.wait_for_condition("urlhaus", "Ready", "True", "Stale")?;
    scene.lists.answer("/urlhaus", [Answer::text("evil.example\nworse.example\n")]);
    scene.pull_now("urlhaus", "2")?;
    scene.wait_for_condition("urlhaus", "Synced", "True", "Synced")?;
    let told = namewarden_tests::wait::until("its events", || {
        let told = scene.events("urlhaus")?;
        // A recovery is the same event as the first success: it is counted on there, or told anew.
        Ok((told.len() >= 2).then_some(told))
    })?;
    assert!(
        told.iter().any(|(reason, note)| reason == "Synced" && note == "2 entries are in use"),
        "{told:?}"
    );
    assert!(told.iter().any(|(reason, note)| reason == "PullFailed" && note.contains("500")), "{told:?}");
    Ok(())
}

#[test]
fn headers_come_from_a_secret_and_from_a_config_map() -> Result<()> {
    let scene = Scene::new()?;
    let running = started(&scene)?;
    scene.apply(&format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: globalthreatfeed-keyed-creds, namespace: {0}}}\n\
         stringData: {{apikey: \"hush-hush\\n\"}}\n---\n\
         apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: globalthreatfeed-keyed-words, namespace: {0}}}\n\
         data: {{accept: text/csv}}\n",
        scene.namespace
    ))?;
    scene.lists.answer("/keyed", [Answer::text("evil.example\n")]);
    let mut spec = scene.pulled("keyed");
    let secret = |key: &str, optional: bool| json!({"secretKeyRef": {"name": "globalthreatfeed-keyed-creds", "key": key, "optional": optional}});
    spec["pull"]["http"]["headers"] = json!([
        {"name": "X-Plain", "value": "as it is"},
        {"name": "APIKey", "valueFrom": secret("apikey", false)},
        {"name": "Accept",
         "valueFrom": {"configMapKeyRef": {"name": "globalthreatfeed-keyed-words", "key": "accept"}}},
        {"name": "X-Optional", "valueFrom": secret("nothing", true)},
    ]);
    scene.add("keyed", &spec)?;
    scene.wait_for_entries("keyed", 1)?;
    let asked = scene.lists.last("/keyed")?;
    assert_eq!(asked.header("x-plain"), "as it is");
    assert_eq!(asked.header("apikey"), "hush-hush");
    assert_eq!(asked.header("accept"), "text/csv");
    assert!(asked.headers.get("x-optional").is_none());
    let seen = format!("{:#}{:?}{}", scene.feed("keyed")?, scene.events("keyed")?, running.controller.log());
    assert!(!seen.contains("hush-hush"), "a secret is shown: {seen}");
    Ok(())
}

#[test]
fn a_header_that_is_missing_is_named_and_the_feed_is_pulled_once_it_is_there() -> Result<()> {
    let scene = Scene::new()?;
    let _running = started(&scene)?;
    scene.lists.answer("/waiting", [Answer::text("evil.example\n")]);
    let mut spec = scene.pulled("waiting");
    spec["pull"]["http"]["headers"] = json!([
        {"name": "APIKey", "valueFrom": {"secretKeyRef": {"name": "globalthreatfeed-waiting-creds", "key": "key"}}}
    ]);
    scene.add("waiting", &spec)?;
    let message = scene.wait_for_condition("waiting", "Ready", "False", "HeaderUnavailable")?;
    assert!(
        message.contains("header APIKey waits for key key of Secret globalthreatfeed-waiting-creds"),
        "{message}"
    );
    assert_eq!(scene.asked("waiting"), 0);
    let secret = json!({
        "metadata": {"name": "globalthreatfeed-waiting-creds"},
        "stringData": {"key": "there"},
    });
    scene.api.send(Method::POST, &format!("/api/v1/namespaces/{}/secrets", scene.namespace), &secret)?;
    scene.pull_now("waiting", "now")?;
    scene.wait_for_entries("waiting", 1)?;
    assert_eq!(scene.lists.last("/waiting")?.header("apikey"), "there");
    Ok(())
}

#[test]
fn a_feed_reads_no_secret_but_its_own() -> Result<()> {
    let scene = Scene::new()?;
    let _running = started(&scene)?;
    let secret =
        json!({"metadata": {"name": "globalthreatfeed-other-creds"}, "stringData": {"key": "theirs"}});
    scene.api.send(Method::POST, &format!("/api/v1/namespaces/{}/secrets", scene.namespace), &secret)?;
    let mut spec = scene.pulled("curious");
    spec["pull"]["http"]["headers"] = json!([
        {"name": "APIKey", "valueFrom": {"secretKeyRef": {"name": "globalthreatfeed-other-creds", "key": "key"}}}
    ]);
    scene.add("curious", &spec)?;
    let message = scene.wait_for("curious", "refused", |feed| {
        condition(feed, "Ready")
            .is_some_and(|ready| ready["status"] == "False" && ready["reason"] != "Pulling")
    })?;
    assert!(format!("{message}").contains("globalthreatfeed-curious-"), "{message:#}");
    assert_eq!(scene.asked("curious"), 0);
    Ok(())
}

#[test]
fn a_feed_is_pulled_once_in_its_period_and_a_shorter_one_holds_at_once() -> Result<()> {
    let scene = Scene::new()?;
    let _running = started(&scene)?;
    scene.add_pulled("periodic", "evil.example\n")?;
    let wait = |feed: &Value| -> Result<i64> {
        Ok(time(feed, "nextSync")?.as_second() - time(feed, "lastSuccessfulSync")?.as_second())
    };
    let feed =
        scene.wait_for("periodic", "a next pull", |feed| feed.pointer("/status/nextSync").is_some())?;
    // A period and up to a tenth; a second each way is lost to rounding.
    assert!((3_599..=3_961).contains(&wait(&feed)?), "{feed:#}");
    scene.change("periodic", &json!({"spec": {"pull": {"period": "5m"}}}))?;
    let feed = scene.wait_for("periodic", "the next pull sooner", |feed| {
        feed.pointer("/status/observedGeneration") == Some(&json!(2))
    })?;
    // Counted from the change, which came some time after the pull.
    assert!((299..=400).contains(&wait(&feed)?), "{feed:#}");
    assert_eq!(scene.asked("periodic"), 1, "a shorter period alone pulls nothing");
    Ok(())
}

#[test]
fn what_is_disabled_or_deleted_is_out_of_the_set_within_five_seconds() -> Result<()> {
    let scene = Scene::new()?;
    let running = started(&scene)?;
    scene.add_pulled("stays", "stays.example\n")?;
    scene.add_pulled("sleeps", "sleeps.example\n")?;
    scene.add_pulled("goes", "goes.example\n")?;
    let all = ["stays.example", "sleeps.example", "goes.example"];
    running.wait_for_names(&all, &[])?;
    let begun = Instant::now();
    scene.change("sleeps", &json!({"spec": {"mode": "Disabled"}}))?;
    running.wait_for_names(&["stays.example", "goes.example"], &["sleeps.example"])?;
    assert!(begun.elapsed() < GONE, "disabled after {:?}", begun.elapsed());
    scene.wait_for_condition("sleeps", "Ready", "False", "Disabled")?;
    scene.wait_for_entries("sleeps", 0)?;
    let begun = Instant::now();
    scene.remove("goes")?;
    running.wait_for_names(&["stays.example"], &["sleeps.example", "goes.example"])?;
    assert!(begun.elapsed() < GONE, "deleted after {:?}", begun.elapsed());
    let asked = scene.asked("sleeps");
    scene.change("sleeps", &json!({"spec": {"mode": "Enabled"}}))?;
    running.wait_for_names(&["stays.example", "sleeps.example"], &["goes.example"])?;
    scene.wait_for("sleeps", "pulled anew", |_| scene.asked("sleeps") == asked + 1)?;
    Ok(())
}

#[test]
fn a_feed_of_addresses_says_that_it_is_not_supported_and_contributes_nothing() -> Result<()> {
    let scene = Scene::new()?;
    let _running = started(&scene)?;
    let url = scene.lists.url("/addresses");
    let spec = json!({
        "content": "IPSet",
        "globalNetworkSet": {"labels": {"security-action": "block"}},
        "pull": {"http": {"url": url}},
    });
    scene.add("addresses", &spec)?;
    let message = scene.wait_for_condition("addresses", "Supported", "False", "ContentIPSet")?;
    assert!(message.contains("IPSet"), "{message}");
    scene.wait_for_entries("addresses", 0)?;
    assert_eq!(scene.asked("addresses"), 0);
    Ok(())
}

#[test]
fn five_hundred_feeds_are_pulled_once_each_and_are_all_in_the_set() -> Result<()> {
    const FEEDS: usize = 500;
    let scene = Scene::new()?;
    for number in 0..FEEDS {
        scene.add_pulled(&format!("feed-{number}"), &format!("name-{number}.example\n"))?;
    }
    let running = started(&scene)?;
    namewarden_tests::wait::within(Duration::from_secs(90), "all names in the set", || {
        let Some(set) = running.set()? else { return Ok(None) };
        Ok((set.len() == FEEDS).then_some(()))
    })?;
    namewarden_tests::wait::within(Duration::from_secs(60), "all statuses written", || {
        let list = scene.api.get(&format!("/apis/{}/v3/globalthreatfeeds", scene.group))?.json()?;
        let items = list["items"].as_array().cloned().unwrap_or_default();
        let ready = |feed: &&Value| condition(feed, "Ready").is_some_and(|ready| ready["status"] == "True");
        Ok((items.iter().filter(ready).count() == FEEDS).then_some(()))
    })?;
    for number in 0..FEEDS {
        assert_eq!(scene.asked(&format!("feed-{number}")), 1, "feed-{number}");
    }
    Ok(())
}
