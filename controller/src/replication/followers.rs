//! The leader's side: which followers there are, and up to which operation each has the pushed documents on its disk.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::watch;

use crate::web::Copies;

/// A follower that did not ask for so long is gone.
const SILENT: Duration = Duration::from_secs(45);
/// How long a push waits for a follower. Longer, and clients would take it for lost.
const PATIENCE: Duration = Duration::from_secs(3);
/// Followers that are told apart.
const FOLLOWERS_MAX: usize = 16;

/// The followers of this controller.
#[derive(Debug)]
pub struct Followers {
    table: Mutex<HashMap<String, Standing>>,
    /// Something changed that followers wait for.
    news: watch::Sender<u64>,
    /// A follower got further.
    progress: watch::Sender<u64>,
}

/// How far a follower is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// It has every operation of this leader below this number.
    pub next_seq_no: u64,
    /// When it asked last.
    pub seen: Instant,
}

impl Default for Followers {
    fn default() -> Self {
        Self { table: Mutex::default(), news: watch::Sender::new(0), progress: watch::Sender::new(0) }
    }
}

impl Followers {
    /// A follower asked, and said how far it is.
    pub fn note(&self, name: &str, next_seq_no: u64, now: Instant) {
        let mut table = self.table(now);
        if table.len() < FOLLOWERS_MAX || table.contains_key(name) {
            table.insert(name.to_owned(), Standing { next_seq_no, seen: now });
        }
        drop(table);
        self.progress.send_modify(|count| *count += 1);
    }

    /// Something changed that followers copy.
    pub fn tell(&self) {
        self.news.send_modify(|count| *count += 1);
    }

    /// Changes whenever there is something to copy.
    pub fn news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.table(Instant::now()).len()
    }

    /// What is said of a write that changed nothing.
    pub fn alone(&self) -> Copies {
        let total = 1 + self.count();
        Copies { total, written: total }
    }

    /// Tells the followers of an operation, and waits until one of them has it, if there are any.
    pub async fn copied(&self, seq_no: u64) -> Copies {
        self.copied_within(seq_no, PATIENCE).await
    }

    async fn copied_within(&self, seq_no: u64, patience: Duration) -> Copies {
        self.tell();
        let mut progress = self.progress.subscribe();
        let wait = async {
            loop {
                let copies = self.copies(seq_no);
                if copies.total == 1 || copies.written > 1 || progress.changed().await.is_err() {
                    return;
                }
            }
        };
        let is_late = tokio::time::timeout(patience, wait).await.is_err();
        if is_late {
            tracing::warn!(
                "a push is on this controller's disk only: no follower copied it within {patience:?}"
            );
        }
        self.copies(seq_no)
    }

    fn copies(&self, seq_no: u64) -> Copies {
        let table = self.table(Instant::now());
        let written = table.values().filter(|standing| standing.next_seq_no > seq_no).count();
        Copies { total: 1 + table.len(), written: 1 + written }
    }

    fn table(&self, now: Instant) -> MutexGuard<'_, HashMap<String, Standing>> {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        table.retain(|_, standing| now.saturating_duration_since(standing.seen) < SILENT);
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn without_followers_a_push_waits_for_nobody() {
        assert_eq!(Followers::default().copied(7).await, Copies { total: 1, written: 1 });
    }

    #[tokio::test]
    async fn a_push_waits_until_a_follower_has_it() {
        let followers = std::sync::Arc::new(Followers::default());
        followers.note("a", 7, Instant::now());
        followers.note("b", 0, Instant::now());
        let mut news = followers.news();
        let waiting = tokio::spawn({
            let followers = followers.clone();
            async move { followers.copied(7).await }
        });
        news.changed().await.unwrap();
        followers.note("a", 8, Instant::now());
        assert_eq!(waiting.await.unwrap(), Copies { total: 3, written: 2 });
    }

    #[tokio::test]
    async fn a_follower_that_is_stuck_holds_a_push_up_for_a_moment_only() {
        let followers = Followers::default();
        followers.note("a", 7, Instant::now());
        let copies = followers.copied_within(7, Duration::from_millis(10)).await;
        assert_eq!(copies, Copies { total: 2, written: 1 });
    }

    #[test]
    fn a_follower_that_fell_silent_is_not_counted() {
        let followers = Followers::default();
        followers.note("a", 7, Instant::now().checked_sub(SILENT).unwrap());
        assert_eq!(followers.count(), 0);
    }
}
