//! A `JSONPath` without filters (RFC 9535, a part of it): `$`, `.name`, `["name"]`, `[*]`, `.*`, `[3]`.

use std::fmt;
use std::str::FromStr;

/// Steps of the longest path.
const STEPS_MAX: usize = 32;

/// Which values of a document are the names: strings, or lists of strings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonPath {
    text: String,
    steps: Vec<Step>,
}

/// From a value to those in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The member of an object.
    Field(String),
    /// Every element of a list, every member of an object.
    All,
    /// One element of a list, from 0.
    Index(u64),
}

/// A text that is no such path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "json's path `{path}` is not understood: {what}; paths are like `$`, `$.domains`, `$[\"domains\"]`, `$.items[*].domain`"
)]
pub struct BadPath {
    path: String,
    what: &'static str,
}

impl Default for JsonPath {
    /// The document itself.
    fn default() -> Self {
        Self { text: "$".to_owned(), steps: Vec::new() }
    }
}

impl fmt::Display for JsonPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.text)
    }
}

impl JsonPath {
    pub(super) fn steps(&self) -> &[Step] {
        &self.steps
    }
}

impl FromStr for JsonPath {
    type Err = BadPath;

    fn from_str(text: &str) -> Result<Self, BadPath> {
        let bad = |what| BadPath { path: text.to_owned(), what };
        let mut rest =
            text.strip_prefix('$').ok_or_else(|| bad("it must begin with `$`, the whole document"))?;
        let mut steps = Vec::new();
        // The reference writes the document itself as `$.` too.
        while !(rest.is_empty() || (rest == "." && steps.is_empty())) {
            let (step, behind) = step(rest).map_err(bad)?;
            steps.push(step);
            rest = behind;
            if steps.len() > STEPS_MAX {
                return Err(bad("it has more than 32 steps"));
            }
        }
        Ok(Self { text: text.to_owned(), steps })
    }
}

/// Takes a step off the front.
fn step(text: &str) -> Result<(Step, &str), &'static str> {
    if let Some(rest) = text.strip_prefix('.') {
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        let (name, behind) = rest.split_at_checked(end).unwrap_or_default();
        return match name {
            "*" => Ok((Step::All, behind)),
            "" if behind.starts_with('.') => Err("`..` (every depth) is not followed"),
            "" => Err("a name is missing behind a dot"),
            _ if name
                .contains(|character: char| character.is_whitespace() || "*?@()'\"]".contains(character)) =>
            {
                Err("a name with such characters must stand in brackets and double quotes")
            }
            _ => Ok((Step::Field(name.to_owned()), behind)),
        };
    }
    let inside = text.strip_prefix('[').ok_or("a step begins with `.` or `[`")?;
    if inside.starts_with('"') {
        return quoted(inside);
    }
    let (inside, behind) = inside.split_once(']').ok_or("a bracket does not close")?;
    match inside.trim() {
        "*" => Ok((Step::All, behind)),
        inside if inside.starts_with('?') || inside.starts_with('(') => Err("filters are not followed"),
        inside if inside.starts_with('\'') => Err("strings in brackets need double quotes"),
        inside => match inside.parse() {
            Ok(index) => Ok((Step::Index(index), behind)),
            Err(_) => Err("in brackets stands `*`, a number or a string in double quotes"),
        },
    }
}

/// `"name"]`, written as a JSON string.
fn quoted(text: &str) -> Result<(Step, &str), &'static str> {
    let mut strings = serde_json::Deserializer::from_str(text).into_iter::<String>();
    let name = strings.next().and_then(Result::ok).ok_or("a string in brackets does not close")?;
    let behind = text.get(strings.byte_offset()..).unwrap_or_default().trim_start();
    let behind = behind.strip_prefix(']').ok_or("a bracket does not close")?;
    Ok((Step::Field(name), behind))
}
