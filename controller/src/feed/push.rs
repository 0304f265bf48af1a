//! Documents that others push: `{"domains":[...]}` of one feed each, as Elasticsearch would keep them.
//!
//! On disk one file a feed, written whole: a line of JSON (version, sequence number), then the document as it came.
//! Versions and sequence numbers only grow, over deletions and restarts too. A document for a feed that is not yet
//! defined waits for it.

#[cfg(test)]
mod tests;

// One document's file.
mod file;

// Documents that a search engine has.
mod followed;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde_json::{Map, Value};

pub use file::{Head, Origin, Revision};

/// The largest document, in bytes: as Elasticsearch has it.
pub const DOCUMENT_BYTES_MAX: usize = 100 * 1024 * 1024;
/// The most documents: those of feeds not defined count too.
const DOCUMENTS_MAX: usize = 10_000;

/// A document as it was pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// The feed that it is for: the document's id.
    pub feed: String,
    /// Grows with every change of this document.
    pub version: u64,
    /// Which one it is.
    pub revision: Revision,
    /// The JSON source.
    pub body: Bytes,
}

/// Under which condition a document is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Only {
    /// It is not there yet.
    Create,
    /// Always.
    Any,
    /// It was last changed by this operation.
    IfSeqNo(u64),
}

/// What came of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Whether the document is new.
    pub created: bool,
    /// Whether it is what it was before: nothing was written.
    pub unchanged: bool,
    /// Its version.
    pub version: u64,
    /// The operation's number.
    pub seq_no: u64,
}

/// Why a document was not written.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// To be created, but it is there.
    #[error("document already exists (current version [{version}])")]
    Exists {
        /// Its version.
        version: u64,
    },
    /// Changed by somebody else.
    #[error("version conflict: required seqNo [{required}], current document has seqNo [{current:?}]")]
    Conflict {
        /// What was asked for.
        required: u64,
        /// What there is.
        current: Option<u64>,
    },
    /// To be updated, but it is not there.
    #[error("document missing")]
    Missing,
    /// No document of a feed.
    #[error("{0}")]
    Malformed(String),
    /// Too large.
    #[error("the document has {bytes} bytes, more than the limit of {DOCUMENT_BYTES_MAX}")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// Too many.
    #[error("there are {DOCUMENTS_MAX} documents already: delete one first")]
    TooMany,
    /// The disk.
    #[error("the document could not be kept: {0}")]
    Io(#[from] io::Error),
}

/// A document as one controller gives it to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replica {
    /// What is known of it.
    pub head: Head,
    /// The JSON source; empty where it was deleted.
    pub body: Bytes,
}

/// All documents.
#[derive(Clone, Debug)]
pub struct Pushes {
    folder: Arc<Path>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    documents: BTreeMap<String, Head>,
    next_seq_no: u64,
}

impl Pushes {
    /// The documents of a folder, which is made where it is missing.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let documents = file::read_heads(folder)?;
        let next_seq_no = documents.values().map(|head| head.seq_no + 1).max().unwrap_or(0);
        let state = State { documents, next_seq_no };
        Ok(Self { folder: folder.into(), state: Arc::new(Mutex::new(state)) })
    }

    /// Writes a document: an object whose `domains` is a list of strings; its other fields are kept.
    pub fn put(&self, feed: &str, body: &[u8], only: Only) -> Result<Receipt, PushError> {
        check_id(feed)?;
        check_source(body)?;
        let mut state = self.state();
        let known = state.documents.get(feed).copied();
        let current = known.filter(|head| !head.deleted);
        match (only, current) {
            (Only::Create, Some(head)) => return Err(PushError::Exists { version: head.version }),
            (Only::IfSeqNo(required), head) if head.map(|head| head.seq_no) != Some(required) => {
                return Err(PushError::Conflict { required, current: head.map(|head| head.seq_no) });
            }
            _ => {}
        }
        if known.is_none() && state.documents.len() >= DOCUMENTS_MAX {
            return Err(PushError::TooMany);
        }
        let origin = replaced(known);
        let head = self.write(&mut state, feed, known, Written { deleted: false, origin, body })?;
        Ok(Receipt {
            created: current.is_none(),
            unchanged: false,
            version: head.version,
            seq_no: head.seq_no,
        })
    }

    /// A document, where there is one that can be read.
    pub fn get(&self, feed: &str) -> Option<Document> {
        self.read(feed).unwrap_or_else(|error| {
            tracing::warn!(feed, "the pushed document cannot be read: {error}; push it again");
            None
        })
    }

    /// A document, where there is one.
    ///
    /// # Errors
    ///
    /// It is there and cannot be read.
    pub fn read(&self, feed: &str) -> io::Result<Option<Document>> {
        // The lock is held over the read: head and body belong together.
        let state = self.state();
        let Some(head) = state.documents.get(feed).copied().filter(|head| !head.deleted) else {
            return Ok(None);
        };
        let body = self.body(feed, head)?;
        Ok(Some(Document { feed: feed.to_owned(), version: head.version, revision: head.revision(), body }))
    }

    /// Which document a feed has, where it has one.
    pub fn revision(&self, feed: &str) -> Option<Revision> {
        self.state().documents.get(feed).filter(|head| !head.deleted).map(Head::revision)
    }

    /// The feeds that have a document.
    pub fn feeds(&self) -> Vec<String> {
        let state = self.state();
        let live = state.documents.iter().filter(|(_, head)| !head.deleted);
        live.map(|(feed, _)| feed.clone()).collect()
    }

    /// What is known of every document, deleted ones too.
    pub fn heads(&self) -> BTreeMap<String, Head> {
        self.state().documents.clone()
    }

    /// A document's source, which is the one that its head speaks of.
    fn body(&self, feed: &str, head: Head) -> io::Result<Bytes> {
        let body: Bytes = file::read_body(&self.path(feed))?.into();
        if head.is_of(&body) { Ok(body) } else { Err(io::Error::other("it is damaged")) }
    }

    /// What is known of a document, a deleted one too.
    pub fn head(&self, feed: &str) -> Option<Head> {
        self.state().documents.get(feed).copied()
    }

    /// A document with everything that another controller needs, a deleted one too.
    ///
    /// # Errors
    ///
    /// It is there and cannot be read.
    pub fn replica(&self, feed: &str) -> io::Result<Option<Replica>> {
        let state = self.state();
        let Some(head) = state.documents.get(feed).copied() else { return Ok(None) };
        let body = if head.deleted { Bytes::new() } else { self.body(feed, head)? };
        Ok(Some(Replica { head, body }))
    }

    /// Takes over a document as another controller has it, whatever there was.
    ///
    /// # Errors
    ///
    /// The disk, or the document is not the one that its head speaks of.
    pub fn adopt(&self, feed: &str, replica: &Replica) -> io::Result<()> {
        check_id(feed).map_err(io::Error::other)?;
        if !replica.head.is_of(&replica.body) {
            return Err(io::Error::other(format!("the document of feed {feed} was damaged on its way")));
        }
        let mut state = self.state();
        file::write(&self.path(feed), feed, replica.head, &replica.body)?;
        state.next_seq_no = state.next_seq_no.max(replica.head.seq_no + 1);
        state.documents.insert(feed.to_owned(), replica.head);
        Ok(())
    }

    /// Deletes a document; `None` where there was none.
    pub fn delete(&self, feed: &str) -> Result<Option<Receipt>, PushError> {
        let mut state = self.state();
        let Some(head) = state.documents.get(feed).copied().filter(|head| !head.deleted) else {
            return Ok(None);
        };
        let origin = replaced(Some(head));
        let head = self.write(&mut state, feed, Some(head), Written { deleted: true, origin, body: b"" })?;
        Ok(Some(Receipt { created: false, unchanged: false, version: head.version, seq_no: head.seq_no }))
    }

    /// Merges `doc` of `{"doc":{..}}` into a document; with `"doc_as_upsert":true` it may be new.
    pub fn update(&self, feed: &str, body: &[u8]) -> Result<Receipt, PushError> {
        check_size(body)?;
        let request: Map<String, Value> = parse(body)?;
        let Some(Value::Object(change)) = request.get("doc") else {
            return Err(PushError::Malformed("an update needs a `doc` that is an object".to_owned()));
        };
        let may_create = request.get("doc_as_upsert") == Some(&Value::Bool(true));
        let Some(old) = self.read(feed)? else {
            return if may_create {
                self.put(feed, &to_bytes(change)?, Only::Create)
            } else {
                Err(PushError::Missing)
            };
        };
        let before: Map<String, Value> = parse(&old.body)?;
        let mut after = before.clone();
        merge(&mut after, change);
        if after == before {
            let (version, seq_no) = (old.version, old.revision.seq_no);
            return Ok(Receipt { created: false, unchanged: true, version, seq_no });
        }
        self.put(feed, &to_bytes(&after)?, Only::IfSeqNo(old.revision.seq_no))
    }

    fn write(
        &self,
        state: &mut State,
        feed: &str,
        known: Option<Head>,
        written: Written<'_>,
    ) -> Result<Head, PushError> {
        let Written { deleted, origin, body } = written;
        let version = known.map_or(1, |head| head.version + 1);
        let digest = Some(file::digest(body));
        let head = Head { version, seq_no: state.next_seq_no, deleted, digest, origin };
        file::write(&self.path(feed), feed, head, body)?;
        state.next_seq_no += 1;
        state.documents.insert(feed.to_owned(), head);
        Ok(head)
    }

    fn path(&self, feed: &str) -> PathBuf {
        self.folder.join(format!("{}.json", super::copy::file_key(feed)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // What is written is written whole: a panic elsewhere leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one operation writes.
#[derive(Clone, Copy)]
struct Written<'a> {
    deleted: bool,
    origin: Option<Origin>,
    body: &'a [u8],
}

/// What was pushed here goes before what a search engine has had until now.
fn replaced(known: Option<Head>) -> Option<Origin> {
    Some(Origin { replaced: true, ..known?.origin? })
}

/// Elasticsearch's rule for ids, and what may be a feed's name.
fn check_id(feed: &str) -> Result<(), PushError> {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
    if !feed.is_empty() && feed.len() <= 253 && feed.bytes().all(fits) && !feed.starts_with('.') {
        return Ok(());
    }
    Err(PushError::Malformed(format!(
        "`{}` is no name of a feed: use lower-case letters, digits, `-` and `.`",
        feed.chars().take(100).collect::<String>().escape_debug()
    )))
}

fn check_size(body: &[u8]) -> Result<(), PushError> {
    if body.len() > DOCUMENT_BYTES_MAX { Err(PushError::TooLarge { bytes: body.len() }) } else { Ok(()) }
}

/// An object whose `domains` is a list of strings, which are not kept here: they may be millions.
fn check_source(body: &[u8]) -> Result<(), PushError> {
    check_size(body)?;
    serde_json::from_slice::<file::Source>(body).map(|_| ()).map_err(|error| {
        PushError::Malformed(format!("a feed's document is {{\"domains\":[\"...\"]}}: {error}"))
    })
}

fn parse(body: &[u8]) -> Result<Map<String, Value>, PushError> {
    serde_json::from_slice(body).map_err(|error| PushError::Malformed(format!("no JSON object: {error}")))
}

fn to_bytes(object: &Map<String, Value>) -> Result<Vec<u8>, PushError> {
    serde_json::to_vec(object).map_err(|error| PushError::Malformed(error.to_string()))
}

/// Objects are merged, everything else is replaced.
fn merge(into: &mut Map<String, Value>, change: &Map<String, Value>) {
    for (name, value) in change {
        match (into.get_mut(name), value) {
            (Some(Value::Object(old)), Value::Object(new)) => merge(old, new),
            _ => {
                into.insert(name.clone(), value.clone());
            }
        }
    }
}
