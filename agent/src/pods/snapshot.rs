//! What is known of pods, on disk: an agent that starts while the API server is away names them at once.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use namewarden_protocol::obtain::copy::write_whole;

use crate::pipeline::attribute::pod::Pod;

/// More than any node's pods take; a larger file is none of ours.
const BYTES_MAX: u64 = 64 << 20;

/// The file.
#[derive(Debug)]
pub(super) struct Snapshot {
    path: PathBuf,
    hasher: ahash::RandomState,
    /// Of what the file holds.
    written: Option<u64>,
}

impl Snapshot {
    /// In this folder.
    pub fn new(folder: &Path) -> Self {
        Self { path: folder.join("pods.json"), hasher: ahash::RandomState::new(), written: None }
    }

    /// What an earlier run kept; nothing where there is none, or none that can be read.
    pub fn read(&self) -> Vec<Pod> {
        let Ok(file) = File::open(&self.path) else { return Vec::new() };
        let mut text = Vec::new();
        let read = file.take(BYTES_MAX).read_to_end(&mut text);
        let pods = read.and_then(|_| Ok(serde_json::from_slice(&text)?));
        pods.unwrap_or_else(|error| {
            tracing::warn!("names of pods that an earlier run kept cannot be read: {error}");
            Vec::new()
        })
    }

    /// Keeps these, where they are others than before.
    pub fn write(&mut self, pods: &[Arc<Pod>]) -> io::Result<()> {
        let mut sorted: Vec<&Pod> = pods.iter().map(|pod| &**pod).collect();
        sorted.sort_by(|one, other| one.uid.cmp(&other.uid));
        let text = serde_json::to_vec(&sorted)?;
        if text.len() as u64 > BYTES_MAX {
            return Err(io::Error::other("they take more than 64 MiB"));
        }
        let digest = self.hasher.hash_one(&text);
        if self.written == Some(digest) {
            return Ok(());
        }
        write_whole(&self.path, &text)?;
        self.written = Some(digest);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_is_written_is_read_again_and_what_is_damaged_is_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut snapshot = Snapshot::new(folder.path());
        assert_eq!(snapshot.read(), []);
        let pod = Arc::new(Pod { uid: "u".into(), name: "n".into(), ..Pod::default() });
        snapshot.write(&[Arc::clone(&pod)]).unwrap();
        assert_eq!(snapshot.read(), [(*pod).clone()]);
        fs::write(folder.path().join("pods.json"), "[{").unwrap();
        assert_eq!(snapshot.read(), []);
    }

    #[test]
    fn what_did_not_change_is_not_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let mut snapshot = Snapshot::new(folder.path());
        snapshot.write(&[Arc::default()]).unwrap();
        fs::remove_file(folder.path().join("pods.json")).unwrap();
        snapshot.write(&[Arc::default()]).unwrap();
        assert!(!folder.path().join("pods.json").exists());
    }
}
