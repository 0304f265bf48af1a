//! What became of an item, in Elasticsearch's words.

use serde_json::{Map, Value, json};

use super::{
    actions::{Item, Operation},
    target::{self, Unknown},
};
use crate::{
    store::{Appended, Outcome, Refusal},
    web::push::answer::PRIMARY_TERM,
};

/// The answer for a document that the store was asked to keep.
pub fn appended(stream: &str, appended: &Appended) -> Value {
    let Appended { id, outcome } = appended;
    let index = target::backing(stream);
    let item = match outcome {
        Outcome::Created { arrival } => json!({
            "_index": index,
            "_id": id,
            "_version": 1,
            "result": "created",
            "_shards": { "total": 1, "successful": 1, "failed": 0 },
            "_seq_no": arrival,
            "_primary_term": PRIMARY_TERM,
            "status": 201,
        }),
        Outcome::Exists => failed(
            &index,
            id,
            409,
            json!({
                "type": "version_conflict_engine_exception",
                "reason": format!("[{id}]: version conflict, document already exists (current version [1])"),
                "index_uuid": "_na_",
                "shard": "0",
                "index": index,
            }),
        ),
        Outcome::Refused(refusal) => failed(&index, id, 400, refused(refusal)),
        Outcome::Failed { is_full: true, reason } => failed(
            &index,
            id,
            429,
            json!({
                "type": "cluster_block_exception",
                "reason": format!("index [{stream}] blocked by: the store's disk is full ({reason})"),
            }),
        ),
        Outcome::Failed { is_full: false, reason } => {
            failed(&index, id, 503, json!({ "type": "unavailable_shards_exception", "reason": reason }))
        }
    };
    named(Operation::Create, item)
}

/// The answer for an operation that data streams do not have.
pub fn only_create(item: &Item) -> Value {
    let error = json!({
        "type": "illegal_argument_exception",
        "reason": "only write ops with an op_type of create are allowed in data streams",
    });
    named(item.operation, failed(&item.index, item.id.as_deref().unwrap_or_default(), 400, error))
}

/// The answer for an index that is not here.
pub fn unknown(item: &Item, unknown: &Unknown) -> Value {
    let name: String = item.index.chars().take(300).collect();
    let (status, kind, reason) = match unknown {
        Unknown::Foreign => (
            404,
            "index_not_found_exception",
            format!(
                "no such index [{name}]; only logs-namewarden.alert-<namespace> and logs-namewarden.dns-<namespace> are here"
            ),
        ),
        Unknown::Namespace => (
            400,
            "invalid_index_name_exception",
            format!(
                "Invalid index name [{name}], its namespace must be of lower-case letters, digits, '_' and '.'"
            ),
        ),
    };
    let error = json!({ "type": kind, "reason": reason, "index_uuid": "_na_", "index": name });
    named(item.operation, failed(&name, item.id.as_deref().unwrap_or_default(), status, error))
}

/// Whether an answer says that something went wrong.
pub fn is_error(answer: &Value) -> bool {
    answer
        .as_object()
        .and_then(|answer| answer.values().next())
        .is_some_and(|item| item.get("error").is_some())
}

fn refused(refusal: &Refusal) -> Value {
    let mut error = json!({ "type": refusal.kind, "reason": refusal.reason });
    if let (Some((kind, reason)), Value::Object(error)) = (&refusal.cause, &mut error) {
        error.insert("caused_by".to_owned(), json!({ "type": kind, "reason": reason }));
    }
    error
}

fn failed(index: &str, id: &str, status: u16, error: Value) -> Value {
    let mut item = json!({ "_index": index, "_id": id, "status": status });
    if let Value::Object(item) = &mut item {
        item.insert("error".to_owned(), error);
    }
    item
}

fn named(operation: Operation, item: Value) -> Value {
    Value::Object(Map::from_iter([(operation.name().to_owned(), item)]))
}
