use std::fs;
use std::path::Path;

use super::*;

fn process(root: &Path, pid: u32, name: &str, start_ticks: u64, cgroup: &str) {
    let folder = root.join(pid.to_string());
    fs::create_dir_all(&folder).unwrap();
    let stat = format!("{pid} ({name}) S 1 7 7 0 -1 0 1 2 3 4 5 6 7 8 20 0 1 0 {start_ticks} 9000 100\n");
    fs::write(folder.join("stat"), stat).unwrap();
    fs::write(folder.join("cgroup"), format!("0::{cgroup}\n")).unwrap();
}

fn table() -> (tempfile::TempDir, Processes) {
    let root = tempfile::tempdir().unwrap();
    let processes = Processes::new(Some(root.path().to_owned()));
    (root, processes)
}

#[test]
fn a_process_is_named() {
    let (root, mut processes) = table();
    process(root.path(), 7, "curl", 1, "/system.slice/a.service");
    assert_eq!(processes.name(7, now()).as_deref(), Some("curl"));
    assert_eq!(processes.workload(7, now()).unwrap().unit.as_deref(), Some("a.service"));
    assert_eq!(processes.counters.read.load(Relaxed), 1);
}

#[test]
fn this_process_is_named_by_the_real_table() {
    let mut processes = Processes::new(Some("/proc".into()));
    let pid = std::process::id();
    let name = fs::read_to_string("/proc/self/comm").unwrap();
    assert_eq!(processes.name(pid, now()).as_deref(), Some(name.trim_end()));
    assert!(processes.workload(pid, now()).is_some());
}

#[test]
fn a_pid_given_out_again_does_not_lend_its_name_to_the_past() {
    let (root, mut processes) = table();
    let up = u64::try_from(clock_gettime(ClockId::Boottime).tv_sec).unwrap();
    let ticks = rustix::param::clock_ticks_per_second();
    process(root.path(), 7, "new", up * ticks, "/a.service");
    let minute_ago = Timestamp(now().0 - 60_000_000_000);
    assert_eq!(processes.name(7, minute_ago), None);
    assert_eq!(processes.workload(7, minute_ago), None);
    assert_eq!(processes.counters.reused.load(Relaxed), 2);
    assert_eq!(processes.name(7, now()).as_deref(), Some("new"));
}

#[test]
fn a_name_that_changed_is_read_anew_once_the_reading_is_old() {
    let (root, mut processes) = table();
    process(root.path(), 7, "sh", 1, "/a.service");
    assert_eq!(processes.name(7, now()).as_deref(), Some("sh"));
    process(root.path(), 7, "curl", 1, "/a.service");
    let remembered = processes.memory.recall(Task::process(7)).unwrap().clone();
    let aged = Remembered { since: remembered.since.checked_sub(FRESH).unwrap(), ..remembered };
    let before = aged.at;
    processes.memory.keep(Task::process(7), aged);
    assert_eq!(processes.name(7, before).as_deref(), Some("sh"));
    assert_eq!(processes.name(7, Timestamp(before.0 + 1)).as_deref(), Some("curl"));
}

#[test]
fn the_last_packets_of_a_process_that_has_gone_still_have_its_name() {
    let (root, mut processes) = table();
    process(root.path(), 7, "curl", 1, "/a.service");
    assert_eq!(processes.name(7, now()).as_deref(), Some("curl"));
    fs::remove_dir_all(root.path().join("7")).unwrap();
    let age = |processes: &mut Processes, age| {
        let remembered = processes.memory.recall(Task::process(7)).unwrap().clone();
        let since = remembered.since.checked_sub(age).unwrap();
        processes.memory.keep(Task::process(7), Remembered { since, ..remembered });
    };
    age(&mut processes, FRESH);
    let later = now();
    assert_eq!(processes.name(7, later).as_deref(), Some("curl"));
    age(&mut processes, GONE);
    assert_eq!(processes.name(7, now()), None);
}

#[test]
fn that_a_process_is_missing_is_remembered_for_a_moment() {
    let (root, mut processes) = table();
    assert_eq!(processes.name(7, now()), None);
    process(root.path(), 7, "curl", 1, "/a.service");
    assert_eq!(processes.name(7, now()), None);
    assert_eq!(processes.counters.missing.load(Relaxed), 1);
    let remembered = processes.memory.recall(Task::process(7)).unwrap().clone();
    let aged = Remembered { since: remembered.since.checked_sub(MISSING).unwrap(), ..remembered };
    processes.memory.keep(Task::process(7), aged);
    assert_eq!(processes.name(7, now()).as_deref(), Some("curl"));
}

#[test]
fn a_process_without_a_readable_cgroup_is_named_all_the_same() {
    let (root, mut processes) = table();
    process(root.path(), 7, "curl", 1, "/a.service");
    fs::remove_file(root.path().join("7/cgroup")).unwrap();
    assert_eq!(processes.name(7, now()).as_deref(), Some("curl"));
    assert_eq!(processes.workload(7, now()), None);
}

fn thread(root: &Path, pid: u32, tid: u32, name: &str, start_ticks: u64) {
    process(&root.join(pid.to_string()).join("task"), tid, name, start_ticks, "/a.service");
}

#[test]
fn a_thread_is_named_beside_its_process() {
    let (root, mut processes) = table();
    process(root.path(), 7, "java", 1, "/a.service");
    thread(root.path(), 7, 8, "http-nio-exec-1", 1);
    assert_eq!(processes.thread_name(7, 8, now()).as_deref(), Some("http-nio-exec-1"));
    assert_eq!(processes.name(7, now()).as_deref(), Some("java"));
    assert_eq!(processes.thread_name(7, 7, now()).as_deref(), Some("java"));
    assert_eq!(processes.counters.read.load(Relaxed), 2, "the first thread is read with its process");
    assert_eq!(processes.thread_name(9, 8, now()), None, "no thread of another process");
}

#[test]
fn a_thread_of_this_process_is_named_by_the_real_table() {
    let (said, hear) = std::sync::mpsc::channel();
    let (ask, asked) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::Builder::new().name("named-thread".into()).spawn(move || {
        said.send(rustix::thread::gettid().as_raw_nonzero().get().unsigned_abs()).unwrap();
        // Until it was looked at.
        let _ = asked.recv();
    });
    let tid = hear.recv().unwrap();
    let mut processes = Processes::new(Some("/proc".into()));
    assert_eq!(processes.thread_name(std::process::id(), tid, now()).as_deref(), Some("named-thread"));
    drop(ask);
    thread.unwrap().join().unwrap();
}

#[test]
fn a_thread_id_given_out_again_does_not_lend_its_name_to_the_past() {
    let (root, mut processes) = table();
    let up = u64::try_from(clock_gettime(ClockId::Boottime).tv_sec).unwrap();
    let ticks = rustix::param::clock_ticks_per_second();
    process(root.path(), 7, "java", 1, "/a.service");
    thread(root.path(), 7, 8, "new", up * ticks);
    assert_eq!(processes.thread_name(7, 8, Timestamp(now().0 - 60_000_000_000)), None);
}

#[test]
fn a_container_is_named_by_any_of_its_processes_and_searched_for_now_and_then() {
    let (root, mut processes) = table();
    let (id, other) = ("a".repeat(64), "b".repeat(64));
    let uid = "1b2c3d4e-5f60-4718-8293-a4b5c6d7e8f9";
    process(root.path(), 7, "sh", 1, &format!("/kubepods/pod{uid}/{id}"));
    process(root.path(), 8, "sh", 1, &format!("/kubepods/pod{uid}/{other}"));
    let mounts =
        |name: &str| format!("812 790 254:1 /pods/{uid}/containers/{name}/6f8a /x rw - ext4 /d rw\n");
    fs::write(root.path().join("7/mountinfo"), mounts("init")).unwrap();
    fs::write(root.path().join("8/mountinfo"), mounts("app")).unwrap();
    fs::create_dir(root.path().join("self")).unwrap();
    assert_eq!(processes.container_of(&id, uid).as_deref(), Some("init"));
    assert_eq!(processes.container_of(&other, uid), None, "one search has just been made");
    processes.next_search = Instant::now();
    assert_eq!(processes.container_of(&other, uid).as_deref(), Some("app"));
    processes.next_search = Instant::now();
    assert_eq!(processes.container_of(&"c".repeat(64), uid), None);
}

#[test]
fn a_table_that_is_switched_off_names_nobody() {
    let mut processes = Processes::new(None);
    assert_eq!(processes.name(std::process::id(), now()), None);
}

#[test]
fn searches_take_a_twentieth_of_the_time_at_most_however_long_one_is() {
    assert_eq!(pause(Duration::from_millis(1)), Duration::from_millis(100));
    assert_eq!(pause(Duration::from_millis(60)), Duration::from_millis(1_200));
}
