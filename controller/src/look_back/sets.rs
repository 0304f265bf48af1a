//! The sets of the last hour, and the one before them: each file is kept by a link of its own, for the publisher keeps as many
//! as agents need, not as long as logs come late.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

use crate::{feed::copy::write_whole, publish::Published};

/// Sets at most: with more the second oldest goes, and what it listed anew counts as listed later than it was.
const SETS_MAX: usize = 16;

/// A set that was published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Epoch and number: what orders sets, whatever the clock said.
    position: (u64, u64),
    /// When.
    pub at: SystemTime,
    /// Its file.
    pub path: PathBuf,
}

/// What was searched.
#[derive(Debug, Default, Serialize, Deserialize)]
struct State {
    /// The file of the last set whose names were searched for.
    done: Option<String>,
    /// Logs that arrived before this were looked at.
    arrived: Option<u64>,
}

/// The sets of a folder, the oldest first.
#[derive(Debug)]
pub struct Sets {
    folder: PathBuf,
    kept: Vec<Kept>,
    state: State,
}

impl Sets {
    /// The sets of a folder, which is made where it is missing.
    pub fn open(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let mut kept = Vec::new();
        for found in fs::read_dir(folder)? {
            let path = found?.path();
            kept.extend(Kept::of(path));
        }
        kept.sort_unstable_by_key(|kept| kept.position);
        let state = match fs::read(folder.join("searched.json")) {
            // What cannot be read is begun anew: at worst alerts are found that are there already.
            Ok(text) => serde_json::from_slice(&text).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => State::default(),
            Err(error) => return Err(error),
        };
        Ok(Self { folder: folder.to_owned(), kept, state })
    }

    /// A set is the last one; says whether its names are yet to be searched for.
    pub fn add(&mut self, set: &Published) -> io::Result<bool> {
        // Known by its tag: after a restart a set's time is known to the second only.
        let tag = format!("-{}.set", crate::publish::tag(set.id));
        let last = self.kept.last().and_then(|last| last.path.file_name()?.to_str());
        let name = last.filter(|name| name.ends_with(&tag)).map_or_else(|| file_name(set), str::to_owned);
        let path = self.folder.join(&name);
        if self.kept.last().is_none_or(|last| last.path != path) {
            link(&set.path, &path)?;
            self.kept.push(Kept { position: (set.id.epoch, set.id.number), at: set.at, path });
        }
        if self.kept.len() > SETS_MAX {
            remove(&self.kept.remove(1).path)?;
        }
        Ok(self.state.done.as_ref() != Some(&name))
    }

    /// A set is the last one, whose names another controller searches for. What was in use before that time goes.
    pub fn note(&mut self, set: &Published, time: SystemTime) -> io::Result<()> {
        self.add(set)?;
        let in_use = self.kept.iter().rposition(|kept| kept.at <= time).unwrap_or(0);
        for gone in self.kept.drain(..in_use) {
            remove(&gone.path)?;
        }
        Ok(())
    }

    /// What logs of that time and later are compared with: the set that was in use then, or an older one where no search has
    /// come to its end since. `None` where that is the last one.
    pub fn base(&self, time: SystemTime) -> Option<&Kept> {
        let place = self.base_place(time);
        self.kept.get(place).filter(|_| place + 1 < self.kept.len())
    }

    fn base_place(&self, time: SystemTime) -> usize {
        let in_use = self.kept.iter().rposition(|kept| kept.at <= time).unwrap_or(0);
        let is_done =
            |kept: &Kept| kept.path.file_name().and_then(|name| name.to_str()) == self.state.done.as_deref();
        in_use.min(self.kept.iter().position(is_done).unwrap_or(0))
    }

    /// The sets behind that one.
    pub fn later(&self, base: &Kept) -> Vec<Kept> {
        self.kept.iter().skip_while(|kept| *kept != base).skip(1).cloned().collect()
    }

    /// Which logs were looked at.
    pub fn arrived(&self) -> Option<u64> {
        self.state.arrived
    }

    /// The last set's names were searched for in what `arrived` so far (`None`: as before). What is not needed for logs of that
    /// time and later goes.
    pub fn done(&mut self, arrived: Option<u64>, time: SystemTime) -> io::Result<()> {
        let last = self
            .kept
            .last()
            .and_then(|last| last.path.file_name())
            .map(|name| name.to_string_lossy().into_owned());
        let arrived = arrived.or(self.state.arrived);
        if self.state.done != last || self.state.arrived != arrived {
            self.state = State { done: last, arrived };
            write_whole(&self.folder.join("searched.json"), &serde_json::to_vec(&self.state)?)?;
        }
        for gone in self.kept.drain(..self.base_place(time)) {
            remove(&gone.path)?;
        }
        Ok(())
    }
}

/// Time, position and digest.
fn file_name(set: &Published) -> String {
    let at = set.at.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    format!("{at:020}-{}.set", crate::publish::tag(set.id))
}

impl Kept {
    /// A file of the folder, where it is a set's.
    fn of(path: PathBuf) -> Option<Self> {
        let name = path.file_name()?.to_str()?.strip_suffix(".set")?;
        let mut parts = name.split('-');
        let at = UNIX_EPOCH.checked_add(Duration::from_millis(parts.next()?.parse().ok()?))?;
        let (epoch, number) = parts.next()?.split_once('.')?;
        Some(Self { position: (epoch.parse().ok()?, number.parse().ok()?), at, path })
    }
}

/// A second name for a file that never changes; a copy where the file system has no such thing, whole or not at all.
fn link(file: &Path, path: &Path) -> io::Result<()> {
    match fs::hard_link(file, path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            let beside = path.with_extension("new");
            fs::copy(file, &beside)?;
            fs::rename(beside, path)
        }
        _ => Ok(()),
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use namewarden_protocol::threat_set::SetId;

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn published(folder: &Path, number: u64, seconds: u64) -> Published {
        let path = folder.join(format!("{number}.published"));
        fs::write(&path, number.to_string()).unwrap();
        let id = SetId { epoch: 1, number, digest: [1; 32] };
        Published { id, entries: 1, feeds: 1, bytes: 1, at: at(seconds), path }
    }

    /// What the sets' files hold: their numbers.
    fn numbers(sets: &[Kept]) -> Vec<String> {
        sets.iter().map(|kept| fs::read_to_string(&kept.path).unwrap()).collect()
    }

    #[test]
    fn logs_are_compared_with_the_set_of_their_time() {
        let (made, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut sets = Sets::open(folder.path()).unwrap();
        assert!(sets.add(&published(made.path(), 1, 100)).unwrap());
        assert_eq!(sets.base(at(0)), None);
        sets.done(None, at(0)).unwrap();
        for (number, seconds) in [(2, 200), (3, 300)] {
            assert!(sets.add(&published(made.path(), number, seconds)).unwrap());
            let base = sets.base(at(0)).unwrap().clone();
            assert_eq!(numbers(std::slice::from_ref(&base)), ["1"]);
            sets.done(Some(number), at(0)).unwrap();
        }
        fs::remove_file(made.path().join("1.published")).unwrap();
        let base = sets.base(at(250)).unwrap().clone();
        assert_eq!(
            (numbers(std::slice::from_ref(&base)), numbers(&sets.later(&base))),
            (vec!["2".to_owned()], vec!["3".to_owned()])
        );
        sets.done(None, at(250)).unwrap();
        assert_eq!(sets.arrived(), Some(3));
        // Opened again it is the same, and what is no longer needed is gone.
        let mut sets = Sets::open(folder.path()).unwrap();
        assert_eq!((numbers(&sets.kept), sets.arrived()), (vec!["2".to_owned(), "3".to_owned()], Some(3)));
        assert!(!sets.add(&published(made.path(), 3, 300)).unwrap());
        assert_eq!(sets.base(at(400)), None);
        sets.done(None, at(400)).unwrap();
        assert_eq!(numbers(&sets.kept), ["3"]);
    }

    #[test]
    fn a_search_that_failed_goes_back_to_the_set_before_it() {
        let (made, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut sets = Sets::open(folder.path()).unwrap();
        sets.add(&published(made.path(), 1, 100)).unwrap();
        sets.done(None, at(0)).unwrap();
        sets.add(&published(made.path(), 2, 200)).unwrap();
        sets.add(&published(made.path(), 3, 300)).unwrap();
        assert_eq!(numbers(&[sets.base(at(9_000)).unwrap().clone()]), ["1"]);
        assert!(sets.add(&published(made.path(), 3, 300)).unwrap());
    }

    /// A controller that was restarted knows the time of its set to the second only, and clocks are set back.
    #[test]
    fn a_set_is_the_same_one_whatever_is_said_of_its_time() {
        let (made, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut sets = Sets::open(folder.path()).unwrap();
        sets.add(&published(made.path(), 1, 300)).unwrap();
        sets.done(None, at(0)).unwrap();
        let mut second = published(made.path(), 2, 100);
        second.at += Duration::from_millis(789);
        sets.add(&second).unwrap();
        sets.done(Some(1), at(0)).unwrap();
        let mut sets = Sets::open(folder.path()).unwrap();
        assert_eq!(numbers(&sets.kept), ["1", "2"]);
        assert!(!sets.add(&published(made.path(), 2, 100)).unwrap());
        assert_eq!((numbers(&sets.kept), sets.base(at(400))), (vec!["1".to_owned(), "2".to_owned()], None));
        sets.done(None, at(400)).unwrap();
        assert_eq!(numbers(&sets.kept), ["2"]);
    }

    #[test]
    fn sets_are_bounded() {
        let (made, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut sets = Sets::open(folder.path()).unwrap();
        for number in 1..=40 {
            sets.add(&published(made.path(), number, number * 10)).unwrap();
        }
        assert_eq!(sets.kept.len(), SETS_MAX);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), SETS_MAX);
        assert_eq!(numbers(&sets.kept)[0], "1");
    }
}
