//! The time without capture: between the last sign of life of an earlier agent in the same state folder and the moment
//! the hooks are attached. It becomes a document, so that nobody takes silence for peace.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use namewarden_protocol::obtain::copy::write_whole;

use crate::pipeline::packet::Timestamp;

/// Written while capturing; its content is the civil time of the last sign of life, in nanoseconds.
const FILE: &str = "last_capture";

/// Remembers over restarts when capture was last alive.
#[derive(Debug)]
pub struct LastCapture {
    path: PathBuf,
}

impl LastCapture {
    /// Keeps the mark in `state_dir`.
    pub fn new(state_dir: &Path) -> Self {
        Self { path: state_dir.join(FILE) }
    }

    /// When capture was last alive before this process; `None` at the first start or when the mark is unreadable.
    pub fn read(&self) -> Option<Timestamp> {
        fs::read_to_string(&self.path).ok()?.trim().parse().ok().map(Timestamp)
    }

    /// Says that capture is alive at `now`.
    pub fn mark(&self, now: Timestamp) -> io::Result<()> {
        // Whole also after a power loss: an empty mark would be no mark.
        write_whole(&self.path, now.0.to_string().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_mark_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let last = LastCapture::new(folder.path());
        assert_eq!(last.read(), None);
        last.mark(Timestamp(5)).unwrap();
        last.mark(Timestamp(7)).unwrap();
        assert_eq!(LastCapture::new(folder.path()).read(), Some(Timestamp(7)));
    }

    #[test]
    fn a_spoilt_mark_is_no_mark() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE), "yesterday").unwrap();
        assert_eq!(LastCapture::new(folder.path()).read(), None);
    }
}
