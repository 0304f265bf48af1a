//! The mapping, as far as it matters here: which paths are searched, and which values a path takes.

use std::{collections::HashMap, sync::LazyLock};

use namewarden_protocol::document::mapping::{FIELDS, FieldType};

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
    /// Checked only.
    Truth,
}

impl Kind {
    /// As the mapping calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Keyword => FieldType::Keyword.name(),
            Self::Time | Self::Date => FieldType::DateNanos.name(),
            Self::Severity | Self::Long => FieldType::Long.name(),
            Self::Address => FieldType::Ip.name(),
            Self::Truth => FieldType::Boolean.name(),
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
    for (leaf, kind) in FIELDS.iter().filter_map(|(path, field)| Some((*path, kind(path, *field)?))) {
        let above = leaf.match_indices('.').filter_map(|(dot, _)| leaf.get(..dot));
        nodes.extend(above.map(|path| (path, Node::Object)));
        nodes.insert(leaf, Node::Leaf(leaf, kind));
    }
    nodes
});

/// What is searched by; of other keywords nothing is kept but the document.
const SEARCHED: [&str; 14] = [
    "event.action",
    "orchestrator.cluster.name",
    "orchestrator.namespace",
    "namewarden.group",
    "kubernetes.namespace",
    "kubernetes.pod.name",
    "kubernetes.pod.uid",
    "host.name",
    "dns.question.name",
    "threat.indicator.name",
    "threat.feed.name",
    "data_stream.type",
    "data_stream.dataset",
    "data_stream.namespace",
];

fn kind(path: &str, field: FieldType) -> Option<Kind> {
    match (path, field) {
        ("@timestamp", _) => Some(Kind::Time),
        ("event.severity", _) => Some(Kind::Severity),
        (_, FieldType::DateNanos) => Some(Kind::Date),
        (_, FieldType::Long) => Some(Kind::Long),
        (_, FieldType::Ip) => Some(Kind::Address),
        (_, FieldType::Boolean) => Some(Kind::Truth),
        (_, FieldType::Keyword | FieldType::ConstantKeyword) => {
            SEARCHED.contains(&path).then_some(Kind::Keyword)
        }
        (_, FieldType::MatchOnlyText | FieldType::Flattened) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_searched_and_checked_are_fields_of_documents() {
        for path in SEARCHED {
            assert_eq!(node(path), Node::Leaf(path, Kind::Keyword));
        }
        assert_eq!(node("@timestamp"), Node::Leaf("@timestamp", Kind::Time));
        assert_eq!(node("event.severity"), Node::Leaf("event.severity", Kind::Severity));
        assert_eq!(node("event.created"), Node::Leaf("event.created", Kind::Date));
        assert_eq!(node("dns.resolved_ip"), Node::Leaf("dns.resolved_ip", Kind::Address));
        assert_eq!(node("process.name"), Node::Other);
    }

    #[test]
    fn what_is_above_a_field_is_an_object() {
        assert_eq!(node("event"), Node::Object);
        assert_eq!(node("dns.question"), Node::Object);
        assert_eq!(node("even"), Node::Other);
        assert_eq!(node("event.severity.x"), Node::Other);
    }
}
