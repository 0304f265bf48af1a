//! Resources and documents as they change -> feeds that come, change and go.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use super::Run;
use super::state::{Feed, Trouble};
use crate::feed::resource::Resource;
use crate::feed::source::{Change, Observed, Unusable};
use crate::feed::status::{self, Now};

impl Run<'_> {
    /// What the source says.
    pub(super) fn observe(&mut self, change: Change) {
        match change {
            Change::Applied(observed) => self.apply(observed),
            Change::Deleted(name) => self.delete(&name),
            Change::All(all) => self.observe_all(all),
        }
        self.find_surplus();
    }

    /// A document was written or deleted.
    pub(super) fn look_at_document(&mut self, name: &str) {
        let is_there = self.parts.pushes.revision(name).is_some();
        let Some(feed) = self.feeds.get_mut(name) else { return };
        if is_there {
            feed.expect_document();
        } else if feed.lose_document() {
            self.forget_copy(name);
            self.compile_soon();
            self.touched.insert(name.to_owned());
        }
    }

    fn observe_all(&mut self, all: Vec<Observed>) {
        let named: BTreeSet<_> = all.iter().map(|observed| name(observed).to_owned()).collect();
        for observed in all {
            self.apply(observed);
        }
        let known = self.feeds.keys().chain(self.unusable.keys());
        let gone: Vec<_> = known.filter(|name| !named.contains(*name)).cloned().collect();
        for name in &gone {
            self.delete(name);
        }
        // What an earlier process kept of feeds that were deleted while none ran.
        let orphans: Vec<_> = std::mem::take(&mut self.records).into_keys().collect();
        orphans.iter().filter(|name| !named.contains(*name)).for_each(|name| self.forget_copy(name));
        if self.listed_at.is_none() {
            self.listed_at = Some(Instant::now());
            // Also when nothing is listed: an empty set is what takes the last name out.
            self.compile_soon();
        }
    }

    fn apply(&mut self, observed: Observed) {
        match observed {
            Ok(resource) => self.apply_resource(resource),
            Err(Unusable { name, reason }) => {
                let is_news = self.unusable.get(&name).is_none_or(|status| !status::says(status, &reason));
                if is_news && self.feeds.get(&name).is_none_or(|feed| !feed.is_in_trouble_for(&reason)) {
                    tracing::warn!(feed = name, "the resource cannot be used: {reason}");
                }
                if let Some(feed) = self.feeds.get_mut(&name) {
                    feed.trouble = Some(Trouble { kind: "Invalid", message: reason });
                    self.touched.insert(name);
                } else {
                    self.list_unusable(name, reason);
                }
            }
        }
    }

    /// Says of a resource that was never seen whole why it is not used, where that is news.
    fn list_unusable(&mut self, name: String, reason: String) {
        if self.unusable.get(&name).is_none_or(|status| !status::says(status, &reason)) {
            let status = status::unusable(reason, Now::read());
            self.writer.put(&name, status.clone());
            self.unusable.insert(name, status);
            self.overview.send_replace(Arc::new(self.show()));
        }
    }

    fn apply_resource(&mut self, resource: Box<Resource>) {
        let now = Now::read();
        let Some(name) = resource.metadata.name.clone() else { return };
        self.unusable.remove(&name);
        let is_other = self.feeds.get(&name).is_some_and(|feed| {
            feed.resource.metadata.uid.is_some() && feed.resource.metadata.uid != resource.metadata.uid
        });
        if is_other {
            // Deleted and made again between two looks.
            self.delete(&name);
        }
        if let Some(feed) = self.feeds.get_mut(&name) {
            let is_same = feed.resource.spec == resource.spec
                && feed.resource.metadata.annotations == resource.metadata.annotations
                && feed.resource.metadata.generation == resource.metadata.generation;
            if is_same && feed.trouble.as_ref().is_none_or(|trouble| trouble.kind != "Invalid") {
                // Our own status, come back.
                feed.resource = resource;
                return;
            }
            feed.trouble.take_if(|trouble| trouble.kind == "Invalid");
            if feed.apply(resource, now.instant) {
                self.compile_soon();
            }
        } else {
            let kept = self.records.remove(&name);
            let feed = Feed::new(resource, kept, now.instant, now.unix());
            let is_in_set = feed.is_in_set();
            self.feeds.insert(name.clone(), feed);
            if is_in_set {
                self.compile_soon();
            }
        }
        self.look_at_document(&name);
        self.touched.insert(name);
    }

    fn delete(&mut self, name: &str) {
        if self.feeds.remove(name).is_some_and(|feed| feed.is_in_set()) {
            self.compile_soon();
        }
        self.said.remove(name);
        self.unusable.remove(name);
        self.writer.forget(name);
        self.forget_copy(name);
        self.overview.send_replace(Arc::new(self.show()));
    }

    pub(super) fn forget_copy(&self, name: &str) {
        if let Err(error) = self.parts.puller.shelf.forget(name) {
            tracing::warn!(feed = name, "the record of a feed that is gone cannot be removed: {error}");
        }
    }

    /// The oldest feeds are taken, those beyond the limit say that they are not.
    fn find_surplus(&mut self) {
        let mut by_age: Vec<_> = self
            .feeds
            .iter()
            .filter(|(_, feed)| feed.definition.as_ref().is_some_and(super::super::Definition::is_active))
            .map(|(name, feed)| (feed.resource.metadata.creation_timestamp.clone(), name.clone()))
            .collect();
        by_age.sort();
        let surplus: BTreeSet<_> =
            by_age.into_iter().skip(self.parts.settings.feeds_max).map(|(_, name)| name).collect();
        let mut changed = false;
        for (name, feed) in &mut self.feeds {
            let is_surplus = surplus.contains(name);
            if feed.is_surplus != is_surplus {
                feed.is_surplus = is_surplus;
                changed = true;
                self.touched.insert(name.clone());
            }
        }
        if changed {
            self.compile_soon();
        }
    }
}

fn name(observed: &Observed) -> &str {
    match observed {
        Ok(resource) => resource.metadata.name.as_deref().unwrap_or_default(),
        Err(unusable) => &unusable.name,
    }
}
