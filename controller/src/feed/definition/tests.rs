//! Manifests as people write them -> definitions, or what is wrong.

use serde_json::{Value, json};

use super::*;

fn resource(spec: &Value) -> Resource {
    named("urls", spec)
}

fn named(name: &str, spec: &Value) -> Resource {
    serde_json::from_value(json!({
        "apiVersion": "projectcalico.org/v3",
        "kind": "GlobalThreatFeed",
        "metadata": { "name": name },
        "spec": spec,
    }))
    .unwrap()
}

fn wrong(spec: &Value) -> String {
    Definition::new(&resource(spec)).unwrap_err().join("; ")
}

#[test]
fn the_simplest_manifest_of_the_reference_is_complete() {
    let feed = Definition::new(&resource(&json!({
        "content": "DomainNameSet", "mode": "Enabled", "description": "This is my threat feed", "feedType": "Custom",
        "pull": { "http": { "url": "https://my.threatfeed.com/deny-list" } },
    })))
    .unwrap();
    assert!(feed.is_active());
    assert_eq!(feed.pull().unwrap().period, Duration::from_hours(24));
    assert_eq!(feed.reading.options(LIMITS).format, feed::Format::Plain);
    assert_eq!((feed.info.severity, &feed.info.techniques[0][..]), (75, TECHNIQUE_DEFAULT));
}

const LIMITS: Limits = Limits { bytes_max: 1 << 20, entries_max: 1000 };

#[test]
fn a_manifest_without_pull_is_a_push_feed() {
    let feed = Definition::new(&resource(&json!({ "content": "DomainNameSet" }))).unwrap();
    assert_eq!(feed.origin, Origin::Push);
    assert_eq!(feed.reading.format.names(), ["json"]);
}

#[test]
fn an_ip_set_is_accepted_and_says_why_it_contributes_nothing() {
    for spec in [json!({}), json!({ "content": "IPSet", "globalNetworkSet": { "labels": { "a": "b" } } })] {
        let feed = Definition::new(&resource(&spec)).unwrap();
        assert!(!feed.is_active() && feed.unsupported.is_some());
    }
}

#[test]
fn what_contradicts_itself_is_refused_with_its_place() {
    let pull = |http: Value| json!({ "content": "DomainNameSet", "pull": { "http": http } });
    let url = "https://a.example/";
    for (spec, said) in [
        (json!({ "content": "DomainNameSet", "globalNetworkSet": {} }), "globalNetworkSet"),
        (pull(json!({ "url": "ftp://a.example/" })), "http:// or https://"),
        (pull(json!({ "url": "https://" })), "spec.pull.http.url"),
        (
            pull(json!({ "url": url, "format": { "csv": { "fieldNum": 1 }, "json": { "path": "$." } } })),
            "json and csv",
        ),
        (pull(json!({ "url": url, "format": { "csv": {} } })), "set `fieldNum`"),
        (pull(json!({ "url": url, "format": { "csv": { "fieldName": "x" } } })), "header: true"),
        (
            pull(json!({ "url": url, "format": { "csv":
                { "fieldNum": 1, "recordSize": 2, "disableRecordSizeValidation": true } } })),
            "keep one of them",
        ),
        (
            pull(json!({ "url": url, "format": { "csv": { "fieldNum": 1, "columnDelimiter": "||" } } })),
            "must be one character",
        ),
        (pull(json!({ "url": url, "headers": [{ "name": "A" }] })), "exactly one of value and valueFrom"),
        (pull(json!({ "url": url, "headers": [{ "name": "A b", "value": "x" }] })), "no name of a header"),
        (
            pull(json!({ "url": url, "headers": [{ "name": "A", "value": "x\r\nB: y" }] })),
            "control characters",
        ),
        (
            pull(json!({ "url": url, "headers": [{ "name": "A", "valueFrom":
                { "secretKeyRef": { "name": "admin-token", "key": "k" } } }] })),
            "globalthreatfeed-urls-",
        ),
        (json!({ "content": "DomainNameSet", "severity": 0 }), "between 1 and 100"),
        (json!({ "content": "DomainNameSet", "mitre": ["T1"] }), "technique id"),
        (
            json!({ "content": "DomainNameSet", "pull": { "period": "4m", "http": { "url": url } } }),
            "at least 5m",
        ),
    ] {
        let reasons = wrong(&spec);
        assert!(reasons.contains(said), "{spec}: {reasons}");
    }
}

#[test]
fn every_fault_is_told_at_once() {
    let reasons = Definition::new(&named(
        "No Name",
        &json!({ "content": "DomainNameSet", "severity": 200, "pull": { "period": "x", "http": { "url": "y" } } }),
    ))
    .unwrap_err();
    assert_eq!(reasons.len(), 4, "{reasons:?}");
}

#[test]
fn names_that_lead_out_of_the_state_folder_are_refused() {
    for name in ["../x", "a/b", ".a", "a..b", "", "-a", "A"] {
        assert!(Definition::new(&named(name, &json!({}))).is_err(), "{name}");
    }
    assert!(Definition::new(&named("alienvault.domainthreatfeeds", &json!({}))).is_ok());
}

#[test]
fn credentials_of_a_url_are_not_shown() {
    let url = "https://user:hush@a.example:8443/list?key=hush#hush";
    let spec = json!({ "content": "DomainNameSet", "pull": { "http": { "url": url } } });
    assert_eq!(Definition::new(&resource(&spec)).unwrap().location(), "https://a.example:8443/list?…");
    let spec = json!({ "content": "DomainNameSet", "pull": { "http": { "url": "https://user:hush@" } } });
    assert!(!wrong(&spec).contains("hush"));
}
