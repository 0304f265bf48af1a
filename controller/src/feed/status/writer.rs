//! Statuses on their way to the source: the latest of each feed, a few at a time, again after a failure.
//!
//! A slow or absent API server holds up nothing else: what waits is one status a feed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use tokio::sync::Notify;

use crate::feed::resource::GlobalThreatFeedStatus;
use crate::feed::source::Source;

/// Between two rounds: no feed's status is written more often.
const PAUSE: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// Writes at the same time.
const WRITES_MAX: usize = 8;

/// Takes statuses to be written.
#[derive(Clone, Debug, Default)]
pub struct Writer {
    waiting: Arc<Mutex<BTreeMap<String, GlobalThreatFeedStatus>>>,
    more: Arc<Notify>,
}

impl Writer {
    /// A status to be written instead of what waits for the feed.
    pub fn put(&self, feed: &str, status: GlobalThreatFeedStatus) {
        self.waiting().insert(feed.to_owned(), status);
        self.more.notify_one();
    }

    /// A feed that is gone needs no status.
    pub fn forget(&self, feed: &str) {
        self.waiting().remove(feed);
    }

    /// Writes whatever comes, for ever.
    pub async fn run(&self, source: &Source) {
        let mut pause = PAUSE;
        loop {
            if self.waiting().is_empty() {
                self.more.notified().await;
            }
            let round = std::mem::take(&mut *self.waiting());
            let writes = futures::stream::iter(round).map(|(feed, status)| self.write(source, feed, status));
            let failed =
                writes.buffer_unordered(WRITES_MAX).filter(|ok| std::future::ready(!ok)).count().await;
            pause = if failed == 0 { PAUSE } else { (pause * 2).min(PAUSE_MAX) };
            tokio::time::sleep(pause).await;
        }
    }

    /// Whether it was written; what was not waits again, unless there is a newer one.
    async fn write(&self, source: &Source, feed: String, status: GlobalThreatFeedStatus) -> bool {
        match source.write_status(&feed, &status).await {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(feed, "its status is not written yet: {error}");
                self.waiting().entry(feed).or_insert(status);
                false
            }
        }
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeMap<String, GlobalThreatFeedStatus>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
