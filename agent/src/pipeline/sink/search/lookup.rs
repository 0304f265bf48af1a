//! Which documents does a data stream hold? Asked of its backing indices one by one, each by its own name: a get is
//! answered from what was written a moment ago, where a search lags behind; and a document that was written before the
//! stream rolled over is found, where creating it again would not collide. Nothing here asks; it says what to ask, and
//! reads the answers.

use std::collections::HashSet;

use serde::Deserialize;
use serde_json::{Value, json};

use super::judge::said;

/// Ids in one question.
pub const IDS_MAX: usize = 2_000;

/// What stands behind a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolved {
    /// A data stream with these backing indices, the newest first.
    Stream(Vec<String>),
    /// An index or alias, where no data stream can be any more.
    Index,
    /// Nothing yet.
    Nothing,
}

#[derive(Deserialize)]
struct Resolution {
    #[serde(default)]
    indices: Vec<Value>,
    #[serde(default)]
    aliases: Vec<Value>,
    #[serde(default)]
    data_streams: Vec<Stream>,
}

#[derive(Deserialize)]
struct Stream {
    backing_indices: Vec<String>,
}

/// Reads the answer to `GET /_resolve/index/NAME`; the error is the server's reason.
pub fn resolved(status: u16, body: &[u8]) -> Result<Resolved, String> {
    if status == 404 {
        return Ok(Resolved::Nothing);
    }
    let answer = serde_json::from_slice::<Resolution>(body).ok().filter(|_| status == 200);
    let Some(answer) = answer else {
        return Err(format!("it does not say what indices there are ({status}{})", said(body)));
    };
    if let Some(stream) = answer.data_streams.into_iter().next() {
        let mut indices = stream.backing_indices;
        indices.reverse();
        return Ok(Resolved::Stream(indices));
    }
    let none = answer.indices.is_empty() && answer.aliases.is_empty();
    Ok(if none { Resolved::Nothing } else { Resolved::Index })
}

/// Body of `POST /INDEX/_mget`.
pub fn question(ids: &[String]) -> Vec<u8> {
    json!({ "ids": ids }).to_string().into_bytes()
}

#[derive(Deserialize)]
struct Answer {
    docs: Vec<Told>,
}

#[derive(Deserialize)]
struct Told {
    #[serde(rename = "_id")]
    id: String,
    found: Option<bool>,
    #[serde(default)]
    error: Value,
}

/// Those of the ids that the index holds; an index that has gone holds none. The error is the server's reason.
pub fn held(status: u16, body: &[u8]) -> Result<HashSet<String>, String> {
    if status == 404 {
        return Ok(HashSet::new());
    }
    let answer = serde_json::from_slice::<Answer>(body).ok().filter(|_| status == 200);
    let Some(answer) = answer else {
        return Err(format!("it does not say which documents it has ({status}{})", said(body)));
    };
    let mut held = HashSet::new();
    for document in answer.docs {
        let gone = document.error.pointer("/type") == Some(&json!("index_not_found_exception"));
        match document.found {
            Some(true) => _ = held.insert(document.id),
            Some(false) => (),
            None if gone => (),
            // A shard that is not there may hold it.
            None => return Err(format!("it cannot say which documents it has{}", said(body))),
        }
    }
    Ok(held)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backing_indices_come_newest_first() {
        let body = br#"{"indices":[],"aliases":[],"data_streams":[{"name":"s","backing_indices":["a","b"],
            "timestamp_field":"@timestamp"}]}"#;
        assert_eq!(resolved(200, body).unwrap(), Resolved::Stream(vec!["b".into(), "a".into()]));
    }

    #[test]
    fn a_name_without_a_stream_is_nothing_or_an_index() {
        let empty = br#"{"indices":[],"aliases":[],"data_streams":[]}"#;
        assert_eq!(resolved(200, empty).unwrap(), Resolved::Nothing);
        assert_eq!(resolved(404, b"{}").unwrap(), Resolved::Nothing);
        assert_eq!(resolved(200, br#"{"indices":[{"name":"s"}]}"#).unwrap(), Resolved::Index);
        assert!(resolved(200, b"<html>").is_err());
        assert!(resolved(503, empty).is_err());
    }

    #[test]
    fn what_is_held_is_told_from_what_is_not() {
        let body = br#"{"docs":[{"_id":"1","found":true},{"_id":"2","found":false}]}"#;
        assert_eq!(held(200, body).unwrap(), HashSet::from(["1".to_owned()]));
    }

    #[test]
    fn an_index_that_has_gone_holds_nothing_and_a_shard_that_is_away_is_not_believed() {
        let gone = br#"{"docs":[{"_id":"1","error":{"type":"index_not_found_exception"}}]}"#;
        assert!(held(200, gone).unwrap().is_empty());
        assert!(held(404, b"{}").unwrap().is_empty());
        let away = br#"{"docs":[{"_id":"1","error":{"type":"no_shard_available_action_exception"}}]}"#;
        assert!(held(200, away).is_err());
        assert!(held(503, b"").is_err());
    }
}
