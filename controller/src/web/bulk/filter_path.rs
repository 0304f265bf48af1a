//! `filter_path`: which parts of an answer a client wants.

use serde_json::Value;

const PATTERNS_MAX: usize = 32;

/// The patterns; none means everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FilterPath(Vec<Vec<String>>);

impl FilterPath {
    /// Reads `took,errors,items.*.error`.
    ///
    /// # Errors
    /// What is not understood.
    pub fn read(text: &str) -> Result<Self, &'static str> {
        let patterns: Vec<_> = text.split(',').map(str::trim).filter(|pattern| !pattern.is_empty()).collect();
        if patterns.len() > PATTERNS_MAX {
            return Err("filter_path has more patterns than are taken");
        }
        if patterns.iter().any(|pattern| pattern.starts_with('-')) {
            return Err("filter_path takes what is wanted only, no pattern with [-]");
        }
        Ok(Self(patterns.iter().map(|one| one.split('.').map(str::to_owned).collect()).collect()))
    }

    /// What is wanted of an answer.
    pub fn apply(&self, body: Value) -> Value {
        if self.0.is_empty() {
            return body;
        }
        let patterns: Vec<&[String]> = self.0.iter().map(Vec::as_slice).collect();
        kept(body, &patterns).unwrap_or_else(|| Value::Object(serde_json::Map::new()))
    }
}

/// What any of the patterns wants of a value; lists are looked through.
fn kept(value: Value, patterns: &[&[String]]) -> Option<Value> {
    if patterns.iter().any(|pattern| pattern.is_empty()) {
        return Some(value);
    }
    match value {
        Value::Array(elements) => {
            let elements: Vec<_> =
                elements.into_iter().filter_map(|element| kept(element, patterns)).collect();
            (!elements.is_empty()).then_some(Value::Array(elements))
        }
        Value::Object(members) => {
            let members: serde_json::Map<_, _> = members
                .into_iter()
                .filter_map(|(name, value)| {
                    let inner: Vec<_> = patterns.iter().flat_map(|pattern| step(pattern, &name)).collect();
                    Some((name, kept(value, &inner)?))
                })
                .collect();
            (!members.is_empty()).then_some(Value::Object(members))
        }
        _ => None,
    }
}

/// What is left of a pattern below a member of that name.
fn step<'p>(pattern: &'p [String], name: &str) -> Vec<&'p [String]> {
    let Some((first, rest)) = pattern.split_first() else { return Vec::new() };
    if first == "**" {
        // Any number of members, none too.
        let mut left = step(rest, name);
        left.push(if rest.is_empty() { rest } else { pattern });
        return left;
    }
    if fits(first, name) { vec![rest] } else { Vec::new() }
}

/// `*` stands for any characters.
fn fits(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((before, after)) => name.strip_prefix(before).is_some_and(|rest| {
            (0..=rest.len()).any(|at| rest.get(at..).is_some_and(|rest| fits(after, rest)))
        }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn filtered(pattern: &str) -> Value {
        let item = |status: u16| json!({ "create": { "_id": "1", "status": status, "error": { "type": "x", "reason": "y" } } });
        let body = json!({ "took": 1, "errors": true, "items": [item(201), item(409)] });
        FilterPath::read(pattern).unwrap().apply(body)
    }

    #[test]
    fn what_is_wanted_is_kept_in_its_place() {
        assert_eq!(filtered("took"), json!({ "took": 1 }));
        let statuses = json!({ "errors": true, "items": [{ "create": { "status": 201 } }, { "create": { "status": 409 } }] });
        assert_eq!(filtered("errors,items.*.status"), statuses);
        assert_eq!(
            filtered("items.create.error.type")["items"][0],
            json!({ "create": { "error": { "type": "x" } } })
        );
        assert_eq!(filtered("**.reason")["items"][1], json!({ "create": { "error": { "reason": "y" } } }));
        assert_eq!(filtered("items.*.st*us")["items"][0], json!({ "create": { "status": 201 } }));
    }

    #[test]
    fn nothing_wanted_is_everything_and_nothing_found_is_empty() {
        assert_eq!(filtered("")["took"], 1);
        assert_eq!(filtered("other,items.*.other"), json!({}));
        assert!(FilterPath::read("-took").is_err());
        assert!(FilterPath::read(&"a,".repeat(40)).is_err());
    }
}
