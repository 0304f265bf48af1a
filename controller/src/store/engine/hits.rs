//! Documents as a search gives them -> hits, with what is said of their groups.

use std::collections::BTreeSet;

use bytes::Bytes;
use namewarden_protocol::document::Time;
use serde_json::{Value, json};

use super::{annotations, ask::list};
use crate::search::engine::{Engine, EngineError};
use crate::store::{Hit, StoreError, Stream};

/// What of a document is asked for beside its source.
pub fn fields() -> Value {
    json!([
        { "field": "@timestamp", "format": "strict_date_optional_time_nanos" },
        { "field": "namewarden.group" },
    ])
}

/// Reads the documents of an answer that was asked with [`fields`].
pub async fn read(
    engine: &Engine,
    stream: Stream,
    cluster: &str,
    answer: &Value,
) -> Result<Vec<Hit>, StoreError> {
    let found = list(answer, "/hits/hits");
    let groups: BTreeSet<_> = match stream {
        Stream::Alerts => found.iter().filter_map(group).collect(),
        Stream::Logs => BTreeSet::new(),
    };
    let said = annotations::of(engine, cluster, &groups).await?;
    found
        .iter()
        .map(|one| {
            let mut hit = hit(one, stream).ok_or_else(|| malformed(one))?;
            hit.annotation = group(one).and_then(|group| said.get(group).cloned());
            Ok(hit)
        })
        .collect()
}

fn group(found: &Value) -> Option<&str> {
    found.get("fields")?.get("namewarden.group")?.get(0)?.as_str()
}

/// A document without what is said of its group.
pub fn hit(found: &Value, stream: Stream) -> Option<Hit> {
    let time = found.get("fields")?.get("@timestamp")?.get(0)?;
    Some(Hit {
        id: found.get("_id")?.as_str()?.to_owned(),
        namespace: namespace(found.get("_index")?.as_str()?, stream).to_owned(),
        time: serde_json::from_value::<Time>(time.clone()).ok()?,
        source: Bytes::from(found.get("_source")?.to_string()),
        annotation: None,
    })
}

/// An answer that is none.
pub fn malformed(found: &Value) -> StoreError {
    let reason: String = found.to_string().chars().take(200).collect();
    EngineError::Refused { what: "answer as documents are answered".to_owned(), status: 200, reason }.into()
}

/// `.ds-logs-namewarden.alert-default-2026.11.28-000001` -> `default`.
fn namespace(index: &str, stream: Stream) -> &str {
    let prefix = format!("logs-{}-", stream.dataset());
    let Some((_, rest)) = index.split_once(&prefix) else { return index };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    match rest.rsplit_once('-') {
        Some((rest, generation)) if digits(generation) => match rest.rsplit_once('-') {
            Some((namespace, date)) if date.len() == 10 && digits(date) => namespace,
            _ => rest,
        },
        _ => rest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_namespace_stands_in_the_index() {
        for (index, expected) in [
            (".ds-logs-namewarden.alert-default-2026.11.28-000001", "default"),
            (".ds-logs-namewarden.alert-default-000012", "default"),
            (".ds-logs-namewarden.alert-a-b-000001", "a-b"),
            ("restored-.ds-logs-namewarden.alert-default-2026.11.28-1000001", "default"),
            ("logs-namewarden.alert-plain", "plain"),
            ("other", "other"),
        ] {
            assert_eq!(namespace(index, Stream::Alerts), expected, "{index}");
        }
    }

    #[test]
    fn what_is_no_document_is_not_taken_for_one() {
        for found in [json!({}), json!({ "_id": "a", "_index": "i", "_source": {}, "fields": {} }), json!(7)]
        {
            assert!(hit(&found, Stream::Alerts).is_none(), "{found}");
        }
    }
}
