//! Numbers of documents: which one is the first of its group and may bear the group's name as its `_id`.
//!
//! The first document of a group is named by facts alone, so that a restarted or an overlapping agent gives the same fact
//! the same `_id`. A group that was closed early and opened anew within its window, or a clock that was set back, must not
//! lead to that `_id` a second time: the search engine would take the second document for a retry. So the names that were
//! given are remembered; the memory is bounded, and where it had to forget no name counts as new.

use std::collections::BTreeMap;

use ahash::{AHashSet, RandomState};

/// Names of groups remembered at most: 8 bytes each, and the table's.
pub const NAMES_MAX: usize = 65_536;

/// Gives each document of a run its number.
#[derive(Debug)]
pub struct Numbering {
    hasher: RandomState,
    /// Names given, by the window that they were made of.
    given: BTreeMap<u64, AHashSet<u64>>,
    remembered: usize,
    most: usize,
    /// Of windows up to this one names were forgotten.
    forgotten: Option<u64>,
    last: u64,
}

impl Numbering {
    /// Remembers at most so many names.
    pub fn new(most: usize) -> Self {
        Self {
            hasher: RandomState::new(),
            given: BTreeMap::new(),
            remembered: 0,
            most,
            forgotten: None,
            last: 0,
        }
    }

    /// Number of the document that opens a group: 0 where no document of this run can have had the group's name.
    pub fn first(&mut self, group: &str, window: u64) -> u64 {
        if self.forgotten.is_some_and(|forgotten| window <= forgotten) {
            return self.later();
        }
        let name = self.hasher.hash_one(group);
        if !self.given.entry(window).or_default().insert(name) {
            return self.later();
        }
        self.remembered += 1;
        self.make_room();
        0
    }

    /// Number of any other document; never given twice.
    pub fn later(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    fn make_room(&mut self) {
        while self.remembered > self.most
            && let Some((window, names)) = self.given.pop_first()
        {
            self.remembered -= names.len();
            self.forgotten = self.forgotten.max(Some(window));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_groups_name_is_given_once() {
        let mut numbering = Numbering::new(8);
        assert_eq!(numbering.first("a", 1), 0);
        assert_eq!(numbering.first("b", 1), 0);
        assert_eq!(numbering.first("a", 1), 1);
        assert_eq!(numbering.later(), 2);
        assert_eq!(numbering.first("a", 1), 3);
    }

    #[test]
    fn a_name_that_may_have_been_forgotten_is_not_given_again() {
        let mut numbering = Numbering::new(2);
        let first: Vec<_> = ["a", "b", "c"].iter().map(|group| numbering.first(group, 1)).collect();
        assert_eq!(first, [0, 0, 0]);
        assert!(numbering.first("a", 1) > 0, "forgotten, so it counts as given");
        assert!(numbering.first("new", 1) > 0);
        assert_eq!(numbering.first("new", 2), 0, "another window is not affected");
    }

    #[test]
    fn the_oldest_windows_are_forgotten_first() {
        let mut numbering = Numbering::new(2);
        numbering.first("a", 1);
        numbering.first("b", 2);
        numbering.first("c", 2);
        assert!(numbering.first("a", 1) > 0);
        assert!(numbering.first("b", 2) > 0, "remembered");
        assert_eq!(numbering.first("d", 3), 0);
        assert!(numbering.remembered <= 2);
    }
}
