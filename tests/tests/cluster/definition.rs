//! `GlobalThreatFeed` as the API server takes it: the reference's manifests apply as they are, bad ones are refused with a
//! sentence that says what is wrong.

use std::sync::Arc;

use anyhow::Result;
use namewarden_tests::kube::{Cluster, User};
use serde_json::{Value, json};

use crate::{
    lane::{Lane, OURS, REFERENCE as GROUP},
    scene::define,
};

/// The reference's pull feed.
pub const PULLED: &str = "
apiVersion: projectcalico.org/v3
kind: GlobalThreatFeed
metadata:
  name: my-threat-feed
spec:
  content: DomainNameSet
  mode: Enabled
  description: 'This is my threat feed'
  feedType: Custom
  pull:
    http:
      url: https://my.threatfeed.com/deny-list
";

/// The reference's push feed.
const PUSHED: &str = "
apiVersion: projectcalico.org/v3
kind: GlobalThreatFeed
metadata:
  name: my-pushed-feed
spec:
  content: DomainNameSet
  mode: Enabled
  description: 'This is my threat feed'
  feedType: Custom
";

/// Every field of the reference.
const WHOLE: &str = r##"
apiVersion: projectcalico.org/v3
kind: GlobalThreatFeed
metadata:
  name: example-feed
  labels: {team: secops}
spec:
  content: DomainNameSet
  mode: Enabled
  feedType: Custom
  description: up to 256 characters
  pull:
    period: 24h
    http:
      url: https://feeds.example.net/domains.csv
      format:
        csv:
          fieldName: domain
          header: true
          columnDelimiter: "|"
          commentDelimiter: "#"
          recordSize: 4
      headers:
      - name: Accept
        value: text/csv
      - name: APIKey
        valueFrom:
          secretKeyRef:
            name: globalthreatfeed-example-feed-creds
            key: apikey
            optional: false
"##;

/// A feed of addresses that fills a network set.
const ADDRESSES: &str = "
apiVersion: projectcalico.org/v3
kind: GlobalThreatFeed
metadata:
  name: addresses
spec:
  content: IPSet
  globalNetworkSet:
    labels: {security-action: block}
  pull:
    http:
      url: https://feeds.example.net/addresses
";

fn cluster() -> Result<Arc<Cluster>> {
    let cluster = Cluster::shared()?;
    define(&cluster, GROUP)?;
    Ok(cluster)
}

/// Applies a feed with this `spec` without keeping it; what the server made of it.
fn dry_run(cluster: &Cluster, spec: &Value) -> Result<Value> {
    let feed = json!({
        "apiVersion": format!("{GROUP}/v3"),
        "kind": "GlobalThreatFeed",
        "metadata": {"name": "tried"},
        "spec": spec,
    });
    let words = "apply --dry-run=server --output json --filename -";
    Ok(serde_json::from_str(&cluster.kubectl_as(&User::admin(), words, &feed.to_string())?)?)
}

/// A pull feed whose `http` has `more` in it.
fn http(more: &Value) -> Value {
    let mut http = more.as_object().cloned().unwrap_or_default();
    http.entry("url").or_insert_with(|| json!("https://feeds.example.net/list"));
    json!({"content": "DomainNameSet", "pull": {"http": http}})
}

fn period(period: &str) -> Value {
    json!({"content": "DomainNameSet", "pull": {"period": period, "http": {"url": "http://a.example/"}}})
}

#[test]
fn the_references_manifests_apply_as_they_are() -> Result<()> {
    let _lane = Lane::of(GROUP);
    let cluster = cluster()?;
    for manifest in [PULLED, PUSHED, WHOLE, ADDRESSES] {
        let said = cluster.kubectl_as(&User::admin(), "apply --validate=strict --filename -", manifest)?;
        assert!(said.contains("created") || said.contains("unchanged"), "{said}");
    }
    cluster.kubectl(
        "delete globalthreatfeeds.projectcalico.org my-threat-feed my-pushed-feed example-feed addresses",
    )?;
    Ok(())
}

#[test]
fn either_group_can_be_served() -> Result<()> {
    let cluster = Cluster::shared()?;
    define(&cluster, OURS)?;
    let manifest = PULLED.replace(GROUP, OURS);
    let words = "apply --dry-run=server --validate=strict --filename -";
    cluster.kubectl_as(&User::admin(), words, &manifest)?;
    Ok(())
}

#[test]
fn what_is_not_said_has_the_references_defaults() -> Result<()> {
    let cluster = cluster()?;
    let feed = dry_run(&cluster, &json!({"pull": {"http": {"url": "https://feeds.example.net/list"}}}))?;
    for (path, value) in [
        ("/spec/content", "IPSet"),
        ("/spec/mode", "Enabled"),
        ("/spec/feedType", "Custom"),
        ("/spec/pull/period", "24h"),
    ] {
        assert_eq!(feed.pointer(path), Some(&json!(value)), "{path} of {feed:#}");
    }
    Ok(())
}

#[test]
fn each_format_and_our_own_fields_are_taken() -> Result<()> {
    let cluster = cluster()?;
    for format in [
        json!({}),
        json!({"newlineDelimited": {}}),
        json!({"json": {"path": "$.domains"}}),
        json!({"csv": {"fieldNum": 0}}),
        json!({"csv": {"fieldNum": 2, "disableRecordSizeValidation": true}}),
        json!({"csv": {"fieldName": "name", "header": true}}),
        json!({"hosts": {}}),
        json!({"adblock": {}}),
        json!({"dnsmasq": {}}),
        json!({"rpz": {}}),
        json!({"auto": {}}),
    ] {
        let taken = dry_run(&cluster, &http(&json!({"format": format})))?;
        assert!(taken.pointer("/spec/pull/http/format").is_some(), "{taken:#}");
    }
    let mut own = http(&json!({}));
    for (name, value) in [
        ("matching", json!("subdomains")),
        ("urls", json!("host")),
        ("severity", json!(100)),
        ("mitre", json!(["T1071.004", "T1568"])),
    ] {
        own[name] = value.clone();
        let taken = dry_run(&cluster, &own)?;
        assert_eq!(taken.pointer(&format!("/spec/{name}")), Some(&value), "{taken:#}");
    }
    Ok(())
}

#[test]
fn periods_of_five_minutes_and_more_are_taken() -> Result<()> {
    let cluster = cluster()?;
    for text in ["5m", "300s", "24h", "1h30m", "90m", "1.5h"] {
        dry_run(&cluster, &period(text)).map_err(|error| error.context(text))?;
    }
    Ok(())
}

#[test]
fn a_bad_manifest_is_refused_with_what_is_wrong() -> Result<()> {
    let cluster = cluster()?;
    let header = |header: Value| http(&json!({"headers": [header]}));
    for (spec, said) in [
        (period("4m59s"), "at least 5m"),
        (period("0s"), "at least 5m"),
        (period("soon"), "period"),
        (period("24"), "period"),
        (json!({"content": "DomainNameSet", "globalNetworkSet": {}}), "globalNetworkSet"),
        (json!({"content": "Names"}), "Unsupported value"),
        (json!({"mode": "On"}), "Unsupported value"),
        (json!({"feedType": "Own"}), "Unsupported value"),
        (json!({"description": "x".repeat(257)}), "description"),
        (json!({"severity": 0}), "severity"),
        (json!({"severity": 101}), "severity"),
        (json!({"mitre": ["DNS"]}), "mitre"),
        (json!({"matching": "some"}), "Unsupported value"),
        (json!({"pull": {}}), "http"),
        (json!({"pull": {"http": {}}}), "url"),
        (json!({"pull": {"http": {"url": "ftp://a.example/list"}}}), "url"),
        (http(&json!({"format": {"hosts": {}, "csv": {"fieldNum": 1}}})), "at most one format"),
        (http(&json!({"format": {"json": {}}})), "path"),
        (http(&json!({"format": {"csv": {}}})), "exactly one of fieldNum and fieldName"),
        (
            http(&json!({"format": {"csv": {"fieldNum": 1, "fieldName": "a", "header": true}}})),
            "exactly one of fieldNum and fieldName",
        ),
        (http(&json!({"format": {"csv": {"fieldName": "a"}}})), "fieldName needs header"),
        (
            http(&json!({"format": {"csv": {
                "fieldNum": 1, "recordSize": 2, "disableRecordSizeValidation": true
            }}})),
            "exclude each other",
        ),
        (http(&json!({"format": {"csv": {"fieldNum": 1, "recordSize": 0}}})), "recordSize"),
        (http(&json!({"format": {"csv": {"fieldNum": 1, "columnDelimiter": ", "}}})), "columnDelimiter"),
        (header(json!({"name": "A"})), "exactly one of value and valueFrom"),
        (
            header(
                json!({"name": "A", "value": "a", "valueFrom": {"secretKeyRef": {"name": "a", "key": "b"}}}),
            ),
            "exactly one of value and valueFrom",
        ),
        (header(json!({"name": "A", "valueFrom": {}})), "exactly one of configMapKeyRef and secretKeyRef"),
        (header(json!({"name": "A", "valueFrom": {"secretKeyRef": {"name": "a"}}})), "key"),
        (header(json!({"name": "A: b", "value": "a"})), "name"),
    ] {
        let refused = match dry_run(&cluster, &spec) {
            Ok(taken) => panic!("taken: {taken:#}"),
            Err(error) => format!("{error:#}"),
        };
        assert!(refused.contains(said), "{spec} is to be refused with {said:?}, not with: {refused}");
        assert!(refused.contains("is invalid") || refused.contains("Required value"), "{refused}");
    }
    Ok(())
}

#[test]
fn a_field_that_nobody_knows_is_said_to_be_unknown() -> Result<()> {
    let cluster = cluster()?;
    let manifest = PULLED.replace("  mode: Enabled", "  mod: Enabled");
    let words = "apply --dry-run=server --validate=strict --filename -";
    let refused = cluster.kubectl_as(&User::admin(), words, &manifest).unwrap_err();
    assert!(format!("{refused:#}").contains("unknown field \"spec.mod\""), "{refused:#}");
    Ok(())
}

#[test]
fn short_name_category_and_columns_are_there() -> Result<()> {
    let _lane = Lane::of(GROUP);
    let cluster = cluster()?;
    cluster.apply(&PULLED.replace("my-threat-feed", "shown"))?;
    let table = cluster.kubectl("get gtf.projectcalico.org")?;
    let columns: Vec<&str> = table.lines().next().unwrap_or_default().split("  ").collect();
    let columns: Vec<&str> = columns.into_iter().map(str::trim).filter(|column| !column.is_empty()).collect();
    assert_eq!(
        columns,
        ["NAME", "MODE", "CONTENT", "ENTRIES", "REJECTED", "LAST SYNC", "STATUS", "AGE"],
        "{table}"
    );
    assert!(cluster.kubectl("get threat-defense")?.contains("shown"));
    cluster.kubectl("delete gtf.projectcalico.org shown")?;
    Ok(())
}

#[test]
fn who_may_edit_feeds_may_not_write_their_status() -> Result<()> {
    let _lane = Lane::of(GROUP);
    let cluster = cluster()?;
    cluster.apply(&PULLED.replace("my-threat-feed", "edited"))?;
    let patch = r#"{"status":{"entries":7}}"#;
    let through_the_spec =
        ["patch", "gtf.projectcalico.org", "edited", "--type", "merge", "--patch", patch, "--output", "json"];
    let file = cluster.kubeconfig(&User::admin())?;
    let feed: Value = serde_json::from_str(&cluster.kubectl_at(&file, &through_the_spec, "")?)?;
    assert_eq!(feed.pointer("/status/entries"), None);
    let by_the_subresource = [
        "patch",
        "gtf.projectcalico.org",
        "edited",
        "--subresource",
        "status",
        "--type",
        "merge",
        "--patch",
        patch,
    ];
    cluster.kubectl_at(&file, &by_the_subresource, "")?;
    let feed = cluster.read(&format!("/apis/{GROUP}/v3/globalthreatfeeds/edited"))?;
    assert_eq!(feed.pointer("/status/entries"), Some(&json!(7)));
    cluster.kubectl("delete gtf.projectcalico.org edited")?;
    Ok(())
}
