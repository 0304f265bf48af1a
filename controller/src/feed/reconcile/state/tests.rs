//! One feed through changes, pulls and pushes.

use serde_json::{Value, json};

use super::*;
use crate::feed::resource::Matching;

const URL: &str = "https://a.example/list";
const HOUR: Duration = Duration::from_hours(1);

fn resource(spec: &Value) -> Box<Resource> {
    Box::new(
        serde_json::from_value(json!({
            "apiVersion": "projectcalico.org/v3", "kind": "GlobalThreatFeed", "metadata": { "name": "urls" }, "spec": spec,
        }))
        .unwrap(),
    )
}

fn pulled(extra: &Value) -> Box<Resource> {
    let mut spec = json!({ "content": "DomainNameSet", "pull": { "period": "1h", "http": { "url": URL } } });
    spec.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    resource(&spec)
}

fn pushed() -> Box<Resource> {
    resource(&json!({ "content": "DomainNameSet" }))
}

/// A document that an operation wrote.
fn written(seq_no: u64) -> Revision {
    Revision { seq_no, digest: Some(seq_no) }
}

fn record(feed: &Feed, entries: u64) -> Record {
    let definition = feed.definition.as_ref().unwrap();
    let provenance = match definition.pull() {
        Some(pull) => {
            Provenance::Pulled { url: url_digest(&pull.url), etag: Some("e".to_owned()), last_modified: None }
        }
        None => Provenance::Pushed(written(0)),
    };
    Record {
        feed: "urls".to_owned(),
        provenance,
        digest: format!("{entries:064}"),
        reading: definition.reading.clone(),
        summary: Summary { entries, ..Summary::default() },
        synced_at: 1_000,
    }
}

/// A feed with a copy of 100 entries, and the time.
fn synced() -> (Feed, Instant) {
    let now = Instant::now();
    let mut feed = Feed::new(pulled(&json!({})), None, now, 1_000);
    let record = record(&feed, 100);
    assert!(feed.finish(Pulled::New(Box::new(record)), now, 1_000));
    (feed, now)
}

fn order(feed: &Feed, now: Instant) -> Order {
    match feed.next(now, None) {
        Some(Next::Pull(order)) => *order,
        other => panic!("{other:?}"),
    }
}

fn refused(shrank: bool) -> Pulled {
    Pulled::Refused { reason: "why".to_owned(), summary: Summary::default(), shrank }
}

#[test]
fn a_new_feed_is_pulled_at_once_and_then_by_its_period() {
    let now = Instant::now();
    let feed = Feed::new(pulled(&json!({})), None, now, 1_000);
    assert!(feed.is_awaited() && order(&feed, now).known.is_none());
    let (feed, now) = synced();
    assert_eq!(feed.next(now, None), None);
    assert_eq!(feed.next(now + Duration::from_secs(3_599), None), None);
    let again = order(&feed, now + HOUR * 11 / 10);
    assert_eq!(again.least, 50);
    assert!(again.known.is_some());
}

#[test]
fn a_restart_keeps_the_time_of_the_next_pull() {
    let (before, now) = synced();
    let feed = Feed::new(pulled(&json!({})), before.kept.clone(), now, 1_000 + 600);
    let wait = feed.schedule.next().unwrap() - now;
    assert!(wait >= Duration::from_mins(50) && wait < HOUR, "{wait:?}");
    let late = Feed::new(pulled(&json!({})), before.kept, now, 1_000 + 7_200);
    assert!(late.schedule.next().unwrap() <= now + Duration::from_secs(30));
}

#[test]
fn another_url_or_way_of_reading_pulls_at_once_and_believes_nothing_of_the_copy() {
    for spec in [
        json!({ "pull": { "period": "1h", "http": { "url": "https://b.example/list" } } }),
        json!({ "matching": "exact" }),
        json!({ "pull": { "period": "1h", "http": { "url": URL, "format": { "hosts": {} } } } }),
    ] {
        let (mut feed, now) = synced();
        assert!(feed.apply(pulled(&spec), now), "{spec}");
        assert!(order(&feed, now).known.is_none(), "{spec}");
        assert!(feed.is_in_set(), "{spec}: the last good copy stays until then");
    }
}

#[test]
fn a_smaller_list_of_another_url_is_believed() {
    let (mut feed, now) = synced();
    feed.apply(pulled(&json!({ "pull": { "http": { "url": "https://b.example/" } } })), now);
    assert_eq!(order(&feed, now).least, 0);
}

#[test]
fn words_and_severity_make_a_new_set_and_no_pull() {
    let (mut feed, now) = synced();
    assert!(feed.apply(pulled(&json!({ "severity": 10, "description": "new" })), now));
    assert_eq!(feed.next(now, None), None);
}

#[test]
fn a_changed_annotation_pulls_at_once() {
    let (mut feed, now) = synced();
    let mut resource = pulled(&json!({}));
    let annotations = resource.metadata.annotations.get_or_insert_default();
    annotations.insert("namewarden.dev/pull".to_owned(), "1".to_owned());
    feed.apply(resource.clone(), now);
    assert!(order(&feed, now).known.is_some());
    let record = record(&feed, 100);
    feed.finish(Pulled::New(Box::new(record)), now, 1_000);
    assert!(!feed.apply(resource, now), "the same annotation is no change");
    assert_eq!(feed.next(now, None), None);
}

#[test]
fn a_disabled_feed_leaves_the_set_and_what_is_under_way_is_for_nothing() {
    let (mut feed, now) = synced();
    feed.running = Some(7);
    assert!(feed.apply(pulled(&json!({ "mode": "Disabled" })), now));
    assert!(!feed.is_in_set() && feed.running.is_none());
    assert_eq!(feed.next(now + HOUR * 48, None), None);
    assert!(feed.apply(pulled(&json!({})), now));
    assert!(feed.is_in_set(), "its copy was kept");
    assert!(order(&feed, now).known.is_some());
}

#[test]
fn an_invalid_change_leaves_everything_as_it_was() {
    let (mut feed, now) = synced();
    assert!(!feed.apply(pulled(&json!({ "severity": 0 })), now));
    assert!(feed.is_in_set() && !feed.invalid.is_empty());
    assert!(!feed.apply(pulled(&json!({})), now));
    assert_eq!(feed.invalid, [""; 0]);
}

#[test]
fn a_list_that_shrank_is_believed_the_second_time() {
    let (mut feed, now) = synced();
    assert!(!feed.finish(refused(true), now, 2_000));
    assert!(feed.is_in_set());
    assert_eq!(feed.kept.as_ref().unwrap().summary.entries, 100);
    let confirm = order(&feed, now + Duration::from_mins(6));
    assert_eq!(confirm.least, 0);
    let small = record(&feed, 10);
    assert!(feed.finish(Pulled::New(Box::new(small)), now, 2_000));
    assert_eq!(order(&feed, now + HOUR * 2).least, 5);
}

#[test]
fn a_failure_between_does_not_confirm_that_a_list_shrank() {
    let (mut feed, now) = synced();
    feed.finish(refused(true), now, 2_000);
    feed.finish(refused(false), now, 2_000);
    assert_eq!(order(&feed, now + HOUR * 2).least, 50);
}

#[test]
fn failures_wait_longer_each_time() {
    let now = Instant::now();
    let mut feed = Feed::new(
        resource(&json!({ "content": "DomainNameSet", "pull": { "period": "5m", "http": { "url": URL } } })),
        None,
        now,
        0,
    );
    for at_least in [30, 60, 120, 240, 480] {
        let reason = "no".to_owned();
        feed.finish(Pulled::Failed { kind: FailureKind::Fetch, reason, retry_after: None }, now, 0);
        let wait = feed.schedule.next().unwrap() - now;
        let least = Duration::from_secs(at_least);
        assert!(wait >= least && wait <= least * 11 / 10, "{wait:?} is not {at_least} s and a tenth");
    }
    assert_eq!(feed.trouble.as_ref().unwrap().kind, "PullFailed");
}

#[test]
fn unchanged_means_synced() {
    let (mut feed, now) = synced();
    feed.trouble = Some(Trouble { kind: "PullFailed", message: String::new() });
    assert!(!feed.finish(Pulled::Unchanged, now, 5_000));
    assert_eq!((feed.kept.as_ref().unwrap().synced_at, &feed.trouble), (5_000, &None));
}

#[test]
fn what_is_asked_for_during_a_pull_is_pulled_after_it() {
    let (mut feed, now) = synced();
    feed.running = Some(1);
    feed.pull_now(now);
    assert_eq!(feed.next(now, None), None);
    feed.finish(Pulled::Unchanged, now, 1_000);
    assert!(feed.next(now, None).is_some());
}

#[test]
fn each_document_is_judged_once() {
    let now = Instant::now();
    let mut feed = Feed::new(pushed(), None, now, 0);
    assert_eq!(feed.next(now, None), None);
    assert_eq!(feed.next(now, Some(written(0))), Some(Next::Take(written(0))));
    let taken = record(&feed, 5);
    assert!(feed.finish(Pulled::New(Box::new(taken)), now, 0));
    assert_eq!(feed.next(now, Some(written(0))), None);
    assert_eq!(feed.next(now, Some(written(1))), Some(Next::Take(written(1))));
    feed.taking = Some(written(1));
    feed.finish(refused(false), now, 0);
    assert_eq!(feed.next(now, Some(written(1))), None, "it was refused");
    assert!(feed.is_in_set(), "the last good document stays");
    assert_eq!(feed.next(now, Some(written(2))), Some(Next::Take(written(2))));
}

#[test]
fn another_document_of_the_same_number_is_judged() {
    let now = Instant::now();
    let mut feed = Feed::new(pushed(), None, now, 0);
    let taken = record(&feed, 5);
    feed.finish(Pulled::New(Box::new(taken)), now, 0);
    let other = Revision { digest: Some(9), ..written(0) };
    assert_eq!(feed.next(now, Some(other)), Some(Next::Take(other)));
}

#[test]
fn a_document_is_judged_again_when_it_is_read_in_another_way() {
    let now = Instant::now();
    let mut feed = Feed::new(pushed(), None, now, 0);
    let taken = record(&feed, 5);
    feed.finish(Pulled::New(Box::new(taken)), now, 0);
    feed.apply(resource(&json!({ "content": "DomainNameSet", "matching": "exact" })), now);
    assert_eq!(feed.definition.as_ref().unwrap().reading.matching, Matching::Exact);
    assert_eq!(feed.next(now, Some(written(0))), Some(Next::Take(written(0))));
}

#[test]
fn a_deleted_document_leaves_the_set() {
    let now = Instant::now();
    let mut feed = Feed::new(pushed(), None, now, 0);
    let taken = record(&feed, 5);
    feed.finish(Pulled::New(Box::new(taken)), now, 0);
    assert!(feed.lose_document() && !feed.is_in_set());
    assert!(!feed.lose_document());
    let (mut pulled, _) = synced();
    assert!(!pulled.lose_document(), "a pulled feed has no document");
}

#[test]
fn a_pulled_list_is_no_pushed_one() {
    let (mut feed, now) = synced();
    feed.apply(pushed(), now);
    assert!(!feed.is_in_set());
}

#[test]
fn a_document_that_cannot_be_read_is_tried_again_later_or_when_it_is_pushed_again() {
    let now = Instant::now();
    let mut feed = Feed::new(pushed(), None, now, 0);
    let failed = Pulled::Failed { kind: FailureKind::Disk, reason: "no".to_owned(), retry_after: None };
    assert!(!feed.finish(failed, now, 0));
    assert_eq!(feed.trouble.as_ref().unwrap().kind, "DiskFailed");
    assert_eq!(feed.next(now + Duration::from_secs(29), Some(written(0))), None);
    assert_eq!(feed.next(now + Duration::from_secs(60), Some(written(0))), Some(Next::Take(written(0))));
    feed.expect_document();
    assert_eq!(feed.next(now, Some(written(1))), Some(Next::Take(written(1))));
}

#[test]
fn a_document_that_is_deleted_while_it_is_judged_leaves_the_set() {
    let now = Instant::now();
    let mut feed = Feed::new(pushed(), None, now, 0);
    let taken = record(&feed, 5);
    feed.finish(Pulled::New(Box::new(taken)), now, 0);
    (feed.running, feed.taking) = (Some(7), Some(written(1)));
    assert!(feed.finish(Pulled::Gone, now, 0) && !feed.is_in_set());
    feed.running = Some(8);
    feed.lose_document();
    assert_eq!(feed.running, None, "what was read before is no longer wanted");
}
