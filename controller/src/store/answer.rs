//! What a store answers.

use bytes::Bytes;
use namewarden_protocol::document::Time;

use super::{Annotation, Cursor};

/// What became of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Its `_id`, given or made up.
    pub id: String,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is kept.
    Created {
        /// Greater than that of every document before it in its data stream.
        arrival: u64,
    },
    /// Its data stream holds one of that `_id`; that one stays.
    Exists,
    /// It will never be kept.
    Refused(Refusal),
    /// It is not kept now.
    Failed {
        /// Because the disk, or what may be used of it, is full.
        is_full: bool,
        /// In a few words.
        reason: String,
    },
}

/// Why a document is refused, in Elasticsearch's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The error's type.
    pub kind: &'static str,
    /// Its reason.
    pub reason: String,
    /// Type and reason of what caused it.
    pub cause: Option<(&'static str, String)>,
}

/// A document that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Its `_id`.
    pub id: String,
    /// Third part of its data stream's name.
    pub namespace: String,
    /// Its `@timestamp`.
    pub time: Time,
    /// JSON, as it came in; of a search engine the same value, its members sorted by their names.
    pub source: Bytes,
    /// What is said of its group.
    pub annotation: Option<Annotation>,
}

/// Some of the documents that were found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// In the order that was asked for.
    pub hits: Vec<Hit>,
    /// Where the next page begins; it may be empty. In the orders by time there is one where this page is full, in the order of
    /// arrival always.
    pub next: Option<Cursor>,
    /// Everything that arrived before this was looked at: where the order of arrival goes on.
    pub arrived: Cursor,
}

/// Some of the documents with certain names in them, in no order that means anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamingPage {
    /// Each document once in all pages, but for those that arrive meanwhile.
    pub hits: Vec<Hit>,
    /// What the next page comes behind; a page without documents may have one. None: this was the last.
    pub next: Option<String>,
    /// Everything that arrived before this was looked at, once all pages were asked for; of the first page.
    pub arrived: u64,
}

/// Documents of a step of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Where the step begins.
    pub from: Time,
    /// How many.
    pub documents: u64,
}

/// A value and how often it occurs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopValue {
    /// The value.
    pub value: String,
    /// Documents that bear it.
    pub documents: u64,
}

/// How much there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Documents kept.
    pub documents: u64,
    /// Bytes that they take on disk.
    pub bytes: u64,
    /// Documents that gave way since the start: too old, or to make room.
    pub removed: u64,
}
