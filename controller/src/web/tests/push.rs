//! Pushes as clients of Elasticsearch send them, and the answers that they expect.

use std::io::Write as _;

use serde_json::json;

use super::served::{self, ALIAS, Served, answer, header, start};

const DOMAINS: &str = r#"{"domains":["malicious.badstuff","hacks.r.us"]}"#;
const DATE_MATH: &str =
    "%3Ctigera_secure_ee_threatfeeds_domainnameset.cluster.linseed-%7Bnow%2Fs%7ByyyyMMdd%7D%7D-000001%3E";

fn doc(feed: &str) -> String {
    format!("/{ALIAS}/_doc/{feed}")
}

async fn put(served: &Served, path: &str, body: &str) -> (u16, serde_json::Value) {
    answer(served.push("PUT", path, body)).await
}

#[tokio::test]
async fn a_push_is_answered_as_elasticsearch_answers() {
    let served = start();
    let response = served.push("PUT", &doc("my-threat-feed"), DOMAINS).send().await.unwrap();
    assert_eq!((response.status().as_u16(), header(&response, "x-elastic-product")), (201, "Elasticsearch"));
    assert_eq!(header(&response, "content-type"), "application/json");
    assert!(header(&response, "location").ends_with("-000001/_doc/my-threat-feed"));
    let mut body = served::json(response).await;
    let index = body["_index"].take();
    assert!(
        index.as_str().unwrap().starts_with("tigera_secure_ee_threatfeeds_domainnameset.cluster.linseed-20")
    );
    let expected = json!({ "_index": null, "_id": "my-threat-feed", "_version": 1, "result": "created",
        "_shards": { "total": 1, "successful": 1, "failed": 0 }, "_seq_no": 0, "_primary_term": 1 });
    assert_eq!(body, expected);
    let (status, body) = put(&served, &doc("my-threat-feed"), DOMAINS).await;
    assert_eq!(
        (status, &body["result"], &body["_version"], &body["_seq_no"]),
        (200, &json!("updated"), &json!(2), &json!(1))
    );
}

#[tokio::test]
async fn each_spelling_of_the_index_reaches_the_same_document() {
    let served = start();
    let spellings = [
        ALIAS,
        DATE_MATH,
        ".tigera.domainnameset.cluster",
        "tigera_secure_ee_threatfeeds_domainnameset.cluster.linseed-20261127-000001",
    ];
    for (count, index) in spellings.iter().enumerate() {
        let (status, body) = put(&served, &format!("/{index}/_doc/feed"), DOMAINS).await;
        assert_eq!(
            (status, &body["_version"]),
            (if count == 0 { 201 } else { 200 }, &json!(count + 1)),
            "{index}: {body}"
        );
    }
    for index in spellings {
        let (status, body) = answer(served.ask("GET", &format!("/{index}/_doc/feed"))).await;
        assert_eq!((status, &body["_version"]), (200, &json!(4)), "{index}");
    }
}

#[tokio::test]
async fn a_document_is_on_disk_before_it_is_acknowledged() {
    let served = start();
    put(&served, &doc("feed"), DOMAINS).await;
    let again = crate::feed::Pushes::open(&served.folder.path().join("pushes")).unwrap();
    assert_eq!(again.get("feed").unwrap().body, DOMAINS);
}

#[tokio::test]
async fn a_document_is_read_back() {
    let served = start();
    put(&served, &doc("feed"), DOMAINS).await;
    let (status, body) = answer(served.ask("GET", &doc("feed"))).await;
    assert_eq!(
        (status, &body["found"], &body["_source"]["domains"][1]),
        (200, &json!(true), &json!("hacks.r.us"))
    );
    let (status, body) = answer(served.ask("GET", &format!("/{ALIAS}/_source/feed?pretty"))).await;
    assert_eq!((status, body.to_string()), (200, DOMAINS.to_owned()));
    let head = served.ask("HEAD", &doc("feed")).send().await.unwrap();
    assert_eq!((head.status().as_u16(), head.bytes().await.unwrap().len()), (200, 0));
}

#[tokio::test]
async fn a_document_that_is_not_there_is_said_so() {
    let served = start();
    let (status, body) = answer(served.ask("GET", &doc("none"))).await;
    assert_eq!((status, &body["found"]), (404, &json!(false)));
    let (status, body) = answer(served.ask("GET", &format!("/{ALIAS}/_source/none"))).await;
    assert_eq!((status, &body["error"]["type"]), (404, &json!("resource_not_found_exception")));
    assert_eq!(served.ask("HEAD", &doc("none")).send().await.unwrap().status(), 404);
    let (status, body) = answer(served.ask("DELETE", &doc("none"))).await;
    assert_eq!((status, &body["result"]), (404, &json!("not_found")));
    let (status, body) =
        answer(served.push("POST", &format!("/{ALIAS}/_update/none"), r#"{"doc":{"domains":[]}}"#)).await;
    assert_eq!((status, &body["error"]["type"]), (404, &json!("document_missing_exception")));
}

#[tokio::test]
async fn a_document_that_cannot_be_read_is_not_said_to_be_missing() {
    let served = start();
    put(&served, &doc("feed"), DOMAINS).await;
    std::fs::remove_file(served.folder.path().join("pushes/feed.json")).unwrap();
    for path in [doc("feed"), format!("/{ALIAS}/_source/feed")] {
        let (status, body) = answer(served.ask("GET", &path)).await;
        assert_eq!((status, &body["error"]["type"]), (503, &json!("unavailable_shards_exception")));
    }
}

#[tokio::test]
async fn a_deleted_document_is_gone_and_its_version_goes_on() {
    let served = start();
    put(&served, &doc("feed"), DOMAINS).await;
    let (status, body) = answer(served.ask("DELETE", &doc("feed"))).await;
    assert_eq!((status, &body["result"], &body["_version"]), (200, &json!("deleted"), &json!(2)));
    assert_eq!(answer(served.ask("GET", &doc("feed"))).await.0, 404);
    let (status, body) = put(&served, &doc("feed"), DOMAINS).await;
    assert_eq!((status, &body["result"], &body["_version"]), (201, &json!("created"), &json!(3)));
}

#[tokio::test]
async fn a_document_is_updated_in_part() {
    let served = start();
    put(&served, &doc("feed"), r#"{"domains":["a.example"],"note":1}"#).await;
    let update = format!("/{ALIAS}/_update/feed");
    let (status, body) = answer(served.push("POST", &update, r#"{"doc":{"domains":["b.example"]}}"#)).await;
    assert_eq!((status, &body["result"]), (200, &json!("updated")));
    let (_, body) = answer(served.ask("GET", &doc("feed"))).await;
    assert_eq!(body["_source"], json!({ "domains": ["b.example"], "note": 1 }));
    let (status, body) = answer(served.push("POST", &update, r#"{"doc":{"note":1}}"#)).await;
    assert_eq!((status, &body["result"], &body["_version"]), (200, &json!("noop"), &json!(2)));
    let upsert = r#"{"doc":{"domains":["c.example"]},"doc_as_upsert":true}"#;
    let (status, body) = answer(served.push("POST", &format!("/{ALIAS}/_update/new"), upsert)).await;
    assert_eq!((status, &body["result"]), (201, &json!("created")));
}

#[tokio::test]
async fn a_document_is_created_only_once() {
    let served = start();
    for path in [format!("/{ALIAS}/_create/a"), doc("b") + "?op_type=create"] {
        assert_eq!(put(&served, &path, DOMAINS).await.0, 201);
        let (status, body) = put(&served, &path, DOMAINS).await;
        assert_eq!((status, &body["error"]["type"]), (409, &json!("version_conflict_engine_exception")));
        let reason = body["error"]["reason"].as_str().unwrap();
        assert!(
            reason.ends_with("version conflict, document already exists (current version [1])"),
            "{reason}"
        );
        assert_eq!(body["error"]["root_cause"][0]["reason"], reason);
    }
}

#[tokio::test]
async fn a_write_on_condition_that_no_longer_holds_is_refused() {
    let served = start();
    put(&served, &doc("feed"), DOMAINS).await;
    let on = |seq_no: u32, term: u32| doc("feed") + &format!("?if_seq_no={seq_no}&if_primary_term={term}");
    assert_eq!(put(&served, &on(0, 1), DOMAINS).await.0, 200);
    assert_eq!(put(&served, &on(0, 1), DOMAINS).await.0, 409);
    assert_eq!(put(&served, &on(1, 2), DOMAINS).await.0, 409);
    assert_eq!(put(&served, &(doc("feed") + "?if_seq_no=1"), DOMAINS).await.0, 400);
    assert_eq!(answer(served.ask("DELETE", &on(0, 1))).await.0, 400);
}

#[tokio::test]
async fn an_index_that_is_not_here_is_said_so() {
    let served = start();
    let (status, body) = put(&served, "/logs/_doc/feed", DOMAINS).await;
    assert_eq!(
        (status, &body["error"]["type"], &body["error"]["index"]),
        (404, &json!("index_not_found_exception"), &json!("logs"))
    );
    let (_, body) =
        put(&served, "/tigera_secure_ee_threatfeeds_domainnameset.prod./_doc/feed", DOMAINS).await;
    let reason = body["error"]["reason"].as_str().unwrap();
    assert!(reason.contains("this controller serves cluster [cluster], not [prod]"), "{reason}");
}

#[tokio::test]
async fn what_cannot_be_a_push_is_refused() {
    let served = start();
    let (status, body) = put(&served, &doc("pulled"), DOMAINS).await;
    assert!(status == 400 && body["error"]["reason"].as_str().unwrap().contains("is a pull feed"), "{body}");
    let (status, body) = put(&served, &doc("No_Feed"), DOMAINS).await;
    assert!(
        status == 400 && body["error"]["reason"].as_str().unwrap().contains("not the name of a feed"),
        "{body}"
    );
    assert_eq!(put(&served, &doc("..%2F..%2Fetc"), DOMAINS).await.0, 400);
    assert_eq!(put(&served, &(doc("feed") + "?pipeline=x"), DOMAINS).await.0, 400);
    assert_eq!(answer(served.push("POST", &format!("/{ALIAS}/_doc"), DOMAINS)).await.0, 400);
    let plain = served.ask("PUT", &doc("feed")).header("content-type", "text/plain").body(DOMAINS);
    assert_eq!(answer(plain).await.0, 406);
    assert_eq!(served.site.pushes.feeds(), [""; 0]);
}

#[tokio::test]
async fn a_body_that_is_no_list_of_names_is_refused() {
    let served = start();
    for body in ["", "{", "[]", "{}", r#"{"domains":"a"}"#, r#"{"domains":[1]}"#, "nonsense"] {
        let (status, answered) = put(&served, &doc("feed"), body).await;
        assert_eq!(
            (status, &answered["error"]["type"]),
            (400, &json!("parse_exception")),
            "{body}: {answered}"
        );
    }
    assert_eq!(served.site.pushes.feeds(), [""; 0]);
}

#[tokio::test]
async fn what_is_nested_without_end_does_no_harm() {
    let served = start();
    let deep = format!("{{\"domains\":[],\"x\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(put(&served, &doc("feed"), &deep).await.0, 201);
    assert_eq!(served.ask("GET", &doc("feed")).send().await.unwrap().status(), 200);
    let update = format!("/{ALIAS}/_update/feed");
    assert_eq!(answer(served.push("POST", &update, &format!("{{\"doc\":{deep}}}"))).await.0, 400);
    assert_eq!(answer(served.push("POST", &update, r#"{"doc":{"domains":["a.example"]}}"#)).await.0, 400);
}

#[tokio::test]
async fn a_packed_push_is_unpacked() {
    let served = start();
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    writer.write_all(DOMAINS.as_bytes()).unwrap();
    let request = served
        .push("PUT", &doc("feed"), "")
        .header("content-encoding", "gzip")
        .body(writer.finish().unwrap());
    assert_eq!(answer(request).await.0, 201);
    assert_eq!(served.site.pushes.get("feed").unwrap().body, DOMAINS);
}

#[tokio::test]
async fn a_push_that_is_too_large_is_refused_before_it_is_sent() {
    let served = start();
    let request = served.push("PUT", &doc("feed"), "").header("expect", "100-continue");
    let request = request.header("content-length", "200000000").body("");
    // The announced length alone decides.
    let response = request.send().await;
    assert!(response.is_err() || response.unwrap().status() == 413);
}

#[tokio::test]
async fn official_clients_find_what_they_look_for() {
    let served = start();
    let request =
        served.ask("GET", "/").header("accept", "application/vnd.elasticsearch+json; compatible-with=8");
    let response = request.send().await.unwrap();
    assert_eq!(header(&response, "content-type"), "application/vnd.elasticsearch+json;compatible-with=8");
    assert_eq!(header(&response, "x-elastic-product"), "Elasticsearch");
    let body = served::json(response).await;
    assert_eq!(body["tagline"], "You Know, for Search");
    let request = served
        .ask("PUT", &(doc("feed") + "?refresh=true&pretty"))
        .header("content-type", "application/vnd.elasticsearch+json; compatible-with=8")
        .body(DOMAINS);
    let text = request.send().await.unwrap().text().await.unwrap();
    assert!(text.contains("\n  \"forced_refresh\": true"), "{text}");
}

/// Whoever writes to this pipe goes on when it is dropped, however a test ends.
struct Reading(std::path::PathBuf);

impl Drop for Reading {
    fn drop(&mut self) {
        let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::NONBLOCK;
        let _ = rustix::fs::open(&self.0, flags, rustix::fs::Mode::empty());
    }
}

#[tokio::test]
async fn a_body_takes_room_until_it_is_on_the_disk() {
    let served = start();
    let all = u32::try_from(served.site.bodies.available_permits()).unwrap();
    let others = served.site.bodies.acquire_many(all - 1).await.unwrap();
    // The disk takes nothing for as long as nobody reads there.
    let place =
        served.folder.path().join("pushes").join(format!("{}.new", crate::feed::copy::file_key("slow")));
    assert!(std::process::Command::new("mkfifo").arg(&place).status().unwrap().success());
    let reading = Reading(place);
    let slow = tokio::spawn(served.push("PUT", &doc("slow"), DOMAINS).send());
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(30);
    while served.site.bodies.available_permits() > 0 {
        assert!(tokio::time::Instant::now() < deadline, "it was not received");
        tokio::task::yield_now().await;
    }
    let quick = served.push("PUT", &doc("quick"), DOMAINS).send();
    let refused = tokio::time::timeout(std::time::Duration::from_secs(30), quick).await;
    drop(reading);
    let refused = refused.expect("it was let in").unwrap();
    assert_eq!((refused.status().as_u16(), header(&refused, "retry-after")), (429, "2"));
    slow.await.unwrap().unwrap();
    drop(others);
    assert_eq!(put(&served, &doc("quick"), DOMAINS).await.0, 201);
}
