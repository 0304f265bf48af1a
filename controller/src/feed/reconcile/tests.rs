//! The task as roles change.

use namewarden_protocol::obtain::address::Reach;
use namewarden_protocol::obtain::client;
use namewarden_protocol::obtain::fetch::Fetcher;
use reqwest::Url;

use super::*;
use crate::feed::copy::Shelf;
use crate::feed::source::manifests::Manifests;

/// A feed that is pulled from a URL, or pushed.
fn write(folder: &std::path::Path, name: &str, url: Option<&str>) {
    let pull = url.map(|url| format!("  pull:\n    period: 1h\n    http:\n      url: {url}\n"));
    let text = format!(
        "apiVersion: projectcalico.org/v3\nkind: GlobalThreatFeed\nmetadata:\n  name: {name}\nspec:\n  content: \
         DomainNameSet\n{}",
        pull.unwrap_or_default()
    );
    let path = folder.join("manifests").join(format!("{name}.yaml"));
    crate::feed::copy::write_whole(&path, text.as_bytes()).unwrap();
}

fn parts(folder: &std::path::Path, leadership: Leadership) -> Parts {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let manifests = folder.join("manifests");
    std::fs::create_dir_all(&manifests).unwrap();
    if std::fs::read_dir(&manifests).unwrap().next().is_none() {
        write(folder, "urls", None);
    }
    let source = Source::Manifests(Manifests::open(&manifests).unwrap());
    let limits = Limits { bytes_max: 1 << 20, entries_max: 1000 };
    let settings =
        client::Settings { reach: Reach::Loopback, proxy: client::Proxy::Direct, ..Default::default() };
    let fetcher = Arc::new(Fetcher::new(&settings).unwrap());
    let shelf = Arc::new(Shelf::open(folder).unwrap());
    Parts {
        puller: Puller { source: source.clone(), shelf, fetcher, limits },
        source,
        pushes: Pushes::open(&folder.join("pushes")).unwrap(),
        publisher: Publisher::open(folder, None).unwrap(),
        leadership,
        settings: FeedSettings { limits, feeds_max: 10, pulls_max: 2, allow: Vec::new() },
    }
}

#[tokio::test]
async fn who_follows_another_shows_no_feeds_of_its_own_time_and_shows_them_when_it_leads_again() {
    let folder = tempfile::tempdir().unwrap();
    let (role, watched) = watch::channel(Role::Leader);
    let (reconciler, feeds) = Reconciler::new(parts(folder.path(), Leadership::of(watched)));
    let task = tokio::spawn(reconciler.run());
    let mut overview = feeds.overview();
    let mut shown = async |count: usize| {
        let found = overview.wait_for(|feeds| feeds.len() == count);
        tokio::time::timeout(Duration::from_secs(20), found).await.unwrap().unwrap();
    };
    shown(1).await;
    role.send_replace(Role::Follower { leader: Url::parse("https://other.example/").ok() });
    shown(0).await;
    role.send_replace(Role::Leader);
    shown(1).await;
    task.abort();
}

#[tokio::test]
async fn what_became_of_a_search_is_kept_though_commands_are_many() {
    let folder = tempfile::tempdir().unwrap();
    let (_role, watched) = watch::channel(Role::Leader);
    let (mut reconciler, feeds) = Reconciler::new(parts(folder.path(), Leadership::of(watched)));
    (0..=COMMANDS_MAX).for_each(|_| feeds.pushed("urls"));
    for number in [1, 2] {
        let set = namewarden_protocol::threat_set::SetId { number, ..Default::default() };
        feeds.searched(Searched { set, result: Err("why".to_owned()) });
    }
    let last = reconciler.searched.borrow_and_update().clone().unwrap();
    assert_eq!(last.set.number, 2);
}

/// A server whose `/slow` waits to be let go, and the task that pulls from it.
struct Pulling {
    folder: tempfile::TempDir,
    url: String,
    slow: Arc<tokio::sync::Semaphore>,
    asked: watch::Receiver<u64>,
    pushes: Pushes,
    publisher: Publisher,
    shelf: Arc<Shelf>,
    feeds: Feeds,
    task: tokio::task::JoinHandle<()>,
    _role: watch::Sender<Role>,
}

const SLOW: &str = "one.example\ntwo.example\nthree.example\n";
const QUICK: &str = "quick.example\n";

impl Pulling {
    async fn start(feeds: &[(&str, Option<&str>)]) -> Self {
        let (folder, slow) = (tempfile::tempdir().unwrap(), Arc::new(tokio::sync::Semaphore::new(0)));
        let (asking, asked) = watch::channel(0);
        let gate = Arc::clone(&slow);
        let router = axum::Router::new().route("/quick", axum::routing::get(async || QUICK)).route(
            "/slow",
            axum::routing::get(async move || {
                asking.send_modify(|count| *count += 1);
                gate.acquire().await.unwrap().forget();
                SLOW
            }),
        );
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        std::fs::create_dir(folder.path().join("manifests")).unwrap();
        for (name, path) in feeds {
            write(folder.path(), name, path.map(|path| format!("{url}{path}")).as_deref());
        }
        let (role, watched) = watch::channel(Role::Leader);
        let parts = parts(folder.path(), Leadership::of(watched));
        let (pushes, publisher) = (parts.pushes.clone(), parts.publisher.clone());
        let shelf = Arc::clone(&parts.puller.shelf);
        let (reconciler, feeds) = Reconciler::new(parts);
        let task = tokio::spawn(reconciler.run());
        Self { folder, url, slow, asked, pushes, publisher, shelf, feeds, task, _role: role }
    }

    /// Waits until a set has so many names.
    async fn until(&self, entries: u64) {
        let mut current = self.publisher.current();
        let found = current.wait_for(|set| set.as_ref().is_some_and(|set| set.entries == entries));
        let found = tokio::time::timeout(Duration::from_secs(20), found).await.is_ok();
        assert!(found, "{entries} names: {:?}", self.publisher.current().borrow());
    }

    async fn asked(&mut self, count: u64) {
        let asked = self.asked.wait_for(|asked| *asked >= count);
        tokio::time::timeout(Duration::from_secs(20), asked).await.unwrap().unwrap();
    }

    fn push(&self, feed: &str, names: &[&str]) {
        let body = serde_json::json!({ "domains": names }).to_string();
        self.pushes.put(feed, body.as_bytes(), crate::feed::push::Only::Any).unwrap();
        self.feeds.pushed(feed);
    }

    /// Lists that are being received.
    fn drafts(&self) -> usize {
        let copies = std::fs::read_dir(self.folder.path().join("copies")).unwrap();
        copies.filter(|copy| copy.as_ref().unwrap().path().extension().is_some()).count()
    }
}

impl Drop for Pulling {
    fn drop(&mut self) {
        // A pull that is under way would hold up the end of the test.
        self.slow.add_permits(100);
        self.task.abort();
    }
}

#[tokio::test]
async fn a_list_of_a_url_that_is_no_longer_asked_is_not_kept_when_it_comes() {
    let mut pulling = Pulling::start(&[("urls", Some("/slow")), ("other", None)]).await;
    pulling.asked(1).await;
    write(pulling.folder.path(), "urls", Some(&format!("{}/quick", pulling.url)));
    pulling.until(1).await;
    pulling.slow.add_permits(1);
    let deadline = Instant::now() + Duration::from_secs(20);
    while pulling.drafts() > 0 {
        assert!(Instant::now() < deadline, "the slow pull does not end");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // Each set sweeps what no record names, and the next one is made of what is left.
    for names in [&["a.example"][..], &["a.example", "b.example"]] {
        pulling.push("other", names);
        pulling.until(1 + names.len() as u64).await;
        let record = pulling.shelf.record("urls").unwrap().unwrap();
        assert_eq!(record.summary.entries, 1, "it is the quick one's");
        assert!(pulling.shelf.reader(&record.digest).is_ok());
    }
}

#[tokio::test]
async fn a_push_does_not_wait_for_servers() {
    let slow = ["a", "b", "c"].map(|name| (name, Some("/slow")));
    let feeds: Vec<_> = slow.into_iter().chain([("pushed", None)]).collect();
    let mut pulling = Pulling::start(&feeds).await;
    pulling.asked(2).await;
    pulling.push("pushed", &["a.example"]);
    let taken = async {
        let mut overview = pulling.feeds.overview();
        let is_taken = |feeds: &Arc<Vec<FeedOverview>>| {
            feeds.iter().any(|feed| feed.name == "pushed" && feed.status.entries == Some(1))
        };
        overview.wait_for(is_taken).await.map(|_| ())
    };
    tokio::time::timeout(Duration::from_secs(10), taken).await.unwrap().unwrap();
    assert_eq!(*pulling.asked.borrow(), 2, "as many pulls as are allowed");
}

#[tokio::test]
async fn a_document_that_cannot_be_read_is_told_and_taken_when_it_is_pushed_again() {
    let pulling = Pulling::start(&[("pushed", None)]).await;
    let mut overview = pulling.feeds.overview();
    let mut shown = async |is_so: &dyn Fn(&FeedOverview) -> bool| {
        let found = overview.wait_for(|feeds| feeds.iter().any(is_so));
        tokio::time::timeout(Duration::from_secs(10), found).await.unwrap().unwrap();
    };
    shown(&|feed| feed.name == "pushed").await;
    let document = pulling.folder.path().join("pushes/pushed.json");
    let body = br#"{"domains":["a.example"]}"#;
    pulling.pushes.put("pushed", body, crate::feed::push::Only::Any).unwrap();
    std::fs::remove_file(document).unwrap();
    pulling.feeds.pushed("pushed");
    shown(&|feed| format!("{:?}", feed.status).contains("its document cannot be read")).await;
    assert_eq!(pulling.feeds.readings(), [("new", 0), ("unchanged", 0), ("refused", 0), ("failed", 1)]);
    pulling.push("pushed", &["a.example"]);
    pulling.until(1).await;
}

#[tokio::test]
async fn a_set_that_cannot_be_made_is_told_until_one_is() {
    let folder = tempfile::tempdir().unwrap();
    let (_role, watched) = watch::channel(Role::Leader);
    let allow = folder.path().join("allow");
    let mut parts = parts(folder.path(), Leadership::of(watched));
    parts.settings.allow = vec![allow.clone()];
    let (pushes, publisher) = (parts.pushes.clone(), parts.publisher.clone());
    let (reconciler, feeds) = Reconciler::new(parts);
    let task = tokio::spawn(reconciler.run());
    let push = |name: &str| {
        let body = serde_json::json!({ "domains": [name] }).to_string();
        pushes.put("urls", body.as_bytes(), crate::feed::push::Only::Any).unwrap();
        feeds.pushed("urls");
    };
    push("one.example");
    let fails = async {
        while !feeds.is_set_failing() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), fails).await.unwrap();
    std::fs::write(&allow, "").unwrap();
    // The next change does not wait for the time at which it would be tried again.
    push("two.example");
    let mut current = publisher.current();
    let made = current.wait_for(|set| set.as_ref().is_some_and(|set| set.entries == 1));
    tokio::time::timeout(COMPILE_RETRY / 2, made).await.unwrap().unwrap();
    let well = async {
        while feeds.is_set_failing() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), well).await.unwrap();
    task.abort();
}
