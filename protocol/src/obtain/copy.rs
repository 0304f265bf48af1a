//! The last good copy of each feed: what is used when the feed itself is gone, refused or out of reach.
//!
//! With a state folder copies outlive the agent (`feeds/<name>.copy` and `feeds/<name>.json`, written beside and
//! renamed); without one they are files without a name that vanish with it.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{MemfdFlags, Mode, OFlags};
use serde::{Deserialize, Serialize};

const BUFFER_BYTES: usize = 64 * 1024;

/// What is known of a copy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Where it was read from, without credentials: a copy of another place is of no use.
    pub location: String,
    /// When the feed was last seen to be so, seconds of the Unix epoch.
    pub time: u64,
    /// Entries in it.
    pub entries: u64,
    /// The server's `ETag`, where there was one.
    pub etag: Option<String>,
    /// The server's `Last-Modified`, where there was one.
    pub last_modified: Option<String>,
}

/// A feed's bytes that were read well once.
#[derive(Debug)]
pub struct LastGood {
    file: File,
    /// What is known of it.
    pub origin: Origin,
}

/// A copy in the making.
#[derive(Debug)]
pub struct Draft {
    file: File,
    path: DraftPath,
}

/// A draft's name while it is no copy, removed when it never becomes one; `None` where it has none.
#[derive(Debug)]
struct DraftPath(Option<PathBuf>);

/// Why a draft was not filled: the operator mends a feed that cannot be read elsewhere than a full disk.
#[derive(Debug)]
pub enum FillError {
    /// The source could not be read.
    Read(io::Error),
    /// The draft could not be written.
    Write(io::Error),
}

/// A source that remembers whether it was what failed.
struct Watched<R> {
    source: R,
    failed: bool,
}

/// Where copies are kept.
#[derive(Debug)]
pub struct Copies {
    folder: Option<PathBuf>,
    /// Held as long as the folder is in use: two agents would number their sets alike and mix their copies.
    _lock: Option<File>,
}

impl Copies {
    /// Copies in the state folder, which is made where it is missing; without one they last as long as the agent.
    pub fn new(state_dir: Option<&Path>) -> io::Result<Self> {
        let Some(state_dir) = state_dir else { return Ok(Self { folder: None, _lock: None }) };
        let folder = state_dir.join("feeds");
        fs::create_dir_all(&folder)?;
        let lock = lock(&state_dir.join("lock"))?;
        Ok(Self { folder: Some(folder), _lock: Some(lock) })
    }

    /// The copy that an earlier run left of the feed, if it is of this location and whole.
    pub fn find(&self, name: &str, location: &str) -> Option<LastGood> {
        let folder = self.folder.as_ref()?;
        let origin: Origin =
            serde_json::from_slice(&fs::read(folder.join(format!("{name}.json"))).ok()?).ok()?;
        let file = File::open(folder.join(format!("{name}.copy"))).ok()?;
        (origin.location == location).then_some(LastGood { file, origin })
    }

    /// An empty draft for the feed.
    pub fn draft(&self, name: &str) -> io::Result<Draft> {
        let Some(folder) = &self.folder else {
            return Ok(Draft { file: scratch_file()?, path: DraftPath(None) });
        };
        let path = folder.join(format!("{name}.draft"));
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(&path)?;
        Ok(Draft { file, path: DraftPath(Some(path)) })
    }

    /// Makes a draft the feed's last good copy; an error says why it will not outlive the agent.
    pub fn keep(&self, name: &str, draft: Draft, origin: Origin) -> (LastGood, io::Result<()>) {
        let copy = LastGood { file: draft.file, origin };
        let kept = self.store(name, &copy, draft.path);
        (copy, kept)
    }

    fn store(&self, name: &str, copy: &LastGood, mut path: DraftPath) -> io::Result<()> {
        let (Some(folder), Some(draft)) = (&self.folder, path.0.as_ref()) else { return Ok(()) };
        copy.file.sync_all()?;
        // The description goes first: without it the old copy is passed over, never taken for the new one.
        match fs::remove_file(folder.join(format!("{name}.json"))) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        fs::rename(draft, folder.join(format!("{name}.copy")))?;
        path.0 = None;
        self.describe(name, &copy.origin)
    }

    /// Writes down what is known of a copy.
    pub fn describe(&self, name: &str, origin: &Origin) -> io::Result<()> {
        let Some(folder) = &self.folder else { return Ok(()) };
        write_whole(&folder.join(format!("{name}.json")), &serde_json::to_vec(origin)?)
    }
}

impl LastGood {
    /// The copy from its start; one reader at a time.
    pub fn reader(&self) -> io::Result<BufReader<File>> {
        from_start(&self.file)
    }
}

impl Draft {
    /// The draft from its start; one reader at a time.
    pub fn reader(&self) -> io::Result<BufReader<File>> {
        from_start(&self.file)
    }

    /// Copies all of a source, but no more than `bytes_max` and one byte, which tells that there was more.
    pub fn fill(&mut self, source: &mut dyn Read, bytes_max: u64) -> Result<u64, FillError> {
        let mut source = Watched { source: source.take(bytes_max.saturating_add(1)), failed: false };
        io::copy(&mut source, &mut self.file)
            .map_err(|error| if source.failed { FillError::Read(error) } else { FillError::Write(error) })
    }
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let outcome = self.source.read(buffer);
        // An interrupted read is tried again by whoever copies.
        self.failed = outcome.as_ref().is_err_and(|error| error.kind() != io::ErrorKind::Interrupted);
        outcome
    }
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for DraftPath {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            // Best effort: the next draft of the feed overwrites it.
            let _ = fs::remove_file(path);
        }
    }
}

fn from_start(file: &File) -> io::Result<BufReader<File>> {
    let mut file = file.try_clone()?;
    file.seek(SeekFrom::Start(0))?;
    Ok(BufReader::with_capacity(BUFFER_BYTES, file))
}

fn lock(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::Error(error)) => Err(error),
        Err(TryLockError::WouldBlock) => {
            Err(io::Error::new(io::ErrorKind::ResourceBusy, "another agent is using it"))
        }
    }
}

/// Writes a file beside its place and renames it: whoever reads it sees the old or the new content.
pub fn write_whole(path: &Path, content: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(beside, path)
}

/// A file without a name: on disk where there is a folder for such files, else in memory (read-only root).
fn scratch_file() -> io::Result<File> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let on_disk = rustix::fs::open(std::env::temp_dir(), flags, Mode::RUSR | Mode::WUSR);
    let file = on_disk.or_else(|_| rustix::fs::memfd_create("namewarden-feed", MemfdFlags::CLOEXEC))?;
    Ok(File::from(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(copy: &LastGood) -> String {
        let mut text = String::new();
        copy.reader().unwrap().read_to_string(&mut text).unwrap();
        text
    }

    fn kept(copies: &Copies, text: &str) -> LastGood {
        let mut draft = copies.draft("f").unwrap();
        draft.write_all(text.as_bytes()).unwrap();
        let origin = Origin { location: "/here".to_owned(), entries: 1, ..Origin::default() };
        let (copy, stored) = copies.keep("f", draft, origin);
        stored.unwrap();
        copy
    }

    #[test]
    fn a_copy_is_found_again_by_name_and_location() {
        let folder = tempfile::tempdir().unwrap();
        let copies = Copies::new(Some(folder.path())).unwrap();
        kept(&copies, "one");
        kept(&copies, "two");
        drop(copies);
        let again = Copies::new(Some(folder.path())).unwrap();
        assert_eq!(read(&again.find("f", "/here").unwrap()), "two");
        assert!(again.find("f", "/there").is_none());
        assert!(again.find("g", "/here").is_none());
    }

    #[test]
    fn a_folder_belongs_to_one_agent_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let first = Copies::new(Some(folder.path())).unwrap();
        let error = Copies::new(Some(folder.path())).unwrap_err();
        assert_eq!(error.to_string(), "another agent is using it");
        drop(first);
        assert!(Copies::new(Some(folder.path())).is_ok());
    }

    #[test]
    fn a_draft_that_is_not_kept_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let copies = Copies::new(Some(folder.path())).unwrap();
        drop(copies.draft("f").unwrap());
        assert_eq!(fs::read_dir(folder.path().join("feeds")).unwrap().count(), 0);
    }

    #[test]
    fn a_source_that_breaks_off_is_told_from_a_full_disk() {
        let file = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut full = Draft { file, path: DraftPath(None) };
        assert!(matches!(full.fill(&mut &b"evil.example"[..], 100), Err(FillError::Write(_))));
        let folder = tempfile::tempdir().unwrap();
        let mut broken = File::open(folder.path()).unwrap();
        let mut draft = Copies::new(None).unwrap().draft("f").unwrap();
        assert!(matches!(draft.fill(&mut broken, 100), Err(FillError::Read(_))));
        assert_eq!(draft.fill(&mut &b"evil.example"[..], 100).unwrap(), 12);
    }

    #[test]
    fn without_a_folder_a_copy_lasts_as_long_as_it_is_held() {
        let copies = Copies::new(None).unwrap();
        let copy = kept(&copies, "text");
        assert_eq!((read(&copy), read(&copy)), ("text".to_owned(), "text".to_owned()));
        assert!(copies.find("f", "/here").is_none());
    }
}
