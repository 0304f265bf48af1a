//! Documents into data streams by `_bulk`, and what became of each.
//!
//! A data stream that has rolled over takes an id again that an older index of it has: all its indices are asked before, the one
//! that is written to as well, for until the documents are there it may be an older one.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::{Value, json};

use super::{ask::list, hits, lookup};
use crate::search::engine::{Engine, Reply};
use crate::store::{Appended, Incoming, Outcome, Refusal, StoreError};

/// Documents of one request.
const DOCUMENTS: usize = 1000;
/// Bytes of one request; one document may be more.
const BYTES: usize = 4 << 20;

/// Keeps documents; what is said to be created is found by the next search.
pub async fn append(engine: &Engine, documents: Vec<Incoming>) -> Result<Vec<Appended>, StoreError> {
    let held = held(engine, &documents).await?;
    let mut appended: Vec<Option<Appended>> = Vec::with_capacity(documents.len());
    let mut batch = Batch::default();
    for (place, document) in documents.iter().enumerate() {
        let name = lookup::data_stream(document.stream, &document.namespace);
        let is_there =
            document.id.as_ref().is_some_and(|id| held.get(&name).is_some_and(|ids| ids.contains(id)));
        if is_there {
            let id = document.id.clone().unwrap_or_default();
            appended.push(Some(Appended { id, outcome: Outcome::Exists }));
            continue;
        }
        appended.push(None);
        batch.push(place, &name, document);
        if batch.places.len() >= DOCUMENTS || batch.lines.len() >= BYTES {
            std::mem::take(&mut batch).send(engine, &documents, &mut appended).await?;
        }
    }
    batch.send(engine, &documents, &mut appended).await?;
    Ok(appended.into_iter().flatten().collect())
}

/// Ids that the data streams hold, by data stream.
async fn held(
    engine: &Engine,
    documents: &[Incoming],
) -> Result<HashMap<String, HashSet<String>>, StoreError> {
    let mut asked = BTreeMap::<String, Vec<String>>::new();
    for Incoming { stream, namespace, id, .. } in documents {
        if let Some(id) = id {
            asked.entry(lookup::data_stream(*stream, namespace)).or_default().push(id.clone());
        }
    }
    let mut held = HashMap::new();
    for (name, ids) in asked {
        let indices = lookup::backing(engine, &name).await?;
        held.insert(name, lookup::held(engine, &indices, &ids).await?);
    }
    Ok(held)
}

#[derive(Default)]
struct Batch {
    /// Of its documents among all.
    places: Vec<usize>,
    lines: Vec<u8>,
}

impl Batch {
    fn push(&mut self, place: usize, data_stream: &str, document: &Incoming) {
        let mut target = json!({ "_index": data_stream });
        if let (Some(target), Some(id)) = (target.as_object_mut(), &document.id) {
            target.insert("_id".to_owned(), json!(id));
        }
        self.lines.extend_from_slice(json!({ "create": target }).to_string().as_bytes());
        self.lines.push(b'\n');
        // A document is one line whatever white space it came with: between its tokens a blank stands for the end of a line.
        self.lines.extend(
            document.source.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }),
        );
        self.lines.push(b'\n');
        self.places.push(place);
    }

    async fn send(
        self,
        engine: &Engine,
        documents: &[Incoming],
        appended: &mut [Option<Appended>],
    ) -> Result<(), StoreError> {
        if self.places.is_empty() {
            return Ok(());
        }
        let reply = engine.post_lines("/_bulk?refresh=true", &self.lines).await?;
        if reply.status == 429 {
            return Err(StoreError::Busy);
        }
        let Reply { body, .. } = reply.or_refused("take documents")?;
        let items = list(&body, "/items");
        if items.len() != self.places.len() {
            return Err(hits::malformed(&body));
        }
        for (place, item) in self.places.into_iter().zip(items) {
            let given = documents.get(place).and_then(|document| document.id.as_deref());
            let one = outcome(item.get("create").unwrap_or(item), given);
            if let (Some(slot), one) = (appended.get_mut(place), one) {
                *slot = Some(one);
            }
        }
        Ok(())
    }
}

/// What became of a document.
fn outcome(item: &Value, given: Option<&str>) -> Appended {
    let id = item.get("_id").and_then(Value::as_str).or(given).unwrap_or_default().to_owned();
    let error = item.get("error").unwrap_or(&Value::Null);
    let outcome = match item.get("status").and_then(Value::as_u64) {
        Some(200..300) => Outcome::Created { arrival: arrival(item) },
        Some(409) => Outcome::Exists,
        Some(400 | 413) => Outcome::Refused(Refusal {
            kind: kind(error),
            reason: text(error, "/reason"),
            cause: error.get("caused_by").map(|cause| (kind(cause), text(cause, "/reason"))),
        }),
        status => {
            let reason = format!("{} (HTTP {})", text(error, "/reason"), status.unwrap_or_default());
            Outcome::Failed { is_full: reason.contains("flood-stage"), reason }
        }
    };
    Appended { id, outcome }
}

/// Rises within a data stream: the number of its index, then that within the index.
fn arrival(item: &Value) -> u64 {
    let index = item.get("_index").and_then(Value::as_str).unwrap_or_default();
    let generation: u64 = index.rsplit('-').next().and_then(|number| number.parse().ok()).unwrap_or_default();
    let number = item.get("_seq_no").and_then(Value::as_u64).unwrap_or_default();
    (generation << 40).saturating_add(number + 1)
}

fn text(value: &Value, place: &str) -> String {
    let text = value.pointer(place).and_then(Value::as_str).unwrap_or("no reason was given");
    text.chars().filter(|character| !character.is_control()).take(400).collect()
}

/// The server's word for it, of those that documents are refused with.
fn kind(error: &Value) -> &'static str {
    const KINDS: [&str; 6] = [
        "document_parsing_exception",
        "mapper_parsing_exception",
        "strict_dynamic_mapping_exception",
        "x_content_parse_exception",
        "json_parse_exception",
        "number_format_exception",
    ];
    let said = error.get("type").and_then(Value::as_str).unwrap_or_default();
    KINDS.into_iter().find(|kind| *kind == said).unwrap_or("illegal_argument_exception")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(item: &Value) -> Outcome {
        outcome(item, Some("a")).outcome
    }

    #[test]
    fn each_status_is_what_it_is_for_the_store() {
        let created =
            json!({ "_index": ".ds-logs-namewarden.alert-default-000002", "_seq_no": 4, "status": 201 });
        assert_eq!(of(&created), Outcome::Created { arrival: (2 << 40) + 5 });
        assert_eq!(of(&json!({ "status": 409 })), Outcome::Exists);
        let refused = json!({ "status": 400, "error": { "type": "mapper_parsing_exception", "reason": "failed",
            "caused_by": { "type": "odd", "reason": "why" } } });
        let Outcome::Refused(refusal) = of(&refused) else { panic!() };
        assert_eq!((refusal.kind, refusal.cause.unwrap().1.as_str()), ("mapper_parsing_exception", "why"));
        let full =
            json!({ "status": 429, "error": { "reason": "disk usage exceeded flood-stage watermark" } });
        assert!(matches!(of(&full), Outcome::Failed { is_full: true, .. }));
        let forbidden = json!({ "status": 403, "error": { "reason": "action is unauthorized" } });
        assert!(matches!(of(&forbidden), Outcome::Failed { is_full: false, .. }));
        assert!(matches!(of(&json!({})), Outcome::Failed { .. }));
    }

    #[test]
    fn a_document_with_line_ends_is_one_line() {
        let mut batch = Batch::default();
        let document = Incoming {
            stream: crate::store::Stream::Logs,
            namespace: "default".to_owned(),
            id: None,
            source: "{\n\"a\":\r\n1}".into(),
        };
        batch.push(0, "s", &document);
        assert_eq!(batch.lines, b"{\"create\":{\"_index\":\"s\"}}\n{ \"a\":  1}\n");
    }
}
