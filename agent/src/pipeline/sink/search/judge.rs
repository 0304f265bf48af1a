//! What a server answered -> what becomes of each document. Status, body and number of documents come in, a verdict goes
//! out; nothing is assumed of a server that does not say it.

use serde::Deserialize;
use serde_json::Value;

use crate::pipeline::sink::spool::Fate;

/// Characters of a server's words that are shown.
const SAID_MAX: usize = 300;

/// Errors with status 400 that speak of the index or the cluster: the document is sent again.
const NOT_OF_THE_DOCUMENT: [&str; 4] = [
    "validation_exception",
    "index_closed_exception",
    "invalid_index_name_exception",
    "invalid_alias_name_exception",
];

/// What makes a whole request invalid and may be one document's fault: an `_id` that is too long.
const INVALID: &str = "action_request_validation_exception";

/// What an answer means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// For each document of the request, in order.
    Items(Vec<Outcome>),
    /// The request is too large, or a document in it makes the whole of it invalid: its halves may be taken.
    Divide {
        /// Status of the answer.
        status: u16,
        /// Why, where it holds one document only.
        reason: String,
    },
    /// The server took none of it, and says so.
    Nothing {
        /// Why, in one sentence.
        why: String,
    },
    /// The server may have taken any part of it.
    Unknown {
        /// Why, in one sentence.
        why: String,
    },
}

/// What became of one document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The server has it.
    Settled(Fate),
    /// The server will never take it.
    Refused {
        /// Status of the item.
        status: u16,
        /// The server's reason.
        reason: String,
    },
    /// It is to be sent again.
    Again {
        /// The server may have it nevertheless.
        uncertain: bool,
        /// The server's reason.
        reason: String,
    },
}

#[derive(Deserialize)]
struct Reply {
    items: Vec<ItemReply>,
}

#[derive(Deserialize)]
struct ItemReply {
    create: Done,
}

#[derive(Deserialize)]
struct Done {
    status: u16,
    #[serde(default)]
    error: Value,
}

/// Judges the answer to a `_bulk` request of so many documents.
pub fn judge(status: u16, body: &[u8], documents: usize) -> Verdict {
    match status {
        200 => items(body, documents),
        413 => Verdict::Divide { status, reason: "the document is larger than the server takes".to_owned() },
        400 if kind_of(body) == INVALID => Verdict::Divide { status, reason: said(body) },
        401 | 403 => Verdict::Nothing { why: denied(status, body) },
        429 => Verdict::Nothing { why: format!("it has too much to do (429{})", said(body)) },
        300..=399 => {
            Verdict::Nothing { why: format!("it answered {status}, a redirect; give the URL it leads to") }
        }
        400..=499 => Verdict::Nothing { why: format!("it refuses the request ({status}{})", said(body)) },
        _ => Verdict::Unknown { why: format!("it answered {status}{}", said(body)) },
    }
}

/// That the server does not let this agent do what it must.
pub fn denied(status: u16, body: &[u8]) -> String {
    format!(
        "it refuses this agent ({status}{}); give a user, API key or token whose role may create documents there",
        said(body)
    )
}

/// The reason in a server's answer, or its first words.
pub fn said(body: &[u8]) -> String {
    let parsed = serde_json::from_slice::<Value>(body).ok();
    let reason = parsed.as_ref().and_then(|answer| answer.get("error")).map(reason);
    let text =
        reason.unwrap_or_else(|| String::from_utf8_lossy(body.get(..SAID_MAX).unwrap_or(body)).into_owned());
    if text.trim().is_empty() { String::new() } else { format!(": {}", bounded(&text)) }
}

/// Type of the error in a server's answer.
fn kind_of(body: &[u8]) -> String {
    let parsed = serde_json::from_slice::<Value>(body).unwrap_or_default();
    parsed.pointer("/error/type").and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn items(body: &[u8], documents: usize) -> Verdict {
    match serde_json::from_slice::<Reply>(body) {
        Ok(reply) if reply.items.len() == documents => {
            Verdict::Items(reply.items.into_iter().map(|item| outcome(&item.create)).collect())
        }
        Ok(reply) => Verdict::Unknown {
            why: format!("it answered for {} documents of {documents}", reply.items.len()),
        },
        Err(_) => Verdict::Unknown { why: format!("what answers there is no search engine{}", said(body)) },
    }
}

fn outcome(done: &Done) -> Outcome {
    let kind = done.error.get("type").and_then(Value::as_str).unwrap_or_default();
    let of_the_index = NOT_OF_THE_DOCUMENT.contains(&kind);
    match done.status {
        200..=299 => Outcome::Settled(Fate::Acknowledged),
        409 => Outcome::Settled(Fate::Conflict),
        401 | 403 | 404 | 408 | 429 => Outcome::Again { uncertain: false, reason: item_reason(done) },
        400 if of_the_index => Outcome::Again { uncertain: false, reason: item_reason(done) },
        400..=499 => Outcome::Refused { status: done.status, reason: reason(&done.error) },
        _ => Outcome::Again { uncertain: true, reason: item_reason(done) },
    }
}

fn item_reason(done: &Done) -> String {
    format!("{}: {}", done.status, reason(&done.error))
}

/// `type: reason: reason of its cause`.
fn reason(error: &Value) -> String {
    let mut parts = Vec::new();
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(bounded);
    parts.extend(text(error, "type"));
    parts.extend(text(error, "reason"));
    parts.extend(error.get("caused_by").and_then(|cause| text(cause, "reason")));
    parts.extend(error.as_str().map(bounded));
    bounded(&parts.join(": "))
}

/// What others say is cut, and cannot reach a terminal.
fn bounded(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SAID_MAX).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn one(item: &str) -> Outcome {
        let body = format!("{{\"errors\":true,\"items\":[{{\"create\":{item}}}]}}");
        match judge(200, body.as_bytes(), 1) {
            Verdict::Items(mut outcomes) => outcomes.remove(0),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_was_created_or_was_there_is_settled() {
        assert_eq!(one(r#"{"status":201}"#), Outcome::Settled(Fate::Acknowledged));
        let there = r#"{"status":409,"error":{"type":"version_conflict_engine_exception"}}"#;
        assert_eq!(one(there), Outcome::Settled(Fate::Conflict));
    }

    #[test]
    fn a_document_that_cannot_be_read_is_refused_with_the_reason() {
        let item = r#"{"status":400,"error":{"type":"document_parsing_exception","reason":"failed to parse",
            "caused_by":{"type":"x","reason":"not an IP"}}}"#;
        let reason = "document_parsing_exception: failed to parse: not an IP".to_owned();
        assert_eq!(one(item), Outcome::Refused { status: 400, reason });
    }

    #[test]
    fn an_index_that_takes_nothing_at_the_moment_costs_no_document() {
        for (item, expected) in [
            (r#"{"status":429,"error":{"type":"es_rejected_execution_exception"}}"#, false),
            (r#"{"status":403,"error":{"type":"cluster_block_exception"}}"#, false),
            (r#"{"status":404,"error":{"type":"index_not_found_exception"}}"#, false),
            (r#"{"status":400,"error":{"type":"validation_exception"}}"#, false),
            (r#"{"status":503,"error":{"type":"unavailable_shards_exception"}}"#, true),
            (r#"{"status":500}"#, true),
        ] {
            let Outcome::Again { uncertain, .. } = one(item) else { panic!("{item}") };
            assert_eq!(uncertain, expected, "{item}");
        }
    }

    #[test]
    fn answers_to_the_whole_request_say_whether_anything_was_taken() {
        let invalid = br#"{"error":{"type":"action_request_validation_exception"}}"#;
        for (status, body) in [(413, &b""[..]), (400, invalid)] {
            assert!(matches!(judge(status, body, 3), Verdict::Divide { .. }), "{status}");
        }
        for status in [301, 400, 401, 403, 404, 429] {
            assert!(matches!(judge(status, b"", 3), Verdict::Nothing { .. }), "{status}");
        }
        for status in [204, 500, 502, 503, 504] {
            assert!(matches!(judge(status, b"", 3), Verdict::Unknown { .. }), "{status}");
        }
    }

    #[test]
    fn an_answer_for_another_number_of_documents_is_not_believed() {
        let body = br#"{"errors":false,"items":[{"create":{"status":201}}]}"#;
        assert!(matches!(judge(200, body, 2), Verdict::Unknown { .. }));
        assert!(matches!(judge(200, b"<html>login</html>", 1), Verdict::Unknown { .. }));
    }

    #[test]
    fn the_words_of_a_server_are_short_and_plain() {
        let Verdict::Unknown { why } = judge(502, format!("\u{1b}[2J{}", "x".repeat(9000)).as_bytes(), 1)
        else {
            panic!("502")
        };
        assert!(why.len() < 400 && !why.contains('\u{1b}'), "{why:?}");
    }

    proptest! {
        #[test]
        fn any_answer_is_judged(status in 100u16..600, body in prop::collection::vec(any::<u8>(), 0..200)) {
            let verdict = judge(status, &body, 2);
            let all = matches!(&verdict, Verdict::Items(outcomes) if outcomes.len() == 2);
            prop_assert!(all || !matches!(verdict, Verdict::Items(_)));
        }
    }
}
