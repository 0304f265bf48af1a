//! Last good copies in, numbered threat sets out: compiled, kept, served whole or as the change from an older one.
//!
//! A set is on disk before anybody is told of it; a number is written down before it is used. The last set is served
//! again after a restart, without a feed being read.

// Key, epoch and number.
mod identity;

// Sets that others hold and this folder never made.
mod foreign;

// Copies -> a set file.
mod compile;

// The last sets, and the changes between them.
mod versions;

#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use namewarden_protocol::endpoint::controller::SET_BYTES_MAX;
use namewarden_protocol::threat_set::{BuildError, OpenError, SetId, SetKey, ThreatSet, wire};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::feed::copy::{hex, write_whole};
use foreign::Foreign;
use identity::Identity;
use versions::Versions;

pub use compile::{AllowList, Ingredients, Part};
pub use versions::WireBytes;

/// A set that is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// Which set.
    pub id: SetId,
    /// Names listed.
    pub entries: u64,
    /// Feeds in it.
    pub feeds: usize,
    /// Bytes of its file.
    pub bytes: u64,
    /// When it was compiled, by whoever did.
    pub at: SystemTime,
    /// Its file, which never changes.
    pub path: PathBuf,
}

/// What an agent is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// The set that it leads to.
    pub id: SetId,
    /// The bytes.
    pub bytes: Bytes,
    /// Whether they are the change from the base that was asked for.
    pub delta: bool,
}

/// Why there is no set.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The state folder.
    #[error("cannot use the state folder: {0}; name one that this controller alone can write to")]
    State(#[from] io::Error),
    /// The set could not be made.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The set's file is damaged.
    #[error("the threat set on disk is damaged: {0}")]
    Open(#[from] OpenError),
    /// A feed's last good copy cannot be read any more.
    #[error("the last good copy of feed {feed} cannot be read: {reason}")]
    Copy {
        /// The feed.
        feed: String,
        /// Why.
        reason: String,
    },
    /// A copy or an allow list could not be read.
    #[error("{what} cannot be read: {reason}")]
    Ingredient {
        /// Which.
        what: String,
        /// Why.
        reason: String,
    },
    /// Agents would not take it.
    #[error(
        "it has {bytes} bytes on the wire, and agents take {SET_BYTES_MAX}: the feeds list too many names together; disable \
         the largest one"
    )]
    TooLarge {
        /// How large it is.
        bytes: usize,
    },
    /// The lease was lost meanwhile.
    #[error("another controller leads by now: nothing is published")]
    NotLeader,
    /// Nothing was published yet.
    #[error("there is no threat set yet")]
    Nothing,
    /// The set cannot be written for the wire, or was damaged on it.
    #[error("{0}")]
    Wire(String),
}

/// The sets of this deployment. Cheap to share.
#[derive(Clone, Debug)]
pub struct Publisher {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    state: PathBuf,
    identity: Mutex<Identity>,
    versions: Versions,
    current: watch::Sender<Option<Arc<Published>>>,
    foreign: Foreign,
}

/// What is known of the last set, beside its file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Note {
    file: String,
    /// Of everything that it was compiled from; empty for one that was taken over.
    ingredients: String,
    entries: u64,
    feeds: usize,
    at: u64,
}

impl Publisher {
    /// The sets of a state folder; the last one is served at once. A `key` other than the folder's begins a new epoch.
    pub fn open(state: &Path, key: Option<SetKey>) -> Result<Self, PublishError> {
        let versions = Versions::open(&state.join("sets"))?;
        let identity = Identity::open(state, key)?;
        let current = last(state, &versions, &identity);
        let inner = Inner {
            state: state.to_owned(),
            identity: Mutex::new(identity),
            versions,
            current: watch::Sender::new(current),
            foreign: Foreign::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The set that is served, as it changes.
    pub fn current(&self) -> watch::Receiver<Option<Arc<Published>>> {
        self.inner.current.subscribe()
    }

    /// The key of every set.
    pub fn key(&self) -> SetKey {
        self.identity().key()
    }

    /// Epoch and number of the last set that was begun.
    pub fn position(&self) -> (u64, u64) {
        self.identity().position()
    }

    /// Tells the key from others, and says nothing else of it.
    pub fn key_id(&self) -> String {
        self.identity().key_id()
    }

    /// Takes over from a leader that may have used numbers up to this one, under the key of this id: the next set's number
    /// is greater, and with another key it is of a later epoch. Says whether it is.
    pub fn lead_after(&self, last: (u64, u64), key_id: Option<&str>) -> Result<bool, PublishError> {
        Ok(self.identity().lead_after(last, key_id)?)
    }

    /// Compiles and publishes a set, unless the last one was made of the very same. Blocks.
    ///
    /// `may` is asked at the last moment: who lost the lease publishes nothing.
    pub fn publish(
        &self,
        ingredients: &Ingredients,
        may: &dyn Fn() -> bool,
    ) -> Result<Arc<Published>, PublishError> {
        let fingerprint = ingredients.fingerprint(self.key(), self.position().0)?;
        if let Some(current) = self.made_of(&fingerprint) {
            return Ok(current);
        }
        if !may() {
            return Err(PublishError::NotLeader);
        }
        let (key, epoch, number) = self.identity().next()?;
        let compiled = compile::compile(ingredients, key, (epoch, number), &self.inner.versions)?;
        if !may() {
            return Err(PublishError::NotLeader);
        }
        self.announce(compiled, fingerprint)
    }

    /// Somebody holds this set. Where this folder never made it, though its number is not below the served one's, the folder is
    /// an old copy: the next set has a number beyond, and is to be made although nothing else has changed. Says whether.
    pub fn is_outrun_by(&self, held: SetId) -> bool {
        let Some(current) = self.inner.current.borrow().as_ref().map(|set| set.id) else { return false };
        if held == current || held.epoch != current.epoch || held.number < current.number {
            return false;
        }
        // Held over the change of the number: what is asked at the same time waits, and finds it changed.
        self.inner.foreign.note((held.epoch, held.number), || match self.identity().skip(held.number) {
            Ok(is_plausible) => is_plausible,
            Err(error) => {
                tracing::error!("the number of a set that an agent holds cannot be written down: {error}");
                false
            }
        })
    }

    /// What leads an agent to the served set: the change from its base where that is known, else the whole set. Blocks.
    pub fn transfer(&self, base: Option<SetId>) -> Result<Transfer, PublishError> {
        let current = self.inner.current.borrow().clone().ok_or(PublishError::Nothing)?;
        self.inner.versions.transfer(&current, base)
    }

    /// How large the served set is on the wire, as far as somebody asked for it.
    pub fn wire_bytes(&self) -> WireBytes {
        self.inner.versions.wire_bytes()
    }

    /// Takes over a set that another controller published `at` that time, as it came over the wire. Blocks.
    pub fn adopt(&self, full_or_delta: &[u8], at: SystemTime) -> Result<Arc<Published>, PublishError> {
        let set = self.inner.versions.adopt(full_or_delta)?;
        let id = set.id();
        let announced =
            wire::announced(full_or_delta).map_err(|error| PublishError::Wire(error.to_string()))?;
        self.identity().adopt(announced.key, id.epoch, id.number)?;
        let published = Published {
            id,
            entries: set.len() as u64,
            feeds: set.feeds().count(),
            bytes: file_bytes(&self.inner.versions.path(id)),
            at: at.min(SystemTime::now()),
            path: self.inner.versions.path(id),
        };
        self.announce(published, String::new())
    }

    /// The served set, where it was made of these ingredients.
    fn made_of(&self, fingerprint: &str) -> Option<Arc<Published>> {
        let note = read_note(&self.inner.state)?;
        let current = self.inner.current.borrow().clone()?;
        if !self.inner.foreign.is_before((current.id.epoch, current.id.number)) {
            return None;
        }
        (note.ingredients == fingerprint && note.file == versions::file_name(current.id)).then_some(current)
    }

    fn announce(&self, published: Published, ingredients: String) -> Result<Arc<Published>, PublishError> {
        let note = Note {
            file: versions::file_name(published.id),
            ingredients,
            entries: published.entries,
            feeds: published.feeds,
            at: published.at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
        };
        let text = serde_json::to_vec(&note).map_err(io::Error::from)?;
        write_whole(&note_path(&self.inner.state), &text)?;
        self.inner.versions.add(published.id)?;
        let published = Arc::new(published);
        self.inner.current.send_replace(Some(Arc::clone(&published)));
        Ok(published)
    }

    fn identity(&self) -> MutexGuard<'_, Identity> {
        // Every change of it is one assignment after the disk has it.
        self.inner.identity.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A set's id as an agent names it: `epoch.number-` and the digest's 64 hexadecimal digits.
pub fn tag(id: SetId) -> String {
    format!("{}.{}-{}", id.epoch, id.number, hex(&id.digest))
}

/// The set that the folder's note names, if it is whole and of this key.
fn last(state: &Path, versions: &Versions, identity: &Identity) -> Option<Arc<Published>> {
    let note = read_note(state)?;
    let path = versions.folder().join(&note.file);
    let set = ThreatSet::open(&path)
        .inspect_err(|error| tracing::warn!("the last threat set is passed over: {error}"))
        .ok()?;
    let is_ours = set.key() == identity.key();
    let at = UNIX_EPOCH.checked_add(Duration::from_secs(note.at))?;
    let id = set.id();
    let (entries, feeds, bytes) = (set.len() as u64, note.feeds, file_bytes(&path));
    is_ours.then(|| Arc::new(Published { id, entries, feeds, bytes, at, path }))
}

/// Of a file that was just read or written.
fn file_bytes(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |metadata| metadata.len())
}

fn note_path(state: &Path) -> PathBuf {
    state.join("published.json")
}

fn read_note(state: &Path) -> Option<Note> {
    serde_json::from_slice(&std::fs::read(note_path(state)).ok()?).ok()
}
