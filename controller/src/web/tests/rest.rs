//! Reports, feeds, health, metrics, and what is bounded.

use std::time::Duration;

use namewarden_protocol::endpoint::controller::digest_hex;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::served::{With, answer, set, start, start_with};
use crate::access::Access;

#[tokio::test]
async fn an_agents_report_is_listed() {
    let served = start();
    let id = served.publish(&set(1, &["evil.example"]));
    let digest = digest_hex(id);
    let report = json!({ "node": "node-1", "cluster": "cluster", "version": "0.1.0", "counters": { "findings": 3 },
        "threat_set": { "epoch": 1, "number": 1, "digest": digest, "entries": 1, "age_seconds": 2,
            "published_seconds": 9 } });
    let sent = served.push("POST", "/v1/agents/report", &report.to_string()).send().await.unwrap();
    assert_eq!(sent.status(), 204);
    let (_, list) = answer(served.ask("GET", "/v1/agents")).await;
    assert_eq!(
        (&list["total"], &list["on_current_set"], &list["agents"][0]["node"]),
        (&json!(1), &json!(1), &json!("node-1"))
    );
    assert!(list["incomplete"].as_str().unwrap().contains("may not be listed yet"), "{list}");
    assert_eq!(
        (&list["current_set"]["number"], &list["current_set"]["published_seconds"]),
        (&json!(1), &json!(0))
    );
    assert_eq!(list["agents"][0]["threat_set"]["published_seconds"], 9);
    let (_, one) = answer(served.ask("GET", "/v1/agents?node=node-1")).await;
    assert_eq!(one["agents"][0]["counters"]["findings"], 3);
}

#[tokio::test]
async fn a_report_that_is_none_is_refused() {
    let served = start();
    let report = |body: &str| answer(served.push("POST", "/v1/agents/report", body));
    assert_eq!(report("nonsense").await.0, 400);
    assert_eq!(report("{}").await.0, 400);
    assert_eq!(report(&" ".repeat(70_000)).await.0, 413);
}

#[tokio::test]
async fn feeds_are_listed_and_pulled_on_demand() {
    let served = start();
    let (status, body) = answer(served.ask("GET", "/v1/feeds")).await;
    assert_eq!(
        (status, &body["feeds"][0]["name"], &body["feeds"][0]["isPulled"]),
        (200, &json!("pulled"), &json!(true))
    );
    assert_eq!(answer(served.ask("POST", "/v1/feeds/pulled/pull")).await.0, 202);
    let (status, body) = answer(served.ask("POST", "/v1/feeds/pushed/pull")).await;
    assert_eq!((status, body["error"].as_str().unwrap().contains("pushed")), (409, true));
    let (status, body) = answer(served.ask("POST", "/v1/feeds/unusable/pull")).await;
    assert_eq!(
        (status, body["error"].as_str().unwrap().contains("unknown field spec.x")),
        (409, true),
        "{body}"
    );
    let (status, body) = answer(served.ask("POST", "/v1/feeds/none/pull")).await;
    assert_eq!((status, &body["error"]), (404, &json!("there is no feed none")));
}

#[tokio::test]
async fn requests_are_counted_by_route_and_status() {
    let served = start();
    served.publish(&set(1, &["evil.example"]));
    answer(served.ask("GET", "/v1/threat-set")).await;
    answer(served.ask_bare("GET", "/v1/threat-set")).await;
    let page = served.ask("GET", "/metrics").send().await.unwrap().text().await.unwrap();
    let bytes = served.site.publisher.current().borrow().as_ref().map_or(0, |set| set.bytes);
    assert_ne!(bytes, 0);
    let of_file = format!("namewarden_controller_set_bytes{{form=\"file\"}} {bytes}");
    for line in [
        "namewarden_controller_requests_total{route=\"/v1/threat-set\",status=\"200\"} 1",
        "namewarden_controller_requests_total{route=\"/v1/threat-set\",status=\"401\"} 1",
        "namewarden_controller_sets_served_total{kind=\"full\"} 1",
        "namewarden_controller_set_number 1",
        &of_file,
        "namewarden_controller_set_entries 1",
    ] {
        assert!(page.lines().any(|found| found == line), "{line}\n{page}");
    }
}

#[tokio::test]
async fn without_a_token_file_this_machine_is_admitted() {
    let served = start_with(With { access: Some(Access::loopback()), ..With::default() });
    assert_eq!(answer(served.ask_bare("GET", "/v1/feeds")).await.0, 200);
}

#[tokio::test]
async fn plain_http_is_not_spoken() {
    let served = start();
    let mut stream = TcpStream::connect(("127.0.0.1", served.url.port().unwrap())).await.unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut answered = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answered)).await;
    assert!(ended.is_ok() && !answered.starts_with(b"HTTP"), "{answered:?}");
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let served = start();
    let request = served.ask_bare("GET", "/healthz").header("x-large", "x".repeat(100_000));
    assert!(request.send().await.map_or(true, |response| response.status() == 431));
    let mut request = served.ask_bare("GET", "/healthz");
    for number in 0..200 {
        request = request.header(format!("x-{number}"), "1");
    }
    assert!(request.send().await.map_or(true, |response| response.status() == 431));
    assert_eq!(answer(served.ask_bare("GET", "/healthz")).await.0, 200);
}
