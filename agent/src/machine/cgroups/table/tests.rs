use super::*;

const POD: &str = "/kubepods/pod1b2c3d4e-5f60-4718-8293-a4b5c6d7e8f9";

fn container(digit: &str) -> String {
    format!("{POD}/{}", digit.repeat(64))
}

fn table(known: usize) -> Table {
    Table::new(Limits { known, per_workload: 3, keep: Duration::from_secs(60) })
}

fn closes(table: &Table) -> bool {
    let TableCounts { learnt, expired, evicted, .. } = table.counts();
    learnt == table.len() as u64 + expired + evicted
}

#[test]
fn a_cgroup_stays_known_for_a_while_after_it_is_gone() {
    let (mut table, start) = (table(10), Instant::now());
    table.learn(1, &container("a"));
    table.leave(1, &container("a"), start);
    table.expire(start + Duration::from_secs(59));
    assert!(table.workload(1).is_some());
    table.expire(start + Duration::from_secs(60));
    assert!(table.workload(1).is_none());
    assert!(closes(&table));
}

#[test]
fn a_cgroup_that_came_back_is_not_forgotten() {
    let (mut table, start) = (table(10), Instant::now());
    table.learn(1, &container("a"));
    table.leave(1, &container("a"), start);
    assert_eq!(table.learn(1, &container("a")), Learnt::Known);
    table.expire(start + Duration::from_secs(600));
    assert!(table.workload(1).is_some());
    assert_eq!(table.workloads(), 1);
}

#[test]
fn the_cgroup_that_went_first_gives_way_first() {
    let (mut table, start) = (table(2), Instant::now());
    table.learn(1, &container("a"));
    table.learn(2, &container("b"));
    table.leave(2, &container("b"), start);
    table.leave(1, &container("a"), start + Duration::from_secs(1));
    assert_eq!(table.learn(3, &container("c")), Learnt::New);
    assert!(table.workload(2).is_none() && table.workload(1).is_some());
    assert_eq!(table.counts().evicted, 1);
    assert!(closes(&table));
}

#[test]
fn cgroups_that_are_there_do_not_give_way() {
    let mut table = table(2);
    table.learn(1, &container("a"));
    table.learn(2, &container("b"));
    assert_eq!(table.learn(3, &container("c")), Learnt::Refused);
    assert!(table.workload(1).is_some() && table.workload(2).is_some());
    assert_eq!(table.counts().refused, 1);
}

#[test]
fn one_container_cannot_fill_the_table() {
    let mut table = table(10);
    let inside = |number: u64| format!("{}/{number}", container("a"));
    let learnt: Vec<_> = (1..=4).map(|number| table.learn(number, &inside(number))).collect();
    assert_eq!(learnt, [Learnt::New, Learnt::New, Learnt::New, Learnt::Refused]);
    assert_eq!(table.learn(5, &container("b")), Learnt::New);
}

#[test]
fn an_id_given_out_again_means_the_new_cgroup() {
    let mut table = table(10);
    table.learn(1, &container("a"));
    table.learn(1, &container("b"));
    table.leave(1, &container("a"), Instant::now());
    assert_eq!(table.workload(1).unwrap().path, container("b"));
    assert_eq!(table.workloads(), 1);
    assert!(closes(&table));
}

#[test]
fn workloads_are_containers_services_and_scopes_that_are_there() {
    let mut table = table(10);
    let paths = ["/", "/system.slice", "/system.slice/ssh.service", "/kubepods", POD];
    for (id, path) in (1..).zip(paths) {
        table.learn(id, path);
    }
    table.learn(10, &container("a"));
    table.learn(11, &format!("{}/init.scope", container("a")));
    assert_eq!(table.workloads(), 2);
    table.leave(10, &container("a"), Instant::now());
    assert_eq!(table.workloads(), 2);
    table.leave(11, &format!("{}/init.scope", container("a")), Instant::now());
    assert_eq!(table.workloads(), 1);
}
