//! What a set lists and the set before did not, asked name by name: sets hold no names, so it cannot be written down.

use std::{
    sync::{Arc, OnceLock},
    time::{Duration, SystemTime},
};

use namewarden_protocol::{
    document::{
        Document, Set, Time,
        retroactive::{self, Author, Listed, Named},
        threat::ListedBy,
    },
    entry::Scope,
    threat_set::{self, FeedInfo, OpenError, ThreatSet},
};

use super::sets::Kept;

/// Within this time every agent that is not cut off has taken a new set.
const TAKEN: Duration = Duration::from_secs(2);

/// Entries of one log that alert, as many as a workload may alert of in an hour.
const ENTRIES_MAX: usize = 100;

/// Two sets and those between, not yet opened.
#[derive(Debug)]
pub struct Between {
    base: Kept,
    later: Vec<Kept>,
}

/// Two sets, and those between.
#[derive(Debug)]
pub struct Gain {
    base: ThreatSet,
    new: ThreatSet,
    new_at: SystemTime,
    /// Opened when they are asked.
    between: Vec<(Kept, OnceLock<Option<ThreatSet>>)>,
}

impl Gain {
    /// What the last of the later sets gained over the base.
    pub fn between(base: &Kept, later: Vec<Kept>) -> Between {
        Between { base: base.clone(), later }
    }

    /// Whether a value of a name's field holds a name that was gained.
    pub fn is_meant(&self, value: &str) -> bool {
        value.split(' ').any(|part| self.finds(part))
    }

    fn finds(&self, name: &str) -> bool {
        let key = retroactive::key(name);
        self.new.find(&key).is_some() && self.base.find(&key).is_none()
    }

    /// The alerts of a log, so many at most: one for each entry that it met before the entry was listed.
    pub fn alerts(&self, log: &Document, most: usize, author: &Author) -> Vec<Document> {
        let most = most.clamp(1, ENTRIES_MAX);
        let mut alerts: Vec<Document> = Vec::new();
        let mut entries: Vec<String> = Vec::new();
        for named in retroactive::names(log) {
            let key = retroactive::key(named.name);
            let Some(found) = self.new.find(&key).filter(|_| self.base.find(&key).is_none()) else {
                continue;
            };
            if entries.len() >= most {
                tracing::warn!(
                    log = log.id(),
                    "a DNS log names more than {most} entries; the others are left out"
                );
                break;
            }
            if entries.iter().any(|known| known == found.entry) || self.was_known(&key, log.timestamp) {
                continue;
            }
            entries.push(found.entry.to_owned());
            alerts.extend(self.alert(log, named, &found, author));
        }
        alerts
    }

    /// Whether agents listed the name themselves at that time.
    fn was_known(&self, key: &str, time: Time) -> bool {
        let listed = self.between.iter().find(|(kept, set)| {
            let set = set.get_or_init(|| open(kept).inspect_err(|error| tracing::warn!("{error}")).ok());
            set.as_ref().is_some_and(|set| set.find(key).is_some())
        });
        let since = listed.map_or(self.new_at, |(kept, _)| kept.at);
        let since = (since + TAKEN).duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        u128::from(time.0) > since.as_nanos()
    }

    fn alert(
        &self,
        log: &Document,
        named: Named<'_>,
        found: &threat_set::Listed<'_>,
        author: &Author,
    ) -> Option<Document> {
        let of = |listing: &threat_set::Listing| Some((self.new.feed(listing.feed)?.clone(), listing.scope));
        let feeds: Vec<(Arc<FeedInfo>, Scope)> = found.listings.iter().filter_map(of).collect();
        let (_, scope) = feeds.first()?;
        let listed_by = feeds.iter().map(|(info, _)| ListedBy {
            name: &info.name,
            description: &info.description,
            severity: info.severity,
            techniques: &info.techniques,
        });
        let id = self.new.id();
        let listed = Listed {
            named,
            entry: found.entry,
            scope: *scope,
            feeds: listed_by.collect(),
            set: Set::new(id.epoch, id.number, &id.digest),
        };
        Some(retroactive::alert(log, &listed, author))
    }
}

impl Between {
    /// Opens the sets; `None` where nothing was gained. Blocks.
    ///
    /// # Errors
    /// A set cannot be read now, or is damaged. A damaged file is removed: what it is a link to may be sound, and what is compared with
    /// the next time is the set beside it.
    pub fn open(self) -> Result<Option<Gain>, OpenError> {
        let Self { base, mut later } = self;
        let Some(new) = later.pop() else { return Ok(None) };
        let (base, new_at, new) = (open(&base)?, new.at, open(&new)?);
        let between = later.into_iter().map(|kept| (kept, OnceLock::new())).collect();
        Ok(new.lists_more_than(&base)?.then_some(Gain { base, new, new_at, between }))
    }
}

fn open(kept: &Kept) -> Result<ThreatSet, OpenError> {
    ThreatSet::open(&kept.path).inspect_err(|error| {
        if !matches!(error, OpenError::Io(_)) {
            // Where that fails too the same is said again.
            let _ = std::fs::remove_file(&kept.path);
        }
    })
}
