//! A file that holds one token: whoever shows it may do everything. Read anew when it changes.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::{Caller, Denied, FileError, Secret};

/// Shorter tokens can be guessed.
const MIN_CHARACTERS: usize = 16;
/// How often the file is looked at.
const LOOK: Duration = Duration::from_secs(5);

/// The token of a file.
#[derive(Debug)]
pub struct TokenFile {
    path: PathBuf,
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Known {
    /// Only the token's digest is kept.
    digest: [u8; 32],
    looked: Instant,
}

impl TokenFile {
    /// Reads the file.
    ///
    /// # Errors
    /// It cannot be read, or holds no usable token.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        let known = Known { digest: read(path)?, looked: Instant::now() };
        Ok(Self { path: path.to_owned(), known: Mutex::new(known) })
    }

    pub(super) fn check(&self, token: &Secret) -> Result<Arc<Caller>, Denied> {
        let shown: [u8; 32] = Sha256::digest(token.reveal().as_bytes()).into();
        if bool::from(shown.ct_eq(&self.digest(Instant::now()))) {
            Ok(Arc::new(Caller { name: "token file".to_owned(), ..Caller::default() }))
        } else {
            Err(Denied::BadCredentials)
        }
    }

    fn digest(&self, now: Instant) -> [u8; 32] {
        let mut known = self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if now >= known.looked + LOOK {
            known.looked = now;
            match read(&self.path) {
                Ok(digest) => known.digest = digest,
                Err(error) => tracing::warn!("the token stays as it was: {error}"),
            }
        }
        known.digest
    }
}

fn read(path: &Path) -> Result<[u8; 32], FileError> {
    let shown = || path.display().to_string();
    let text =
        std::fs::read_to_string(path).map_err(|error| FileError::Unreadable { path: shown(), error })?;
    let token = text.trim();
    if token.len() < MIN_CHARACTERS || token.contains(char::is_whitespace) {
        let reason =
            format!("it must hold one token of at least {MIN_CHARACTERS} characters and nothing else");
        return Err(FileError::Wrong { path: shown(), reason });
    }
    Ok(Sha256::digest(token.as_bytes()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_and_no_other_is_accepted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "0123456789abcdef\n").unwrap();
        let file = TokenFile::open(&path).unwrap();
        assert_eq!(file.check(&Secret::new("0123456789abcdef")).unwrap().name, "token file");
        assert_eq!(file.check(&Secret::new("0123456789abcdeg")), Err(Denied::BadCredentials));
        assert_eq!(file.check(&Secret::new("")), Err(Denied::BadCredentials));
    }

    #[test]
    fn a_new_token_replaces_the_old_one_and_a_broken_file_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "0123456789abcdef").unwrap();
        let file = TokenFile::open(&path).unwrap();
        let first = file.digest(Instant::now());
        std::fs::write(&path, "").unwrap();
        assert_eq!(file.digest(Instant::now() + LOOK), first);
        std::fs::write(&path, "fedcba9876543210").unwrap();
        assert_ne!(file.digest(Instant::now() + 3 * LOOK), first);
    }

    #[test]
    fn a_token_that_can_be_guessed_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "secret").unwrap();
        assert!(TokenFile::open(&path).unwrap_err().to_string().contains("at least 16 characters"));
    }
}
