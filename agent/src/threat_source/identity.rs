//! Key, epoch and number of the sets that this agent builds itself, kept in the state folder.
//!
//! A number is written down before it is used, so that it is never used twice; a lost folder is a new epoch.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
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
    kept: Option<Kept>,
    /// Why the key is a new one although there was a file with one; a sentence for the operator.
    pub remark: Option<String>,
}

/// Where it is kept.
#[derive(Debug)]
struct Kept {
    path: PathBuf,
    /// The folder's own number in its file system: a copy of the folder has another.
    folder: u64,
}

/// As it stands in the file.
#[derive(Serialize, Deserialize)]
struct Stored {
    key: [u8; 16],
    epoch: u64,
    number: u64,
    folder: u64,
}

impl Identity {
    /// What the state folder holds, else a new key. A folder that was copied from another agent's gets a new key too:
    /// the two would number different sets alike.
    pub fn open(state_dir: Option<&Path>) -> io::Result<Self> {
        let Some(state_dir) = state_dir else { return Self::new(None, None) };
        let kept = Kept { path: state_dir.join("set.json"), folder: fs::metadata(state_dir)?.ino() };
        let text = match fs::read(&kept.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Self::new(Some(kept), None),
            Err(error) => return Err(error),
        };
        let why = match serde_json::from_slice::<Stored>(&text) {
            Ok(Stored { key, epoch, number, folder }) if folder == kept.folder => {
                return Ok(Self { key: SetKey(key), epoch, number, kept: Some(kept), remark: None });
            }
            Ok(_) => "was copied from another agent's",
            Err(_) => "holds a damaged set.json",
        };
        let remark = format!(
            "the state folder {} {why}: a new hash key is made and sets are numbered from 1 again; last good copies \
             in it are used",
            state_dir.display()
        );
        Self::new(Some(kept), Some(remark))
    }

    fn new(kept: Option<Kept>, remark: Option<String>) -> io::Result<Self> {
        let epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        Ok(Self { key: SetKey::random()?, epoch, number: 0, kept, remark })
    }

    /// A number that no set of this epoch has had.
    pub fn next_number(&mut self) -> io::Result<u64> {
        self.number += 1;
        if let Some(Kept { path, folder }) = &self.kept {
            let SetKey(key) = self.key;
            let stored = Stored { key, epoch: self.epoch, number: self.number, folder: *folder };
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
    fn a_damaged_file_is_said_and_a_new_key_made() {
        let folder = tempfile::tempdir().unwrap();
        let mut first = Identity::open(Some(folder.path())).unwrap();
        first.next_number().unwrap();
        let path = folder.path().join("set.json");
        let text = fs::read(&path).unwrap();
        fs::write(&path, &text[..text.len() / 2]).unwrap();
        let second = Identity::open(Some(folder.path())).unwrap();
        assert!(second.remark.unwrap().contains("damaged set.json"));
        assert_ne!(second.key, first.key);
    }

    #[test]
    fn a_copied_folder_is_said_and_gets_a_key_of_its_own() {
        let (folder, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut first = Identity::open(Some(folder.path())).unwrap();
        assert_eq!(first.remark, None);
        first.next_number().unwrap();
        fs::copy(folder.path().join("set.json"), copy.path().join("set.json")).unwrap();
        let second = Identity::open(Some(copy.path())).unwrap();
        assert!(second.remark.unwrap().contains("was copied from another agent's"));
        assert_ne!(second.key, first.key);
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
