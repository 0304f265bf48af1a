//! What people are told of a feed.

use serde_json::{Value, json};

use super::*;
use crate::feed::copy::{Provenance, Record};
use crate::feed::pull::{FailureKind, Pulled, url_digest};

fn feed(spec: &Value) -> Feed {
    let resource = json!({ "apiVersion": "projectcalico.org/v3", "kind": "GlobalThreatFeed",
        "metadata": { "name": "urls", "generation": 3 }, "spec": spec });
    Feed::new(serde_json::from_value(resource).unwrap(), None, Instant::now(), 0)
}

fn pull_feed() -> Feed {
    feed(&json!({ "content": "DomainNameSet", "pull": { "http": { "url": "https://a.example/" } } }))
}

fn good(feed: &Feed) -> Pulled {
    let definition = feed.definition.as_ref().unwrap();
    let url = url_digest(&definition.pull().unwrap().url);
    Pulled::New(Box::new(Record {
        feed: "urls".to_owned(),
        provenance: Provenance::Pulled { url, etag: None, last_modified: None },
        digest: "d".to_owned(),
        reading: definition.reading.clone(),
        summary: Summary { entries: 5, rejected: 2, ..Summary::default() },
        synced_at: 0,
    }))
}

fn failed() -> Pulled {
    Pulled::Failed {
        kind: FailureKind::Fetch,
        reason: "the server answered 500".to_owned(),
        retry_after: None,
    }
}

/// A set was made with what is kept of it.
fn publish(feed: &mut Feed) {
    feed.in_set = Some("1.1".to_owned());
    feed.in_set_digest = feed.kept.as_ref().map(|record| record.digest.clone());
}

fn condition(status: &GlobalThreatFeedStatus, kind: &str) -> (String, String) {
    let found = status.conditions.iter().find(|condition| condition.kind == kind).unwrap();
    (found.status.clone(), found.reason.clone())
}

fn says(status: &str, reason: &str) -> (String, String) {
    (status.to_owned(), reason.to_owned())
}

#[test]
fn a_feed_is_ready_once_the_set_that_holds_it_is_published() {
    let mut feed = pull_feed();
    let now = Now::read();
    let outcome = good(&feed);
    feed.finish(outcome, now.instant, now.unix());
    let taken = status(&mut feed, now);
    assert_eq!(condition(&taken, "Ready"), says("False", "Publishing"));
    assert_eq!((taken.threat_set, notice(&mut feed)), (None, None));
    publish(&mut feed);
    assert_eq!(condition(&status(&mut feed, now), "Ready"), says("True", "Ready"));
    assert_eq!(notice(&mut feed).unwrap().note, "5 entries are in use");
    let Pulled::New(mut record) = good(&feed) else { panic!("it is new") };
    record.digest = "e".to_owned();
    feed.finish(Pulled::New(record), now.instant, now.unix());
    let ready = status(&mut feed, now).conditions.remove(0);
    assert_eq!((&*ready.status, &*ready.reason), ("True", "Ready"), "the entries before are in use");
    assert!(ready.message.contains("is being made"), "{}", ready.message);
}

#[test]
fn a_synced_feed_is_ready() {
    let mut feed = pull_feed();
    let outcome = good(&feed);
    let now = Now::read();
    feed.finish(outcome, now.instant, now.unix());
    publish(&mut feed);
    let status = status(&mut feed, now);
    assert_eq!(condition(&status, "Ready"), says("True", "Ready"));
    assert_eq!(condition(&status, "Synced"), says("True", "Synced"));
    assert_eq!(condition(&status, "Supported").0, "True");
    assert_eq!((status.entries, status.rejected, status.observed_generation), (Some(5), Some(2), Some(3)));
    assert_eq!(status.last_successful_sync.as_deref(), Some("1970-01-01T00:00:00Z"));
    assert!(status.next_sync.is_some() && status.error_conditions.is_empty());
}

#[test]
fn a_failure_is_an_error_condition_until_it_is_over() {
    let mut feed = pull_feed();
    let now = Now::read();
    feed.finish(failed(), now.instant, now.unix());
    let first = status(&mut feed, now);
    assert_eq!(condition(&first, "Ready"), says("False", "PullFailed"));
    assert_eq!(first.error_conditions[0].message, "the server answered 500");
    let outcome = good(&feed);
    feed.finish(outcome, now.instant, now.unix());
    publish(&mut feed);
    assert_eq!(status(&mut feed, now).error_conditions, []);
    feed.finish(failed(), now.instant, now.unix());
    assert_eq!(condition(&status(&mut feed, now), "Ready"), says("True", "Stale"));
}

#[test]
fn a_condition_keeps_the_time_of_its_transition() {
    let mut feed = pull_feed();
    let now = Now::read();
    feed.finish(failed(), now.instant, now.unix());
    let since = status(&mut feed, now).conditions[0].last_transition_time.clone();
    let later = Now { civil: now.civil + Duration::from_secs(100), ..now };
    assert_eq!(status(&mut feed, later).conditions[0].last_transition_time, since);
    let outcome = good(&feed);
    feed.finish(outcome, now.instant, now.unix());
    publish(&mut feed);
    assert_ne!(status(&mut feed, later).conditions[0].last_transition_time, since);
}

#[test]
fn the_same_state_is_said_in_the_same_words_a_moment_later() {
    let mut feed = pull_feed();
    let outcome = good(&feed);
    let now = Now::read();
    feed.finish(outcome, now.instant, now.unix());
    let first = status(&mut feed, now);
    let later = Now {
        instant: now.instant + Duration::from_millis(1_999),
        civil: now.civil + Duration::from_millis(2_001),
    };
    assert_eq!(status(&mut feed, later), first);
}

#[test]
fn what_is_not_supported_or_disabled_says_so_and_has_no_entries() {
    let now = Now::read();
    let ip_set = status(&mut feed(&json!({})), now);
    assert_eq!(condition(&ip_set, "Supported"), says("False", "ContentIPSet"));
    assert_eq!((condition(&ip_set, "Ready"), ip_set.entries), (says("False", "Unsupported"), Some(0)));
    let disabled = status(&mut feed(&json!({ "content": "DomainNameSet", "mode": "Disabled" })), now);
    assert_eq!(condition(&disabled, "Ready"), says("False", "Disabled"));
    let push = status(&mut feed(&json!({ "content": "DomainNameSet" })), now);
    assert_eq!(condition(&push, "Ready"), says("False", "AwaitingPush"));
    let invalid = status(&mut feed(&json!({ "content": "DomainNameSet", "severity": 0 })), now);
    assert_eq!(condition(&invalid, "Ready"), says("False", "Invalid"));
}

#[test]
fn a_failure_is_told_once_and_so_is_its_end() {
    let mut feed = pull_feed();
    let now = Now::read();
    assert_eq!(notice(&mut feed), None);
    feed.finish(failed(), now.instant, now.unix());
    assert!(notice(&mut feed).unwrap().is_warning);
    feed.finish(failed(), now.instant, now.unix());
    assert_eq!(notice(&mut feed), None);
    let outcome = good(&feed);
    feed.finish(outcome, now.instant, now.unix());
    publish(&mut feed);
    let over = notice(&mut feed).unwrap();
    assert_eq!((over.is_warning, over.reason), (false, "Synced"));
    assert_eq!(notice(&mut feed), None);
}
