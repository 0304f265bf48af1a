use super::*;
use crate::pipeline::exchange::samples::{answer, at, finding, query, workload};

fn roll_up() -> RollUp {
    RollUp::new(Settings::new("cluster", "node-1"))
}

fn small(settings: impl FnOnce(&mut Settings)) -> RollUp {
    let mut all = Settings::new("cluster", "node-1");
    settings(&mut all);
    RollUp::new(all)
}

fn asked(pod: char, time: u64, id: u16, name: &str) -> Sighting {
    Sighting { exchange: Arc::new(query(workload(pod), at(time), id, name)), finding: finding(name, name) }
}

fn answered(pod: char, time: u64, id: u16, name: &str) -> Sighting {
    Sighting { exchange: Arc::new(answer(workload(pod), at(time), id, name)), finding: finding(name, name) }
}

fn poll(roll_up: &mut RollUp, time: u64) -> Vec<Alert> {
    let mut alerts = Vec::new();
    roll_up.poll(at(time), &mut |alert| alerts.push(alert));
    alerts
}

fn flush(roll_up: &mut RollUp, time: u64) -> Vec<Alert> {
    let mut alerts = Vec::new();
    roll_up.flush(at(time), &mut |alert| alerts.push(alert));
    alerts
}

const HOUR: u64 = 3_600_000;
/// When repeats of an hour are written.
const CLOSED: u64 = HOUR + 5_000;

#[test]
fn a_first_alert_goes_out_with_its_answer() {
    let mut roll_up = roll_up();
    roll_up.sighting(asked('a', 0, 1, "evil.example"));
    assert_eq!(poll(&mut roll_up, 2), []);
    roll_up.sighting(answered('a', 3, 1, "evil.example"));
    let alerts = poll(&mut roll_up, 3);
    assert_eq!(alerts.len(), 1);
    assert_eq!((alerts[0].saying, alerts[0].number, alerts[0].count), (Saying::First, 0, 1));
    assert_eq!(alerts[0].exchange.dns.answers.len(), 2);
    assert_eq!((alerts[0].exchange.time, alerts[0].exchange.latency()), (at(0), Some(3_000_000)));
}

#[test]
fn a_first_alert_waits_no_longer_than_the_setting() {
    let mut roll_up = roll_up();
    roll_up.sighting(asked('a', 0, 1, "evil.example"));
    assert_eq!(poll(&mut roll_up, 249), []);
    let alerts = poll(&mut roll_up, 250);
    assert_eq!(alerts.len(), 1);
    assert!(!alerts[0].exchange.is_answered());
}

#[test]
fn a_first_alert_waits_for_no_other_exchanges_answer() {
    let mut roll_up = roll_up();
    roll_up.sighting(asked('a', 0, 1, "evil.example"));
    roll_up.sighting(answered('a', 1, 2, "evil.example"));
    assert_eq!(poll(&mut roll_up, 2), []);
    assert_eq!(roll_up.counts().repeats, 1);
}

#[test]
fn a_listed_name_that_only_an_answer_holds_alerts_at_once() {
    let mut roll_up = roll_up();
    roll_up.sighting(answered('a', 0, 1, "evil.example"));
    assert_eq!(poll(&mut roll_up, 0).len(), 1);
}

#[test]
fn repeats_are_written_once_at_the_end_of_the_window() {
    let mut roll_up = roll_up();
    for time in [0, 1_000, 2_000, 3_000] {
        roll_up.sighting(asked('a', time, u16::try_from(time).unwrap(), "evil.example"));
    }
    assert_eq!(poll(&mut roll_up, 4_000).len(), 1);
    assert_eq!(poll(&mut roll_up, CLOSED - 1), []);
    let alerts = poll(&mut roll_up, CLOSED);
    assert_eq!(alerts.len(), 1);
    assert_eq!((alerts[0].saying, alerts[0].count), (Saying::Repeated, 3));
    assert!(alerts[0].number > 0);
    assert_eq!((alerts[0].first_seen, alerts[0].last_seen), (at(1_000), at(3_000)));
    assert_eq!(roll_up.counts().groups, 0);
}

#[test]
fn a_window_without_repeats_ends_in_silence() {
    let mut roll_up = roll_up();
    roll_up.sighting(asked('a', 0, 1, "evil.example"));
    poll(&mut roll_up, 1_000);
    assert_eq!(poll(&mut roll_up, CLOSED), []);
    assert_eq!(roll_up.counts().groups, 0);
}

#[test]
fn after_the_window_the_workload_alerts_anew_in_another_group() {
    let mut roll_up = roll_up();
    roll_up.sighting(answered('a', 0, 1, "evil.example"));
    let first = poll(&mut roll_up, 1);
    roll_up.sighting(answered('a', HOUR, 2, "evil.example"));
    let second = poll(&mut roll_up, HOUR + 1);
    assert_eq!((first.len(), second.len()), (1, 1));
    assert_ne!(first[0].group, second[0].group);
}

#[test]
fn all_documents_of_a_group_share_its_name() {
    let mut roll_up = roll_up();
    roll_up.sighting(answered('a', 0, 1, "evil.example"));
    roll_up.sighting(answered('a', 1, 2, "evil.example"));
    let alerts = flush(&mut roll_up, 2);
    assert_eq!(alerts.len(), 2);
    assert_eq!(alerts[0].group, alerts[1].group);
}

#[test]
fn a_restarted_agent_gives_the_group_the_same_name() {
    let name = |time| {
        let mut roll_up = roll_up();
        roll_up.sighting(answered('a', time, 1, "evil.example"));
        poll(&mut roll_up, time)[0].group.clone()
    };
    assert_eq!(name(0), name(60_000));
    assert_ne!(name(0), name(HOUR));
}

#[test]
fn a_window_is_an_hour_of_the_clock_so_that_a_restart_doubles_nothing() {
    const TEN_TO: u64 = HOUR - 600_000;
    const FIVE_PAST: u64 = HOUR + 300_000;
    let told = |times: &[u64], restart: bool| {
        let (mut roll_up, mut ids) = (roll_up(), Vec::new());
        for (id, time) in (1..).zip(times) {
            roll_up.sighting(answered('a', *time, id, "evil.example"));
            ids.extend(poll(&mut roll_up, *time).into_iter().filter(|alert| alert.number == 0));
            if restart {
                flush(&mut roll_up, *time);
                roll_up = self::roll_up();
            }
        }
        let mut groups: Vec<_> = ids.into_iter().map(|alert| alert.group).collect();
        groups.dedup();
        groups
    };
    for times in [&[TEN_TO, FIVE_PAST][..], &[TEN_TO, FIVE_PAST, HOUR + TEN_TO], &[0, 1, TEN_TO]] {
        assert_eq!(told(times, true), told(times, false), "{times:?}");
    }
    assert_eq!(told(&[TEN_TO, FIVE_PAST], false).len(), 2);
}

#[test]
fn an_answer_behind_the_full_hour_is_its_querys_and_not_told_anew() {
    let mut roll_up = roll_up();
    roll_up.sighting(asked('a', HOUR - 50, 1, "evil.example"));
    roll_up.sighting(answered('a', HOUR + 50, 1, "evil.example"));
    let alerts = poll(&mut roll_up, HOUR + 60);
    assert_eq!((alerts.len(), alerts[0].exchange.is_answered()), (1, true));
    assert_eq!((roll_up.counts().answers, roll_up.counts().groups), (1, 1));
    // What is asked then is of the next hour.
    roll_up.sighting(answered('a', HOUR + 100, 2, "evil.example"));
    let next = poll(&mut roll_up, HOUR + 110);
    assert_eq!((next.len(), next[0].saying), (1, Saying::First));
    assert_ne!(next[0].group, alerts[0].group);
    // A sighting that comes late is counted in the group that is open.
    roll_up.sighting(answered('a', HOUR - 1, 3, "evil.example"));
    assert_eq!((poll(&mut roll_up, HOUR + 120), roll_up.counts().repeats), (vec![], 1));
}

#[test]
fn groups_that_all_end_with_the_hour_are_written_a_few_at_a_time() {
    let mut roll_up = small(|settings| settings.names_per_workload = 1_000);
    for number in 0..200 {
        for id in 1..=2 {
            roll_up.sighting(answered('a', number, id, &format!("n{number}.example")));
        }
    }
    poll(&mut roll_up, 1_000);
    let written: Vec<usize> = (0..5).map(|turn| poll(&mut roll_up, CLOSED + turn).len()).collect();
    assert_eq!(written, [64, 64, 64, 8, 0]);
}

#[test]
fn workloads_and_entries_have_groups_of_their_own() {
    let mut roll_up = roll_up();
    roll_up.sighting(answered('a', 0, 1, "evil.example"));
    roll_up.sighting(answered('b', 0, 1, "evil.example"));
    roll_up.sighting(answered('a', 0, 2, "bad.example"));
    let mut groups: Vec<_> = poll(&mut roll_up, 1).into_iter().map(|alert| alert.group).collect();
    groups.sort();
    groups.dedup();
    assert_eq!(groups.len(), 3);
}

#[test]
fn what_a_workload_is_asked_is_another_group_than_what_it_asks() {
    let mut roll_up = roll_up();
    let served = Exchange { server_side: true, ..query(workload('a'), at(0), 1, "evil.example") };
    roll_up
        .sighting(Sighting { exchange: Arc::new(served), finding: finding("evil.example", "evil.example") });
    roll_up.sighting(asked('a', 1, 2, "evil.example"));
    let alerts = flush(&mut roll_up, 2);
    let sides: Vec<_> = alerts.iter().map(|alert| alert.exchange.server_side).collect();
    assert_eq!(sides, [true, false]);
    assert_ne!(alerts[0].group, alerts[1].group);
}

#[test]
fn the_host_of_another_node_has_a_group_of_its_own() {
    let name = |node: &str, path: &str| {
        let mut roll_up = RollUp::new(Settings::new("cluster", node));
        let mut exchange = answer(workload('a'), at(0), 1, "evil.example");
        exchange.attributed.workload = Arc::new(crate::pipeline::attribute::cgroup_path::workload(path));
        let finding = finding("evil.example", "evil.example");
        roll_up.sighting(Sighting { exchange: Arc::new(exchange), finding });
        poll(&mut roll_up, 0)[0].group.clone()
    };
    assert_ne!(name("node-1", "/system.slice/a.service"), name("node-2", "/system.slice/a.service"));
    let container = format!("/docker/{}", "c".repeat(64));
    assert_eq!(name("node-1", &container), name("node-2", &container));
}

#[test]
fn a_late_answer_is_written_at_the_end_and_is_no_repeat() {
    let mut roll_up = roll_up();
    roll_up.sighting(asked('a', 0, 1, "evil.example"));
    assert_eq!(poll(&mut roll_up, 250).len(), 1);
    roll_up.sighting(answered('a', 900, 1, "evil.example"));
    let alerts = poll(&mut roll_up, CLOSED);
    assert_eq!((alerts.len(), alerts[0].count), (1, 0));
    assert_eq!(alerts[0].exchange.dns.answers.len(), 2);
    assert_eq!(alerts[0].exchange.latency(), Some(900_000_000));
}

#[test]
fn an_answer_of_a_repeated_query_is_no_sighting_of_its_own() {
    let mut roll_up = roll_up();
    for id in 1..=3 {
        roll_up.sighting(asked('a', u64::from(id), id, "evil.example"));
    }
    for id in 1..=3 {
        roll_up.sighting(answered('a', 10, id, "evil.example"));
    }
    let counts = roll_up.counts();
    assert_eq!((counts.first, counts.repeats, counts.answers), (1, 2, 3));
}

#[test]
fn a_query_sent_twice_takes_two_answers() {
    let mut roll_up = roll_up();
    roll_up.sighting(asked('a', 0, 1, "evil.example"));
    roll_up.sighting(asked('a', 1, 1, "evil.example"));
    roll_up.sighting(answered('a', 2, 1, "evil.example"));
    roll_up.sighting(answered('a', 3, 1, "evil.example"));
    let counts = roll_up.counts();
    assert_eq!((counts.first, counts.repeats, counts.answers), (1, 1, 2));
}

#[test]
fn a_full_table_writes_what_makes_room() {
    let mut roll_up = small(|settings| settings.groups_max = 2);
    roll_up.sighting(asked('a', 0, 1, "one.example"));
    roll_up.sighting(asked('a', 1, 2, "one.example"));
    roll_up.sighting(asked('a', 2, 3, "two.example"));
    roll_up.sighting(asked('a', 3, 4, "three.example"));
    let alerts = poll(&mut roll_up, 4);
    let said: Vec<_> =
        alerts.iter().map(|alert| (alert.saying, &*alert.finding.entry, alert.count)).collect();
    assert_eq!(said, [(Saying::First, "one.example", 1), (Saying::Repeated, "one.example", 1)]);
    assert_eq!((roll_up.counts().evicted, roll_up.counts().groups), (1, 2));
}

/// What `_id`s are made of; a document that bears its group's name has number 0.
fn ids(alerts: &[Alert]) -> Vec<(String, u64)> {
    let mut ids: Vec<_> = alerts.iter().map(|alert| (alert.group.clone(), alert.number)).collect();
    ids.sort_unstable();
    ids
}

fn assert_unique(alerts: &[Alert]) {
    let ids = ids(alerts);
    let mut unique = ids.clone();
    unique.dedup();
    assert_eq!(unique, ids, "no document has another's name");
}

#[test]
fn a_group_evicted_and_opened_anew_takes_no_name_twice() {
    let mut roll_up = small(|settings| settings.groups_max = 1);
    for round in 0..3 {
        roll_up.sighting(asked('a', round * 10, 1, "one.example"));
        roll_up.sighting(asked('a', round * 10 + 1, 2, "one.example"));
        roll_up.sighting(asked('a', round * 10 + 2, 3, "two.example"));
    }
    let alerts = flush(&mut roll_up, 40);
    let of_one: Vec<_> = alerts.iter().filter(|alert| &*alert.finding.entry == "one.example").collect();
    assert_eq!(of_one.len(), 6);
    assert!(of_one.iter().all(|alert| alert.group == of_one[0].group));
    assert_eq!(of_one.iter().filter(|alert| alert.number == 0).count(), 1);
    assert_unique(&alerts);
}

#[test]
fn a_limit_evicted_and_opened_anew_takes_no_name_twice() {
    let mut roll_up = small(|settings| (settings.workloads_max, settings.names_per_workload) = (1, 0));
    for round in 0..3 {
        roll_up.sighting(answered('a', round * 10, 1, "one.example"));
        roll_up.sighting(answered('a', round * 10 + 1, 2, "one.example"));
        roll_up.sighting(answered('b', round * 10 + 2, 3, "one.example"));
    }
    let alerts = flush(&mut roll_up, 40);
    assert_eq!(alerts.len(), 9);
    assert_unique(&alerts);
}

#[test]
fn a_clock_set_back_leads_to_no_name_taken_twice() {
    let mut roll_up = roll_up();
    for time in [0, 2 * HOUR, 1_000, 2 * HOUR] {
        roll_up.sighting(answered('a', time, 1, "evil.example"));
    }
    let alerts = flush(&mut roll_up, 3 * HOUR);
    assert_eq!(alerts.len(), 4);
    assert_unique(&alerts);
}

#[test]
fn a_workload_beyond_its_limit_is_summed_up_and_no_other_is_affected() {
    let mut roll_up = small(|settings| settings.names_per_workload = 10);
    for number in 0..1_000 {
        roll_up.sighting(answered('a', number, 1, &format!("n{number}.example")));
    }
    roll_up.sighting(answered('b', 1_000, 1, "n999.example"));
    let alerts = poll(&mut roll_up, 1_001);
    let first = |pod: char| {
        let key = format!("container/{}", pod.to_string().repeat(64));
        alerts
            .iter()
            .filter(|alert| alert.saying == Saying::First && alert.exchange.attributed.workload.key() == key)
            .count()
    };
    assert_eq!((first('a'), first('b')), (10, 1));
    assert_unique(&alerts);
    let summaries = |alerts: &[Alert]| -> Vec<_> {
        alerts
            .iter()
            .filter(|alert| alert.saying == Saying::LeftOut { limit: 10 })
            .map(|alert| (alert.group.clone(), alert.number, alert.count))
            .collect()
    };
    let at_once = summaries(&alerts);
    let at_end = summaries(&poll(&mut roll_up, 2 * HOUR));
    assert_eq!((at_once.len(), at_once[0].1, at_once[0].2), (1, 0, 1));
    assert_eq!((at_end.len(), &at_end[0].0, at_end[0].2), (1, &at_once[0].0, 989));
    assert!(at_end[0].1 > 0);
}

#[test]
fn a_workload_beyond_its_limit_still_counts_repeats_of_what_alerted() {
    let mut roll_up = small(|settings| settings.names_per_workload = 1);
    roll_up.sighting(answered('a', 0, 1, "one.example"));
    roll_up.sighting(answered('a', 1, 2, "two.example"));
    roll_up.sighting(answered('a', 2, 3, "one.example"));
    assert_eq!((roll_up.counts().left_out, roll_up.counts().repeats), (1, 1));
}

#[test]
fn the_answer_of_a_left_out_query_is_not_left_out_again() {
    let mut roll_up = small(|settings| settings.names_per_workload = 0);
    roll_up.sighting(asked('a', 0, 1, "one.example"));
    roll_up.sighting(answered('a', 1, 1, "one.example"));
    assert_eq!((roll_up.counts().left_out, roll_up.counts().answers), (1, 1));
}

#[test]
fn a_new_window_lifts_the_limit() {
    let mut roll_up = small(|settings| settings.names_per_workload = 1);
    roll_up.sighting(answered('a', 0, 1, "one.example"));
    roll_up.sighting(answered('a', HOUR + 1, 2, "two.example"));
    assert_eq!(roll_up.counts().left_out, 0);
}

#[test]
fn many_workloads_do_not_grow_the_table_of_limits() {
    let mut roll_up = small(|settings| (settings.workloads_max, settings.names_per_workload) = (2, 1));
    for pod in ['a', 'b', 'c', 'd'] {
        roll_up.sighting(answered(pod, 0, 1, "one.example"));
        roll_up.sighting(answered(pod, 1, 2, "two.example"));
        roll_up.sighting(answered(pod, 1, 3, "three.example"));
    }
    assert_eq!(roll_up.limits.len(), 2);
    let left_out: u64 = flush(&mut roll_up, 2)
        .iter()
        .filter(|alert| matches!(alert.saying, Saying::LeftOut { .. }))
        .map(|alert| alert.count)
        .sum();
    assert_eq!(left_out, 8);
}

#[test]
fn a_group_opened_anew_delays_the_end_of_no_other() {
    let mut roll_up = roll_up();
    for (time, name) in [(0, "one.example"), (1, "two.example"), (2, "two.example"), (HOUR, "one.example")] {
        roll_up.sighting(answered('a', time, 1, name));
    }
    poll(&mut roll_up, CLOSED);
    assert_eq!((roll_up.counts().groups, roll_up.counts().repeats_written), (1, 1));
}

#[test]
fn a_clock_set_back_delays_no_alert() {
    let mut roll_up = roll_up();
    roll_up.sighting(asked('a', HOUR, 1, "evil.example"));
    assert_eq!(poll(&mut roll_up, HOUR - 2_000).len(), 1);
}

#[test]
fn a_flush_writes_everything() {
    let mut roll_up = roll_up();
    roll_up.sighting(asked('a', 0, 1, "one.example"));
    roll_up.sighting(asked('a', 1, 2, "one.example"));
    roll_up.sighting(asked('b', 2, 3, "two.example"));
    let said: Vec<_> = flush(&mut roll_up, 3).into_iter().map(|alert| (alert.saying, alert.count)).collect();
    assert_eq!(said, [(Saying::First, 1), (Saying::Repeated, 1), (Saying::First, 1)]);
    assert_eq!(flush(&mut roll_up, 4), []);
}

proptest::proptest! {
    #[test]
    fn every_sighting_ends_in_a_document_a_count_or_a_counter(
        steps in proptest::collection::vec((0_u8..4, 0_u8..6, 0_u16..5, 0_u64..2_000_000, proptest::bool::ANY), 0..400),
    ) {
        let mut roll_up = small(|settings| {
            (settings.groups_max, settings.workloads_max, settings.names_per_workload) = (4, 3, 2);
        });
        let (mut alerts, mut time) = (Vec::new(), 0);
        for (pod, entry, id, later, is_answer) in steps {
            time += later;
            let (pod, name) = (char::from(b'a' + pod), format!("n{entry}.example"));
            roll_up.sighting(if is_answer { answered(pod, time, id, &name) } else { asked(pod, time, id, &name) });
            roll_up.poll(at(time), &mut |alert| alerts.push(alert));
            assert!(roll_up.groups.len() <= 4 && roll_up.limits.len() <= 3);
        }
        roll_up.flush(at(time), &mut |alert| alerts.push(alert));
        let counts = roll_up.counts();
        assert_eq!(counts.sightings, counts.first + counts.answers + counts.repeats + counts.left_out);
        assert_eq!((counts.repeats, counts.left_out), (counts.repeats_written, counts.left_out_written));
        assert_eq!(alerts.iter().map(|alert| alert.count).sum::<u64>(), counts.sightings - counts.answers);
        assert_eq!(alerts.len() as u64, counts.alerts);
        let first = alerts.iter().filter(|alert| alert.saying == Saying::First).count();
        assert_eq!(first as u64, counts.first);
        assert_unique(&alerts);
    }
}
