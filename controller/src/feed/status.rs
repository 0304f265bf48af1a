//! What is said of a feed: its state in the words of the resource's status.

// Statuses on their way to the source.
pub mod writer;

#[cfg(test)]
mod tests;

use std::time::{Duration, Instant, SystemTime};

use jiff::Timestamp;

use super::copy::Summary;
use super::definition::Origin;
use super::reconcile::searched;
use super::reconcile::state::{Feed, Trouble};
use super::resource::{Condition, ErrorCondition, GlobalThreatFeedStatus};
use super::source::Notice;

/// The time in both its forms.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// For what is due.
    pub instant: Instant,
    /// For people.
    pub civil: SystemTime,
}

impl Now {
    /// The time now.
    pub fn read() -> Self {
        Self { instant: Instant::now(), civil: SystemTime::now() }
    }

    /// Seconds of the Unix epoch.
    pub fn unix(&self) -> u64 {
        self.civil.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()
    }
}

/// A feed's status, and its conditions remembered for the next one.
pub fn status(feed: &mut Feed, now: Now) -> GlobalThreatFeedStatus {
    let generation = feed.resource.metadata.generation;
    feed.conditions = [ready(feed), supported(feed), synced(feed)]
        .into_iter()
        .map(|claim| claim.condition(&feed.conditions, generation, now))
        .collect();
    let next_sync = next_sync(feed, now);
    let shown = feed.kept.as_ref().map(|record| &record.summary).or(feed.refused.as_ref());
    let count = |count: fn(&Summary) -> u64| shown.map(|summary| signed(count(summary)));
    GlobalThreatFeedStatus {
        last_successful_sync: feed.kept.as_ref().and_then(|record| rfc3339(record.synced_at)),
        last_successful_search: last_search(feed),
        error_conditions: errors(feed),
        conditions: feed.conditions.clone(),
        entries: Some(if feed.is_in_set() {
            count(|summary| summary.entries).unwrap_or_default()
        } else {
            0
        }),
        rejected: count(|summary| summary.rejected),
        rejected_lines: shown.map(|summary| summary.rejected_lines.clone()).unwrap_or_default(),
        guarded: count(|summary| summary.guarded),
        format: shown.map(|summary| summary.format.clone()),
        next_sync,
        threat_set: feed.in_set.clone().filter(|_| feed.is_in_set()),
        observed_generation: generation,
    }
}

/// The last one of an earlier process counts while there is none of this one.
fn last_search(feed: &Feed) -> Option<String> {
    let before = || feed.resource.status.as_ref()?.last_successful_search.clone();
    feed.searched_at.and_then(rfc3339).or_else(before)
}

/// The status of a resource that was never read whole.
pub fn unusable(reason: String, now: Now) -> GlobalThreatFeedStatus {
    let claim = Claim { kind: "Ready", status: "False", reason: "Invalid", message: reason.clone() };
    GlobalThreatFeedStatus {
        error_conditions: vec![ErrorCondition { kind: "Invalid".to_owned(), message: reason }],
        conditions: vec![claim.condition(&[], None, now)],
        entries: Some(0),
        ..GlobalThreatFeedStatus::default()
    }
}

/// Whether a status of [`unusable`] gives this reason.
pub fn says(status: &GlobalThreatFeedStatus, reason: &str) -> bool {
    status.error_conditions.iter().any(|error| error.message == reason)
}

fn in_use(entries: u64) -> String {
    if entries == 1 { "1 entry is in use".to_owned() } else { format!("{entries} entries are in use") }
}

/// What is to be told of a feed, if its state is another one than was told of last.
pub fn notice(feed: &mut Feed) -> Option<Notice> {
    let trouble = feed.trouble.as_ref();
    let (state, is_warning, note) = match (feed.invalid.first(), trouble, &feed.kept) {
        (Some(reason), _, _) => ("Invalid", true, more(reason, feed.invalid.len())),
        (None, Some(trouble), _) => (trouble.kind, true, trouble.message.clone()),
        (None, None, Some(record)) if feed.is_active() && feed.is_published() => {
            ("Synced", false, in_use(record.summary.entries))
        }
        _ => return None,
    };
    let before = feed.announced.replace(state);
    let is_told = before == Some(state) || (before.is_none() && !is_warning && was_synced(feed));
    (!is_told).then_some(Notice { is_warning, reason: state, note })
}

/// Whether an earlier process said so already.
fn was_synced(feed: &Feed) -> bool {
    let status = feed.resource.status.as_ref();
    status.is_some_and(|status| {
        status.conditions.iter().any(|old| old.kind == "Synced" && old.status == "True")
    })
}

/// A condition without its times.
struct Claim {
    kind: &'static str,
    status: &'static str,
    reason: &'static str,
    message: String,
}

impl Claim {
    fn condition(self, before: &[Condition], generation: Option<i64>, now: Now) -> Condition {
        let unchanged = before.iter().find(|old| old.kind == self.kind && old.status == self.status);
        let since = unchanged.map(|old| old.last_transition_time.clone()).filter(|time| !time.is_empty());
        Condition {
            kind: self.kind.to_owned(),
            status: self.status.to_owned(),
            reason: self.reason.to_owned(),
            message: self.message,
            last_transition_time: since.or_else(|| rfc3339(now.unix())).unwrap_or_default(),
            observed_generation: generation,
        }
    }
}

/// Whether the feed does what it is there for.
fn ready(feed: &Feed) -> Claim {
    let claim = |status, reason, message: String| Claim { kind: "Ready", status, reason, message };
    if let Some(reason) = feed.invalid.first() {
        return claim("False", "Invalid", more(reason, feed.invalid.len()));
    }
    let Some(definition) = &feed.definition else {
        return claim("False", "Invalid", "the resource cannot be read".to_owned());
    };
    if let Some(reason) = &definition.unsupported {
        return claim("False", "Unsupported", reason.clone());
    }
    if !definition.enabled {
        return claim(
            "False",
            "Disabled",
            "the feed is disabled: nothing of it is in the threat set".to_owned(),
        );
    }
    if feed.is_surplus {
        return claim("False", "TooManyFeeds", "there are more feeds than this controller takes".to_owned());
    }
    match (&feed.kept, &feed.trouble) {
        (Some(record), None) if !feed.is_published() => publishing(feed, record.summary.entries),
        (Some(_), Some(trouble)) if feed.in_set.is_none() => {
            claim("False", trouble.kind, trouble.message.clone())
        }
        (Some(record), None) => claim("True", "Ready", in_use(record.summary.entries)),
        (Some(record), Some(trouble)) => claim(
            "True",
            "Stale",
            format!(
                "the last good copy with {} entries is in use: {}",
                record.summary.entries, trouble.message
            ),
        ),
        (None, Some(trouble)) => claim("False", trouble.kind, trouble.message.clone()),
        (None, None) if definition.origin == Origin::Push => {
            claim("False", "AwaitingPush", "no document was pushed yet".to_owned())
        }
        (None, None) => claim("False", "Pulling", "the first pull is under way".to_owned()),
    }
}

/// A list was taken, and the set that holds it is not made yet: agents have the entries before, or none.
fn publishing(feed: &Feed, entries: u64) -> Claim {
    let message =
        format!("a list with {entries} entries was taken; the threat set that holds it is being made");
    let (status, reason) = if feed.in_set.is_some() { ("True", "Ready") } else { ("False", "Publishing") };
    Claim { kind: "Ready", status, reason, message }
}

fn supported(feed: &Feed) -> Claim {
    let reason = feed.definition.as_ref().and_then(|definition| definition.unsupported.clone());
    match reason {
        Some(message) => Claim { kind: "Supported", status: "False", reason: "ContentIPSet", message },
        None => Claim {
            kind: "Supported",
            status: "True",
            reason: "DomainNames",
            message: "the feed lists domain names".to_owned(),
        },
    }
}

/// Whether the last pull or push was taken.
fn synced(feed: &Feed) -> Claim {
    let claim = |status, reason, message: String| Claim { kind: "Synced", status, reason, message };
    match (&feed.trouble, &feed.kept) {
        (Some(Trouble { kind, message }), _) => claim("False", kind, message.clone()),
        (None, Some(_)) => claim("True", "Synced", "the last list was taken".to_owned()),
        (None, None) => claim("Unknown", "NotYet", "nothing was pulled or pushed yet".to_owned()),
    }
}

fn errors(feed: &Feed) -> Vec<ErrorCondition> {
    let invalid = feed.invalid.iter().map(|reason| ("Invalid", reason.clone()));
    let trouble = feed.trouble.iter().map(|trouble| (trouble.kind, trouble.message.clone()));
    let own = invalid.chain(trouble).map(|(kind, message)| ErrorCondition { kind: kind.to_owned(), message });
    own.chain(searched::error(feed)).collect()
}

/// Said once for each moment: computed anew it would differ by a second now and then.
fn next_sync(feed: &mut Feed, now: Now) -> Option<String> {
    let next = feed.schedule.next().filter(|_| feed.is_active() && feed.running.is_none())?;
    if let Some((_, said)) = feed.next_said.as_ref().filter(|(at, _)| *at == next) {
        return Some(said.clone());
    }
    let said = rfc3339(now.unix() + next.saturating_duration_since(now.instant).as_secs())?;
    feed.next_said = Some((next, said.clone()));
    Some(said)
}

fn more(first: &str, count: usize) -> String {
    if count > 1 { format!("{first} (and {} more)", count - 1) } else { first.to_owned() }
}

fn rfc3339(seconds: u64) -> Option<String> {
    Some(Timestamp::from_second(i64::try_from(seconds).ok()?).ok()?.to_string())
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
