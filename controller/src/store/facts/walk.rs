//! Walks a document's JSON once and collects the values at the paths that matter; everything else is checked to be JSON.

use std::{borrow::Cow, collections::HashMap, fmt, net::IpAddr};

use jiff::{Timestamp, civil, tz::TimeZone};
use namewarden_protocol::document::Time;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{
    Refusal, TEXT_BYTES_MAX, VALUES_MAX,
    mapping::{Kind, Node, node},
};

/// Characters of a value that are shown.
const PREVIEW: usize = 64;

/// What was found.
#[derive(Debug, Default)]
pub struct Collected {
    pub time: Option<Time>,
    pub severity: Option<i64>,
    /// By path, in the document's order.
    pub texts: HashMap<&'static str, Vec<String>>,
}

/// Walks a document.
pub fn walk(source: &[u8], id: &str) -> Result<Collected, Refusal> {
    let mut walk = Walk { collected: Collected::default(), path: String::new(), id, refusal: None };
    let source = std::str::from_utf8(source).map_err(|error| Refusal {
        kind: "document_parsing_exception",
        reason: "failed to parse".to_owned(),
        cause: Some(("x_content_parse_exception", format!("the document is not UTF-8: {error}"))),
    })?;
    let mut json = serde_json::Deserializer::from_str(source);
    let walked = Whole(&mut walk).deserialize(&mut json).and_then(|()| json.end());
    match (walk.refusal, walked) {
        (Some(refusal), _) => Err(refusal),
        (None, Ok(())) => Ok(walk.collected),
        (None, Err(error)) => Err(Refusal {
            kind: "document_parsing_exception",
            reason: format!("[{}:{}] failed to parse", error.line(), error.column()),
            cause: Some(("x_content_parse_exception", error.to_string())),
        }),
    }
}

struct Walk<'a> {
    collected: Collected,
    path: String,
    id: &'a str,
    refusal: Option<Refusal>,
}

/// A value as it stands.
enum Value<'a> {
    Text(&'a str),
    Whole(i64),
    /// Beyond `i64`, or with a fraction.
    Number(f64),
    Truth(bool),
}

impl fmt::Display for Value<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => formatter.write_str(text),
            Self::Whole(number) => number.fmt(formatter),
            Self::Number(number) => number.fmt(formatter),
            Self::Truth(truth) => truth.fmt(formatter),
        }
    }
}

impl Walk<'_> {
    /// Takes a value of the path `leaf`; a refusal ends the walk.
    fn take(&mut self, leaf: &'static str, kind: Kind, value: &Value<'_>) -> Result<(), ()> {
        let fits = match kind {
            Kind::Keyword => {
                self.keep(leaf, value);
                Some(())
            }
            Kind::Time if self.collected.time.is_some() => {
                return self.refuse(super::parsing(
                    "data stream timestamp field [@timestamp] encountered multiple values",
                ));
            }
            Kind::Time => time(value).map(|time| self.collected.time = Some(time)),
            Kind::Severity => long(value).map(|number| _ = self.collected.severity.get_or_insert(number)),
            Kind::Date => time(value).map(drop),
            Kind::Long => long(value).map(drop),
            Kind::Truth => truth(value).then_some(()),
            Kind::Address => {
                matches!(value, Value::Text(text) if text.parse::<IpAddr>().is_ok()).then_some(())
            }
        };
        match fits {
            Some(()) => Ok(()),
            None => self.misfit(leaf, kind, &value.to_string()),
        }
    }

    fn keep(&mut self, leaf: &'static str, value: &Value<'_>) {
        let text = match value {
            Value::Text(text) => Cow::Borrowed(*text),
            other => Cow::Owned(other.to_string()),
        };
        let values = self.collected.texts.entry(leaf).or_default();
        if text.len() <= TEXT_BYTES_MAX && values.len() < VALUES_MAX {
            values.push(text.into_owned());
        }
    }

    fn misfit(&mut self, leaf: &str, kind: Kind, value: &str) -> Result<(), ()> {
        let preview: String = value.chars().take(PREVIEW).collect();
        let (kind, id) = (kind.name(), self.id);
        self.refuse(Refusal {
            kind: "document_parsing_exception",
            reason: format!(
                "failed to parse field [{leaf}] of type [{kind}] in document with id '{id}'. Preview of field's value: \
                 '{preview}'"
            ),
            cause: Some(("illegal_argument_exception", format!("[{preview}] is no value of type [{kind}]"))),
        })
    }

    fn concrete(&mut self) -> Result<(), ()> {
        let path = &self.path;
        let name = path.rsplit('.').next().unwrap_or(path);
        let reason = format!(
            "object mapping for [{path}] tried to parse field [{path}] as object, but found a concrete value ({name})"
        );
        self.refuse(Refusal { kind: "document_parsing_exception", reason, cause: None })
    }

    fn refuse(&mut self, refusal: Refusal) -> Result<(), ()> {
        self.refusal = Some(refusal);
        Err(())
    }
}

/// As `strict_date_optional_time||epoch_millis` reads it; nanoseconds from 1970 to 2262.
fn time(value: &Value<'_>) -> Option<Time> {
    let nanoseconds = match value {
        Value::Text(text) => match text.parse::<i64>() {
            Ok(milliseconds) if text.len() > 4 => i128::from(milliseconds) * 1_000_000,
            _ => date(text)?.as_nanosecond(),
        },
        Value::Whole(milliseconds) => i128::from(*milliseconds) * 1_000_000,
        Value::Number(_) | Value::Truth(_) => return None,
    };
    let nanoseconds = i64::try_from(nanoseconds).ok()?;
    u64::try_from(nanoseconds).ok().map(Time)
}

fn date(text: &str) -> Option<Timestamp> {
    let utc = |date: civil::DateTime| TimeZone::UTC.to_timestamp(date).ok();
    text.parse().ok().or_else(|| utc(text.parse::<civil::DateTime>().ok()?))
}

/// Texts that say so count, an empty one is false.
fn truth(value: &Value<'_>) -> bool {
    matches!(value, Value::Truth(_) | Value::Text("true" | "false" | ""))
}

/// Numbers in texts count, fractions are cut off.
fn long(value: &Value<'_>) -> Option<i64> {
    match value {
        Value::Whole(number) => Some(*number),
        Value::Text(text) => {
            let trimmed = text.trim();
            trimmed.parse().ok().or_else(|| long(&Value::Number(trimmed.parse().ok()?)))
        }
        #[expect(clippy::cast_possible_truncation, reason = "what lies outside is left out before")]
        Value::Number(number) => (number.abs() < 9.2e18).then_some(*number as i64),
        Value::Truth(_) => None,
    }
}

/// The document: an object.
struct Whole<'w, 'a>(&'w mut Walk<'a>);

impl<'de> DeserializeSeed<'de> for Whole<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Whole<'_, '_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        members(self.0, map)
    }
}

/// The members of the object at the current path.
fn members<'de, A: MapAccess<'de>>(walk: &mut Walk<'_>, mut map: A) -> Result<(), A::Error> {
    let above = walk.path.len();
    while map.next_key_seed(Key(walk))?.is_some() {
        match node(&walk.path) {
            Node::Other => map.next_value::<IgnoredAny>().map(drop)?,
            Node::Object => map.next_value_seed(Place { walk, leaf: None })?,
            Node::Leaf(leaf, kind) => map.next_value_seed(Place { walk, leaf: Some((leaf, kind)) })?,
        }
        walk.path.truncate(above);
    }
    Ok(())
}

/// Adds a member's name to the path.
struct Key<'w, 'a>(&'w mut Walk<'a>);

impl<'de> DeserializeSeed<'de> for Key<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_, '_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<(), E> {
        if !self.0.path.is_empty() {
            self.0.path.push('.');
        }
        self.0.path.push_str(name);
        Ok(())
    }
}

/// What stands at the current path: an object, values, or lists of them.
struct Place<'w, 'a> {
    walk: &'w mut Walk<'a>,
    leaf: Option<(&'static str, Kind)>,
}

impl Place<'_, '_> {
    fn value<E: serde::de::Error>(self, value: &Value<'_>) -> Result<(), E> {
        let taken = match self.leaf {
            Some((leaf, kind)) => self.walk.take(leaf, kind, value),
            None => self.walk.concrete(),
        };
        taken.map_err(|()| E::custom("refused"))
    }
}

impl<'de> DeserializeSeed<'de> for Place<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Place<'_, '_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        match self.leaf {
            None => members(self.walk, map),
            Some((leaf, kind)) => {
                let refused = self.walk.misfit(leaf, kind, "{...}");
                refused.map_err(|()| A::Error::custom("refused"))
            }
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(Place { walk: &mut *self.walk, leaf: self.leaf })?.is_some() {}
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        self.value(&Value::Text(text))
    }

    fn visit_bool<E: serde::de::Error>(self, truth: bool) -> Result<(), E> {
        self.value(&Value::Truth(truth))
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<(), E> {
        self.value(&Value::Whole(number))
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<(), E> {
        #[expect(clippy::cast_precision_loss, reason = "beyond what any field holds")]
        let beyond = number as f64;
        self.value(&i64::try_from(number).map_or(Value::Number(beyond), Value::Whole))
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<(), E> {
        self.value(&Value::Number(number))
    }
}
