//! A block: the facts of documents that arrived one after the other, column by column, in the order of pages (time, id, data
//! stream's namespace). It is as a search reads it: a question of a million documents reads a few megabytes, in order.
//!
//! A text stands once in a block; its column holds the number of it. 65,535 documents at most, so numbers are of 16 bits.

// Columns as bytes.
mod bytes;

// Blocks that follow each other become one.
mod merge;

use std::collections::HashMap;

use super::hash;
use crate::store::facts::Facts;
pub use bytes::{Words, codes, numbers, of_small, small};
pub use merge::merge;

/// Documents of a block.
pub const ROWS_MAX: usize = u16::MAX as usize;
/// State of a document that gave way.
pub const GONE: u8 = u8::MAX;
/// A severity that lies in no range, or none.
pub const NO_SEVERITY: u16 = u16::MAX;

/// A column of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Number {
    /// `@timestamp`, 64 bits.
    Time = 0,
    /// Arrival, 64 bits.
    Seq = 1,
    /// Hash of the id, 64 bits.
    Id = 2,
    /// Hash of the alert group, 64 bits; 0 where there is none.
    Group = 3,
    /// `event.severity`, 16 bits.
    Severity = 4,
    /// The group's state, or that the document is gone, 8 bits.
    State = 5,
}

/// A column of texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Text {
    Cluster = 0,
    Action = 1,
    Namespace = 2,
    Pod = 3,
    PodUid = 4,
    Node = 5,
    Question = 6,
    Entry = 7,
    /// Lists, as JSON.
    Feeds = 8,
}

impl Text {
    /// In order.
    pub const ALL: [Self; 9] = [
        Self::Cluster,
        Self::Action,
        Self::Namespace,
        Self::Pod,
        Self::PodUid,
        Self::Node,
        Self::Question,
        Self::Entry,
        Self::Feeds,
    ];

    /// Part of the texts; that of the numbers follows.
    pub const fn part(self) -> u8 {
        6 + 2 * self as u8
    }
}

/// A document as a block takes it.
pub struct Entry<'a> {
    pub seq: i64,
    pub state: u8,
    pub id: &'a str,
    pub space: &'a str,
    pub facts: &'a Facts,
}

/// A block in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Block {
    pub times: Vec<i64>,
    pub seqs: Vec<i64>,
    pub ids: Vec<i64>,
    pub groups: Vec<i64>,
    pub severities: Vec<u16>,
    pub states: Vec<u8>,
    /// In the order of [`Text::ALL`].
    pub texts: Vec<Texts>,
}

/// A column of texts in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Texts {
    /// In order, each once.
    pub words: Vec<String>,
    /// Of each row, the place of its word from 1; 0 where there is none.
    pub codes: Vec<u16>,
}

impl Block {
    /// The block of documents, [`ROWS_MAX`] at most.
    pub fn of(mut entries: Vec<Entry<'_>>) -> Self {
        entries.truncate(ROWS_MAX);
        entries.sort_unstable_by_key(|entry| (entry.facts.time, entry.id, entry.space));
        let group =
            |facts: &Facts| facts.group.as_ref().map_or(0, |group| hash::group(&facts.cluster, group));
        Self {
            times: entries.iter().map(|entry| time(entry.facts)).collect(),
            seqs: entries.iter().map(|entry| entry.seq).collect(),
            ids: entries.iter().map(|entry| hash::id(entry.id)).collect(),
            groups: entries.iter().map(|entry| group(entry.facts)).collect(),
            severities: entries.iter().map(|entry| severity(entry.facts)).collect(),
            states: entries.iter().map(|entry| entry.state).collect(),
            texts: Text::ALL.iter().map(|text| texts(*text, &entries)).collect(),
        }
    }

    /// Its parts by their numbers.
    pub fn parts(&self) -> Vec<(u8, Vec<u8>)> {
        let mut parts = vec![
            (Number::Time as u8, bytes::of_numbers(&self.times)),
            (Number::Seq as u8, bytes::of_numbers(&self.seqs)),
            (Number::Id as u8, bytes::of_numbers(&self.ids)),
            (Number::Group as u8, bytes::of_numbers(&self.groups)),
            (Number::Severity as u8, bytes::of_codes(&self.severities)),
            (Number::State as u8, bytes::of_small(&self.states)),
        ];
        for (text, texts) in Text::ALL.iter().zip(&self.texts) {
            parts.push((text.part(), bytes::of_words(&texts.words)));
            parts.push((text.part() + 1, bytes::of_codes(&texts.codes)));
        }
        parts
    }
}

/// As it is stored.
pub fn time(facts: &Facts) -> i64 {
    i64::try_from(facts.time.0).unwrap_or(i64::MAX)
}

/// A list of feeds as a text; none for an empty one.
fn feeds(facts: &Facts) -> Option<String> {
    (!facts.feeds.is_empty()).then(|| serde_json::to_string(&facts.feeds).unwrap_or_default())
}

/// What filters cannot ask for is as good as none.
fn severity(facts: &Facts) -> u16 {
    facts.severity.and_then(|severity| u8::try_from(severity).ok()).map_or(NO_SEVERITY, u16::from)
}

fn texts(text: Text, entries: &[Entry<'_>]) -> Texts {
    if text == Text::Feeds {
        let lists: Vec<Option<String>> = entries.iter().map(|entry| feeds(entry.facts)).collect();
        return Texts::of(lists.iter().map(Option::as_deref));
    }
    Texts::of(entries.iter().map(|entry| value(text, entry.facts)))
}

fn value(text: Text, facts: &Facts) -> Option<&str> {
    match text {
        Text::Cluster => Some(&facts.cluster),
        Text::Action => facts.action.as_deref(),
        Text::Namespace => facts.namespace.as_deref(),
        Text::Pod => facts.pod.as_deref(),
        Text::PodUid => facts.pod_uid.as_deref(),
        Text::Node => facts.node.as_deref(),
        Text::Question => facts.question.as_deref(),
        Text::Entry => facts.entry.as_deref(),
        Text::Feeds => None,
    }
}

impl Texts {
    fn of<'a>(values: impl Iterator<Item = Option<&'a str>> + Clone) -> Self {
        let mut words: Vec<&str> = values.clone().flatten().collect();
        words.sort_unstable();
        words.dedup();
        let places: HashMap<&str, u16> = words.iter().copied().zip(1..).collect();
        let code = |value: Option<&str>| value.and_then(|value| places.get(value)).copied().unwrap_or(0);
        Self { codes: values.map(code).collect(), words: words.into_iter().map(str::to_owned).collect() }
    }
}
