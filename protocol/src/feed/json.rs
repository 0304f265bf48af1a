//! A JSON document and a path to its names: strings, or lists of strings; streamed, whatever the document's size.
//!
//! What the path leads past is skipped unseen. What it leads to and is no string is rejected with the element's number. A
//! path that leads nowhere refuses the feed: an answer of another form must not pass for an empty list.

// The path, parsed.
mod path;

// Bytes on their way in: strings and nesting of bounded size.
mod bounded;

use std::fmt;
use std::io::{self, BufRead};

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

pub use path::{BadPath, JsonPath};

use super::intake::Intake;
use super::item;
use super::reason::Reason;
use super::report::{Refusal, bounded};
use bounded::Bounded;
use path::Step;

/// Reads a whole document; entries are numbered by the elements that the path leads to.
pub(super) fn read(
    source: &mut dyn BufRead,
    path: &JsonPath,
    intake: &mut Intake<'_>,
) -> Result<(), Refusal> {
    let mut found = Found { intake, elements: 0, any: false };
    let mut document = serde_json::Deserializer::from_reader(Bounded::new(source));
    let select = Select { steps: path.steps(), in_list: false, found: &mut found };
    let outcome = select.deserialize(&mut document).and_then(|()| document.end());
    let any = found.any;
    match outcome {
        _ if intake.is_full() => Err(Refusal::TooMany { entries_max: intake.entries_max() }),
        Err(error) if error.is_io() => Err(failed(error.into())),
        Err(error) => Err(Refusal::Json(bounded(&error.to_string()))),
        Ok(()) if !any => Err(Refusal::NoMatch { path: bounded(&path.to_string()) }),
        Ok(()) => Ok(()),
    }
}

/// The source failed, or what came from it is too large in some way.
fn failed(error: io::Error) -> Refusal {
    match error.kind() {
        io::ErrorKind::InvalidData => Refusal::Json(error.to_string()),
        _ => Refusal::Io(error),
    }
}

/// What was found so far.
struct Found<'f, 'i> {
    intake: &'f mut Intake<'i>,
    elements: u32,
    /// The path led somewhere, be it to an empty list.
    any: bool,
}

impl Found<'_, '_> {
    fn string<E: Error>(&mut self, text: &str) -> Result<(), E> {
        self.elements = self.elements.saturating_add(1);
        self.intake.count_line(text.len());
        item::offer(text.trim(), &mut self.intake.at(self.elements, text));
        if self.intake.is_full() { Err(E::custom("too many entries")) } else { Ok(()) }
    }

    /// What is no string; `what` stands for it in the report.
    fn other(&mut self, what: &str) {
        self.elements = self.elements.saturating_add(1);
        self.intake.count_line(0);
        self.intake.at(self.elements, what).reject(Reason::JsonNotString);
    }
}

/// Follows what is left of the path from one value.
struct Select<'s, 'v, 'f, 'i> {
    steps: &'s [Step],
    /// The value is an element of the list that the path leads to: lists in lists are not gone through.
    in_list: bool,
    found: &'v mut Found<'f, 'i>,
}

impl<'de> DeserializeSeed<'de> for Select<'_, '_, '_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.steps.is_empty() {
            self.found.any = true;
        }
        deserializer.deserialize_any(self)
    }
}

impl Select<'_, '_, '_, '_> {
    fn scalar(self, what: &str) {
        if self.steps.is_empty() {
            self.found.other(what);
        }
    }

    /// The list that the path leads to.
    fn names<'de, A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        if self.in_list {
            self.found.other("(a list in the list)");
            while list.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(());
        }
        while list.next_element_seed(Select { steps: &[], in_list: true, found: self.found })?.is_some() {}
        Ok(())
    }
}

impl<'de> Visitor<'de> for Select<'_, '_, '_, '_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        if self.steps.is_empty() { self.found.string(text) } else { Ok(()) }
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        self.scalar("(true or false)");
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        self.scalar("(a number)");
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        self.scalar("(a number)");
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        self.scalar("(a number)");
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.scalar("(null)");
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Some((step, rest)) = self.steps.split_first() else {
            return self.names(list);
        };
        let mut position = 0;
        loop {
            let here = match step {
                Step::All => true,
                Step::Index(index) => position == *index,
                Step::Field(_) => false,
            };
            let select = Select { steps: rest, in_list: false, found: self.found };
            let more = if here {
                list.next_element_seed(select)?.is_some()
            } else {
                list.next_element::<IgnoredAny>()?.is_some()
            };
            if !more {
                // A list without elements has none that the rest could lead to.
                self.found.any |= *step == Step::All && position == 0;
                return Ok(());
            }
            position += 1;
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        let Some((step, rest)) = self.steps.split_first() else {
            self.found.other("(an object)");
            while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(());
        };
        while let Some(here) = object.next_key_seed(Key(step))? {
            if here {
                object.next_value_seed(Select { steps: rest, in_list: false, found: self.found })?;
            } else {
                object.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

/// Whether a key is the one that a step names.
struct Key<'s>(&'s Step);

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = bool;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<bool, E> {
        Ok(match self.0 {
            Step::All => true,
            Step::Field(name) => name == key,
            Step::Index(_) => false,
        })
    }
}

#[cfg(test)]
mod tests;
