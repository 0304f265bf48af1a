//! An event as the controller tells it, and the values that are printed of it.

use serde::Deserialize;
use serde_json::Value;

/// An event.
#[derive(Clone, Debug, Deserialize)]
pub struct Event {
    /// The document's `_id`.
    pub id: String,
    /// What was said of its group.
    pub annotation: Option<Annotation>,
    /// The document.
    pub document: Value,
}

/// What was said of a group.
#[derive(Clone, Debug, Deserialize)]
pub struct Annotation {
    /// `new`, `acknowledged`, `dismissed`.
    pub state: String,
    /// Who said so.
    pub by: String,
    /// Why.
    pub reason: String,
}

impl Event {
    /// A text, or a number as one, at a path such as `event.action`; empty where there is none.
    pub fn text(&self, path: &str) -> String {
        match self.value(path) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            _ => String::new(),
        }
    }

    /// The texts of a list, or the one text.
    pub fn texts(&self, path: &str) -> Vec<&str> {
        match self.value(path) {
            Some(Value::Array(values)) => values.iter().filter_map(Value::as_str).collect(),
            Some(Value::String(text)) => vec![text],
            _ => Vec::new(),
        }
    }

    /// The number at a path.
    pub fn number(&self, path: &str) -> Option<u64> {
        self.value(path)?.as_u64()
    }

    /// Whether it counts what happened again after the first document of its group, whose id is the group's.
    pub fn is_repeat(&self) -> bool {
        let group = self.text("namewarden.group");
        !group.is_empty() && group != self.text("event.id")
    }

    fn value(&self, path: &str) -> Option<&Value> {
        path.split('.').try_fold(&self.document, |value, name| match value {
            Value::Array(elements) => elements.first()?.get(name),
            value => value.get(name),
        })
    }

    /// Who it was, in as few words as tell it.
    pub fn workload(&self) -> String {
        let (namespace, pod) = (self.text("kubernetes.namespace"), self.text("kubernetes.pod.name"));
        if !pod.is_empty() {
            return format!("{namespace}/{pod}");
        }
        let container: String = self.text("container.id").chars().take(12).collect();
        let uid: String = self.text("kubernetes.pod.uid").chars().take(8).collect();
        let pod = if uid.is_empty() { uid } else { format!("pod {uid}") };
        let others =
            [container, pod, self.text("service.name"), self.text("client.ip"), self.text("host.name")];
        others.into_iter().find(|other| !other.is_empty()).unwrap_or_default()
    }

    /// The name that was asked for, or else the one that matched.
    pub fn name(&self) -> String {
        let asked = self.text("dns.question.name");
        if asked.is_empty() { self.text("threat.enrichments.matched.atomic") } else { asked }
    }
}
