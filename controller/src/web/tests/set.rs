//! The threat set over HTTPS: whole, as a change, unchanged, awaited.

use std::time::Duration;

use namewarden_protocol::{
    endpoint::controller::{SET_TYPE, SET_TYPE_AND_VERSION, entity_tag},
    endpoint::ports::PORTS_HEADER,
    threat_set::wire,
};

use super::served::{Served, With, header, set, start, start_with};
use crate::leader::{Leadership, Role};

async fn wait_until(what: impl Fn() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while !what() {
        assert!(tokio::time::Instant::now() < deadline, "it did not happen in time");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn whole(served: &Served) -> (String, Vec<u8>) {
    let response = served.ask("GET", "/v1/threat-set").send().await.unwrap();
    assert_eq!(response.status(), 200);
    let tag = header(&response, "etag").to_owned();
    (tag, response.bytes().await.unwrap().to_vec())
}

#[tokio::test]
async fn the_set_comes_whole_with_its_tag() {
    let served = start();
    let id = served.publish(&set(1, &["evil.example"]));
    let response = served.ask("GET", "/v1/threat-set").send().await.unwrap();
    assert_eq!(header(&response, "content-type"), SET_TYPE_AND_VERSION);
    assert_eq!(header(&response, "etag"), entity_tag(id));
    let announced = wire::announced(&response.bytes().await.unwrap()).unwrap();
    assert_eq!((announced.id, announced.kind), (id, wire::Kind::Full));
}

#[tokio::test]
async fn before_the_first_set_the_answer_is_to_try_again() {
    let served = start();
    let response = served.ask("GET", "/v1/threat-set").send().await.unwrap();
    assert_eq!((response.status().as_u16(), header(&response, "retry-after")), (503, "2"));
    assert_eq!(served.ask_bare("GET", "/readyz").send().await.unwrap().status(), 503);
    served.publish(&set(1, &["evil.example"]));
    assert_eq!(served.ask_bare("GET", "/readyz").send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_leader_that_is_behind_goes_beyond_and_the_caller_is_told_to_come_again() {
    let served = start();
    served.publish(&set(1, &["evil.example"]));
    let (tag, _) = whole(&served).await;
    let ahead = tag.replace("1.1-", "1.9-");
    assert_ne!(ahead, tag);
    let response = served.ask("GET", "/v1/threat-set").header("if-none-match", ahead).send().await.unwrap();
    assert_eq!(response.status(), 503);
    assert_ne!(header(&response, "retry-after"), "");
    assert!(response.text().await.unwrap().contains("behind"));
    assert_eq!(served.site.publisher.position(), (1, 9));
}

#[tokio::test]
async fn a_follower_that_is_behind_takes_nobody_s_word_for_a_number() {
    let (_role, watched) = tokio::sync::watch::channel(Role::Follower { leader: None });
    let served = start_with(With { leadership: Some(Leadership::of(watched)), ..With::default() });
    served.publish(&set(1, &["evil.example"]));
    let (tag, _) = whole(&served).await;
    let ahead = tag.replace("1.1-", "1.9-");
    let response = served.ask("GET", "/v1/threat-set").header("if-none-match", ahead).send().await.unwrap();
    assert_eq!((response.status().as_u16(), served.site.publisher.position()), (503, (1, 1)));
}

#[tokio::test]
async fn who_has_the_set_gets_304_and_who_has_an_older_one_what_changed() {
    let served = start();
    served.publish(&set(1, &["evil.example", "bad.example"]));
    let (first, _) = whole(&served).await;
    let ask = |tag: &str| served.ask("GET", "/v1/threat-set").header("if-none-match", tag).send();
    assert_eq!(ask(&first).await.unwrap().status(), 304);
    let second = served.publish(&set(2, &["evil.example", "worse.example"]));
    let bytes = ask(&first).await.unwrap().bytes().await.unwrap();
    let announced = wire::announced(&bytes).unwrap();
    assert_eq!(announced.id, second);
    assert!(matches!(announced.kind, wire::Kind::Delta { .. }), "{announced:?}");
    let strange = first.replace("1.1-", "9.9-");
    let bytes = ask(&strange).await.unwrap().bytes().await.unwrap();
    assert_eq!(wire::announced(&bytes).unwrap().kind, wire::Kind::Full);
}

#[tokio::test]
async fn a_wait_ends_with_the_next_set() {
    let served = start();
    let first = entity_tag(served.publish(&set(1, &["evil.example"])));
    let waiting = served.ask("GET", "/v1/threat-set?wait=60").header("if-none-match", first).send();
    let waiting = tokio::spawn(waiting);
    wait_until(|| served.site.waiting() == 1).await;
    let second = served.publish(&set(2, &["worse.example"]));
    let response = waiting.await.unwrap().unwrap();
    assert_eq!(header(&response, "etag"), entity_tag(second));
    wait_until(|| served.site.waiting() == 0).await;
}

#[tokio::test]
async fn a_wait_ends_with_other_resolvers_ports_for_who_is_interested() {
    let (ports, told) = tokio::sync::watch::channel(None);
    let served = start_with(With { resolver_ports: Some(told), ..With::default() });
    let tag = entity_tag(served.publish(&set(1, &["evil.example"])));
    let ask = |known: Option<&str>, wait: u64| {
        let path = format!("/v1/threat-set?wait={wait}");
        let request = served.ask("GET", &path).header("if-none-match", &tag);
        match known {
            Some(known) => request.header(PORTS_HEADER, known),
            None => request,
        }
        .send()
    };
    assert_eq!(header(&ask(Some("none"), 0).await.unwrap(), PORTS_HEADER), "", "not known yet");
    let (waiting, older) = (tokio::spawn(ask(Some("none"), 300)), tokio::spawn(ask(None, 300)));
    wait_until(|| served.site.waiting() == 2).await;
    ports.send_replace(Some([1053].into_iter().collect()));
    let soon = Duration::from_secs(20);
    let response = tokio::time::timeout(soon, waiting).await.unwrap().unwrap().unwrap();
    assert_eq!((response.status().as_u16(), header(&response, PORTS_HEADER)), (304, "1053"));
    assert_eq!(served.site.waiting(), 1, "an agent that knows nothing of ports waits on");
    older.abort();
    wait_until(|| served.site.waiting() == 0).await;
    let response = tokio::time::timeout(soon, ask(Some("5353"), 300)).await.unwrap().unwrap();
    assert_eq!((response.status().as_u16(), header(&response, PORTS_HEADER)), (304, "1053"));
    // Who knows them waits.
    let waiting = tokio::spawn(ask(Some("1053"), 60));
    wait_until(|| served.site.waiting() == 1).await;
    waiting.abort();
}

#[tokio::test]
async fn a_wait_ends_when_its_client_goes() {
    let served = start();
    let first = entity_tag(served.publish(&set(1, &["evil.example"])));
    let waiting =
        tokio::spawn(served.ask("GET", "/v1/threat-set?wait=60").header("if-none-match", first).send());
    wait_until(|| served.site.waiting() == 1).await;
    waiting.abort();
    wait_until(|| served.site.waiting() == 0).await;
}

#[tokio::test]
async fn waits_end_when_the_controller_does() {
    let served = start();
    let first = entity_tag(served.publish(&set(1, &["evil.example"])));
    let waiting =
        tokio::spawn(served.ask("GET", "/v1/threat-set?wait=60").header("if-none-match", first).send());
    wait_until(|| served.site.waiting() == 1).await;
    served.shutdown.send(true).unwrap();
    assert_eq!(waiting.await.unwrap().unwrap().status(), 304);
    tokio::time::timeout(Duration::from_secs(20), served.server).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn an_agent_of_another_wire_format_is_told_so() {
    let served = start();
    served.publish(&set(1, &["evil.example"]));
    let newer = format!("{SET_TYPE};version=99");
    let response = served.ask("GET", "/v1/threat-set").header("accept", newer).send().await.unwrap();
    assert_eq!(response.status(), 406);
    assert!(response.text().await.unwrap().contains("version=1"));
}

#[tokio::test]
async fn many_agents_are_served_from_one_computation() {
    let served = start();
    let first = entity_tag(served.publish(&set(1, &["evil.example"])));
    let agents: Vec<_> = (0..100)
        .map(|_| {
            tokio::spawn(served.ask("GET", "/v1/threat-set?wait=60").header("if-none-match", &first).send())
        })
        .collect();
    wait_until(|| served.site.waiting() == 100).await;
    let second = served.publish(&set(2, &["evil.example", "worse.example"]));
    for agent in agents {
        let response = agent.await.unwrap().unwrap();
        assert_eq!(header(&response, "etag"), entity_tag(second));
    }
    let current = served.site.publisher.current().borrow().as_ref().unwrap().id;
    assert_eq!(current, second);
    assert_eq!(served.site.counts.read().sets[1].0, 100);
}
