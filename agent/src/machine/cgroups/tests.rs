use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use super::*;

const POD: &str = "kubepods/pod1b2c3d4e-5f60-4718-8293-a4b5c6d7e8f9";

/// A folder that stands for the tree, and the index of it.
struct Rig {
    root: tempfile::TempDir,
    cgroups: Cgroups,
}

impl Rig {
    fn new() -> Self {
        Self::with(Limits::default(), &[])
    }

    fn with(limits: Limits, folders: &[&str]) -> Self {
        let root = tempfile::tempdir().unwrap();
        for folder in folders {
            fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        let cgroups = Cgroups::start(root.path(), limits).unwrap();
        Self { root, cgroups }
    }

    fn path(&self, folder: &str) -> PathBuf {
        self.root.path().join(folder)
    }

    fn make(&self, folder: &str) -> u64 {
        fs::create_dir_all(self.path(folder)).unwrap();
        self.id(folder)
    }

    fn id(&self, folder: &str) -> u64 {
        fs::metadata(self.path(folder)).unwrap().ino()
    }

    fn known(&self, id: u64) -> Option<String> {
        self.cgroups.shared().workload(id).map(|workload| workload.path.clone())
    }

    fn counts(&self) -> CgroupCounts {
        self.cgroups.shared().counts()
    }

    fn wait(&self, what: &str, reached: impl Fn(&Self) -> bool) {
        wait_for(what, || reached(self));
    }
}

fn wait_for(what: &str, reached: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !reached() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::yield_now();
    }
}

#[test]
fn what_is_there_at_the_start_is_known_at_once() {
    let rig = Rig::with(Limits::default(), &[POD]);
    assert_eq!(rig.known(rig.id(POD)), Some(format!("/{POD}")));
    assert_eq!(rig.known(rig.id("")), Some("/".to_owned()));
    assert_eq!(rig.counts().rescans, 1);
}

#[test]
fn a_cgroup_is_learnt_when_it_appears_without_being_asked_for() {
    let rig = Rig::new();
    let container = format!("{POD}/{}", "a".repeat(64));
    let id = rig.make(&container);
    rig.wait("the container is known", |rig| rig.known(id).is_some());
    assert_eq!(rig.known(id), Some(format!("/{container}")));
    assert_eq!(rig.counts().rescans, 1);
    assert_eq!(rig.cgroups.shared().workloads(), 1);
}

#[test]
fn folders_made_in_depth_at_once_are_all_learnt() {
    let rig = Rig::new();
    let ids: Vec<u64> = (0..50).map(|number| rig.make(&format!("a{number}/b/c/d"))).collect();
    rig.wait("all are known", |rig| ids.iter().all(|id| rig.known(*id).is_some()));
    rig.wait("all are watched", |rig| rig.counts().watches == 1 + 4 * 50);
    let late: Vec<u64> = (0..50).map(|number| rig.make(&format!("a{number}/b/c/d/e"))).collect();
    rig.wait("what follows below them is known", |rig| late.iter().all(|id| rig.known(*id).is_some()));
}

#[test]
fn a_cgroup_that_went_is_still_known_and_no_longer_watched() {
    let rig = Rig::new();
    let id = rig.make(POD);
    rig.wait("the pod is known", |rig| rig.known(id).is_some() && rig.counts().watches == 3);
    fs::remove_dir(rig.path(POD)).unwrap();
    rig.wait("it is seen to go", |rig| rig.counts().gone == 1);
    assert_eq!(rig.known(id), Some(format!("/{POD}")));
    assert_eq!(rig.counts().watches, 2);
}

#[test]
fn what_went_is_forgotten_in_time_without_anything_else_happening() {
    let limits = Limits { keep: Duration::from_millis(20), ..Limits::default() };
    let rig = Rig::with(limits, &[POD]);
    fs::remove_dir(rig.path(POD)).unwrap();
    rig.wait("it is forgotten", |rig| rig.counts().expired == 1);
}

#[test]
fn the_tree_read_anew_finds_what_was_missed() {
    // A thread that hears of nothing: only a reading can help.
    let root = tempfile::tempdir().unwrap();
    let shared = Arc::new(Shared::new(Limits::default()).unwrap());
    let mut tree = Tree::new(root.path().to_owned(), shared.clone());
    tree.read();
    fs::create_dir(root.path().join("a.service")).unwrap();
    fs::create_dir(root.path().join("b.service")).unwrap();
    tree.read();
    assert_eq!(shared.counts().learnt, 3);
    fs::remove_dir(root.path().join("a.service")).unwrap();
    tree.read();
    assert_eq!((shared.counts().gone, shared.counts().watches), (1, 2));
    // What the watches told in the meantime is old news.
    tree.take_changes();
    let counts = shared.counts();
    assert_eq!((counts.learnt, counts.gone, counts.watches), (3, 1, 2));
}

#[test]
fn a_reading_that_is_asked_for_is_waited_for() {
    let rig = Rig::new();
    rig.cgroups.shared().read_anew(Duration::from_secs(10));
    assert_eq!(rig.counts().rescans, 2);
}

#[test]
fn without_watches_the_tree_is_read_over_and_over() {
    let root = tempfile::tempdir().unwrap();
    let shared = Arc::new(Shared::new(Limits::default()).unwrap());
    let mut tree = Tree::deaf(root.path().to_owned(), shared.clone());
    tree.read();
    assert!(tree.read_again().is_some());
    assert_eq!(shared.counts().watch_failures, 1);
    let thread = std::thread::spawn({
        let shared = shared.clone();
        move || watch(&mut tree, &shared)
    });
    fs::create_dir(root.path().join("a.service")).unwrap();
    wait_for("it is found by reading", || shared.counts().learnt == 2);
    shared.wish().stop = true;
    shared.ring();
    thread.join().unwrap();
}

#[test]
fn a_thousand_short_lived_cgroups_leave_no_watch_behind() {
    let rig = Rig::with(Limits::default(), &["kubepods"]);
    for number in 0..1_000 {
        let path = rig.path(&format!("kubepods/{number}.scope"));
        fs::create_dir(&path).unwrap();
        fs::remove_dir(&path).unwrap();
    }
    let last = rig.make("kubepods/last.scope");
    rig.wait("what came before the last is dealt with", |rig| rig.known(last).is_some());
    rig.wait("only what is there is watched", |rig| rig.counts().watches == 3);
}

#[test]
fn a_folder_that_is_not_there_is_no_tree() {
    let root = tempfile::tempdir().unwrap();
    let error = Cgroups::start(&root.path().join("missing"), Limits::default()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
}
