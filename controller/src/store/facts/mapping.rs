//! The mapping, as far as it matters here: which paths are searched, and which values a path takes.

use std::{collections::HashMap, sync::LazyLock};

/// What a path takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Searched.
    Keyword,
    /// `@timestamp`.
    Time,
    /// `event.severity`.
    Severity,
    /// Checked only.
    Date,
    /// Checked only.
    Long,
    /// Checked only.
    Address,
}

impl Kind {
    /// As the mapping calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Keyword => "keyword",
            Self::Time => "date_nanos",
            Self::Date => "date",
            Self::Severity | Self::Long => "long",
            Self::Address => "ip",
        }
    }
}

/// What there is at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Node {
    /// Values.
    Leaf(&'static str, Kind),
    /// An object.
    Object,
    /// Nothing that matters.
    Other,
}

/// What there is at a path.
pub fn node(path: &str) -> Node {
    NODES.get(path).copied().unwrap_or(Node::Other)
}

/// Every path of the mapping: each name of each document is looked for here.
static NODES: LazyLock<HashMap<&str, Node>> = LazyLock::new(|| {
    let mut nodes = HashMap::from([("", Node::Object)]);
    for (leaf, kind) in LEAVES {
        let above = leaf.match_indices('.').filter_map(|(dot, _)| leaf.get(..dot));
        nodes.extend(above.map(|path| (path, Node::Object)));
        nodes.insert(leaf, Node::Leaf(leaf, *kind));
    }
    nodes
});

use Kind::{Address, Date, Keyword, Long, Severity, Time};

const LEAVES: &[(&str, Kind)] = &[
    ("@timestamp", Time),
    ("event.severity", Severity),
    ("event.action", Keyword),
    ("orchestrator.cluster.name", Keyword),
    ("orchestrator.namespace", Keyword),
    ("namewarden.group", Keyword),
    ("kubernetes.namespace", Keyword),
    ("kubernetes.pod.name", Keyword),
    ("kubernetes.pod.uid", Keyword),
    ("host.name", Keyword),
    ("dns.question.name", Keyword),
    ("threat.indicator.name", Keyword),
    ("threat.feed.name", Keyword),
    ("data_stream.type", Keyword),
    ("data_stream.dataset", Keyword),
    ("data_stream.namespace", Keyword),
    ("event.created", Date),
    ("event.start", Date),
    ("event.end", Date),
    ("event.duration", Long),
    ("namewarden.first_seen", Date),
    ("namewarden.last_seen", Date),
    ("namewarden.count", Long),
    ("namewarden.suppressed", Long),
    ("namewarden.limit", Long),
    ("namewarden.set.number", Long),
    ("namewarden.unchecked_names", Long),
    ("namewarden.uncaptured.packets", Long),
    ("namewarden.uncaptured.bytes", Long),
    ("namewarden.latency.count", Long),
    ("namewarden.latency.mean", Long),
    ("namewarden.latency.max", Long),
    ("dns.answers.ttl", Long),
    ("dns.authorities.ttl", Long),
    ("dns.additionals.ttl", Long),
    ("dns.resolved_ip", Address),
    ("kubernetes.pod.ip", Address),
    ("process.pid", Long),
    ("process.thread.id", Long),
    ("source.ip", Address),
    ("source.port", Long),
    ("destination.ip", Address),
    ("destination.port", Long),
    ("client.ip", Address),
    ("client.port", Long),
    ("server.ip", Address),
    ("server.port", Long),
    ("related.ip", Address),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// The reference's table: every date, number and address of it is here, with the same type.
    #[test]
    fn the_mapping_is_that_of_the_reference() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reference/documents.md");
        let page = std::fs::read_to_string(path).unwrap();
        let rows = page.lines().filter_map(|line| {
            let mut cells = line.strip_prefix("| `")?.split('|');
            let field = cells.next()?.trim().trim_end_matches('`').to_owned();
            Some((field, cells.next()?.trim().to_owned()))
        });
        let typed: Vec<_> =
            rows.filter(|(_, kind)| ["date", "long", "ip"].contains(&kind.as_str())).collect();
        assert!(typed.len() > 25, "{typed:?}");
        for (field, kind) in typed {
            let Node::Leaf(_, found) = node(&field) else { panic!("{field} is not in the mapping") };
            assert_eq!(found.name().trim_end_matches("_nanos"), kind, "{field}");
        }
    }

    #[test]
    fn what_is_above_a_field_is_an_object() {
        assert_eq!(node("event"), Node::Object);
        assert_eq!(node("dns.question"), Node::Object);
        assert_eq!(node("even"), Node::Other);
        assert_eq!(node("event.severity.x"), Node::Other);
    }
}
