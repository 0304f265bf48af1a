//! The resource's defaults, and what the definition holds for an API server.

use serde_json::{Value, json};

use super::*;

fn version(group: Group) -> Value {
    serde_json::to_value(group.crd()).unwrap()["spec"]["versions"][0].clone()
}

fn spec_schema() -> Value {
    version(Group::ProjectCalico)["schema"]["openAPIV3Schema"]["properties"]["spec"].clone()
}

#[test]
fn defaults_are_those_of_the_reference() {
    let spec: GlobalThreatFeedSpec = serde_json::from_value(json!({})).unwrap();
    assert_eq!((spec.content, spec.mode, spec.feed_type), (Content::IPSet, Mode::Enabled, FeedType::Custom));
    let schema = spec_schema();
    for (field, default) in
        [("content", "IPSet"), ("mode", "Enabled"), ("feedType", "Custom"), ("matching", "both")]
    {
        assert_eq!(schema["properties"][field]["default"], default, "{field}");
    }
    assert_eq!(schema["properties"]["pull"]["properties"]["period"]["default"], "24h");
}

#[test]
fn both_groups_have_the_same_definition_under_their_own_name() {
    let crd = serde_json::to_value(Group::Namewarden.crd()).unwrap();
    assert_eq!(crd["metadata"]["name"], "globalthreatfeeds.namewarden.dev");
    assert_eq!(crd["spec"]["scope"], "Cluster");
    assert_eq!(version(Group::Namewarden), version(Group::ProjectCalico));
    assert_eq!(Group::Namewarden.api_resource().api_version, "namewarden.dev/v3");
}

#[test]
fn columns_can_be_read_by_a_person() {
    let version = version(Group::ProjectCalico);
    let columns: Vec<_> = version["additionalPrinterColumns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|column| &column["name"])
        .collect();
    assert_eq!(columns, ["Mode", "Content", "Entries", "Rejected", "Last sync", "Status", "Age"]);
    assert_eq!(version["subresources"]["status"], json!({}));
}

#[test]
fn every_rule_says_what_is_wrong() {
    let schema = serde_json::to_string(&version(Group::ProjectCalico)).unwrap();
    let rules = schema.matches("\"rule\":").count();
    assert_eq!((rules, schema.matches("\"message\":\"").count()), (9, rules), "{schema}");
}

#[test]
fn a_schema_is_structural() {
    let text = spec_schema().to_string();
    for word in ["oneOf", "anyOf", "$ref", "\"not\""] {
        assert!(!text.contains(word), "{word} in {text}");
    }
}

#[test]
fn fields_that_are_not_known_are_found_with_their_place() {
    let document = json!({ "spec": { "content": "IPSet", "severty": 3, "pull": { "http": {
        "url": "x", "format": { "stix": {} }, "headers": [{ "name": "a", "valu": "b" }] } } },
        "metadata": { "anything": 1 } });
    assert_eq!(
        unknown_fields(&document),
        ["spec.pull.http.format.stix", "spec.pull.http.headers[0].valu", "spec.severty"]
    );
    let labels = json!({ "spec": { "globalNetworkSet": { "labels": { "any": "x" } } } });
    assert_eq!(unknown_fields(&labels), [""; 0]);
}

#[test]
fn a_headers_value_is_not_shown() {
    let header: Header = serde_json::from_value(json!({ "name": "Key", "value": "hush" })).unwrap();
    assert!(!format!("{header:?}").contains("hush"));
}

#[test]
fn the_committed_definitions_are_those_of_the_types() {
    for group in Group::ALL {
        let name = format!("../deploy/crds/globalthreatfeeds.{group}.yaml");
        let committed = std::fs::read_to_string(&name).unwrap();
        assert_eq!(committed, crd_yaml(group).unwrap(), "run `cargo xtask crds`");
    }
}
