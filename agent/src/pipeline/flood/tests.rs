use super::*;
use crate::pipeline::exchange::samples::{at, workload};

const SECOND: u64 = 1_000;
const HOUR: u64 = 3_600 * SECOND;

fn watch() -> FloodWatch {
    let (cluster, node) = ("cluster".into(), "node-1".into());
    FloodWatch::new(Settings { cluster, node, window: Duration::from_hours(1) })
}

fn reading(cgroup_id: u64, pod: char, packets: u64) -> Reading {
    let uncaptured = Volume { packets, bytes: packets * 100 };
    Reading { cgroup_id, workload: workload(pod), uncaptured }
}

fn look(watch: &mut FloodWatch, time: u64, readings: &[Reading]) -> Vec<Report> {
    let mut reports = Vec::new();
    watch.look(readings, at(time), &mut |report| reports.push(report));
    reports
}

fn finish(watch: &mut FloodWatch, time: u64) -> Vec<Report> {
    let mut reports = Vec::new();
    watch.finish(at(time), &mut |report| reports.push(report));
    reports
}

#[test]
fn a_flood_is_told_at_once() {
    let mut watch = watch();
    assert_eq!(look(&mut watch, 0, &[reading(7, 'a', 0)]), []);
    let reports = look(&mut watch, 5 * SECOND, &[reading(7, 'a', 40)]);
    assert_eq!(reports.len(), 1);
    let report = &reports[0];
    assert_eq!((report.number, report.goes_on), (0, false));
    assert_eq!(report.uncaptured, Volume { packets: 40, bytes: 4_000 });
    assert_eq!((report.first_seen, report.last_seen), (at(0), at(5 * SECOND)));
    assert_eq!(report.workload, workload('a'));
}

#[test]
fn what_follows_within_the_hour_is_told_once_at_its_end() {
    let mut watch = watch();
    let first = look(&mut watch, 0, &[reading(7, 'a', 40)]);
    assert_eq!(look(&mut watch, 5 * SECOND, &[reading(7, 'a', 50)]), []);
    assert_eq!(look(&mut watch, 10 * SECOND, &[reading(7, 'a', 50)]), []);
    assert_eq!(look(&mut watch, 15 * SECOND, &[reading(7, 'a', 70)]), []);
    let reports = look(&mut watch, HOUR, &[reading(7, 'a', 70)]);
    assert_eq!(reports.len(), 1);
    assert_eq!((reports[0].goes_on, reports[0].uncaptured.packets), (true, 30));
    assert_eq!((reports[0].first_seen, reports[0].last_seen), (at(0), at(15 * SECOND)));
    assert_eq!(reports[0].group, first[0].group);
    assert!(reports[0].number > 0);
}

#[test]
fn a_flood_over_a_full_hour_is_told_anew_whether_or_not_the_agent_was_restarted() {
    let (ten_to, five_past) = (HOUR - 600 * SECOND, HOUR + 300 * SECOND);
    let (mut watch, mut restarted) = (watch(), self::watch());
    look(&mut watch, ten_to, &[reading(7, 'a', 40)]);
    let went_on = look(&mut watch, five_past, &[reading(7, 'a', 50)]);
    let began = look(&mut restarted, five_past, &[reading(7, 'a', 10)]);
    let told =
        |reports: &[Report]| reports.iter().map(|one| (one.group.clone(), one.number)).collect::<Vec<_>>();
    assert_eq!(told(&went_on), told(&began));
    assert_eq!(went_on.len(), 1);
}

#[test]
fn a_flood_that_ended_is_not_told_again() {
    let mut watch = watch();
    assert_eq!(look(&mut watch, 0, &[reading(7, 'a', 40)]).len(), 1);
    assert_eq!(look(&mut watch, HOUR, &[reading(7, 'a', 40)]), []);
    let again = look(&mut watch, 2 * HOUR, &[reading(7, 'a', 41)]);
    assert_eq!((again.len(), again[0].number, again[0].uncaptured.packets), (1, 0, 1));
}

#[test]
fn cgroups_of_one_workload_are_one_flood() {
    let mut watch = watch();
    assert_eq!(look(&mut watch, 0, &[reading(7, 'a', 40), reading(8, 'a', 2)]).len(), 1);
    assert_eq!(finish(&mut watch, 1)[0].uncaptured.packets, 2);
}

#[test]
fn a_count_that_began_anew_is_new() {
    let mut watch = watch();
    look(&mut watch, 0, &[reading(7, 'a', 40)]);
    look(&mut watch, 1, &[]);
    look(&mut watch, 2, &[reading(7, 'a', 3)]);
    look(&mut watch, 3, &[reading(7, 'a', 2)]);
    assert_eq!(finish(&mut watch, 4)[0].uncaptured.packets, 5);
}

#[test]
fn a_restarted_agent_gives_the_flood_of_the_hour_the_same_name() {
    let name = |time| look(&mut watch(), time, &[reading(7, 'a', 1)])[0].group.clone();
    assert_eq!(name(0), name(60 * SECOND));
    assert_ne!(name(0), name(HOUR));
}

#[test]
fn nothing_is_left_out_and_no_name_taken_twice_however_many_flood() {
    let mut watch = watch();
    let (mut reports, mut total) = (Vec::new(), 0);
    for round in 1..=3 {
        let readings: Vec<_> = (0..3_000)
            .map(|number| {
                let path = format!("/system.slice/w{number}.service");
                let workload = Arc::new(crate::pipeline::attribute::cgroup_path::workload(&path));
                Reading { workload, ..reading(number, 'a', round) }
            })
            .collect();
        total = readings.iter().map(|reading| reading.uncaptured.packets).sum();
        reports.extend(look(&mut watch, round, &readings));
        assert!(watch.floods.len() <= WORKLOADS_MAX);
    }
    reports.extend(finish(&mut watch, 9));
    assert_eq!(reports.iter().map(|report| report.uncaptured.packets).sum::<u64>(), total);
    let mut ids: Vec<_> = reports.iter().map(|report| (&report.group, report.number)).collect();
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all);
}
