//! Every field of a document and its type in a search engine: what index templates are made of.
//!
//! `docs/reference/documents.md` has the same table with the meaning of each field; a test keeps both equal to what is written.

/// Type of a field, by the name that Elasticsearch has for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldType {
    /// Nanoseconds since 1970, or RFC 3339.
    DateNanos,
    /// Prose, found by its words.
    MatchOnlyText,
    /// Text that is found as a whole, sorted and counted.
    Keyword,
    /// Text that is the same in every document of an index.
    ConstantKeyword,
    /// 64 bits.
    Long,
    /// IPv4 or IPv6 address.
    Ip,
    /// True or false.
    Boolean,
    /// An object whose members are not known before, each found as a keyword.
    Flattened,
}

impl FieldType {
    /// Name in mappings of Elasticsearch.
    pub fn name(self) -> &'static str {
        match self {
            Self::DateNanos => "date_nanos",
            Self::MatchOnlyText => "match_only_text",
            Self::Keyword => "keyword",
            Self::ConstantKeyword => "constant_keyword",
            Self::Long => "long",
            Self::Ip => "ip",
            Self::Boolean => "boolean",
            Self::Flattened => "flattened",
        }
    }
}

/// Objects whose members belong together one by one, where they are a list.
pub const NESTED: [&str; 1] = ["threat.enrichments"];

/// Every field, by its path.
pub const FIELDS: &[(&str, FieldType)] = {
    use FieldType::{Boolean, ConstantKeyword, DateNanos, Flattened, Ip, Keyword, Long, MatchOnlyText};
    &[
        ("@timestamp", DateNanos),
        ("message", MatchOnlyText),
        ("event.id", Keyword),
        ("event.kind", Keyword),
        ("event.category", Keyword),
        ("event.type", Keyword),
        ("event.action", Keyword),
        ("event.module", Keyword),
        ("event.dataset", Keyword),
        ("event.outcome", Keyword),
        ("event.severity", Long),
        ("event.created", DateNanos),
        ("event.start", DateNanos),
        ("event.end", DateNanos),
        ("event.duration", Long),
        ("namewarden.scope", Keyword),
        ("namewarden.match", Keyword),
        ("namewarden.record_type", Keyword),
        ("namewarden.attribution", Keyword),
        ("namewarden.side", Keyword),
        ("namewarden.cgroup", Keyword),
        ("namewarden.set.epoch", Keyword),
        ("namewarden.set.number", Long),
        ("namewarden.set.digest", Keyword),
        ("namewarden.group", Keyword),
        ("namewarden.count", Long),
        ("namewarden.folded", Long),
        ("namewarden.clients", Long),
        ("namewarden.server.namespace", Keyword),
        ("namewarden.server.pod", Keyword),
        ("namewarden.first_seen", DateNanos),
        ("namewarden.last_seen", DateNanos),
        ("namewarden.suppressed", Long),
        ("namewarden.uncaptured.packets", Long),
        ("namewarden.uncaptured.bytes", Long),
        ("namewarden.unchecked_names", Long),
        ("namewarden.limit", Long),
        ("namewarden.sample", Long),
        ("namewarden.latency.count", Long),
        ("namewarden.latency.mean", Long),
        ("namewarden.latency.max", Long),
        ("namewarden.reason", Keyword),
        ("namewarden.retroactive", Boolean),
        ("threat.indicator.type", Keyword),
        ("threat.indicator.name", Keyword),
        ("threat.feed.name", Keyword),
        ("threat.feed.description", Keyword),
        ("threat.enrichments.indicator.type", Keyword),
        ("threat.enrichments.indicator.name", Keyword),
        ("threat.enrichments.matched.atomic", Keyword),
        ("threat.enrichments.matched.field", Keyword),
        ("threat.enrichments.matched.type", Keyword),
        ("threat.framework", Keyword),
        ("threat.tactic.id", Keyword),
        ("threat.tactic.name", Keyword),
        ("threat.technique.id", Keyword),
        ("dns.type", Keyword),
        ("dns.id", Keyword),
        ("dns.op_code", Keyword),
        ("dns.header_flags", Keyword),
        ("dns.response_code", Keyword),
        ("dns.question.name", Keyword),
        ("dns.question.type", Keyword),
        ("dns.question.class", Keyword),
        ("dns.question.registered_domain", Keyword),
        ("dns.question.top_level_domain", Keyword),
        ("dns.question.subdomain", Keyword),
        ("dns.answers.name", Keyword),
        ("dns.answers.type", Keyword),
        ("dns.answers.class", Keyword),
        ("dns.answers.ttl", Long),
        ("dns.answers.data", Keyword),
        ("dns.authorities.name", Keyword),
        ("dns.authorities.type", Keyword),
        ("dns.authorities.class", Keyword),
        ("dns.authorities.ttl", Long),
        ("dns.authorities.data", Keyword),
        ("dns.additionals.name", Keyword),
        ("dns.additionals.type", Keyword),
        ("dns.additionals.class", Keyword),
        ("dns.additionals.ttl", Long),
        ("dns.additionals.data", Keyword),
        ("dns.resolved_ip", Ip),
        ("container.id", Keyword),
        ("container.runtime", Keyword),
        ("kubernetes.pod.uid", Keyword),
        ("container.name", Keyword),
        ("container.image.name", Keyword),
        ("kubernetes.namespace", Keyword),
        ("kubernetes.pod.name", Keyword),
        ("kubernetes.pod.ip", Ip),
        ("kubernetes.owner.kind", Keyword),
        ("kubernetes.owner.name", Keyword),
        ("kubernetes.service_account", Keyword),
        ("kubernetes.labels", Flattened),
        ("kubernetes.pod.qos", Keyword),
        ("process.pid", Long),
        ("process.name", Keyword),
        ("process.thread.id", Long),
        ("process.thread.name", Keyword),
        ("service.name", Keyword),
        ("source.ip", Ip),
        ("source.port", Long),
        ("destination.ip", Ip),
        ("destination.port", Long),
        ("client.ip", Ip),
        ("client.port", Long),
        ("server.ip", Ip),
        ("server.port", Long),
        ("network.transport", Keyword),
        ("network.type", Keyword),
        ("network.protocol", Keyword),
        ("related.ip", Ip),
        ("related.hosts", Keyword),
        ("error.message", MatchOnlyText),
        ("orchestrator.cluster.name", Keyword),
        ("orchestrator.type", Keyword),
        ("orchestrator.resource.type", Keyword),
        ("orchestrator.namespace", Keyword),
        ("orchestrator.resource.name", Keyword),
        ("orchestrator.resource.parent.type", Keyword),
        ("orchestrator.resource.id", Keyword),
        ("host.name", Keyword),
        ("agent.type", Keyword),
        ("agent.id", Keyword),
        ("agent.version", Keyword),
        ("data_stream.type", ConstantKeyword),
        ("data_stream.dataset", ConstantKeyword),
        ("data_stream.namespace", ConstantKeyword),
        ("ecs.version", Keyword),
    ]
};

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::document::ECS_VERSION;

    /// The schema of the version that documents name: types by field.
    fn schema() -> BTreeMap<&'static str, &'static str> {
        let rows = include_str!("../../fixtures/ecs/fields.csv").lines().skip(1);
        rows.filter_map(|row| row.split(',').next().zip(row.split(',').nth(1))).collect()
    }

    /// What the schema has no field for: ours, those of Beats on Kubernetes, and the sections of a message besides its answers,
    /// each with the fields of `dns.answers`.
    fn is_beyond_the_schema(path: &str) -> bool {
        ["namewarden.", "kubernetes.", "dns.authorities.", "dns.additionals."]
            .iter()
            .any(|start| path.starts_with(start))
    }

    /// Types of one family (<https://www.elastic.co/docs/reference/ecs/ecs-field-reference>: a date may be `date_nanos`).
    fn fits(field: FieldType, schema: &str) -> bool {
        match field {
            FieldType::DateNanos => schema == "date",
            FieldType::ConstantKeyword => schema == "constant_keyword",
            other => schema == other.name(),
        }
    }

    #[test]
    fn every_field_is_one_of_the_schema_with_its_type_or_known_to_be_beyond_it() {
        let schema = schema();
        assert!(schema.len() > 2_000, "{}", schema.len());
        let misfits: Vec<_> = FIELDS
            .iter()
            .filter(|(path, field)| match schema.get(path) {
                Some(kind) => !fits(*field, kind),
                None => !is_beyond_the_schema(path),
            })
            .map(|(path, field)| (path, field.name(), schema.get(path)))
            .collect();
        assert!(misfits.is_empty(), "{misfits:?}");
    }

    #[test]
    fn lists_of_objects_are_nested_where_the_schema_says_so() {
        for path in NESTED {
            assert_eq!(schema().get(path), Some(&"nested"), "{path}");
        }
    }

    #[test]
    fn documents_name_the_version_that_they_are_held_against() {
        let origin = include_str!("../../fixtures/ecs/README.md");
        assert!(origin.contains(&format!("Elastic Common Schema {ECS_VERSION}")), "{ECS_VERSION}");
    }
}
