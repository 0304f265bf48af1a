//! Key, epoch and number of the sets, kept in the state folder.
//!
//! A number is written down before it is used, so that it is never used twice. A lost folder or another key is a new
//! epoch: the time in milliseconds, or one more than the last epoch where clocks went back.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use namewarden_protocol::threat_set::SetKey;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::feed::copy::{hex, write_whole};

/// What a key's digest is made with: no digest of it for anything else is the same.
const KEY_ID_TAG: &[u8] = b"namewarden: which key it is";

/// Numbers that an epoch may have had however young it is: controllers that take over from each other leave some out.
const NUMBERS_PLAUSIBLE: u64 = 1_000_000;

/// What the next set is known by.
#[derive(Debug)]
pub struct Identity {
    stored: Stored,
    /// The key that the operator gave, if one was.
    given: Option<SetKey>,
    path: PathBuf,
}

/// As it stands in the file.
#[derive(Clone, Serialize, Deserialize)]
struct Stored {
    key: [u8; 16],
    epoch: u64,
    number: u64,
}

/// Hides the key.
impl std::fmt::Debug for Stored {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}.{}", self.epoch, self.number)
    }
}

impl Identity {
    /// What the folder holds; a new epoch where it holds nothing, or another key than the one given.
    pub fn open(state: &Path, key: Option<SetKey>) -> io::Result<Self> {
        let path = state.join("set.json");
        let stored = match fs::read(&path) {
            Ok(text) => serde_json::from_slice::<Stored>(&text)
                .inspect_err(|error| {
                    tracing::warn!(
                        "{} cannot be read ({error}): a new epoch begins, with a new hash key unless one is given",
                        path.display()
                    );
                })
                .ok(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let given = key;
        match (stored, key) {
            (Some(stored), None) => Ok(Self { stored, given, path }),
            (Some(stored), Some(key)) if stored.key == key.0 => Ok(Self { stored, given, path }),
            (stored, key) => {
                let SetKey(key) = key.map_or_else(SetKey::random, Ok)?;
                let epoch = now_milliseconds().max(stored.map_or(0, |stored| stored.epoch + 1));
                let identity = Self { stored: Stored { key, epoch, number: 0 }, given, path };
                identity.write(&identity.stored)?;
                Ok(identity)
            }
        }
    }

    /// The key of every set of this epoch.
    pub fn key(&self) -> SetKey {
        SetKey(self.stored.key)
    }

    /// Epoch and number of the last set that was begun.
    pub fn position(&self) -> (u64, u64) {
        (self.stored.epoch, self.stored.number)
    }

    /// Key, epoch and number of a set that nobody has had.
    pub fn next(&mut self) -> io::Result<(SetKey, u64, u64)> {
        self.store(self.stored.epoch, self.stored.number + 1)?;
        Ok((self.key(), self.stored.epoch, self.stored.number))
    }

    /// Tells one key from another, and says nothing else of it.
    pub fn key_id(&self) -> String {
        let digest = hex(&Sha256::digest([KEY_ID_TAG, &self.stored.key].concat()));
        digest.get(..16).unwrap_or_default().to_owned()
    }

    /// Takes over from a leader that may have used numbers up to this one, under the key of this id where it is known.
    /// With another key than that, or than the one given, it begins a later epoch; says whether it did.
    pub fn lead_after(&mut self, (epoch, number): (u64, u64), key_id: Option<&str>) -> io::Result<bool> {
        let key = self.given.map_or(self.stored.key, |given| given.0);
        let is_other = key != self.stored.key || key_id.is_some_and(|last| last != self.key_id());
        if !is_other {
            if (epoch, number) > self.position() {
                self.store(epoch, number)?;
            }
            return Ok(false);
        }
        let after = self.stored.epoch.max(epoch).saturating_add(1);
        let stored = Stored { key, epoch: now_milliseconds().max(after), number: 0 };
        self.write(&stored)?;
        self.stored = stored;
        Ok(true)
    }

    /// Goes on where another controller is, with its key. What this one began itself under that key and is ahead of it
    /// stays: its numbers were used.
    pub fn adopt(&mut self, key: SetKey, epoch: u64, number: u64) -> io::Result<()> {
        let is_ahead = self.stored.number > 0 && key == self.key() && self.position() >= (epoch, number);
        if is_ahead {
            return Ok(());
        }
        let stored = Stored { key: key.0, epoch, number };
        self.write(&stored)?;
        self.stored = stored;
        Ok(())
    }

    /// Goes beyond a number of this epoch that somebody has seen, and that this folder does not know: it is an old copy.
    /// Says whether that number is to be believed: no epoch has had more sets than milliseconds, or [`NUMBERS_PLAUSIBLE`].
    pub fn skip(&mut self, number: u64) -> io::Result<bool> {
        let plausible =
            now_milliseconds().saturating_sub(self.stored.epoch).saturating_add(NUMBERS_PLAUSIBLE);
        if number > plausible {
            return Ok(false);
        }
        if number > self.stored.number {
            self.store(self.stored.epoch, number)?;
        }
        Ok(true)
    }

    fn store(&mut self, epoch: u64, number: u64) -> io::Result<()> {
        let stored = Stored { epoch, number, ..self.stored };
        self.write(&stored)?;
        self.stored = stored;
        Ok(())
    }

    fn write(&self, stored: &Stored) -> io::Result<()> {
        write_whole(&self.path, &serde_json::to_vec(stored)?)
    }
}

fn now_milliseconds() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_grow_over_a_restart_and_the_key_stays() {
        let folder = tempfile::tempdir().unwrap();
        let mut first = Identity::open(folder.path(), None).unwrap();
        let (key, epoch, number) = first.next().unwrap();
        assert_eq!(number, 1);
        let mut second = Identity::open(folder.path(), Some(key)).unwrap();
        assert_eq!(second.next().unwrap(), (key, epoch, 2));
    }

    #[test]
    fn another_key_is_a_later_epoch() {
        let folder = tempfile::tempdir().unwrap();
        let epoch = Identity::open(folder.path(), None).unwrap().next().unwrap().1;
        let mut other = Identity::open(folder.path(), Some(SetKey([7; 16]))).unwrap();
        let (key, later, number) = other.next().unwrap();
        assert_eq!((key, number), (SetKey([7; 16]), 1));
        assert!(later > epoch);
    }

    #[test]
    fn what_somebody_else_may_have_used_is_skipped() {
        let folder = tempfile::tempdir().unwrap();
        let mut identity = Identity::open(folder.path(), None).unwrap();
        let (epoch, _) = identity.position();
        let key = identity.key_id();
        assert!(!identity.lead_after((epoch, 40), Some(&key)).unwrap());
        assert!(!identity.lead_after((epoch, 3), None).unwrap());
        assert_eq!(identity.next().unwrap().2, 41);
        assert!(!identity.lead_after((epoch + 5, 1), Some(&key)).unwrap());
        assert_eq!(identity.next().unwrap(), (identity.key(), epoch + 5, 2));
    }

    #[test]
    fn what_somebody_has_seen_is_skipped_within_reason() {
        let folder = tempfile::tempdir().unwrap();
        let mut identity = Identity::open(folder.path(), None).unwrap();
        assert!(identity.skip(40).unwrap() && identity.skip(7).unwrap());
        assert_eq!(identity.next().unwrap().2, 41);
        assert!(!identity.skip(u64::MAX).unwrap());
        assert_eq!(Identity::open(folder.path(), None).unwrap().next().unwrap().2, 42);
    }

    #[test]
    fn who_leads_with_another_key_than_the_last_leader_begins_a_later_epoch() {
        let folder = tempfile::tempdir().unwrap();
        let mut identity = Identity::open(folder.path(), None).unwrap();
        let (key, far) = (identity.key(), now_milliseconds() + 1_000_000_000);
        assert!(identity.lead_after((far, 40), Some("0123456789abcdef")).unwrap());
        assert_eq!(identity.next().unwrap(), (key, far + 1, 1));
    }

    #[test]
    fn the_given_key_is_the_leaders_even_where_another_one_was_followed() {
        let folder = tempfile::tempdir().unwrap();
        let mut identity = Identity::open(folder.path(), Some(SetKey([1; 16]))).unwrap();
        let (epoch, _) = identity.position();
        identity.adopt(SetKey([2; 16]), epoch - 100, 40).unwrap();
        let followed = identity.key_id();
        assert!(identity.lead_after((epoch - 100, 40), Some(&followed)).unwrap());
        let (key, later, number) = identity.next().unwrap();
        assert_eq!((key, number), (SetKey([1; 16]), 1));
        assert!(later >= epoch);
    }

    #[test]
    fn an_id_tells_keys_apart_and_does_not_hold_them() {
        let id = |key: [u8; 16]| {
            let folder = tempfile::tempdir().unwrap();
            Identity::open(folder.path(), Some(SetKey(key))).unwrap().key_id()
        };
        assert_eq!(id([1; 16]), id([1; 16]));
        assert_ne!(id([1; 16]), id([2; 16]));
        assert!(!id([1; 16]).contains("0101"));
    }

    #[test]
    fn a_follower_goes_on_in_the_leaders_epoch_with_its_key() {
        let folder = tempfile::tempdir().unwrap();
        let mut identity = Identity::open(folder.path(), None).unwrap();
        let (epoch, _) = identity.position();
        identity.adopt(SetKey([7; 16]), epoch - 100, 40).unwrap();
        assert_eq!(identity.next().unwrap(), (SetKey([7; 16]), epoch - 100, 41));
        identity.adopt(SetKey([7; 16]), epoch - 100, 41).unwrap();
        identity.adopt(SetKey([7; 16]), epoch - 200, 50).unwrap();
        assert_eq!(Identity::open(folder.path(), None).unwrap().next().unwrap().2, 42);
    }

    #[test]
    fn the_file_with_the_key_is_for_its_owner_only() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        Identity::open(folder.path(), None).unwrap();
        let mode = fs::metadata(folder.path().join("set.json")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
