//! Which documents a data stream holds: asked of its backing indices by their own names, for a get is answered from what was written
//! a moment ago, and an index that the stream wrote to earlier still has what it took.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::ask::{again_while, list};
use crate::search::engine::{Engine, EngineError, Reply, urlencoded};
use crate::store::{StoreError, Stream};

/// Ids of one question.
const IDS: usize = 1000;

/// Name of a data stream.
pub fn data_stream(stream: Stream, namespace: &str) -> String {
    format!("logs-{}-{namespace}", stream.dataset())
}

/// Its backing indices, the oldest first; none where there is no such data stream.
pub async fn backing(engine: &Engine, data_stream: &str) -> Result<Vec<String>, StoreError> {
    if !is_name(data_stream) {
        return Ok(Vec::new());
    }
    let reply = engine.get(&format!("/_resolve/index/{}", urlencoded(data_stream))).await?;
    if reply.status == 404 {
        return Ok(Vec::new());
    }
    let reply = reply.or_refused("say what a data stream is made of")?;
    let streams = list(&reply.body, "/data_streams");
    let indices = streams.iter().flat_map(|stream| list(stream, "/backing_indices"));
    Ok(indices.filter_map(|index| index.as_str().map(str::to_owned)).collect())
}

/// Whether a data stream can have it: what the server would take for several names, or refuse, is none.
fn is_name(name: &str) -> bool {
    let is_special = |character: char| character.is_whitespace() || r#"\/*?"<>|,#:"#.contains(character);
    name.len() <= 255 && !name.contains(is_special) && name.to_lowercase() == name
}

/// Those of the ids that these indices hold.
pub async fn held(
    engine: &Engine,
    indices: &[String],
    ids: &[String],
) -> Result<HashSet<String>, StoreError> {
    let mut held = HashSet::new();
    for index in indices {
        for ids in ids.chunks(IDS) {
            let path = format!("/{}/_mget?_source=false", urlencoded(index));
            let reply = told(engine, &path, &json!({ "ids": ids })).await?;
            if reply.status == 404 {
                continue;
            }
            let reply = reply.or_refused("say which documents it has")?;
            for told in list(&reply.body, "/docs") {
                if is_there(told)? {
                    held.extend(told.get("_id").and_then(Value::as_str).map(str::to_owned));
                }
            }
        }
    }
    Ok(held)
}

/// Asks again for a while where a shard is not ready: that of an index that was made a moment ago.
async fn told(engine: &Engine, path: &str, ids: &Value) -> Result<Reply, EngineError> {
    let is_away = |reply: &Result<Reply, EngineError>| {
        let docs = reply.as_ref().map(|reply| list(&reply.body, "/docs")).unwrap_or_default();
        docs.iter().any(|told| is_there(told).is_err())
    };
    again_while(is_away, || engine.post(path, ids)).await
}

/// An index that has gone holds nothing; a shard that is away may.
fn is_there(told: &Value) -> Result<bool, StoreError> {
    match told.get("found").and_then(Value::as_bool) {
        Some(found) => Ok(found),
        None if told.pointer("/error/type") == Some(&json!("index_not_found_exception")) => Ok(false),
        None => {
            let reason = told.to_string().chars().take(200).collect();
            let what = "say which documents it has".to_owned();
            Err(EngineError::Refused { what, status: 200, reason }.into())
        }
    }
}

/// Which of the ids a data stream holds, in order.
pub async fn holds(
    engine: &Engine,
    stream: Stream,
    namespace: String,
    ids: Vec<String>,
) -> Result<Vec<bool>, StoreError> {
    let indices = backing(engine, &data_stream(stream, &namespace)).await?;
    let held = held(engine, &indices, &ids).await?;
    Ok(ids.iter().map(|id| held.contains(id)).collect())
}

#[cfg(test)]
mod tests {
    use namewarden_protocol::search_engine::Settings;

    use super::*;

    #[tokio::test]
    async fn a_namespace_that_none_can_have_is_no_path_or_pattern_and_holds_nothing() {
        for odd in ["a/b", "a?b", "*", "a,b", "a b", "A", "a#b", "<a>", "a:b", &"a".repeat(250)] {
            assert!(!is_name(&data_stream(Stream::Logs, odd)), "{odd}");
        }
        for good in ["default", "a.b_c-1", "%2a", "\u{e9}"] {
            assert!(is_name(&data_stream(Stream::Logs, good)), "{good}");
        }
        // Nobody is asked: nobody is there.
        let nobody = vec!["http://127.0.0.1:9/".parse().unwrap()];
        let engine = Engine::new(nobody, &Settings::default()).unwrap();
        assert_eq!(backing(&engine, "logs-x-*").await, Ok(Vec::new()));
        assert!(backing(&engine, "logs-x-y").await.is_err());
    }

    #[test]
    fn a_shard_that_is_away_is_not_taken_for_an_empty_one() {
        assert_eq!(is_there(&json!({ "found": true })), Ok(true));
        assert_eq!(is_there(&json!({ "error": { "type": "index_not_found_exception" } })), Ok(false));
        assert!(is_there(&json!({ "error": { "type": "no_shard_available_action_exception" } })).is_err());
        assert!(is_there(&json!({})).is_err());
    }
}
