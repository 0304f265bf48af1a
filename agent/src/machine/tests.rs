use std::fs;
use std::os::unix::fs::MetadataExt;

use super::*;

fn rig() -> (tempfile::TempDir, LiveMachine) {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("a.service")).unwrap();
    let machine = LiveMachine::start(root.path(), None).unwrap();
    (root, machine)
}

#[test]
fn a_known_cgroup_is_answered_to_the_pipeline_and_to_others() {
    let (root, mut machine) = rig();
    let id = fs::metadata(root.path().join("a.service")).unwrap().ino();
    assert_eq!(machine.cgroup(id).unwrap().key(), "unit/a.service");
    let handle = machine.handle();
    assert_eq!(handle.workload_of(id).unwrap().key(), "unit/a.service");
    assert_eq!((handle.workloads(), handle.counts().cgroups_known), (1, 2));
}

#[test]
fn unknown_cgroups_do_not_have_the_tree_read_during_a_pause() {
    let (_root, mut machine) = rig();
    machine.next_reading = Instant::now() + Duration::from_hours(1);
    for id in 1..=50 {
        assert_eq!(machine.cgroup(u64::MAX - id), None);
    }
    let counts = machine.handle().counts();
    assert_eq!((counts.unknown_cgroups, counts.rescans), (50, 1));
}

#[test]
fn one_unknown_cgroup_has_the_tree_read_once() {
    let (_root, mut machine) = rig();
    for _ in 0..10 {
        machine.next_reading = Instant::now();
        assert_eq!(machine.cgroup(u64::MAX), None);
    }
    let handle = machine.handle();
    let deadline = Instant::now() + Duration::from_secs(10);
    while handle.counts().rescans < 2 && Instant::now() < deadline {
        std::thread::yield_now();
    }
    assert_eq!(handle.counts().rescans, 2);
}

#[test]
fn missing_tables_are_said_in_one_sentence() {
    let root = tempfile::tempdir().unwrap();
    let missing = root.path().join("missing");
    let said = |error: MachineError| error.to_string().replace(&*missing.to_string_lossy(), "X");
    assert_eq!(
        said(LiveMachine::start(&missing, None).unwrap_err()),
        "cannot read the cgroup tree at X: No such file or directory (os error 2)"
    );
    assert_eq!(
        said(LiveMachine::start(root.path(), Some(&missing)).unwrap_err()),
        "cannot read the process table at X: No such file or directory (os error 2)"
    );
}
