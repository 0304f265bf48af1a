//! A bounded memory of tasks: two halves, of which the older is dropped when the younger is full.

use std::collections::HashMap;
use std::hash::Hash;

/// Keeps at most `capacity` values; what is asked for stays.
#[derive(Debug)]
pub(super) struct Memory<K, V> {
    young: HashMap<K, V, ahash::RandomState>,
    old: HashMap<K, V, ahash::RandomState>,
    half: usize,
}

impl<K: Copy + Eq + Hash, V> Memory<K, V> {
    pub fn new(capacity: usize) -> Self {
        Self { young: HashMap::default(), old: HashMap::default(), half: (capacity / 2).max(1) }
    }

    pub fn recall(&mut self, key: K) -> Option<&V> {
        if let Some(value) = self.old.remove(&key) {
            self.keep(key, value);
        }
        self.young.get(&key)
    }

    pub fn keep(&mut self, key: K, value: V) {
        if self.young.len() >= self.half && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.old.remove(&key);
        self.young.insert(key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_more_than_the_capacity_is_kept() {
        let mut memory = Memory::new(4);
        for pid in 0..100 {
            memory.keep(pid, pid);
        }
        assert!(memory.young.len() + memory.old.len() <= 4);
        assert_eq!(memory.recall(99), Some(&99));
        assert_eq!(memory.recall(0), None);
    }

    #[test]
    fn what_is_asked_for_stays() {
        let mut memory = Memory::new(4);
        memory.keep(7, 7);
        for pid in 100..200 {
            memory.keep(pid, pid);
            assert_eq!(memory.recall(7), Some(&7));
        }
    }

    #[test]
    fn the_last_value_counts() {
        let mut memory = Memory::new(2);
        memory.keep(7, 1);
        memory.keep(8, 2);
        memory.keep(7, 3);
        assert_eq!(memory.recall(7), Some(&3));
    }
}
