//! Components and index templates of the data streams, and the index that feeds are pushed to.
//!
//! A template is made of three components: the fields, the settings, and one that belongs to whoever runs the search engine
//! (`@custom`): it is made empty, comes last, and is never written again.

use serde_json::{Value, json};

use super::lifecycle::Lifecycle;
use super::mapping::{self, Types};

/// Rises when fields or settings change; a newer one in the search engine is left alone.
pub const VERSION: u64 = 2;
/// Above the templates that Elasticsearch brings for `logs-*-*` (100).
const PRIORITY: u32 = 250;
/// Component with the fields of both data streams.
pub const FIELDS_COMPONENT: &str = "namewarden@mappings";
/// Template of indices that feeds are pushed to.
pub const PUSH_TEMPLATE: &str = "namewarden-pushed-feeds";
/// What their names begin with.
pub const PUSH_PREFIX: &str = "tigera_secure_ee_threatfeeds_domainnameset.";
/// Index with what people say of alert groups, and its template.
pub const ANNOTATIONS: &str = "namewarden-annotations";

/// One kind of documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Alerts.
    Alerts,
    /// DNS logs.
    Logs,
}

impl Lane {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Alerts, Self::Logs];

    /// Name of its index template and policy.
    pub fn template(self) -> &'static str {
        match self {
            Self::Alerts => "namewarden-alerts",
            Self::Logs => "namewarden-dns",
        }
    }

    /// Its data streams.
    pub fn pattern(self) -> &'static str {
        match self {
            Self::Alerts => "logs-namewarden.alert-*",
            Self::Logs => "logs-namewarden.dns-*",
        }
    }

    /// Component with its settings.
    pub fn settings_component(self) -> String {
        format!("{}@settings", self.template())
    }

    /// Component that is somebody else's.
    pub fn custom_component(self) -> String {
        format!("{}@custom", self.template())
    }
}

fn meta() -> Value {
    json!({ "managed_by": "namewarden", "description": concat!("Namewarden ", env!("CARGO_PKG_VERSION")) })
}

/// The fields.
pub fn fields(types: Types) -> Value {
    json!({ "version": VERSION, "_meta": meta(), "template": { "mappings": mapping::mappings(types) } })
}

/// Settings of a kind of documents, with how long they are kept.
pub fn settings(lane: Lane, lifecycle: Option<Lifecycle>, days: u16) -> Value {
    // One copy as soon as there is a second node for it.
    let index = json!({ "auto_expand_replicas": "0-1", "codec": "best_compression" });
    let template = match lifecycle {
        Some(Lifecycle::Ilm) => {
            let mut index = index;
            if let Some(index) = index.as_object_mut() {
                index.insert("lifecycle".to_owned(), json!({ "name": lane.template() }));
            }
            json!({ "settings": { "index": index } })
        }
        Some(Lifecycle::DataStream) => {
            json!({ "settings": { "index": index }, "lifecycle": { "data_retention": format!("{days}d") } })
        }
        Some(Lifecycle::Ism) | None => json!({ "settings": { "index": index } }),
    };
    json!({ "version": VERSION, "_meta": meta(), "template": template })
}

/// The component that is somebody else's.
pub fn custom() -> Value {
    json!({ "_meta": { "description": "Yours: Namewarden made it empty and never writes it again" }, "template": {} })
}

/// The index template of a kind of documents.
pub fn index_template(lane: Lane) -> Value {
    json!({
        "index_patterns": [lane.pattern()],
        "priority": PRIORITY,
        "version": VERSION,
        "_meta": meta(),
        "data_stream": {},
        "composed_of": [FIELDS_COMPONENT, lane.settings_component(), lane.custom_component()],
    })
}

/// The template of indices that feeds are pushed to: a document is kept as it comes, no domain of it is indexed.
pub fn push_template() -> Value {
    let domains = json!({ "type": "object", "enabled": false });
    ordinary(PUSH_PREFIX, &json!({ "created_at": { "type": "date" }, "domains": domains }))
}

/// The template of the index with what is said of alert groups: one document a group.
pub fn annotations_template() -> Value {
    let keyword = json!({ "type": "keyword" });
    let properties = json!({
        "cluster": keyword, "group": keyword, "state": keyword, "by": keyword, "at": mapping::date(),
    });
    ordinary(ANNOTATIONS, &properties)
}

/// The template of indices that are no data streams and know these fields only.
fn ordinary(prefix: &str, properties: &Value) -> Value {
    json!({
        "index_patterns": [format!("{prefix}*")],
        "priority": PRIORITY,
        "version": VERSION,
        "_meta": meta(),
        "template": {
            "settings": { "index": { "auto_expand_replicas": "0-1" } },
            "mappings": { "dynamic": false, "properties": properties },
        },
    })
}
