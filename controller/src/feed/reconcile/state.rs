//! One feed through its life: what it asks for, what is kept of it, when it is pulled next, what is wrong.
//!
//! Time comes in as an argument; nothing here reads a clock, a file or the network.

use std::time::{Duration, Instant};

use namewarden_protocol::obtain::schedule::Schedule;

use crate::feed::copy::{Provenance, Record, Summary};
use crate::feed::definition::{Definition, Origin};
use crate::feed::pull::{FailureKind, Order, Pulled, url_digest};
use crate::feed::push::Revision;
use crate::feed::resource::{Condition, Resource};

/// What is wrong with a feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// One word, stable.
    pub kind: &'static str,
    /// A sentence.
    pub message: String,
}

/// What a feed is to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Pull.
    Pull(Box<Order>),
    /// Judge the pushed document, which this operation wrote.
    Take(Revision),
}

/// One feed.
#[derive(Debug)]
pub struct Feed {
    /// As it was applied last.
    pub resource: Box<Resource>,
    /// As it was last valid.
    pub definition: Option<Definition>,
    /// Why the resource as it is now cannot be used.
    pub invalid: Vec<String>,
    /// Its last good copy.
    pub kept: Option<Record>,
    /// When it is pulled.
    pub schedule: Schedule,
    /// Why the last pull or push changed nothing.
    pub trouble: Option<Trouble>,
    /// What was found in the list that was refused.
    pub refused: Option<Summary>,
    /// Beyond the number of feeds allowed.
    pub is_surplus: bool,
    /// The set that its entries are in, as `epoch.number`.
    pub in_set: Option<String>,
    /// The copy that they are of.
    pub in_set_digest: Option<String>,
    /// Conditions as last said: their times of transition go on.
    pub conditions: Vec<Condition>,
    /// What was told of last: an event a change, not one a retry.
    pub announced: Option<&'static str>,
    /// The pull or take that is under way; another number's outcome is out of date.
    pub running: Option<u64>,
    /// The document that is being judged.
    pub taking: Option<Revision>,
    /// When stored DNS logs were searched for its names, in seconds of the Unix epoch; as far as this process knows.
    pub searched_at: Option<u64>,
    /// Why they could not be since.
    pub search_trouble: Option<String>,
    /// When it is pulled next, as it was said.
    pub next_said: Option<(Instant, String)>,
    /// The document that was refused: it is not judged again.
    refused_document: Option<Revision>,
    /// The last list had less than half of the copy's entries; the next one like it is believed.
    shrank: bool,
    /// Once more when what is under way has ended.
    again: bool,
    /// Entries that an earlier controller had, by the status that it wrote.
    entries_before: i64,
}

impl Feed {
    /// A feed seen for the first time by this process, with what an earlier one kept.
    pub fn new(resource: Box<Resource>, kept: Option<Record>, now: Instant, unix_now: u64) -> Self {
        let status = resource.status.as_ref();
        let entries_before = status.and_then(|status| status.entries).unwrap_or_default();
        let mut feed = Self {
            conditions: status.map(|status| status.conditions.clone()).unwrap_or_default(),
            in_set: status.and_then(|status| status.threat_set.clone()),
            in_set_digest: kept.as_ref().map(|record| record.digest.clone()),
            resource,
            definition: None,
            invalid: Vec::new(),
            kept,
            schedule: Schedule::default(),
            trouble: None,
            refused: None,
            is_surplus: false,
            announced: None,
            running: None,
            taking: None,
            next_said: None,
            searched_at: None,
            search_trouble: None,
            refused_document: None,
            shrank: false,
            again: false,
            entries_before,
        };
        feed.define();
        feed.drop_foreign_copy();
        if let Some(pull) =
            feed.definition.as_ref().filter(|feed| feed.is_active()).and_then(Definition::pull)
        {
            let synced_at = feed.current_copy().map(|record| record.synced_at);
            feed.schedule = Schedule::new(pull.period);
            if let Some(synced_at) = synced_at {
                feed.schedule.resume(now, Duration::from_secs(unix_now.saturating_sub(synced_at)));
            } else {
                feed.schedule.pull_now(now);
            }
        }
        feed
    }

    /// The resource was applied again; whether what the set is made of may be different.
    pub fn apply(&mut self, resource: Box<Resource>, now: Instant) -> bool {
        let before = self.definition.clone();
        self.resource = resource;
        self.define();
        if !self.invalid.is_empty() || before == self.definition {
            return false;
        }
        let Some(after) = &self.definition else { return false };
        let was_active = before.as_ref().is_some_and(Definition::is_active);
        if !after.is_active() {
            self.schedule = Schedule::default();
            self.again = false;
            // What is under way is for nothing.
            self.running = None;
            self.trouble = None;
            return was_active;
        }
        let asked = after.pull_mark.is_some()
            && before.as_ref().map(|before| &before.pull_mark) != Some(&after.pull_mark);
        let same_list = before.as_ref().is_some_and(|before| is_same_list(before, after));
        match &after.origin {
            Origin::Pull(pull) => self.schedule.change_period(now, pull.period),
            Origin::Push => self.schedule = Schedule::default(),
        }
        let is_pulled = after.pull().is_some();
        if !same_list {
            // What is under way is another list.
            self.running = None;
            self.shrank = false;
            self.refused_document = None;
        }
        if is_pulled && (asked || !same_list || !was_active) {
            self.pull_now(now);
        }
        self.drop_foreign_copy();
        true
    }

    /// It is to be pulled at once, or once more after what is under way.
    pub fn pull_now(&mut self, now: Instant) {
        self.again = self.running.is_some();
        self.schedule.pull_now(now);
    }

    /// Whether it is to be in the set.
    pub fn is_in_set(&self) -> bool {
        self.kept.is_some() && self.is_active()
    }

    /// Whether it is to be pulled, or taken from pushes.
    pub fn is_active(&self) -> bool {
        !self.is_surplus && self.definition.as_ref().is_some_and(Definition::is_active)
    }

    /// Whether its entries as they are kept are in a set that was published; until then an older copy's are, or none.
    pub fn is_published(&self) -> bool {
        let kept = self.kept.as_ref().map(|record| &record.digest);
        self.in_set.is_some() && kept.is_some() && kept == self.in_set_digest.as_ref()
    }

    /// Whether it was said that this is what is wrong.
    pub fn is_in_trouble_for(&self, reason: &str) -> bool {
        self.trouble.as_ref().is_some_and(|trouble| trouble.message == reason)
    }

    /// Whether nothing is known of it yet, and something will be.
    pub fn is_awaited(&self) -> bool {
        self.is_active() && self.kept.is_none() && self.trouble.is_none() && self.schedule.next().is_some()
    }

    /// Whether its entries were lost with the disk: agents still match them, and would not after a set without.
    pub fn is_lost(&self) -> bool {
        self.entries_before > 0 && self.kept.is_none() && self.is_active()
    }

    /// What is to be done now; `document` is the number of the operation that wrote its document last.
    pub fn next(&self, now: Instant, document: Option<Revision>) -> Option<Next> {
        let definition = self.definition.as_ref().filter(|_| self.is_active() && self.running.is_none())?;
        match &definition.origin {
            Origin::Pull(_) if self.schedule.is_due(now) => Some(Next::Pull(Box::new(self.order()?))),
            Origin::Pull(_) => None,
            Origin::Push if self.schedule.next().is_some_and(|next| next > now) => None,
            Origin::Push => {
                let document = document?;
                self.wants_document(definition, document).then_some(Next::Take(document))
            }
        }
    }

    /// The outcome of what was under way; whether the set is to be made anew.
    pub fn finish(&mut self, outcome: Pulled, now: Instant, unix_now: u64) -> bool {
        self.running = None;
        let document = self.taking.take();
        let period = self.definition.as_ref().and_then(Definition::pull).map(|pull| pull.period);
        let is_new = match outcome {
            Pulled::New(record) => {
                let is_new = self
                    .kept
                    .as_ref()
                    .is_none_or(|kept| kept.digest != record.digest || kept.reading != record.reading);
                self.kept = Some(*record);
                self.succeed(now, period);
                is_new
            }
            Pulled::Unchanged => {
                if let Some(kept) = &mut self.kept {
                    kept.synced_at = unix_now;
                }
                self.succeed(now, period);
                false
            }
            Pulled::Gone => self.lose_document(),
            Pulled::Refused { reason, summary, shrank } => {
                self.refused = Some(summary);
                self.refused_document = document;
                self.shrank = shrank;
                let kind = if shrank { "Shrunk" } else { "Refused" };
                self.trouble = Some(Trouble { kind, message: reason });
                match period {
                    Some(_) if shrank => self.schedule.confirm(now),
                    Some(_) => self.schedule.failed(now, None),
                    // The next document is awaited.
                    None => self.schedule = Schedule::default(),
                }
                false
            }
            Pulled::Failed { kind, reason, retry_after } => {
                let kind = match kind {
                    FailureKind::Header => "HeaderUnavailable",
                    FailureKind::Fetch => "PullFailed",
                    FailureKind::Disk => "DiskFailed",
                };
                self.trouble = Some(Trouble { kind, message: reason });
                self.schedule.failed(now, retry_after);
                false
            }
        };
        if std::mem::take(&mut self.again) {
            self.schedule.pull_now(now);
        }
        is_new
    }

    /// Its document may be another one: one that could not be read before is not waited for.
    pub fn expect_document(&mut self) {
        if self.definition.as_ref().is_some_and(|feed| feed.origin == Origin::Push) {
            self.schedule = Schedule::default();
        }
    }

    /// Its document was deleted; whether the set is to be made anew.
    pub fn lose_document(&mut self) -> bool {
        let is_push = self.definition.as_ref().is_some_and(|feed| feed.origin == Origin::Push);
        if is_push {
            // What was wrong with it is gone with it.
            (self.trouble, self.refused, self.refused_document) = (None, None, None);
            self.shrank = false;
            self.schedule = Schedule::default();
            // What is judged is no longer there.
            (self.running, self.taking) = (None, None);
        }
        is_push && self.kept.take().is_some()
    }

    /// What was kept of it cannot be read: it is obtained anew.
    pub fn lose_copy(&mut self, reason: &str, now: Instant) {
        self.kept = None;
        let message = format!("its last good copy cannot be read ({reason}); it is obtained anew");
        self.trouble = Some(Trouble { kind: "DiskFailed", message });
        if self.definition.as_ref().is_some_and(|feed| feed.pull().is_some()) {
            self.pull_now(now);
        }
    }

    fn succeed(&mut self, now: Instant, period: Option<Duration>) {
        self.trouble = None;
        self.refused = None;
        self.shrank = false;
        match period {
            Some(_) => self.schedule.succeeded(now),
            None => self.schedule = Schedule::default(),
        }
    }

    fn define(&mut self) {
        match Definition::new(&self.resource) {
            Ok(definition) => {
                self.definition = Some(definition);
                self.invalid.clear();
            }
            Err(reasons) => self.invalid = reasons,
        }
    }

    fn order(&self) -> Option<Order> {
        let definition = self.definition.as_ref()?;
        let Origin::Pull(origin) = &definition.origin else { return None };
        let known = self.current_copy().cloned();
        let of_this_url = self.kept.as_ref().filter(|record| is_of_url(record, &origin.url));
        let least =
            of_this_url.filter(|_| !self.shrank).map_or(0, |record| record.summary.entries.div_ceil(2));
        Some(Order {
            feed: definition.name.clone(),
            origin: origin.clone(),
            reading: definition.reading.clone(),
            known,
            least,
        })
    }

    /// The last good copy, where it is of the URL and read in the way that the resource says now.
    fn current_copy(&self) -> Option<&Record> {
        let definition = self.definition.as_ref()?;
        let pull = definition.pull()?;
        let record = self.kept.as_ref()?;
        (is_of_url(record, &pull.url) && record.reading == definition.reading).then_some(record)
    }

    fn wants_document(&self, definition: &Definition, document: Revision) -> bool {
        let judged = self.kept.as_ref().is_some_and(|record| {
            record.provenance == Provenance::Pushed(document) && record.reading == definition.reading
        });
        !judged && self.refused_document != Some(document)
    }

    /// A pull feed that became a push feed, or the other way round, is another list.
    fn drop_foreign_copy(&mut self) {
        let Some(definition) = &self.definition else { return };
        let is_push = definition.origin == Origin::Push;
        if self
            .kept
            .as_ref()
            .is_some_and(|kept| is_push != matches!(kept.provenance, Provenance::Pushed { .. }))
        {
            self.kept = None;
        }
    }
}

fn is_of_url(record: &Record, url: &reqwest::Url) -> bool {
    matches!(&record.provenance, Provenance::Pulled { url: of, .. } if *of == url_digest(url))
}

/// Whether both ask the same server in the same way and read what comes alike.
fn is_same_list(before: &Definition, after: &Definition) -> bool {
    let request = |feed: &Definition| feed.pull().map(|pull| (pull.url.clone(), pull.headers.clone()));
    before.reading == after.reading && request(before) == request(after)
}

#[cfg(test)]
mod tests;
