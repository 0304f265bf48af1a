//! Sets over changes, restarts and the wire.

use std::io::Write as _;

use namewarden_protocol::threat_set::FeedInfo;
use sha2::{Digest as _, Sha256};

use super::*;
use crate::feed::copy::{Provenance, Record, Shelf, Summary};
use crate::feed::definition::Reading;
use crate::feed::judge::Limits;
use crate::feed::push::Revision;

const LIMITS: Limits = Limits { bytes_max: 1 << 20, entries_max: 10_000 };

struct Bench {
    state: tempfile::TempDir,
    shelf: Arc<Shelf>,
}

impl Bench {
    fn new() -> Self {
        let state = tempfile::tempdir().unwrap();
        let shelf = Arc::new(Shelf::open(state.path()).unwrap());
        Self { state, shelf }
    }

    fn open(&self) -> Publisher {
        Publisher::open(self.state.path(), None).unwrap()
    }

    fn ingredients(&self, feeds: &[(&str, &str)]) -> Ingredients {
        let parts = feeds.iter().map(|(name, text)| self.part(name, text)).collect();
        Ingredients { parts, allow: Vec::new(), shelf: Arc::clone(&self.shelf), limits: LIMITS }
    }

    fn part(&self, name: &str, text: &str) -> Part {
        let mut draft = self.shelf.draft().unwrap();
        draft.write_all(text.as_bytes()).unwrap();
        let record = Record {
            feed: name.to_owned(),
            provenance: Provenance::Pushed(Revision { seq_no: 0, digest: None }),
            digest: hex(&Sha256::digest(text)),
            reading: Reading::default(),
            summary: Summary::default(),
            synced_at: 0,
        };
        self.shelf.keep(&draft, &record).unwrap();
        let info = FeedInfo {
            name: name.into(),
            description: "".into(),
            severity: 75,
            techniques: ["T1071.004".to_owned()].into(),
        };
        Part { info, digest: record.digest, reading: record.reading }
    }
}

fn is_listed(published: &Published, name: &str) -> bool {
    let set = ThreatSet::open(&published.path).unwrap();
    let hash = set.hasher().suffix(name).unwrap();
    set.probe(hash).is_some()
}

#[test]
fn the_same_ingredients_are_the_same_set_also_after_a_restart() {
    let bench = Bench::new();
    let publisher = bench.open();
    let ingredients = bench.ingredients(&[("urls", "evil.example\n")]);
    let first = publisher.publish(&ingredients, &|| true).unwrap();
    assert!(is_listed(&first, "evil.example"));
    assert_eq!(publisher.publish(&ingredients, &|| true).unwrap().id, first.id);
    drop(publisher);
    let again = bench.open();
    assert_eq!(again.current().borrow().as_ref().unwrap().id, first.id);
    assert_eq!(again.publish(&ingredients, &|| true).unwrap().id, first.id);
    let other = again.publish(&bench.ingredients(&[("urls", "bad.example\n")]), &|| true).unwrap();
    assert!((other.id.epoch, other.id.number) == (first.id.epoch, first.id.number + 1), "{other:?}");
}

#[test]
fn what_alerts_say_of_a_feed_makes_another_set() {
    let bench = Bench::new();
    let publisher = bench.open();
    let mut ingredients = bench.ingredients(&[("urls", "evil.example\n")]);
    let first = publisher.publish(&ingredients, &|| true).unwrap();
    ingredients.parts[0].info.severity = 10;
    assert_ne!(publisher.publish(&ingredients, &|| true).unwrap().id, first.id);
}

#[test]
fn an_allow_list_wins_over_every_feed() {
    let bench = Bench::new();
    let publisher = bench.open();
    let path = bench.state.path().join("allow.txt");
    std::fs::write(&path, "good.example\n").unwrap();
    let mut ingredients = bench.ingredients(&[("urls", "evil.example\ngood.example\n")]);
    ingredients.allow = vec![AllowList(path.clone())];
    let first = publisher.publish(&ingredients, &|| true).unwrap();
    std::fs::write(&path, "evil.example\n").unwrap();
    let second = publisher.publish(&ingredients, &|| true).unwrap();
    assert_ne!(first.id, second.id, "the list on disk changed");
    let set = ThreatSet::open(&second.path).unwrap();
    let hash = set.hasher().suffix("evil.example").unwrap();
    assert!(set.probe(hash).is_some(), "still listed, but excepted");
}

#[test]
fn who_no_longer_leads_publishes_nothing() {
    let bench = Bench::new();
    let publisher = bench.open();
    let ingredients = bench.ingredients(&[("urls", "evil.example\n")]);
    let asked = std::cell::Cell::new(0);
    let lost_meanwhile = || {
        asked.set(asked.get() + 1);
        asked.get() == 1
    };
    let refused = publisher.publish(&ingredients, &lost_meanwhile);
    assert!(matches!(refused, Err(PublishError::NotLeader)));
    assert_eq!(*publisher.current().borrow(), None);
    assert_eq!(
        publisher.publish(&ingredients, &|| true).unwrap().id.number,
        2,
        "the number is not used again"
    );
}

#[test]
fn a_lost_disk_is_a_new_epoch() {
    let bench = Bench::new();
    let ingredients = bench.ingredients(&[("urls", "evil.example\n")]);
    let first = bench.open().publish(&ingredients, &|| true).unwrap();
    let key = bench.open().key();
    std::fs::remove_file(bench.state.path().join("set.json")).unwrap();
    let publisher = Publisher::open(bench.state.path(), Some(key)).unwrap();
    assert!(publisher.position().0 >= first.id.epoch);
    publisher.lead_after((first.id.epoch, 1000), None).unwrap();
    let second = publisher.publish(&bench.ingredients(&[]), &|| true).unwrap();
    assert!((second.id.epoch, second.id.number) > (first.id.epoch, 1000), "{:?}", second.id);
}

#[test]
fn a_damaged_last_set_is_passed_over_and_made_anew() {
    let bench = Bench::new();
    let ingredients = bench.ingredients(&[("urls", "evil.example\n")]);
    let first = bench.open().publish(&ingredients, &|| true).unwrap();
    let mut bytes = std::fs::read(&first.path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&first.path, bytes).unwrap();
    let publisher = bench.open();
    assert_eq!(*publisher.current().borrow(), None);
    assert!(is_listed(&publisher.publish(&ingredients, &|| true).unwrap(), "evil.example"));
}

fn long_ago() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_700_000_000)
}

#[test]
fn the_size_of_a_set_is_known_in_its_file_and_on_the_wire_once_asked_for() {
    let bench = Bench::new();
    let publisher = bench.open();
    let first = publisher.publish(&bench.ingredients(&[("urls", "a.example\n")]), &|| true).unwrap();
    assert_eq!(first.bytes, std::fs::metadata(&first.path).unwrap().len());
    assert_eq!(publisher.wire_bytes(), WireBytes::default());
    let full = publisher.transfer(None).unwrap().bytes.len() as u64;
    assert_eq!(publisher.wire_bytes(), WireBytes { full: Some(full), delta: None });
    publisher.publish(&bench.ingredients(&[("urls", "b.example\n")]), &|| true).unwrap();
    assert_eq!(publisher.wire_bytes(), WireBytes::default());
    let delta = publisher.transfer(Some(first.id)).unwrap().bytes.len() as u64;
    assert_eq!(publisher.wire_bytes(), WireBytes { full: None, delta: Some(delta) });
    drop(publisher);
    assert!(bench.open().current().borrow().as_ref().is_some_and(|set| set.bytes > 0));
}

#[test]
fn a_set_that_was_taken_over_is_as_old_as_the_leader_says() {
    let (leader, follower) = (Bench::new(), Bench::new());
    let (publisher, copy) = (leader.open(), follower.open());
    publisher.publish(&leader.ingredients(&[("urls", "a.example\n")]), &|| true).unwrap();
    let whole = publisher.transfer(None).unwrap();
    assert_eq!(copy.adopt(&whole.bytes, long_ago()).unwrap().at, long_ago());
    drop(copy);
    let kept = follower.open().current().borrow().as_ref().map(|set| set.at);
    assert_eq!(kept, Some(long_ago()));
    let ahead = SystemTime::now() + Duration::from_mins(15);
    let adopted = follower.open().adopt(&whole.bytes, ahead).unwrap();
    assert!(adopted.at < ahead, "a clock that is ahead makes no set of the future");
}

#[test]
fn an_agent_is_led_from_its_base_and_a_follower_to_the_very_same_set() {
    let (leader, follower) = (Bench::new(), Bench::new());
    let (publisher, copy) = (leader.open(), follower.open());
    assert!(matches!(publisher.transfer(None), Err(PublishError::Nothing)));
    let first = publisher.publish(&leader.ingredients(&[("urls", "a.example\n")]), &|| true).unwrap();
    let whole = publisher.transfer(None).unwrap();
    assert_eq!((whole.id, whole.delta), (first.id, false));
    assert_eq!(copy.adopt(&whole.bytes, long_ago()).unwrap().id, first.id);
    let second = publisher.publish(&leader.ingredients(&[("urls", "b.example\n")]), &|| true).unwrap();
    let change = publisher.transfer(Some(first.id)).unwrap();
    assert_eq!((change.id, change.delta), (second.id, true));
    let adopted = copy.adopt(&change.bytes, long_ago()).unwrap();
    assert_eq!(adopted.id, second.id);
    assert!(is_listed(&adopted, "b.example") && !is_listed(&adopted, "a.example"));
    assert!(copy.position() >= (second.id.epoch, second.id.number));
    let unknown = SetId { number: 77, ..first.id };
    assert!(!publisher.transfer(Some(unknown)).unwrap().delta);
    assert!(copy.adopt(&change.bytes[..change.bytes.len() - 1], long_ago()).is_err());
}

#[test]
fn only_the_last_sixteen_sets_stay_on_disk() {
    let bench = Bench::new();
    let publisher = bench.open();
    let first = publisher.publish(&bench.ingredients(&[("urls", "n0.example\n")]), &|| true).unwrap();
    for number in 1..=versions::KEPT {
        let text = format!("n{number}.example\n");
        publisher.publish(&bench.ingredients(&[("urls", &text)]), &|| true).unwrap();
    }
    assert!(!first.path.exists());
    let sets = std::fs::read_dir(bench.state.path().join("sets")).unwrap().count();
    assert_eq!(sets, versions::KEPT);
    assert!(!publisher.transfer(Some(first.id)).unwrap().delta);
}

#[test]
fn a_folder_put_back_from_an_old_copy_goes_beyond_the_sets_that_others_hold() {
    let bench = Bench::new();
    let ingredients = bench.ingredients(&[("urls", "evil.example\n")]);
    let publisher = bench.open();
    let first = publisher.publish(&ingredients, &|| true).unwrap();
    assert!(!publisher.is_outrun_by(first.id) && !publisher.is_outrun_by(SetId { epoch: 1, ..first.id }));
    let lost = SetId { number: first.id.number + 5, digest: [9; 32], ..first.id };
    assert!(publisher.is_outrun_by(lost));
    assert!(!publisher.is_outrun_by(lost), "one claim is enough for a while");
    let next = publisher.publish(&ingredients, &|| true).unwrap();
    assert_eq!((next.id.epoch, next.id.number), (first.id.epoch, lost.number + 1));
    assert_eq!(publisher.publish(&ingredients, &|| true).unwrap().id, next.id);
}

#[test]
fn a_number_that_somebody_else_s_set_has_is_left() {
    let bench = Bench::new();
    let ingredients = bench.ingredients(&[("urls", "evil.example\n")]);
    let publisher = bench.open();
    let first = publisher.publish(&ingredients, &|| true).unwrap();
    assert!(publisher.is_outrun_by(SetId { digest: [9; 32], ..first.id }));
    assert_eq!(publisher.publish(&ingredients, &|| true).unwrap().id.number, first.id.number + 1);
    assert!(!publisher.is_outrun_by(SetId { number: u64::MAX, ..first.id }));
}
