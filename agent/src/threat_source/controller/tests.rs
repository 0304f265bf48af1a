use std::fs;
use std::path::PathBuf;

use namewarden_protocol::entry::{Entry, Scope, Verdict};
use namewarden_protocol::threat_set::{Builder, FeedInfo, SetKey, wire};

use super::client::{take, take_anywhere};
use super::*;

/// The controller's sets, and the place where the agent keeps the last one.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn kept(&self) -> PathBuf {
        self.0.path().join("controller.set")
    }

    fn set(&self, epoch: u64, number: u64, names: &[&str]) -> ThreatSet {
        let mut builder = Builder::new(SetKey(*b"0123456789abcdef"), epoch, number).without_lines();
        let info =
            FeedInfo { name: "bad".into(), description: "".into(), severity: 50, techniques: [].into() };
        let feed = builder.feed(info).unwrap();
        for name in names {
            builder.add(feed, &Entry { name, scope: Scope::Both, verdict: Verdict::Listed, line: 0 });
        }
        let path = self.0.path().join(format!("{epoch}-{number}"));
        builder.write(&path).unwrap();
        ThreatSet::open(&path).unwrap()
    }

    /// What the agent holds after it took this set whole.
    fn taken(&self, set: &ThreatSet) -> Arc<ThreatSet> {
        match take(&wire::full(set).unwrap(), None, &self.kept(), then()).unwrap() {
            Answer::Set { set, delta: false, .. } => set,
            other => panic!("{other:?}"),
        }
    }
}

/// When the controller made its sets.
fn then() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)
}

#[test]
fn the_time_at_which_a_set_was_made_is_kept_with_it() {
    let folder = Folder::new();
    let set = folder.set(1, 1, &["a.example"]);
    let taken = take(&wire::full(&set).unwrap(), None, &folder.kept(), then()).unwrap();
    assert!(matches!(taken, Answer::Set { published, .. } if published == then()), "{taken:?}");
    let settings = Settings {
        url: "https://localhost/".parse().unwrap(),
        authorities: None,
        token_file: None,
        folder: folder.0.path().to_owned(),
    };
    let controller = Controller::new(settings).unwrap();
    let kept = controller.kept().unwrap();
    let contact = Follower::new(controller, kept).following().contact();
    let age = SystemTime::now().duration_since(then()).unwrap().as_secs();
    assert!(
        contact.published_seconds(set.id()).is_some_and(|seconds| seconds.abs_diff(age) < 60),
        "{contact:?}"
    );
    assert_eq!(contact.published_seconds(SetId { number: 2, ..set.id() }), None);
}

#[test]
fn a_change_leads_from_the_set_in_use_to_the_controller_s() {
    let folder = Folder::new();
    let (first, second) = (folder.set(1, 1, &["a.example"]), folder.set(1, 2, &["a.example", "b.example"]));
    let used = folder.taken(&first);
    let answer = take(&wire::delta(&first, &second).unwrap(), Some(&used), &folder.kept(), then()).unwrap();
    let Answer::Set { set, delta: true, .. } = answer else { panic!("{answer:?}") };
    assert_eq!(set.id(), second.id());
    assert!(set.find("b.example").is_some() && used.find("b.example").is_none());
}

#[test]
fn an_older_set_is_refused_unless_its_history_is_another() {
    let folder = Folder::new();
    let (old, new) = (folder.set(1, 1, &["a.example"]), folder.set(1, 2, &["b.example"]));
    let used = folder.taken(&new);
    let refused = take(&wire::full(&old).unwrap(), Some(&used), &folder.kept(), then()).unwrap_err();
    assert!(matches!(refused, Missed::Older { offered: 1, used: 2 }), "{refused}");
    let lost = folder.set(9, 1, &["c.example"]);
    let taken = take(&wire::full(&lost).unwrap(), Some(&used), &folder.kept(), then());
    assert!(matches!(taken, Ok(Answer::Set { delta: false, .. })), "{taken:?}");
}

#[test]
fn the_set_in_use_sent_again_is_no_other_set() {
    let folder = Folder::new();
    let set = folder.set(1, 1, &["a.example"]);
    let used = folder.taken(&set);
    let again = take(&wire::full(&set).unwrap(), Some(&used), &folder.kept(), then());
    assert!(matches!(again, Ok(Answer::Unchanged { .. })), "{again:?}");
}

#[test]
fn damage_and_strangers_leave_what_is_kept_as_it_was() {
    let folder = Folder::new();
    let (first, second) = (folder.set(1, 1, &["a.example"]), folder.set(1, 2, &["b.example"]));
    let used = folder.taken(&first);
    let kept = fs::read(folder.kept()).unwrap();
    let mut damaged = wire::full(&second).unwrap();
    *damaged.last_mut().unwrap() ^= 1;
    let change = wire::delta(&second, &folder.set(1, 3, &["c.example"])).unwrap();
    let cases: [(&[u8], Option<&ThreatSet>); 4] =
        [(&damaged, Some(&used)), (&change, Some(&used)), (&change, None), (b"<html>", Some(&used))];
    for (bytes, base) in cases {
        assert!(matches!(take(bytes, base, &folder.kept(), then()), Err(Missed::Apply(_))));
    }
    assert_eq!(fs::read(folder.kept()).unwrap(), kept);
}

#[test]
fn a_set_that_cannot_be_kept_is_used_and_a_change_of_it_too() {
    let folder = Folder::new();
    let (first, second) = (folder.set(1, 1, &["a.example"]), folder.set(1, 2, &["a.example", "b.example"]));
    let nowhere = folder.0.path().join("not-there/controller.set");
    let taken = |answer: Result<Answer, Missed>| match answer {
        Ok(Answer::Set { set, .. }) => set,
        other => panic!("{other:?}"),
    };
    let used = taken(take_anywhere(&wire::full(&first).unwrap(), None, &nowhere, then()));
    assert!(used.find("a.example").is_some());
    let change = wire::delta(&first, &second).unwrap();
    let used = taken(take_anywhere(&change, Some(&used), &nowhere, then()));
    assert!(used.find("b.example").is_some());
    assert!(!nowhere.exists());
}

#[test]
fn what_is_said_of_a_refusal_names_the_remedy_and_no_secret() {
    let denied = Missed::Denied(StatusCode::UNAUTHORIZED).to_string();
    assert!(denied.contains("401") && denied.contains("--token-file"), "{denied}");
    let url = "https://user:hush@controller.example:8443".parse().unwrap();
    let folder = Folder::new();
    let settings = Settings { url, authorities: None, token_file: None, folder: folder.0.path().to_owned() };
    assert_eq!(Controller::new(settings).unwrap().place(), "https://controller.example:8443");
}
