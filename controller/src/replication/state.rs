//! What a leader says of its state, and how one state is told from another.

use std::{collections::BTreeMap, io};

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{
    feed::{
        copy::{Shelf, hex},
        push::Head,
    },
    publish::Published,
};

/// Header of a document that says which version it is, in JSON.
pub const DOCUMENT_HEAD: &str = "namewarden-document";
/// The answer where a document is there and cannot be read.
pub const UNREADABLE: StatusCode = StatusCode::INTERNAL_SERVER_ERROR;

/// Everything that a follower copies, by name and version.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Entity tag of the served set.
    pub set: Option<String>,
    /// Pushed documents by feed, deleted ones too.
    pub documents: BTreeMap<String, Head>,
    /// What is known of each feed's last good copy: SHA-256 of the record.
    pub records: BTreeMap<String, String>,
}

impl State {
    /// Tells one state from another.
    pub fn fingerprint(&self) -> String {
        hex(&Sha256::digest(serde_json::to_vec(self).unwrap_or_default()))
    }
}

/// The state of a controller.
pub fn state(set: Option<&Published>, documents: BTreeMap<String, Head>, shelf: &Shelf) -> io::Result<State> {
    let set = set.map(|set| namewarden_protocol::endpoint::controller::entity_tag(set.id));
    Ok(State { set, documents, records: records(shelf)? })
}

/// Digests of the records of a shelf.
pub fn records(shelf: &Shelf) -> io::Result<BTreeMap<String, String>> {
    let records = shelf.records()?.into_iter();
    records.map(|(feed, record)| Ok((feed, hex(&Sha256::digest(serde_json::to_vec(&record)?))))).collect()
}

/// Whether a text is the digest of a copy: never a path.
pub fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}
