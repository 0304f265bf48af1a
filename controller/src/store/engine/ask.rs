//! One search, and what an answer must be to be believed: of every shard, in time.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::search::engine::{Engine, EngineError, Reply};
use crate::store::StoreError;

/// What a search may take.
const SECONDS: u64 = 30;
/// How long it is asked again.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(100);
/// Names that are not there are no mistake; what a shard that is away holds must not be missing unsaid.
const OPTIONS: &str = "ignore_unavailable=true&allow_no_indices=true&allow_partial_search_results=false";

/// Asks for documents or counts of these indices; what the answer holds.
pub async fn search(engine: &Engine, indices: &str, body: Value) -> Result<Value, StoreError> {
    search_with(engine, indices, "", body).await
}

/// The same with further parameters (`&name=value`).
pub async fn search_with(
    engine: &Engine,
    indices: &str,
    parameters: &str,
    body: Value,
) -> Result<Value, StoreError> {
    believed(once(engine, indices, parameters, body).await?)
}

/// Asks for `size` documents, or for fewer where so many are more than an answer may hold; what it holds, and how many were
/// asked for.
pub async fn documents(
    engine: &Engine,
    indices: &str,
    parameters: &str,
    mut size: usize,
    mut body: Value,
) -> Result<(Value, usize), StoreError> {
    loop {
        if let Some(members) = body.as_object_mut() {
            members.insert("size".to_owned(), json!(size));
        }
        match once(engine, indices, parameters, body.clone()).await {
            Err(EngineError::TooLong { .. }) if size > 1 => size = size.div_ceil(2).min(size - 1),
            reply => return Ok((believed(reply?)?, size)),
        }
    }
}

async fn once(
    engine: &Engine,
    indices: &str,
    parameters: &str,
    mut body: Value,
) -> Result<Reply, EngineError> {
    if let Some(members) = body.as_object_mut() {
        members.insert("timeout".to_owned(), json!(format!("{SECONDS}s")));
        members.insert("track_total_hits".to_owned(), json!(false));
    }
    patiently(engine, &format!("/{indices}/_search?{OPTIONS}{parameters}"), &body).await
}

/// What an answer in time, of every shard, holds.
fn believed(reply: Reply) -> Result<Value, StoreError> {
    if is_late(&reply) {
        return Err(StoreError::TooSlow { seconds: SECONDS });
    }
    let what = "search documents";
    if reply.is_success() && is_in_part(&reply) {
        let reason = "some of its shards do not answer".to_owned();
        return Err(EngineError::Refused { what: what.to_owned(), status: reply.status, reason }.into());
    }
    Ok(reply.or_refused(what)?.body)
}

/// Asks again for a while where a shard is not ready: that of an index that was made a moment ago, as at a rollover.
async fn patiently(engine: &Engine, path: &str, body: &Value) -> Result<Reply, EngineError> {
    let is_not_ready = |reply: &Result<Reply, EngineError>| match reply {
        Ok(reply) => is_in_part(reply),
        Err(error) => matches!(error, EngineError::Away { is_up: true, .. }),
    };
    again_while(is_not_ready, || engine.post(path, body)).await
}

/// Fewer shards answered than there are: one without an active copy is not counted as failed.
fn is_in_part(reply: &Reply) -> bool {
    let shards = |what: &str| reply.body.pointer(&format!("/_shards/{what}")).and_then(Value::as_u64);
    shards("total").zip(shards("successful")).is_some_and(|(total, successful)| successful < total)
}

/// Asks once, and for [`PATIENCE`] again as long as the answer says that something is not ready; the last answer.
pub async fn again_while<F>(
    is_not_ready: impl Fn(&Result<Reply, EngineError>) -> bool,
    ask: impl Fn() -> F,
) -> Result<Reply, EngineError>
where
    F: Future<Output = Result<Reply, EngineError>>,
{
    let began = Instant::now();
    loop {
        let reply = ask().await;
        if !is_not_ready(&reply) || began.elapsed() > PATIENCE {
            return reply;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn is_late(reply: &Reply) -> bool {
    let error = || reply.body.get("error").map(Value::to_string).unwrap_or_default().to_lowercase();
    reply.body.get("timed_out") == Some(&json!(true))
        || (!reply.is_success()
            && ["time exceeded", "search_timeout_exception"].iter().any(|late| error().contains(late)))
}

/// What an answer holds, where no shard of it failed.
pub fn whole(reply: Reply) -> Result<Value, StoreError> {
    let failed = reply.body.pointer("/_shards/failed").and_then(Value::as_u64).unwrap_or(0);
    if failed == 0 {
        return Ok(reply.body);
    }
    let reason = format!("{failed} of its shards do not answer");
    Err(EngineError::Refused { what: "search all documents".to_owned(), status: reply.status, reason }.into())
}

/// The list at a place of an answer; empty where there is none.
pub fn list<'a>(answer: &'a Value, place: &str) -> &'a [Value] {
    answer.pointer(place).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(status: u16, body: Value) -> Reply {
        Reply { status, body, is_elasticsearch: true }
    }

    #[test]
    fn an_answer_of_some_shards_is_an_error() {
        let of = |failed: u64| whole(reply(200, json!({ "_shards": { "failed": failed }, "hits": {} })));
        assert!(of(0).is_ok());
        assert!(of(2).unwrap_err().to_string().contains("2 of its shards do not answer"));
        let of = |successful: u64| {
            believed(reply(200, json!({ "_shards": { "total": 3, "successful": successful, "failed": 0 } })))
        };
        assert!(of(3).is_ok());
        assert!(of(2).unwrap_err().to_string().contains("some of its shards do not answer"));
        assert!(!is_in_part(&reply(503, json!({}))));
    }

    #[test]
    fn a_search_that_takes_too_long_is_told_in_each_form() {
        assert!(is_late(&reply(200, json!({ "timed_out": true }))));
        assert!(is_late(&reply(429, json!({ "error": { "reason": "Time exceeded" } }))));
        assert!(!is_late(&reply(200, json!({ "timed_out": false, "hits": [] }))));
        assert!(!is_late(&reply(429, json!({ "error": { "reason": "rejected execution" } }))));
    }
}
