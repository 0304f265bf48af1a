//! What was found out about tokens and rights, for a short while, in bounded memory.

use std::{
    collections::HashMap,
    sync::Mutex,
    time::{Duration, Instant},
};

use sha2::{Digest as _, Sha256};

/// A key under which nothing secret can be read back.
pub(super) type Key = [u8; 32];

/// A bounded table whose rows expire.
#[derive(Debug)]
pub(super) struct Cache<V> {
    salt: [u8; 16],
    capacity: usize,
    rows: Mutex<HashMap<Key, Row<V>>>,
}

#[derive(Debug)]
struct Row<V> {
    value: V,
    until: Instant,
}

impl<V: Clone> Cache<V> {
    pub(super) fn new(capacity: usize) -> Self {
        let salt = namewarden_protocol::threat_set::SetKey::random().map_or([0; 16], |key| key.0);
        Self { salt, capacity, rows: Mutex::default() }
    }

    /// The key of some parts; two lists of parts share none.
    pub(super) fn key(&self, parts: &[&[u8]]) -> Key {
        let mut hash = Sha256::new();
        hash.update(self.salt);
        for part in parts {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        hash.finalize().into()
    }

    pub(super) fn find(&self, key: &Key, now: Instant) -> Option<V> {
        let rows = self.rows.lock().ok()?;
        rows.get(key).filter(|row| row.until > now).map(|row| row.value.clone())
    }

    /// Keeps a value. Where there is no room, what has expired goes first, then what expires soonest.
    pub(super) fn keep(&self, key: Key, value: V, now: Instant, for_: Duration) {
        let Ok(mut rows) = self.rows.lock() else { return };
        if rows.len() >= self.capacity && !rows.contains_key(&key) {
            rows.retain(|_, row| row.until > now);
            if rows.len() >= self.capacity {
                let mut ends: Vec<_> = rows.values().map(|row| row.until).collect();
                let middle = ends.len() / 8;
                let (_, &mut end, _) = ends.select_nth_unstable(middle);
                rows.retain(|_, row| row.until > end);
            }
        }
        rows.insert(key, Row { value, until: now + for_ });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    #[test]
    fn a_row_is_found_until_it_expires() {
        let (cache, now) = (Cache::new(4), Instant::now());
        let key = cache.key(&[b"token"]);
        cache.keep(key, 7, now, MINUTE);
        assert_eq!(cache.find(&key, now + MINUTE / 2), Some(7));
        assert_eq!(cache.find(&key, now + MINUTE), None);
    }

    #[test]
    fn a_full_table_makes_room_and_keeps_what_lives_longest() {
        let (cache, now) = (Cache::new(8), Instant::now());
        for number in 0..100u8 {
            cache.keep(cache.key(&[&[number]]), number, now, MINUTE + Duration::from_secs(u64::from(number)));
        }
        assert!(cache.rows.lock().unwrap().len() <= 8);
        assert_eq!(cache.find(&cache.key(&[&[99]]), now), Some(99));
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        let cache = Cache::<()>::new(1);
        assert_ne!(cache.key(&[b"ab", b"c"]), cache.key(&[b"a", b"bc"]));
    }
}
