//! How long documents are kept: index lifecycle management (ILM) of Elasticsearch, index state management (ISM) of OpenSearch, or
//! where Elasticsearch has no ILM the data stream's own retention.
//!
//! A policy is written when it is missing, or says other days than asked for. What a person changed in it otherwise stays.

use serde_json::{Value, json};

use super::engine::{Engine, EngineError, Product, Reply};
use super::step::{Outcome, Step};
use super::template::Lane;

/// Rises when the policies change.
const VERSION: u32 = 1;
/// An index is closed to writing at this size at the latest.
const ROLL_OVER_SIZE: &str = "20gb";

/// What sees to it that documents go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifecycle {
    /// Indices name this policy.
    Ilm,
    /// Policies name their indices.
    Ism,
    /// Data streams say it themselves.
    DataStream,
}

/// Makes the policy of a kind of documents, by what the server has.
///
/// # Errors
///
/// No answer, or a refusal.
pub async fn install(
    engine: &Engine,
    product: Product,
    lane: Lane,
    days: u16,
) -> Result<(Lifecycle, Step), EngineError> {
    match product {
        Product::Elasticsearch => ilm(engine, lane, days).await,
        Product::OpenSearch => ism(engine, lane, days).await,
    }
}

/// By which a policy of ours is known, and whether it says what it should.
fn mark(days: u16) -> String {
    format!("Namewarden keeps these documents for {days} days (policy {VERSION})")
}

/// Days that an index is written to: an index goes as a whole, so it must not hold much more than it has to.
fn written(days: u16) -> u16 {
    (days / 8).clamp(1, 7)
}

async fn ilm(engine: &Engine, lane: Lane, days: u16) -> Result<(Lifecycle, Step), EngineError> {
    let (name, what) = (lane.template(), format!("lifecycle policy {}, {days} days", lane.template()));
    let path = format!("/_ilm/policy/{name}");
    let found = engine.get(&path).await?;
    if found.is_unknown_request() {
        let outcome = Outcome::Kept;
        return Ok((Lifecycle::DataStream, Step::new(format!("retention of {name}, {days} days"), outcome)));
    }
    let said = found.body.pointer(&format!("/{name}/policy/_meta/description")).and_then(Value::as_str);
    if said == Some(&mark(days)) {
        return Ok((Lifecycle::Ilm, Step::new(what, Outcome::Kept)));
    }
    let body = json!({ "policy": {
        "_meta": { "managed_by": "namewarden", "description": mark(days) },
        "phases": {
            "hot": { "actions": { "rollover": {
                "max_age": format!("{}d", written(days)), "max_primary_shard_size": ROLL_OVER_SIZE,
            } } },
            "delete": { "min_age": format!("{days}d"), "actions": { "delete": {} } },
        },
    } });
    engine.put(&path, &body).await?.or_refused(&format!("take the {what}"))?;
    Ok((Lifecycle::Ilm, Step::new(what, outcome(&found))))
}

async fn ism(engine: &Engine, lane: Lane, days: u16) -> Result<(Lifecycle, Step), EngineError> {
    let what = format!("state policy {}, {days} days", lane.template());
    let path = format!("/_plugins/_ism/policies/{}", lane.template());
    let found = engine.get(&path).await?;
    if found.is_unknown_request() {
        let why =
            "this server has no index state management: documents stay until somebody deletes their indices";
        return Ok((Lifecycle::Ism, Step::new(what, Outcome::Short(why.to_owned()))));
    }
    if found.body.pointer("/policy/description").and_then(Value::as_str) == Some(&mark(days)) {
        return Ok((Lifecycle::Ism, Step::new(what, Outcome::Kept)));
    }
    // A policy that is there is written only over the one that was read.
    let number = |name: &str| found.body.get(name).and_then(Value::as_u64);
    let only = match number("_seq_no").zip(number("_primary_term")) {
        Some((seq_no, term)) if found.is_success() => format!("?if_seq_no={seq_no}&if_primary_term={term}"),
        _ => String::new(),
    };
    engine
        .put(&format!("{path}{only}"), &ism_policy(lane, days))
        .await?
        .or_refused(&format!("take the {what}"))?;
    Ok((Lifecycle::Ism, Step::new(what, outcome(&found))))
}

fn ism_policy(lane: Lane, days: u16) -> Value {
    json!({ "policy": {
        "description": mark(days),
        "default_state": "written",
        "states": [
            {
                "name": "written",
                "actions": [{ "rollover": {
                    "min_index_age": format!("{}d", written(days)), "min_primary_shard_size": ROLL_OVER_SIZE,
                } }],
                "transitions": [{ "state_name": "gone", "conditions": { "min_rollover_age": format!("{days}d") } }],
            },
            { "name": "gone", "actions": [{ "delete": {} }], "transitions": [] },
        ],
        "ism_template": [{ "index_patterns": [lane.pattern(), format!(".ds-{}", lane.pattern())], "priority": 250 }],
    } })
}

fn outcome(found: &Reply) -> Outcome {
    if found.is_success() { Outcome::Updated } else { Outcome::Created }
}
