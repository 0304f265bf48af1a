//! Sets are published, logs are stored, alerts are found: over a store in a folder.

use namewarden_protocol::{
    document::{Action, Dns, Document, Event, Identity, Question, Time},
    entry::{Entry, Verdict},
    threat_set::{Builder, FeedInfo, ThreatSet, wire},
};
use tokio::task::JoinHandle;

use super::*;
use crate::store::{
    Filter, Incoming, Order, Search, Stream,
    sqlite::{Settings, SqliteStore},
};

const EVERYTHING: Settings = Settings {
    alerts_age: Duration::from_secs(u32::MAX as u64),
    logs_age: Duration::from_secs(u32::MAX as u64),
    bytes: u64::MAX,
};

struct Scene {
    state: tempfile::TempDir,
    store: Arc<SqliteStore>,
    publisher: Publisher,
    counts: Arc<Counts>,
    number: u64,
}

impl Scene {
    fn new() -> Self {
        let state = tempfile::tempdir().unwrap();
        Self {
            store: Arc::new(SqliteStore::open(&state.path().join("store"), EVERYTHING).unwrap()),
            publisher: Publisher::open(state.path(), None).unwrap(),
            counts: Arc::default(),
            number: 0,
            state,
        }
    }

    /// Publishes a set that lists these names, at that many seconds before now.
    fn publish(&mut self, names: &[&str], ago: u64) {
        self.number += 1;
        let mut builder = Builder::new(self.publisher.key(), 1, self.number).without_lines();
        let info =
            FeedInfo { name: "late".into(), description: "".into(), severity: 60, techniques: [].into() };
        let feed = builder.feed(info).unwrap();
        for name in names {
            let scope = namewarden_protocol::entry::Scope::Both;
            builder.add(feed, &Entry { name, scope, verdict: Verdict::Listed, line: 1 });
        }
        let set: ThreatSet = builder.build().unwrap();
        self.publisher.adopt(&wire::full(&set).unwrap(), before(Duration::from_secs(ago))).unwrap();
    }

    /// Stores a log of a container that asked so many seconds ago.
    async fn log(&self, id: &str, name: &str, ago: u64) {
        let identity = Identity {
            cluster: "cluster".into(),
            node: "node-1".into(),
            namespace: "default".into(),
            instance: "5eed".into(),
            version: "0.1.0".into(),
        };
        let at = before(Duration::from_secs(ago)).duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let at = Time(u64::try_from(at.as_nanos()).unwrap());
        let mut log = Document::new(at, Event::new(Action::DnsLog, id.into(), at), &identity);
        let question = Question::new(name.into(), "A".into(), "IN".into());
        log.dns = Some(Dns { question: Some(question), ..Dns::default() });
        log.namewarden.cgroup = Some("/system.slice/app.service".to_owned());
        let source = serde_json::to_vec(&log).unwrap().into();
        let (stream, namespace) = (Stream::Logs, "default".to_owned());
        let appended = self
            .store
            .append(vec![Incoming { stream, namespace, id: Some(id.into()), source }])
            .await
            .unwrap();
        assert!(matches!(appended[0].outcome, crate::store::Outcome::Created { .. }), "{appended:?}");
    }

    fn parts(&self) -> Parts {
        Parts {
            store: self.store.clone(),
            publisher: self.publisher.clone(),
            leadership: Leadership::alone(),
            feeds: Feeds::detached(Vec::new()),
            folder: self.state.path().join("look-back"),
            cluster: "cluster".to_owned(),
            span: Duration::from_hours(24),
            again: Duration::from_millis(20),
            counts: Arc::clone(&self.counts),
        }
    }

    fn start(&self) -> JoinHandle<()> {
        tokio::spawn(look_back(self.parts()))
    }

    /// Waits until so many searches were done, and reads the entries that alerted since the beginning.
    async fn after(&self, searches: u64) -> Vec<String> {
        let patience = tokio::time::Instant::now() + Duration::from_secs(20);
        while self.counts.read().searches < searches {
            assert!(tokio::time::Instant::now() < patience, "{:?}", self.counts.read());
            tokio::task::yield_now().await;
        }
        self.alerts()
            .await
            .iter()
            .map(|alert| alert.threat.as_ref().unwrap().indicator.name.clone())
            .collect()
    }

    async fn alerts(&self) -> Vec<Document> {
        let filter = Filter { cluster: "cluster".to_owned(), ..Filter::default() };
        let search =
            Search { stream: Stream::Alerts, filter, order: Order::OldestFirst, after: None, limit: 100 };
        let page = self.store.search(search).await.unwrap();
        page.hits.iter().map(|hit| serde_json::from_slice(&hit.source).unwrap()).collect()
    }

    async fn stop(&self, task: JoinHandle<()>) {
        task.abort();
        let _ = task.await;
    }
}

#[tokio::test]
async fn what_was_asked_before_it_was_listed_alerts_once() {
    let mut scene = Scene::new();
    // Both in one hour of the clock.
    let of_hour = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() % 3_600;
    scene.log("1", "a.evil.example", 7_200 + of_hour - 10).await;
    scene.log("2", "evil.example", 7_200 + of_hour - 20).await;
    scene.log("3", "old.example", 7_000).await;
    scene.log("4", "good.example", 6_000).await;
    scene.log("5", "evil.example", 30 * 3_600).await;
    scene.publish(&["old.example"], 3_600);
    let task = scene.start();
    assert_eq!(scene.after(1).await, [""; 0], "the first set gains nothing over none");
    scene.publish(&["old.example", "evil.example"], 0);
    assert_eq!(scene.after(2).await, ["evil.example"]);
    let alerts = scene.alerts().await;
    let facts = &alerts[0].namewarden;
    assert_eq!((facts.retroactive, facts.count), (Some(true), Some(2)), "both logs of the hour");
    assert_eq!(
        alerts[0].message,
        "cgroup /system.slice/app.service asked for a.evil.example, which was listed later as evil.example in feed late"
    );
    // What was listed all along, and what goes, leads to nothing.
    scene.publish(&["evil.example"], 0);
    assert_eq!(scene.after(3).await, ["evil.example"]);
    scene.stop(task).await;
    let read = scene.counts.read();
    assert_eq!((read.alerts, read.failures), (1, 0));
}

#[tokio::test]
async fn what_was_asked_after_it_was_listed_is_the_agents_own_to_tell() {
    let mut scene = Scene::new();
    scene.publish(&[], 1_000);
    let task = scene.start();
    scene.after(1).await;
    scene.log("before", "evil.example", 600).await;
    scene.log("after", "bad.example", 60).await;
    scene.publish(&["evil.example", "bad.example"], 300);
    assert_eq!(scene.after(2).await, ["evil.example"]);
    scene.stop(task).await;
}

#[tokio::test]
async fn over_a_restart_it_goes_on_where_it_was() {
    let mut scene = Scene::new();
    scene.publish(&["old.example"], 1_000);
    let task = scene.start();
    scene.after(1).await;
    scene.stop(task).await;
    // The set changes while nobody looks back.
    scene.log("1", "evil.example", 60).await;
    scene.publish(&["evil.example"], 0);
    let task = scene.start();
    assert_eq!(scene.after(2).await, ["evil.example"]);
    scene.stop(task).await;
    // The same set again: its names were searched for.
    let task = scene.start();
    scene.publish(&["evil.example", "bad.example"], 0);
    assert_eq!(scene.after(3).await, ["evil.example"]);
    scene.stop(task).await;
}

#[tokio::test]
async fn what_the_leader_before_did_not_come_to_is_searched_for() {
    let mut scene = Scene::new();
    let (role, watched) = tokio::sync::watch::channel(Role::Follower { leader: None });
    scene.log("1", "evil.example", 600).await;
    scene.publish(&["old.example"], 8_000);
    let parts = Parts { leadership: Leadership::of(watched), ..scene.parts() };
    let folder = parts.folder.clone();
    let task = tokio::spawn(look_back(parts));
    let kept = |sets: usize| {
        let folder = folder.clone();
        async move {
            let patience = tokio::time::Instant::now() + Duration::from_secs(20);
            while std::fs::read_dir(&folder).into_iter().flatten().count() != sets {
                assert!(tokio::time::Instant::now() < patience, "{sets} sets are not kept");
                tokio::task::yield_now().await;
            }
        }
    };
    kept(1).await;
    scene.publish(&["old.example", "other.example"], 7_000);
    // The one before it was in use long before any log that is still looked at.
    kept(1).await;
    scene.publish(&["old.example", "other.example", "evil.example"], 0);
    kept(2).await;
    assert_eq!(scene.counts.read().searches, 0, "another one searches");
    // The leader ended before it had searched.
    role.send(Role::Leader).unwrap();
    assert_eq!(scene.after(1).await, ["evil.example"]);
    scene.stop(task).await;
}

#[tokio::test]
async fn logs_that_come_late_are_searched_too() {
    let mut scene = Scene::new();
    scene.publish(&[], 1_000);
    let task = scene.start();
    scene.after(1).await;
    scene.publish(&["evil.example"], 0);
    assert_eq!(scene.after(2).await, [""; 0]);
    // An agent counted it for minutes.
    scene.log("late", "evil.example", 200).await;
    let patience = tokio::time::Instant::now() + Duration::from_secs(20);
    while scene.counts.read().alerts == 0 {
        assert!(tokio::time::Instant::now() < patience, "{:?}", scene.counts.read());
        tokio::task::yield_now().await;
    }
    scene.stop(task).await;
}

#[tokio::test]
async fn a_damaged_set_is_a_search_that_failed() {
    let mut scene = Scene::new();
    scene.publish(&["old.example"], 1_000);
    let task = scene.start();
    scene.after(1).await;
    scene.stop(task).await;
    for file in std::fs::read_dir(scene.parts().folder).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "set") {
            // The link alone: what it led to stays as it is.
            std::fs::remove_file(&path).unwrap();
            std::fs::write(&path, "no set").unwrap();
        }
    }
    scene.log("1", "evil.example", 60).await;
    scene.publish(&["old.example", "evil.example"], 0);
    let task = scene.start();
    let patience = tokio::time::Instant::now() + Duration::from_secs(20);
    while scene.counts.read().failures == 0 {
        assert!(tokio::time::Instant::now() < patience && scene.counts.read().searches == 1);
        tokio::task::yield_now().await;
    }
    // Without it the set that is published is the first one, and what comes later is compared with that.
    scene.after(2).await;
    scene.publish(&["old.example", "evil.example", "bad.example"], 0);
    scene.log("2", "bad.example", 60).await;
    scene.after(3).await;
    scene.stop(task).await;
    assert_eq!(scene.counts.read().failures, 1);
}
