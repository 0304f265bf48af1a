//! The fields of documents as a mapping. A type that a server does not have gives way to one that holds the same.

use namewarden_protocol::document::mapping::{FIELDS, FieldType, NESTED};
use serde_json::{Map, Value, json};

use super::engine::Product;

/// Keywords beyond are kept, and not found: Lucene refuses terms of 32,766 bytes.
const IGNORE_ABOVE: u32 = 1024;

/// Which type stands for those that not every server has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Types {
    prose: &'static str,
    constant: &'static str,
    labels: &'static str,
}

impl Types {
    /// What a whole server of this product has.
    pub fn of(product: Product) -> Self {
        match product {
            Product::Elasticsearch => Self {
                prose: FieldType::MatchOnlyText.name(),
                constant: FieldType::ConstantKeyword.name(),
                labels: FieldType::Flattened.name(),
            },
            // Constant keywords came with 2.14: not worth a difference.
            Product::OpenSearch => {
                Self { prose: "match_only_text", constant: FieldType::Keyword.name(), labels: "flat_object" }
            }
        }
    }

    /// Without a type that the server's refusal names; `None` where it names none of ours.
    pub fn without(self, refusal: &str) -> Option<Self> {
        let names = |kind: &str| refusal.contains(&format!("[{kind}]"));
        let plain = FieldType::Keyword.name();
        if self.prose != "text" && names(self.prose) {
            Some(Self { prose: "text", ..self })
        } else if self.constant != plain && names(self.constant) {
            Some(Self { constant: plain, ..self })
        } else if self.labels != "object" && names(self.labels) {
            Some(Self { labels: "object", ..self })
        } else {
            None
        }
    }
}

/// `mappings` of both data streams: fields that are not ours are kept and not indexed.
pub fn mappings(types: Types) -> Value {
    let mut properties = Map::new();
    for (path, kind) in FIELDS {
        insert(&mut properties, "", path, leaf(*kind, types));
    }
    json!({ "dynamic": false, "date_detection": false, "numeric_detection": false, "properties": properties })
}

fn insert(into: &mut Map<String, Value>, before: &str, path: &str, leaf: Value) {
    let Some((name, rest)) = path.split_once('.') else {
        into.insert(path.to_owned(), leaf);
        return;
    };
    let whole = if before.is_empty() { name.to_owned() } else { format!("{before}.{name}") };
    let object = into.entry(name).or_insert_with(|| object(&whole));
    if let Some(properties) = object.get_mut("properties").and_then(Value::as_object_mut) {
        insert(properties, &whole, rest, leaf);
    }
}

fn object(path: &str) -> Value {
    if NESTED.contains(&path) {
        // Found as members of the document too: by those who do not ask for nested ones.
        json!({ "type": "nested", "include_in_parent": true, "properties": {} })
    } else {
        json!({ "properties": {} })
    }
}

/// A moment, to the nanosecond in the server's own words too: OpenSearch leaves out an index that has nothing before the end of what a page
/// has found so far, and writes that end in the field's format, whose usual one stops at the millisecond (seen with 3.4).
pub fn date() -> Value {
    json!({ "type": FieldType::DateNanos.name(), "format": "strict_date_optional_time_nanos||epoch_millis" })
}

fn leaf(kind: FieldType, types: Types) -> Value {
    match kind {
        FieldType::Keyword => json!({ "type": kind.name(), "ignore_above": IGNORE_ABOVE }),
        FieldType::MatchOnlyText => json!({ "type": types.prose }),
        FieldType::ConstantKeyword => json!({ "type": types.constant }),
        FieldType::Flattened if types.labels == "object" => json!({ "type": "object", "enabled": false }),
        FieldType::Flattened => json!({ "type": types.labels }),
        FieldType::DateNanos => date(),
        FieldType::Long | FieldType::Ip | FieldType::Boolean => json!({ "type": kind.name() }),
    }
}
