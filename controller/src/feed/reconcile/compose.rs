//! Feeds -> what a set is made of, and what is known when it is made.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::state::Feed;
use super::{COMPILE_RETRY, COMPILE_RETRY_MAX, DEBOUNCE, LOST_PATIENCE, PATIENCE, Run};
use crate::publish::{AllowList, Ingredients, Part, PublishError, Published};

impl Run<'_> {
    /// The set is to be made anew in a moment, which further changes do not prolong.
    pub(super) fn compile_soon(&mut self) {
        let soon = Instant::now() + DEBOUNCE;
        self.compile_at = Some(self.compile_at.map_or(soon, |at| at.min(soon)));
    }

    /// When the first set may be made at the latest, where feeds are still awaited; else as planned.
    pub(super) fn settled_at(&self, planned: Instant) -> Instant {
        match self.listed_at.filter(|_| !self.is_settled) {
            Some(listed) if self.feeds.values().any(Feed::is_lost) => listed + LOST_PATIENCE,
            Some(listed) if self.feeds.values().any(Feed::is_awaited) => listed + PATIENCE,
            _ => planned,
        }
    }

    /// Says once what the first set waits for, where that may take long.
    fn tell_of_lost(&mut self) {
        let is_waiting = self.compile_at.is_some_and(|at| self.settled_at(at) > at);
        let lost: Vec<&str> =
            self.feeds.iter().filter(|(_, feed)| feed.is_lost()).map(|(name, _)| name.as_str()).collect();
        if is_waiting && !lost.is_empty() && !self.is_lost_told {
            tracing::warn!(
                feeds = lost.join(" "),
                "the copies of these feeds are lost: the first set waits {} s for them, agents keep the set they have",
                LOST_PATIENCE.as_secs()
            );
            self.is_lost_told = true;
        }
    }

    /// Starts the making of a set, if it is time and none is under way.
    pub(super) fn start_compiling(&mut self, now: Instant) {
        let is_due = self.compile_at.is_some_and(|at| at <= now && self.settled_at(at) <= now);
        self.tell_of_lost();
        if !is_due || !self.compiling.is_empty() || self.listed_at.is_none() {
            return;
        }
        self.compile_at = None;
        self.is_settled = true;
        let ingredients = self.ingredients();
        self.composed =
            ingredients.parts.iter().map(|part| (part.info.name.to_string(), part.digest.clone())).collect();
        let (publisher, leadership) = (self.parts.publisher.clone(), self.parts.leadership.clone());
        self.compiling.spawn_blocking(move || publisher.publish(&ingredients, &|| leadership.is_leader()));
    }

    /// A set was made, or not.
    pub(super) fn compiled(
        &mut self,
        ended: Result<Result<Arc<Published>, PublishError>, tokio::task::JoinError>,
    ) {
        match ended {
            Ok(Ok(published)) => self.note_set(&published),
            Ok(Err(PublishError::NotLeader)) => {}
            Ok(Err(PublishError::Copy { feed, reason })) => self.lose_copy(&feed, &reason),
            Ok(Err(error)) => self.retry_compiling(&error.to_string()),
            Err(error) => self.retry_compiling(&error.to_string()),
        }
    }

    /// One damaged copy must not keep the other feeds from changing: its list is obtained anew, and the set waits a moment.
    fn lose_copy(&mut self, name: &str, reason: &str) {
        if let Some(feed) = self.feeds.get_mut(name) {
            feed.lose_copy(reason, Instant::now());
            self.touched.insert(name.to_owned());
        }
        self.fail(&format!("the last good copy of feed {name} cannot be read: {reason}"), COMPILE_RETRY);
    }

    /// Less and less often: what is wrong may stay so.
    fn retry_compiling(&mut self, reason: &str) {
        self.fail(reason, self.compile_retry);
        self.compile_retry = (self.compile_retry * 2).min(COMPILE_RETRY_MAX);
    }

    fn fail(&mut self, reason: &str, pause: Duration) {
        tracing::error!("the threat set cannot be made: {reason}; the last one stays in use");
        self.readings.set_fails();
        self.compile_at.get_or_insert_with(|| Instant::now() + pause);
    }

    /// A feed's status names the set in which its entries came to be as they are, not every later one.
    fn note_set(&mut self, published: &Published) {
        self.readings.set_is_made();
        self.compile_retry = COMPILE_RETRY;
        let number = format!("{}.{}", published.id.epoch, published.id.number);
        tracing::info!(
            set = number,
            entries = published.entries,
            feeds = published.feeds,
            "threat set in use"
        );
        for (name, feed) in &mut self.feeds {
            let composed = self.composed.get(name);
            let is_known = feed.in_set.is_some() && composed == feed.in_set_digest.as_ref();
            if !is_known {
                feed.in_set = composed.map(|_| number.clone());
                feed.in_set_digest = composed.cloned();
                self.touched.insert(name.clone());
            }
        }
        self.last_set = Some((published.id.epoch, published.id.number));
        self.tell_search();
        if let Err(error) = self.parts.puller.shelf.sweep() {
            tracing::warn!("old copies cannot be removed: {error}");
        }
    }

    fn ingredients(&self) -> Ingredients {
        let part = |feed: &Feed| {
            let record = feed.kept.as_ref().filter(|_| feed.is_in_set())?;
            let info = feed.definition.as_ref()?.info.clone();
            Some(Part { info, digest: record.digest.clone(), reading: record.reading.clone() })
        };
        Ingredients {
            parts: self.feeds.values().filter_map(part).collect(),
            allow: self.parts.settings.allow.iter().cloned().map(AllowList).collect(),
            shelf: Arc::clone(&self.parts.puller.shelf),
            limits: self.parts.settings.limits,
        }
    }
}
