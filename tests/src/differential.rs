//! The same capture read by the agent's `replay --messages` and by tshark: every field of every message compared.
//!
//! tshark's tree is turned into the lines that `replay` should have printed. Nothing of the agent is used for that: names
//! of types and classes are tshark's, presentation format is written here a second time.

use std::{collections::BTreeMap, fmt::Write as _, path::Path, process::Command};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::{agent, program};

// Elements of tshark's PDML.
mod pdml;

// tshark's dissection of one message -> the line that is expected.
mod expected;

// Fields of a record's data -> presentation format.
mod data;

/// Differences that are shown before the rest is only counted.
const SHOWN: usize = 5;

/// What was compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// Messages, all of them equal.
    pub messages: usize,
    /// Their records.
    pub records: usize,
    /// How often each record type was met.
    pub types: BTreeMap<String, usize>,
}

/// Compares all messages of a capture; what differs is the error.
pub fn compare(capture: &Path) -> Result<Compared> {
    let ours = replayed(capture)?;
    let theirs = pdml::messages(capture)?;
    let mut differences = Vec::new();
    for (index, pair) in ours.iter().zip(&theirs).enumerate() {
        if pair.0 != pair.1 {
            differences.push(format!("message {index} differs:\n{}", difference(pair.0, pair.1)));
        }
    }
    if !differences.is_empty() {
        let all = differences.len();
        differences.truncate(SHOWN);
        bail!("{all} messages of {} differ:\n{}", capture.display(), differences.join("\n"));
    }
    ensure!(ours.len() == theirs.len(), "{} messages of ours, {} of tshark's", ours.len(), theirs.len());
    Ok(counted(&ours))
}

/// The lines that the agent prints.
fn replayed(capture: &Path) -> Result<Vec<Value>> {
    let mut command = Command::new(agent::program()?);
    let printed = program::finish(command.args(["replay", "--messages"]).arg(capture))?;
    printed.lines().map(|line| serde_json::from_str(line).context("a line is no JSON")).collect()
}

/// The fields that differ, ours and theirs.
fn difference(ours: &Value, theirs: &Value) -> String {
    let (Some(ours), Some(theirs)) = (ours.as_object(), theirs.as_object()) else {
        return format!("ours: {ours}\ntshark: {theirs}");
    };
    let mut shown = format!("frame {}", ours.get("frame").unwrap_or(&Value::Null));
    for key in ours.keys().chain(theirs.keys().filter(|key| !ours.contains_key(*key))) {
        let (one, other) = (ours.get(key), theirs.get(key));
        if one == other {
            continue;
        }
        match (one.and_then(Value::as_array), other.and_then(Value::as_array)) {
            (Some(one), Some(other)) if one.len() == other.len() => {
                for (one, other) in one.iter().zip(other).filter(|(one, other)| one != other) {
                    _ = write!(shown, "\n{key}\n  ours:   {one}\n  tshark: {other}");
                }
            }
            _ => _ = write!(shown, "\n{key}\n  ours:   {one:?}\n  tshark: {other:?}"),
        }
    }
    shown
}

fn counted(messages: &[Value]) -> Compared {
    let mut compared = Compared { messages: messages.len(), ..Compared::default() };
    for message in messages {
        let sections = ["answer", "authority", "additional"].map(|section| message.get(section));
        for record in sections.into_iter().flatten().filter_map(Value::as_array).flatten() {
            let kind = record.get("type").and_then(Value::as_str).unwrap_or_default();
            compared.records += 1;
            *compared.types.entry(kind.to_owned()).or_default() += 1;
        }
    }
    compared
}
