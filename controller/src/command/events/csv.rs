//! An event as comma-separated values (RFC 4180), a column for each value of the reference that a spreadsheet wants.
//!
//! A text that a spreadsheet would take for a formula gets an apostrophe before it: a name on the wire may hold anything.

use csv::{Terminator, WriterBuilder};

use super::event::Event;

/// Columns and where their values stand.
const COLUMNS: [(&str, &str); 21] = [
    ("time", "@timestamp"),
    ("id", "event.id"),
    ("group", "namewarden.group"),
    ("kind", "event.action"),
    ("severity", "event.severity"),
    ("namespace", "kubernetes.namespace"),
    ("pod", "kubernetes.pod.name"),
    ("pod_uid", "kubernetes.pod.uid"),
    ("container", "container.id"),
    ("process", "process.name"),
    ("node", "host.name"),
    ("question", "dns.question.name"),
    ("type", "dns.question.type"),
    ("response_code", "dns.response_code"),
    ("entry", "threat.indicator.name"),
    ("matched", "threat.enrichments.matched.atomic"),
    ("feeds", "threat.feed.name"),
    ("count", "namewarden.count"),
    ("first_seen", "namewarden.first_seen"),
    ("last_seen", "namewarden.last_seen"),
    ("message", "message"),
];

/// The names of the columns, and the end of the line.
pub fn header() -> String {
    let names = COLUMNS.iter().map(|(name, _)| *name).chain(["state", "state_by", "state_reason"]);
    line(names.map(str::to_owned))
}

/// The values of an event, and the end of the line; the values of a list have a blank between them.
pub fn record(event: &Event) -> String {
    let said = event.annotation.as_ref();
    let values = COLUMNS.iter().map(|(_, path)| {
        let list = event.texts(path);
        if list.is_empty() { event.text(path) } else { list.join(" ") }
    });
    let said = [
        said.map_or("new", |said| said.state.as_str()),
        said.map_or("", |said| said.by.as_str()),
        said.map_or("", |said| said.reason.as_str()),
    ];
    line(values.chain(said.map(str::to_owned)))
}

fn line(values: impl Iterator<Item = String>) -> String {
    let mut writer = WriterBuilder::new().terminator(Terminator::CRLF).from_writer(Vec::new());
    // Memory takes everything.
    let _ = writer.write_record(values.map(harmless));
    String::from_utf8(writer.into_inner().unwrap_or_default()).unwrap_or_default()
}

fn harmless(value: String) -> String {
    let is_formula = value.starts_with(['=', '+', '-', '@', '\t', '\r']);
    if is_formula { format!("'{value}") } else { value }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_quoted_where_they_must_be() {
        let values = ["plain", "a,\"b\"\n", "=1+1", "-x,y"].map(str::to_owned);
        assert_eq!(line(values.into_iter()), "plain,\"a,\"\"b\"\"\n\",'=1+1,\"'-x,y\"\r\n");
    }

    #[test]
    fn a_record_has_a_value_for_each_column() {
        let document = json!({ "@timestamp": "2026-11-22T15:00:00Z", "event": { "severity": 75 },
            "threat": { "feed": { "name": ["a", "b"] }, "enrichments": [{ "matched": { "atomic": "x.example" } }] } });
        let record = record(&Event { id: "1".to_owned(), annotation: None, document });
        assert_eq!(record, "2026-11-22T15:00:00Z,,,,75,,,,,,,,,,,x.example,a b,,,,,new,,\r\n");
        assert_eq!(header().matches(',').count(), record.matches(',').count());
    }
}
