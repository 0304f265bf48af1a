//! The time without capture: between the last sign of life of an earlier agent in the same state folder and the moment
//! the hooks are attached. It becomes a document, so that nobody takes silence for peace.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use namewarden_protocol::obtain::copy::write_whole;

use super::turns::{self, LIVELY};
use crate::pipeline::packet::Timestamp;

/// Written while capturing; its content is the civil time of the last sign of life, in nanoseconds.
pub const FILE: &str = "last_capture";

/// Beside it once capture has ended in good order, until it begins again.
const ENDED: &str = "capture_ended";

/// Remembers over restarts when capture was last alive. Clones share the mark.
#[derive(Clone, Debug)]
pub struct LastCapture {
    path: PathBuf,
    /// Whether capture has ended; held while a mark is being written.
    ended: Arc<Mutex<bool>>,
}

impl LastCapture {
    /// Keeps the mark in `state_dir`.
    pub fn new(state_dir: &Path) -> Self {
        Self { path: state_dir.join(FILE), ended: Arc::default() }
    }

    /// When capture was last alive before this process; `None` at the first start or when the mark is unreadable.
    pub fn read(&self) -> Option<Timestamp> {
        fs::read_to_string(&self.path).ok()?.trim().parse().ok().map(Timestamp)
    }

    /// When capture ended of the agent that was alive last in another folder beside this one: it still wrote its last documents when
    /// this one began, and so did not look as one that had ended; or it was killed since.
    pub fn ended_beside(&self, now: Timestamp) -> Option<Timestamp> {
        let others = turns::beside(self.path.parent()?);
        let signs = others.filter_map(|folder| Some((Self::new(&folder).read()?.0, folder)));
        // A sign from the future is older than the clock's being set back, and than every other one.
        let (_, at, folder) = signs.map(|(at, folder)| (at < now.0, at, folder)).max()?;
        let is_over = has_ended(&folder) || turns::is_free(&folder);
        is_over.then_some(Timestamp(at))
    }

    /// Whether another agent beside this one captures: it holds its folder, gave a sign of life lately, and has not ended. Whatever ended
    /// before it is told of by that one.
    pub fn is_covered(&self, now: Timestamp) -> bool {
        let Some(folder) = self.path.parent() else { return false };
        let is_lately = |at: Timestamp| at <= now && !at.has_passed(LIVELY, LIVELY, now);
        turns::beside(folder).any(|folder| {
            let sign = Self::new(&folder).read();
            sign.is_some_and(is_lately) && turns::is_held(&folder) && !has_ended(&folder)
        })
    }

    /// Says that capture has begun.
    pub fn begin(&self) {
        // Where it is not there, or the disk takes nothing, there is nothing to take back.
        let _ = fs::remove_file(self.path.with_file_name(ENDED));
    }

    /// Says that capture ended at `now`: no mark comes after this one.
    pub fn end(&self, now: Timestamp) -> io::Result<()> {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        *ended = true;
        self.write(now)?;
        write_whole(&self.path.with_file_name(ENDED), b"")
    }

    /// Says that capture is alive at `now`. Where the disk has not taken the mark before yet, or capture has ended, nothing is written.
    pub fn mark(&self, now: Timestamp) -> io::Result<()> {
        match self.ended.try_lock() {
            Ok(ended) if !*ended => self.write(now),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    fn write(&self, now: Timestamp) -> io::Result<()> {
        // Whole also after a power loss: an empty mark would be no mark.
        write_whole(&self.path, now.0.to_string().as_bytes())
    }
}

/// When the time without capture began, and why, where the last sign of life is this one. A sign from the future says that the clock
/// was set back, not when capture ended.
pub fn since(sign: Timestamp, now: Timestamp) -> (Timestamp, &'static str) {
    if sign <= now {
        (sign, "the agent was not running")
    } else {
        (now, "the agent was not running, since when is not known: the clock was set back")
    }
}

/// Whether capture ended after its last sign: an agent that does not know the mark leaves an old one where it is.
fn has_ended(folder: &Path) -> bool {
    let written = |name: &str| fs::metadata(folder.join(name)).and_then(|file| file.modified()).ok();
    written(ENDED).zip(written(FILE)).is_some_and(|(ended, sign)| ended >= sign)
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
    fn one_that_ended_beside_this_one_leaves_a_gap_and_one_that_captures_none() {
        let shared = tempfile::tempdir().unwrap();
        let [old, other, own] = ["turn-0", "turn-1", "turn-2"].map(|name| {
            fs::create_dir(shared.path().join(name)).unwrap();
            LastCapture::new(&shared.path().join(name))
        });
        assert_eq!(own.ended_beside(Timestamp(9)), None);
        old.end(Timestamp(5)).unwrap();
        assert_eq!(own.ended_beside(Timestamp(9)), Some(Timestamp(5)));
        other.mark(Timestamp(6)).unwrap();
        assert_eq!(own.ended_beside(Timestamp(9)), None, "another one captures");
        let old = LastCapture::new(&shared.path().join("turn-0"));
        old.begin();
        old.mark(Timestamp(7)).unwrap();
        assert_eq!(own.ended_beside(Timestamp(9)), None, "it captures again");
        let lock = fs::File::create(shared.path().join("turn-0/turn.lock")).unwrap();
        lock.lock().unwrap();
        assert_eq!(own.ended_beside(Timestamp(9)), None, "it captures again");
        drop(lock);
        assert_eq!(own.ended_beside(Timestamp(9)), Some(Timestamp(7)), "it was killed");
        other.mark(Timestamp(99)).unwrap();
        assert_eq!(own.ended_beside(Timestamp(9)), Some(Timestamp(7)), "the clock was set back");
        assert_eq!(own.ended_beside(Timestamp(3)), None, "nobody knows that it has ended");
        fs::File::create(shared.path().join("turn-1/turn.lock")).unwrap();
        assert_eq!(own.ended_beside(Timestamp(3)), Some(Timestamp(99)), "no other sign is left");
    }

    #[test]
    fn where_another_one_captures_there_is_no_gap_whoever_ended_last() {
        let second = |seconds: u64| Timestamp(seconds * 1_000_000_000);
        let shared = tempfile::tempdir().unwrap();
        let [own, other] = ["turn-0", "turn-1"].map(|name| {
            fs::create_dir(shared.path().join(name)).unwrap();
            LastCapture::new(&shared.path().join(name))
        });
        other.mark(second(97)).unwrap();
        // That of this folder ended in good order behind the other one's sign.
        own.end(second(100)).unwrap();
        assert!(!own.is_covered(second(101)), "nobody holds the other folder");
        let lock = fs::File::create(shared.path().join("turn-1/turn.lock")).unwrap();
        lock.lock().unwrap();
        assert!(own.is_covered(second(101)));
        assert!(!own.is_covered(second(200)), "it holds its folder and does not capture");
        other.end(second(101)).unwrap();
        assert!(!own.is_covered(second(102)), "it has ended, and writes its last documents");
    }

    #[test]
    fn a_clock_that_was_set_back_hides_no_gap() {
        assert_eq!(since(Timestamp(5), Timestamp(9)), (Timestamp(5), "the agent was not running"));
        let (start, reason) = since(Timestamp(10), Timestamp(9));
        assert!(start == Timestamp(9) && reason.ends_with("the clock was set back"), "{start:?} {reason}");
    }

    #[test]
    fn a_mark_that_comes_late_does_not_undo_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let last = LastCapture::new(folder.path());
        let beside = last.clone();
        last.end(Timestamp(5)).unwrap();
        beside.mark(Timestamp(6)).unwrap();
        assert_eq!(LastCapture::new(folder.path()).read(), Some(Timestamp(5)));
        assert!(has_ended(folder.path()));
    }

    #[test]
    fn a_mark_does_not_wait_for_the_one_before_it() {
        let folder = tempfile::tempdir().unwrap();
        let last = LastCapture::new(folder.path());
        last.mark(Timestamp(5)).unwrap();
        let slow = last.ended.lock().unwrap();
        last.mark(Timestamp(6)).unwrap();
        assert_eq!(last.read(), Some(Timestamp(5)));
        drop(slow);
        last.mark(Timestamp(7)).unwrap();
        assert_eq!(last.read(), Some(Timestamp(7)));
    }

    #[test]
    fn a_spoilt_mark_is_no_mark() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE), "yesterday").unwrap();
        assert_eq!(LastCapture::new(folder.path()).read(), None);
    }
}
