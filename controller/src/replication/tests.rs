//! Two controllers over real sockets: one leads, the other copies, passes on, and takes over.

use std::{fs, path::Path, sync::Arc, time::Duration};

use namewarden_protocol::endpoint::controller::entity_tag;
use serde_json::json;
use tokio::{sync::watch, task::JoinHandle};

use super::{Follower, Peers, Settings};
use crate::{
    access::{Access, TokenFile},
    feed::push::{Only, Revision},
    leader::{Leadership, Role},
    web::tests::served::{ALIAS, Served, With, answer, header, set, start, start_with},
};

const DOMAINS: &str = r#"{"domains":["a.example"]}"#;

/// A follower of `leader`, and the task that copies.
fn follow(leader: &Served) -> (Served, watch::Sender<Role>, JoinHandle<()>) {
    follow_by(leader, &leader.folder.path().join("tls/ca.crt"))
}

/// Likewise, trusting what this file says.
fn follow_by(leader: &Served, authority: &Path) -> (Served, watch::Sender<Role>, JoinHandle<()>) {
    let peers = Arc::new(Peers::new(authority, Some("localhost".to_owned())).unwrap());
    let mut url = leader.url.clone();
    url.set_host(Some("127.0.0.1")).unwrap();
    let (sender, role) = watch::channel(Role::Follower { leader: Some(url) });
    let leadership = Leadership::of(role.clone());
    let served =
        start_with(With { leadership: Some(leadership), peers: Some(peers.clone()), ..With::default() });
    let token = served.folder.path().join("token");
    let site = &served.site;
    let settings = Settings {
        peers,
        name: "follower".to_owned(),
        token: Some(token),
        shelf: site.shelf.clone(),
        publisher: site.publisher.clone(),
        pushes: site.pushes.clone(),
    };
    let copying = tokio::spawn(Follower::new(settings, role).run());
    (served, sender, copying)
}

async fn wait_until(what: impl Fn() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    while !what() {
        assert!(tokio::time::Instant::now() < deadline, "it did not happen in time");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn doc(feed: &str) -> String {
    format!("/{ALIAS}/_doc/{feed}")
}

#[tokio::test]
async fn a_follower_serves_the_leaders_set() {
    let leader = start();
    let first = leader.publish(&set(1, &["evil.example"]));
    let (follower, _role, _copying) = follow(&leader);
    let is_at = |id| follower.site.publisher.current().borrow().as_ref().is_some_and(|set| set.id == id);
    wait_until(|| is_at(first)).await;
    let second = leader.publish(&set(2, &["evil.example", "worse.example"]));
    wait_until(|| is_at(second)).await;
    let response = follower.ask("GET", "/v1/threat-set").send().await.unwrap();
    assert_eq!(header(&response, "etag"), entity_tag(second));
    assert!(leader.site.counts.read().sets[1].0 > 0, "the second set came as a change");
}

#[tokio::test]
async fn an_authority_that_is_made_anew_is_trusted_while_controllers_run() {
    let (leader, stranger) = (start(), start());
    let trusted = stranger.folder.path().join("peers.crt");
    let authority = |of: &Served| fs::read(of.folder.path().join("tls/ca.crt")).unwrap();
    fs::write(&trusted, authority(&stranger)).unwrap();
    let id = leader.publish(&set(1, &["evil.example"]));
    let peers = Peers::new(&trusted, Some("localhost".to_owned())).unwrap();
    let mut url = leader.url.clone();
    url.set_host(Some("127.0.0.1")).unwrap();
    let ask = async || {
        let peer = peers.reach(&url).unwrap();
        peer.client.get(peer.base).send().await.is_ok()
    };
    assert!(!ask().await, "its authority is a stranger's");
    let (follower, _role, _copying) = follow_by(&leader, &trusted);
    fs::write(&trusted, "half of a file").unwrap();
    assert!(!ask().await);
    fs::write(&trusted, authority(&leader)).unwrap();
    assert!(ask().await);
    let is_at = |id| follower.site.publisher.current().borrow().as_ref().is_some_and(|set| set.id == id);
    wait_until(|| is_at(id)).await;
}

#[tokio::test]
async fn a_push_to_a_follower_is_the_leaders_and_on_both_disks_when_it_is_acknowledged() {
    let leader = start();
    let (follower, _role, _copying) = follow(&leader);
    wait_until(|| leader.site.followers.count() == 1).await;
    let (status, body) = answer(follower.push("PUT", &doc("feed"), DOMAINS)).await;
    assert_eq!((status, &body["_shards"]), (201, &json!({ "total": 2, "successful": 2, "failed": 0 })));
    for site in [&leader, &follower] {
        let kept = crate::feed::Pushes::open(&site.folder.path().join("pushes")).unwrap();
        assert_eq!(kept.get("feed").unwrap().body, DOMAINS);
    }
}

#[tokio::test]
async fn a_push_is_on_no_disk_that_has_only_numbers_of_its_own() {
    let leader = start();
    let (follower, _role, _copying) = follow(&leader);
    // As one that led before, and whose disk takes nothing any longer.
    for number in 0..9 {
        let own = format!("{{\"domains\":[\"own{number}.example\"]}}");
        follower.site.pushes.put("own", own.as_bytes(), Only::Any).unwrap();
    }
    std::fs::remove_dir_all(follower.folder.path().join("pushes")).unwrap();
    wait_until(|| leader.site.followers.count() == 1).await;
    let (status, body) = answer(leader.push("PUT", &doc("feed"), DOMAINS)).await;
    assert_eq!((status, &body["_shards"]), (201, &json!({ "total": 2, "successful": 1, "failed": 0 })));
}

#[tokio::test]
async fn a_document_that_the_leader_cannot_read_holds_up_nothing_else() {
    let leader = start();
    leader.site.pushes.put("torn", DOMAINS.as_bytes(), Only::Any).unwrap();
    let path = leader.folder.path().join("pushes/torn.json");
    fs::write(&path, fs::read_to_string(&path).unwrap().replace("a.example", "b.example")).unwrap();
    leader.site.pushes.put("whole", DOMAINS.as_bytes(), Only::Any).unwrap();
    let id = leader.publish(&set(1, &["evil.example"]));
    let (follower, _role, _copying) = follow(&leader);
    let is_at = |id| follower.site.publisher.current().borrow().as_ref().is_some_and(|set| set.id == id);
    wait_until(|| is_at(id)).await;
    assert!(follower.site.pushes.get("whole").is_some());
    leader.site.pushes.put("torn", DOMAINS.as_bytes(), Only::Any).unwrap();
    leader.site.followers.tell();
    wait_until(|| follower.site.pushes.get("torn").is_some()).await;
}

#[tokio::test]
async fn a_deletion_is_copied_too() {
    let leader = start();
    let (follower, _role, _copying) = follow(&leader);
    wait_until(|| leader.site.followers.count() == 1).await;
    answer(leader.push("PUT", &doc("feed"), DOMAINS)).await;
    wait_until(|| follower.site.pushes.get("feed").is_some()).await;
    answer(leader.ask("DELETE", &doc("feed"))).await;
    wait_until(|| follower.site.pushes.get("feed").is_none()).await;
    assert_eq!(follower.site.pushes.head("feed"), leader.site.pushes.head("feed"));
}

#[tokio::test]
async fn who_takes_over_goes_on_in_the_same_epoch_with_a_number_that_nobody_used() {
    let leader = start();
    let last = leader.publish(&set(7, &["evil.example"]));
    let (follower, role, _copying) = follow(&leader);
    wait_until(|| follower.site.publisher.current().borrow().as_ref().is_some_and(|set| set.id == last))
        .await;
    answer(leader.push("PUT", &doc("feed"), DOMAINS)).await;
    leader.shutdown.send(true).unwrap();
    role.send(Role::Leader).unwrap();
    let (epoch, number) = follower.site.publisher.position();
    assert_eq!(epoch, last.epoch);
    assert!(number >= last.number);
    let (status, body) = answer(follower.push("PUT", &doc("feed"), DOMAINS)).await;
    assert_eq!((status, &body["_version"], &body["_seq_no"]), (200, &json!(2), &json!(1)));
}

#[tokio::test]
async fn without_a_leader_a_push_is_not_acknowledged() {
    let leader = start();
    let (follower, role, _copying) = follow(&leader);
    role.send(Role::Follower { leader: None }).unwrap();
    let response = follower.push("PUT", &doc("feed"), DOMAINS).send().await.unwrap();
    assert_eq!((response.status().as_u16(), header(&response, "retry-after")), (503, "2"));
    let gone = "https://127.0.0.1:1".parse().unwrap();
    role.send(Role::Follower { leader: Some(gone) }).unwrap();
    assert_eq!(answer(follower.push("PUT", &doc("feed"), DOMAINS)).await.0, 503);
    assert!(follower.site.pushes.feeds().is_empty() && leader.site.pushes.feeds().is_empty());
}

#[tokio::test]
async fn a_request_is_not_passed_round_in_circles() {
    let leader = start();
    let (follower, _role, _copying) = follow(&leader);
    let request = follower.push("PUT", &doc("feed"), DOMAINS).header("namewarden-forwarded", "1");
    assert_eq!(answer(request).await.0, 503);
}

#[tokio::test]
async fn the_leader_checks_the_credentials_of_what_is_passed_on() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("token"), "another-token-of-its-own").unwrap();
    let access = Access::token_file(TokenFile::open(&folder.path().join("token")).unwrap());
    let leader = start_with(With { access: Some(access), ..With::default() });
    let (follower, _role, _copying) = follow(&leader);
    assert_eq!(answer(follower.push("PUT", &doc("feed"), DOMAINS)).await.0, 401);
    assert_eq!(leader.site.pushes.feeds(), [""; 0]);
}

#[tokio::test]
async fn last_good_copies_are_copied_by_digest() {
    use std::io::Write as _;

    use sha2::Digest as _;

    use crate::feed::copy::{Provenance, Record, Summary, hex};

    let leader = start();
    let text = b"evil.example\n".repeat(10_000);
    let record = Record {
        feed: "a.feed".to_owned(),
        provenance: Provenance::Pushed(Revision { seq_no: 1, digest: None }),
        digest: hex(&sha2::Sha256::digest(&text)),
        reading: crate::feed::definition::Reading::default(),
        summary: Summary::default(),
        synced_at: 5,
    };
    let mut draft = leader.site.shelf.draft().unwrap();
    draft.write_all(&text).unwrap();
    leader.site.shelf.keep(&draft, &record).unwrap();
    let (follower, _role, _copying) = follow(&leader);
    wait_until(|| follower.site.shelf.record("a.feed").unwrap().as_ref() == Some(&record)).await;
    let mut copy = Vec::new();
    std::io::Read::read_to_end(&mut follower.site.shelf.reader(&record.digest).unwrap(), &mut copy).unwrap();
    assert_eq!(copy, text);
}
