//! A document's JSON -> what of it is searched, or why it is refused. Nothing is kept here, nothing is asked.
//!
//! The mapping is that of the index templates as far as it can refuse a document: dates, numbers, addresses; objects where
//! there must be values, and the other way round. What a search engine would take is taken, also in shapes that no agent of
//! ours writes: lists for single values, numbers for texts, names with dots in them.

// Paths and their types.
mod mapping;

// Walks the JSON.
mod walk;

use namewarden_protocol::document::Time;

use super::{Refusal, Stream};
use walk::Collected;

/// Bytes of an `_id`.
const ID_BYTES_MAX: usize = 512;
/// Longer texts are kept and not searched, as `ignore_above` has it.
const TEXT_BYTES_MAX: usize = 1024;
/// So many values of a list are searched.
const VALUES_MAX: usize = 64;

/// What is searched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// `@timestamp`.
    pub time: Time,
    /// `orchestrator.cluster.name`; empty where it is not said.
    pub cluster: String,
    /// `event.action`.
    pub action: Option<String>,
    /// `event.severity`.
    pub severity: Option<i64>,
    /// `namewarden.group`.
    pub group: Option<String>,
    /// `kubernetes.namespace`, or `orchestrator.namespace`.
    pub namespace: Option<String>,
    /// `kubernetes.pod.name`.
    pub pod: Option<String>,
    /// `kubernetes.pod.uid`.
    pub pod_uid: Option<String>,
    /// `host.name`.
    pub node: Option<String>,
    /// `dns.question.name`.
    pub question: Option<String>,
    /// `threat.indicator.name`.
    pub entry: Option<String>,
    /// `threat.feed.name`.
    pub feeds: Vec<String>,
}

/// Reads a document of that id and data stream.
pub fn read(source: &[u8], id: &str, stream: Stream, namespace: &str) -> Result<Facts, Refusal> {
    check_id(id)?;
    let mut collected = walk::walk(source, id)?;
    check_stream(&collected, stream, namespace)?;
    let time =
        collected.time.ok_or_else(|| parsing("data stream timestamp field [@timestamp] is missing"))?;
    let mut one = |path| collected.texts.remove(path).and_then(|values| values.into_iter().next());
    Ok(Facts {
        time,
        cluster: one("orchestrator.cluster.name").unwrap_or_default(),
        action: one("event.action"),
        group: one("namewarden.group"),
        namespace: one("kubernetes.namespace").or_else(|| one("orchestrator.namespace")),
        pod: one("kubernetes.pod.name"),
        pod_uid: one("kubernetes.pod.uid"),
        node: one("host.name"),
        question: one("dns.question.name"),
        entry: one("threat.indicator.name"),
        severity: collected.severity,
        feeds: collected.texts.remove("threat.feed.name").unwrap_or_default(),
    })
}

fn check_id(id: &str) -> Result<(), Refusal> {
    let refused = |reason| Err(Refusal { kind: "illegal_argument_exception", reason, cause: None });
    if id.is_empty() {
        return refused("if _id is specified it must not be empty".to_owned());
    }
    if id.len() > ID_BYTES_MAX {
        let start: String = id.chars().take(64).collect();
        return refused(format!(
            "id [{start}...] is too long, must be no longer than {ID_BYTES_MAX} bytes but was: {}",
            id.len()
        ));
    }
    Ok(())
}

/// A document says itself where it belongs.
fn check_stream(collected: &Collected, stream: Stream, namespace: &str) -> Result<(), Refusal> {
    let expected = [
        ("data_stream.type", "logs"),
        ("data_stream.dataset", stream.dataset()),
        ("data_stream.namespace", namespace),
    ];
    for (path, expected) in expected {
        let said = collected.texts.get(path).into_iter().flatten();
        if let Some(other) = said.into_iter().find(|said| *said != expected) {
            let other: String = other.chars().take(100).collect();
            let reason = format!(
                "[constant_keyword] field [{path}] only accepts values that are equal to the value defined in the \
                 mappings [{expected}], but got [{other}]"
            );
            return Err(parsing(&reason));
        }
    }
    Ok(())
}

/// What Elasticsearch calls a document that does not fit.
fn parsing(what: &str) -> Refusal {
    Refusal {
        kind: "document_parsing_exception",
        reason: format!("failed to parse: {what}"),
        cause: Some(("illegal_argument_exception", what.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn facts(document: &Value) -> Result<Facts, Refusal> {
        read(document.to_string().as_bytes(), "1", Stream::Alerts, "default")
    }

    fn refusal(document: &Value) -> String {
        let refusal = facts(document).unwrap_err();
        format!("{}: {}", refusal.kind, refusal.reason)
    }

    #[test]
    fn what_is_searched_is_found_wherever_it_stands() {
        let nested = json!({ "@timestamp": "2026-11-22T15:00:00.000000001Z",
            "event": { "action": "listed-name", "severity": 75, "unknown": [{ "deep": null }] },
            "orchestrator": { "cluster": { "name": "cluster" }, "namespace": "shop" },
            "kubernetes": { "pod": { "uid": "1b2c", "name": "cart-7d9f" } }, "host": { "name": "node-1" },
            "dns": { "question": { "name": "a.evil.example" }, "answers": [{ "name": "x" }] },
            "threat": { "indicator": { "name": "evil.example" }, "feed": { "name": ["a", "b"] } },
            "namewarden": { "group": "0f" } });
        let found = facts(&nested).unwrap();
        let expected = Facts {
            time: Time(1_795_359_600_000_000_001),
            cluster: "cluster".to_owned(),
            action: Some("listed-name".to_owned()),
            severity: Some(75),
            group: Some("0f".to_owned()),
            namespace: Some("shop".to_owned()),
            pod: Some("cart-7d9f".to_owned()),
            pod_uid: Some("1b2c".to_owned()),
            node: Some("node-1".to_owned()),
            question: Some("a.evil.example".to_owned()),
            entry: Some("evil.example".to_owned()),
            feeds: vec!["a".to_owned(), "b".to_owned()],
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn shapes_that_a_search_engine_takes_are_taken() {
        let odd = json!({ "@timestamp": 1_795_359_600_000_u64, "event.action": ["flood"], "event": { "severity": "75" },
            "kubernetes": [{ "pod": { "name": 7 } }], "threat": { "feed.name": "a" }, "source": { "ip": "::1" },
            "host": { "name": null } });
        let found = facts(&odd).unwrap();
        assert_eq!(found.time, Time(1_795_359_600_000_000_000));
        assert_eq!((found.action.as_deref(), found.severity), (Some("flood"), Some(75)));
        assert_eq!((found.pod.as_deref(), found.feeds), (Some("7"), vec!["a".to_owned()]));
        assert_eq!(found.node, None);
    }

    #[test]
    fn dates_are_read_in_each_form_of_the_mapping() {
        let at = |date: Value| facts(&json!({ "@timestamp": date })).map(|facts| facts.time.0 / 1_000_000);
        let noon = 1_795_348_800_000;
        for date in [json!("2026-11-22T12:00:00Z"), json!("2026-11-22T13:00:00.000+01:00"), json!(noon)] {
            assert_eq!(at(date.clone()), Ok(noon), "{date}");
        }
        assert_eq!(at(json!(noon.to_string())), Ok(noon));
        assert_eq!(at(json!("2026-11-22")), Ok(noon - 43_200_000));
        assert_eq!(at(json!("2026-11-22T12:00:00")), Ok(noon));
        for date in [json!("soon"), json!("1969-12-31T23:59:59Z"), json!("2300-01-01T00:00:00Z"), json!({})] {
            assert!(at(date.clone()).is_err(), "{date}");
        }
    }

    #[test]
    fn a_document_without_its_time_is_refused() {
        let reason = "document_parsing_exception: failed to parse: data stream timestamp field [@timestamp] is missing";
        assert_eq!(refusal(&json!({})), reason);
        assert_eq!(refusal(&json!({ "@timestamp": null })), reason);
        let two = json!({ "@timestamp": ["2026-11-22T12:00:00Z", "2026-11-22T12:00:00Z"] });
        assert!(refusal(&two).contains("encountered multiple values"));
    }

    #[test]
    fn a_value_of_another_type_is_refused_with_its_field() {
        let with = |path: &str, value: Value| {
            let mut document = json!({ "@timestamp": 1 });
            document[path] = value;
            refusal(&document)
        };
        let said = with("event", json!({ "severity": "high" }));
        assert!(
            said.contains("failed to parse field [event.severity] of type [long] in document with id '1'. Preview of field's value: 'high'"),
            "{said}"
        );
        assert!(with("source", json!({ "ip": "10.0.0.300" })).contains("[source.ip] of type [ip]"));
        assert!(
            with("event", json!({ "created": "never" })).contains("[event.created] of type [date_nanos]")
        );
        assert!(with("host", json!({ "name": { "a": 1 } })).contains("[host.name] of type [keyword]"));
        assert!(with("event", json!("x")).contains("[event] as object, but found a concrete value"));
        assert!(with("dns", json!({ "question": 1 })).contains("[dns.question] as object"));
    }

    #[test]
    fn a_document_of_another_data_stream_is_refused() {
        let document = json!({ "@timestamp": 1, "data_stream": { "dataset": "namewarden.dns" } });
        assert!(refusal(&document).contains("[data_stream.dataset] only accepts values"));
        let document = json!({ "@timestamp": 1, "data_stream": { "namespace": "other" } });
        assert!(refusal(&document).contains("[default], but got [other]"));
    }

    #[test]
    fn what_is_no_json_object_is_refused() {
        for source in ["", "1", "[]", "{", "{}x", "{\"@timestamp\":1,\"a\":\"\u{1}\"}", "\u{feff}{}"] {
            let refused = read(source.as_bytes(), "1", Stream::Alerts, "default").unwrap_err();
            assert_eq!(refused.kind, "document_parsing_exception", "{source}");
        }
        let refused = read(b"{\"@timestamp\":1,\"a\":\"\xff\"}", "1", Stream::Alerts, "default");
        assert!(refused.is_err());
        assert!(read("[".repeat(100_000).as_bytes(), "1", Stream::Alerts, "default").is_err());
    }

    #[test]
    fn ids_are_bounded() {
        let source = br#"{"@timestamp":1}"#;
        assert!(read(source, &"x".repeat(512), Stream::Logs, "default").is_ok());
        let refused = read(source, &"x".repeat(513), Stream::Logs, "default").unwrap_err();
        assert!(
            refused.reason.ends_with("must be no longer than 512 bytes but was: 513"),
            "{}",
            refused.reason
        );
        assert!(read(source, "", Stream::Logs, "default").is_err());
    }

    #[test]
    fn texts_that_are_too_long_and_values_that_are_too_many_are_not_searched() {
        let many: Vec<_> = (0..1000).map(|number| number.to_string()).collect();
        let document = json!({ "@timestamp": 1, "host": { "name": "x".repeat(1025) }, "threat": { "feed": { "name": many } } });
        let found = facts(&document).unwrap();
        assert_eq!((found.node, found.feeds.len()), (None, VALUES_MAX));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(source in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(&source, "1", Stream::Alerts, "default");
        }
    }
}
