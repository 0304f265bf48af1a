//! The body of a `_bulk` request -> its items: a line that says what to do, and a line with the document, where there is one.

use std::fmt;

use bytes::Bytes;
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, Visitor},
};

/// Items of a request.
const ITEMS_MAX: usize = 100_000;

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Create,
    Index,
    Update,
    Delete,
}

impl Operation {
    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Index => "index",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

/// One item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    pub operation: Operation,
    pub index: String,
    pub id: Option<String>,
    /// Empty for `delete`.
    pub source: Bytes,
}

/// Why a body has no items: type and reason.
#[derive(Debug, PartialEq, Eq)]
pub struct Malformed {
    pub kind: &'static str,
    pub reason: String,
}

/// Reads a body; `index` stands in the path and holds where an item names none.
pub fn read(body: &Bytes, index: Option<&str>) -> Result<Vec<Item>, Malformed> {
    if body.is_empty() {
        return Err(Malformed { kind: "parse_exception", reason: "request body is required".to_owned() });
    }
    if body.last() != Some(&b'\n') {
        return Err(wrong("The bulk request must be terminated by a newline [\\n]".to_owned()));
    }
    let (mut items, mut lines) = (Vec::new(), Lines { rest: body.clone(), number: 0 });
    while let Some(line) = lines.next() {
        if line.is_empty() {
            continue;
        }
        let number = lines.number;
        let malformed =
            |error: serde_json::Error| wrong(format!("Malformed action/metadata line [{number}], {error}"));
        let Action { operation, target } = serde_json::from_slice(&line).map_err(malformed)?;
        let source = if operation == Operation::Delete { None } else { lines.next() };
        if operation != Operation::Delete && source.is_none() {
            return Err(wrong(format!("Malformed action/metadata line [{number}], the document is missing")));
        }
        let named = target.index.map(|name| name.0);
        let Some(index) = named.or_else(|| index.map(str::to_owned)) else {
            return Err(Malformed {
                kind: "action_request_validation_exception",
                reason: "Validation Failed: 1: index is missing;".to_owned(),
            });
        };
        let id = target.id.map(|id| id.0);
        items.push(Item { operation, index, id, source: source.unwrap_or_default() });
        if items.len() > ITEMS_MAX {
            return Err(wrong(format!("a request has at most {ITEMS_MAX} items; send several")));
        }
    }
    if items.is_empty() {
        let reason = "Validation Failed: 1: no requests added;".to_owned();
        return Err(Malformed { kind: "action_request_validation_exception", reason });
    }
    Ok(items)
}

fn wrong(reason: String) -> Malformed {
    Malformed { kind: "illegal_argument_exception", reason }
}

/// Lines without their ends, as parts of the body.
struct Lines {
    rest: Bytes,
    number: usize,
}

impl Iterator for Lines {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let end = self.rest.iter().position(|byte| *byte == b'\n')?;
        let mut line = self.rest.split_to(end + 1);
        line.truncate(end);
        if line.last() == Some(&b'\r') {
            line.truncate(end - 1);
        }
        self.number += 1;
        Some(line)
    }
}

/// `{"create":{"_index":"...","_id":"..."}}`
struct Action {
    operation: Operation,
    target: Target,
}

/// What has no meaning here and is known to search engines is taken; all else is not.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Target {
    #[serde(rename = "_index")]
    index: Option<Text>,
    #[serde(rename = "_id")]
    id: Option<Text>,
    #[serde(default, rename = "dynamic_templates")]
    _templates: serde::de::IgnoredAny,
    #[serde(default, rename = "require_data_stream")]
    _require: serde::de::IgnoredAny,
    #[serde(default, rename = "_source")]
    _source: serde::de::IgnoredAny,
}

/// A text, or a number that is taken as one.
struct Text(String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::String(text) => Ok(Self(text)),
            serde_json::Value::Number(number) => Ok(Self(number.to_string())),
            _ => Err(D::Error::custom("expected a string")),
        }
    }
}

impl<'de> Deserialize<'de> for Action {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ActionVisitor)
    }
}

struct ActionVisitor;

impl<'de> Visitor<'de> for ActionVisitor {
    type Value = Action;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("START_OBJECT")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Action, A::Error> {
        let name: String =
            map.next_key()?.ok_or_else(|| A::Error::custom("expected FIELD_NAME but found [END_OBJECT]"))?;
        let operation = match name.as_str() {
            "create" => Operation::Create,
            "index" => Operation::Index,
            "update" => Operation::Update,
            "delete" => Operation::Delete,
            other => {
                let other: String = other.chars().take(50).collect();
                return Err(A::Error::custom(format!(
                    "expected field [create], [delete], [index] or [update] but found [{other}]"
                )));
            }
        };
        let target = map.next_value()?;
        if map.next_key::<String>()?.is_some() {
            return Err(A::Error::custom("expected END_OBJECT but found [FIELD_NAME]"));
        }
        Ok(Action { operation, target })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn items(body: &str, index: Option<&str>) -> Result<Vec<Item>, Malformed> {
        read(&Bytes::copy_from_slice(body.as_bytes()), index)
    }

    fn reason(body: &str) -> String {
        items(body, Some("i")).unwrap_err().reason
    }

    #[test]
    fn items_are_read_with_their_index_and_id() {
        let body = "{\"create\":{\"_index\":\"a\",\"_id\":\"1\"}}\r\n{\"x\":1}\r\n\n{\"delete\":{\"_id\":2}}\n{\"index\":{}}\n{}\n";
        let found = items(body, Some("b")).unwrap();
        let item = |operation, index: &str, id: Option<&str>, source: &'static str| Item {
            operation,
            index: index.to_owned(),
            id: id.map(str::to_owned),
            source: Bytes::from_static(source.as_bytes()),
        };
        let expected = [
            item(Operation::Create, "a", Some("1"), "{\"x\":1}"),
            item(Operation::Delete, "b", Some("2"), ""),
            item(Operation::Index, "b", None, "{}"),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn what_cannot_be_read_is_said_with_its_line() {
        assert_eq!(reason(""), "request body is required");
        assert_eq!(reason("\n"), "Validation Failed: 1: no requests added;");
        assert!(reason("{\"create\":{}}\n{}").ends_with("terminated by a newline [\\n]"));
        assert!(reason("{\"create\":{}}\n{}\n{\"put\":{}}\n{}\n").starts_with(
            "Malformed action/metadata line [3], expected field [create], [delete], [index] or [update] but found [put]"
        ));
        assert!(reason("\"create\"\n").contains("expected START_OBJECT"));
        assert!(reason("{\"create\":{\"_type\":\"x\"}}\n{}\n").contains("_type"));
        assert!(reason("{\"create\":{},\"index\":{}}\n{}\n").contains("expected END_OBJECT"));
        assert!(reason("{\"create\":{}}\n").contains("line [1], the document is missing"));
        assert_eq!(
            items("{\"create\":{}}\n{}\n", None).unwrap_err().reason,
            "Validation Failed: 1: index is missing;"
        );
    }

    proptest! {
        #[test]
        fn any_body_is_read_or_refused(body in "(\\{\"create\":\\{\\}\\}|\\{|\\}|\n|\"|[a-z]){0,40}") {
            let _ = items(&body, Some("i"));
        }
    }
}
