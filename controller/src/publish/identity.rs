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

use crate::feed::copy::write_whole;

/// What the next set is known by.
#[derive(Debug)]
pub struct Identity {
    stored: Stored,
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
        match (stored, key) {
            (Some(stored), None) => Ok(Self { stored, path }),
            (Some(stored), Some(key)) if stored.key == key.0 => Ok(Self { stored, path }),
            (stored, key) => {
                let SetKey(key) = key.map_or_else(SetKey::random, Ok)?;
                let epoch = now_milliseconds().max(stored.map_or(0, |stored| stored.epoch + 1));
                let identity = Self { stored: Stored { key, epoch, number: 0 }, path };
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

    /// Makes the next set come after this one; what is already behind stays as it is.
    pub fn skip_to(&mut self, epoch: u64, number: u64) -> io::Result<()> {
        if (epoch, number) > self.position() { self.store(epoch, number) } else { Ok(()) }
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
        identity.skip_to(epoch, 40).unwrap();
        identity.skip_to(epoch, 3).unwrap();
        assert_eq!(identity.next().unwrap().2, 41);
        identity.skip_to(epoch + 5, 1).unwrap();
        assert_eq!(identity.next().unwrap(), (identity.key(), epoch + 5, 2));
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
