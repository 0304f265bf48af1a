//! Key, epoch and number of the sets that this agent builds itself, kept in the state folder.
//!
//! A number is written down before it is used, so that it is never used twice; a lost folder is a new epoch.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use namewarden_protocol::obtain::copy::write_whole;
use namewarden_protocol::threat_set::SetKey;
use serde::{Deserialize, Serialize};

/// What the next set is known by.
#[derive(Debug)]
pub struct Identity {
    /// The hash key of every set of this epoch.
    pub key: SetKey,
    /// Seconds of the Unix epoch when the key was made: a later key has a greater epoch.
    pub epoch: u64,
    number: u64,
    path: Option<PathBuf>,
}

/// As it stands in the file.
#[derive(Serialize, Deserialize)]
struct Stored {
    key: [u8; 16],
    epoch: u64,
    number: u64,
}

impl Identity {
    /// What the state folder holds, else a new key.
    pub fn open(state_dir: Option<&Path>) -> io::Result<Self> {
        let path = state_dir.map(|folder| folder.join("set.json"));
        let stored = match path.as_deref().map(fs::read) {
            Some(Ok(text)) => serde_json::from_slice::<Stored>(&text).ok(),
            Some(Err(error)) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => None,
        };
        if let Some(Stored { key, epoch, number }) = stored {
            return Ok(Self { key: SetKey(key), epoch, number, path });
        }
        let epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        Ok(Self { key: SetKey::random()?, epoch, number: 0, path })
    }

    /// A number that no set of this epoch has had.
    pub fn next_number(&mut self) -> io::Result<u64> {
        self.number += 1;
        if let Some(path) = &self.path {
            let SetKey(key) = self.key;
            let stored = Stored { key, epoch: self.epoch, number: self.number };
            write_whole(path, &serde_json::to_vec(&stored)?)?;
        }
        Ok(self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_and_epoch_stay_and_numbers_grow_over_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let mut first = Identity::open(Some(folder.path())).unwrap();
        assert_eq!((first.next_number().unwrap(), first.next_number().unwrap()), (1, 2));
        let mut second = Identity::open(Some(folder.path())).unwrap();
        assert_eq!(second.key, first.key);
        assert_eq!((second.epoch, second.next_number().unwrap()), (first.epoch, 3));
    }

    #[test]
    fn without_a_folder_every_start_has_a_key_of_its_own() {
        assert_ne!(Identity::open(None).unwrap().key, Identity::open(None).unwrap().key);
    }

    #[test]
    fn the_file_with_the_key_is_for_its_owner_only() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        Identity::open(Some(folder.path())).unwrap().next_number().unwrap();
        let mode = fs::metadata(folder.path().join("set.json")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
