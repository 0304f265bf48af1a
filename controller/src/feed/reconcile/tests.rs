//! The task as roles change.

use namewarden_protocol::obtain::client;
use namewarden_protocol::obtain::fetch::Fetcher;
use reqwest::Url;

use super::*;
use crate::feed::copy::Shelf;
use crate::feed::source::manifests::Manifests;

const FEED: &str = "apiVersion: projectcalico.org/v3\nkind: GlobalThreatFeed\nmetadata:\n  name: urls\nspec:\n  content: \
                    DomainNameSet\n";

fn parts(folder: &std::path::Path, leadership: Leadership) -> Parts {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let manifests = folder.join("manifests");
    std::fs::create_dir(&manifests).unwrap();
    std::fs::write(manifests.join("urls.yaml"), FEED).unwrap();
    let source = Source::Manifests(Manifests::open(&manifests).unwrap());
    let limits = Limits { bytes_max: 1 << 20, entries_max: 1000 };
    let fetcher = Arc::new(Fetcher::new(&client::Settings::default()).unwrap());
    let shelf = Arc::new(Shelf::open(folder).unwrap());
    Parts {
        puller: Puller { source: source.clone(), shelf, fetcher, limits },
        source,
        pushes: Pushes::open(&folder.join("pushes")).unwrap(),
        publisher: Publisher::open(folder, None).unwrap(),
        leadership,
        settings: FeedSettings { limits, feeds_max: 10, pulls_max: 1, allow: Vec::new() },
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
