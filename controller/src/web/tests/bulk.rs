//! Documents as agents send them, and the answers that they expect; security events as people read them.

use std::io::Write as _;

use reqwest::RequestBuilder;
use serde_json::{Value, json};

use super::served::{self, Served, With, answer, header, start, start_with};

const ALERTS: &str = "/logs-namewarden.alert-default/_bulk";

fn keeping() -> Served {
    start_with(With { keeps: true, ..With::default() })
}

fn document(id: &str, time: &str) -> Value {
    json!({ "@timestamp": time, "event": { "id": id, "action": "listed-name", "severity": 75 },
        "orchestrator": { "cluster": { "name": "cluster" } }, "threat": { "indicator": { "name": "evil.example" } } })
}

fn create(id: &str) -> String {
    format!("{{\"create\":{{\"_id\":\"{id}\"}}}}\n{}\n", document(id, "2026-11-22T15:00:00.000000000Z"))
}

fn bulk(served: &Served, path: &str, body: &str) -> RequestBuilder {
    served.ask("POST", path).header("content-type", "application/x-ndjson").body(body.to_owned())
}

#[tokio::test]
async fn documents_are_answered_item_by_item_as_elasticsearch_answers() {
    let served = keeping();
    let (status, body) = answer(bulk(&served, ALERTS, &(create("a") + &create("a")))).await;
    assert_eq!((status, &body["errors"]), (200, &json!(true)));
    assert!(body["took"].is_u64());
    let mut created = body["items"][0]["create"].clone();
    assert!(created["_seq_no"].take().is_u64());
    let index = ".ds-logs-namewarden.alert-default-000001";
    let expected = json!({ "_index": index, "_id": "a", "_version": 1, "result": "created",
        "_shards": { "total": 1, "successful": 1, "failed": 0 }, "_seq_no": null, "_primary_term": 1, "status": 201 });
    assert_eq!(created, expected);
    let conflict = json!({ "_index": index, "_id": "a", "status": 409, "error": {
        "type": "version_conflict_engine_exception",
        "reason": "[a]: version conflict, document already exists (current version [1])",
        "index_uuid": "_na_", "shard": "0", "index": index } });
    assert_eq!(body["items"][1]["create"], conflict);
}

#[tokio::test]
async fn a_document_that_does_not_fit_is_refused_with_the_reason() {
    let served = keeping();
    let body = format!(
        "{}{{\"create\":{{\"_id\":\"b\"}}}}\n{{}}\n{{\"create\":{{\"_id\":\"c\"}}}}\n{{\"@timestamp\":1,\"event\":{{\"severity\":\"x\"}}}}\n{{\"create\":{{\"_id\":\"d\"}}}}\nnonsense\n",
        create("a")
    );
    let (status, body) = answer(bulk(&served, ALERTS, &body)).await;
    let statuses: Vec<_> =
        (0..4).map(|item| body["items"][item]["create"]["status"].as_u64().unwrap()).collect();
    assert_eq!((status, statuses), (200, vec![201, 400, 400, 400]));
    let error = |item: usize| &body["items"][item]["create"]["error"];
    assert_eq!(error(1)["type"], "document_parsing_exception");
    assert_eq!(error(1)["caused_by"]["reason"], "data stream timestamp field [@timestamp] is missing");
    assert!(error(2)["reason"].as_str().unwrap().contains("[event.severity] of type [long]"), "{body}");
    assert_eq!(error(3)["caused_by"]["type"], "x_content_parse_exception");
}

#[tokio::test]
async fn only_create_goes_into_data_streams_and_only_into_ours() {
    let served = keeping();
    let source = document("a", "2026-11-22T15:00:00Z");
    let body = format!(
        "{{\"index\":{{\"_id\":\"a\"}}}}\n{source}\n{{\"delete\":{{\"_id\":\"a\"}}}}\n{{\"create\":{{\"_index\":\"logs-other-default\"}}}}\n{source}\n\
         {{\"create\":{{\"_index\":\"logs-namewarden.dns-A\"}}}}\n{source}\n{{\"create\":{{\"_index\":\"logs-namewarden.dns-x\"}}}}\n{source}\n"
    );
    let (status, body) = answer(bulk(&served, ALERTS, &body)).await;
    let item = |item: usize, operation: &str| {
        let item = &body["items"][item][operation];
        (item["status"].as_u64().unwrap(), item["error"]["type"].as_str().unwrap_or("none").to_owned())
    };
    assert_eq!(status, 200);
    assert_eq!(item(0, "index"), (400, "illegal_argument_exception".to_owned()));
    assert_eq!(item(1, "delete"), (400, "illegal_argument_exception".to_owned()));
    assert_eq!(item(2, "create"), (404, "index_not_found_exception".to_owned()));
    assert_eq!(item(3, "create"), (400, "invalid_index_name_exception".to_owned()));
    assert_eq!(item(4, "create"), (201, "none".to_owned()));
}

#[tokio::test]
async fn packed_bodies_and_filtered_answers_are_understood() {
    let served = keeping();
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    writer.write_all((create("a") + &create("b")).as_bytes()).unwrap();
    let path = format!(
        "{ALERTS}?filter_path=took%2Cerrors%2Citems.*.error%2Citems.*.status&require_data_stream=true"
    );
    let request = served
        .ask("POST", &path)
        .header("content-type", "application/vnd.elasticsearch+x-ndjson;compatible-with=8")
        .header("content-encoding", "gzip")
        .body(writer.finish().unwrap());
    let response = request.send().await.unwrap();
    assert_eq!((response.status().as_u16(), header(&response, "x-elastic-product")), (200, "Elasticsearch"));
    let mut body = served::json(response).await;
    body["took"].take();
    let item = json!({ "create": { "status": 201 } });
    assert_eq!(body, json!({ "took": null, "errors": false, "items": [item, item] }));
}

#[tokio::test]
async fn a_request_that_is_none_is_refused_whole() {
    let served = keeping();
    let refused = async |path: &str, body: &str| {
        let (status, body) = answer(bulk(&served, path, body)).await;
        (status, body["error"]["type"].as_str().unwrap_or_default().to_owned())
    };
    let error = |status, kind: &str| (status, kind.to_owned());
    assert_eq!(refused(ALERTS, "").await, error(400, "parse_exception"));
    assert_eq!(refused(ALERTS, "{}").await, error(400, "illegal_argument_exception"));
    assert_eq!(refused("/_bulk", &create("a")).await, error(400, "action_request_validation_exception"));
    assert_eq!(
        refused(&format!("{ALERTS}?pipeline=x"), &create("a")).await,
        error(400, "illegal_argument_exception")
    );
    let large = " ".repeat((16 << 20) + 1);
    assert_eq!(refused(ALERTS, &large).await, error(413, "content_too_long_exception"));
    let request = served.ask("POST", ALERTS).header("content-type", "text/plain").body(create("a"));
    assert_eq!(answer(request).await.0, 406);
}

#[tokio::test]
async fn a_controller_without_a_store_says_so() {
    let served = start();
    let (status, body) = answer(bulk(&served, ALERTS, &create("a"))).await;
    assert_eq!(status, 404);
    assert!(body["error"]["reason"].as_str().unwrap().contains("--store"), "{body}");
    let (status, body) = answer(served.ask("GET", "/v1/events")).await;
    assert!(status == 404 && body["error"].as_str().unwrap().contains("--store"), "{body}");
}

#[tokio::test]
async fn an_agent_finds_out_what_is_there_already() {
    let served = keeping();
    let resolve = |name: &str| answer(served.ask("GET", &format!("/_resolve/index/{name}")));
    let (status, body) = resolve("logs-namewarden.alert-default").await;
    let index = body["data_streams"][0]["backing_indices"][0].as_str().unwrap().to_owned();
    assert_eq!((status, &body["indices"], &body["aliases"]), (200, &json!([]), &json!([])));
    assert_eq!(resolve("logs-other-default").await.0, 404);
    let make = |name: &str| answer(served.ask("PUT", &format!("/_data_stream/{name}")));
    let (status, body) = make("logs-namewarden.alert-default").await;
    assert_eq!((status, &body["error"]["type"]), (400, &json!("resource_already_exists_exception")));
    let (status, body) = make("logs-other-default").await;
    assert_eq!((status, &body["error"]["type"]), (400, &json!("illegal_argument_exception")));
    answer(bulk(&served, ALERTS, &create("a"))).await;
    let path = format!("/{index}/_mget?_source=false&filter_path=docs._id,docs.found,docs.error.type");
    let (status, body) = answer(served.push("POST", &path, r#"{"ids":["a","b"]}"#)).await;
    assert_eq!(
        (status, body),
        (200, json!({ "docs": [{ "_id": "a", "found": true }, { "_id": "b", "found": false }] }))
    );
    let whole = answer(served.push("POST", &format!("/{index}/_mget"), r#"{"ids":["a"]}"#)).await;
    assert_eq!(whole.0, 400, "an agent may not read: {whole:?}");
}

#[tokio::test]
async fn what_was_kept_is_read_page_by_page() {
    let served = keeping();
    let body: String = ["a", "b", "c"].into_iter().map(create).collect();
    answer(bulk(&served, ALERTS, &body)).await;
    let ids = |body: &Value| {
        let events = body["events"].as_array().unwrap().iter();
        events.map(|event| event["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let (status, first) =
        answer(served.ask("GET", "/v1/events?limit=2&order=oldest&domain=EVIL.example")).await;
    assert_eq!((status, ids(&first)), (200, vec!["a".to_owned(), "b".to_owned()]));
    assert_eq!(first["events"][0]["document"], document("a", "2026-11-22T15:00:00.000000000Z"));
    let next = first["next"].as_str().unwrap();
    let (_, second) =
        answer(served.ask("GET", &format!("/v1/events?limit=2&order=oldest&after={next}"))).await;
    assert_eq!((ids(&second), &second["next"]), (vec!["c".to_owned()], &Value::Null));
    let (_, none) = answer(served.ask("GET", "/v1/events?severity=76")).await;
    assert_eq!(ids(&none), [""; 0]);
    let (status, body) = answer(served.ask("GET", "/v1/events?severity=x")).await;
    assert_eq!(
        (status, &body["error"]),
        (400, &json!("`severity`: takes the least severity, from 1 to 100"))
    );
}

#[tokio::test]
async fn what_is_kept_is_counted() {
    let served = keeping();
    let body = create("a") + &create("a") + "{\"create\":{\"_id\":\"x\"}}\n{}\n";
    answer(bulk(&served, ALERTS, &body)).await;
    let page = served.ask("GET", "/metrics").send().await.unwrap().text().await.unwrap();
    for line in [
        "namewarden_controller_store_appended_total{result=\"created\"} 1",
        "namewarden_controller_store_appended_total{result=\"exists\"} 1",
        "namewarden_controller_store_appended_total{result=\"refused\"} 1",
        "namewarden_controller_store_documents{stream=\"alerts\"} 1",
        "namewarden_controller_store_documents{stream=\"logs\"} 0",
    ] {
        assert!(page.lines().any(|found| found == line), "{line}\n{page}");
    }
}

#[tokio::test]
async fn what_is_said_of_a_group_is_told_and_filtered_by() {
    let served = keeping();
    let grouped = |id: &str, group: &str| {
        let mut document = document(id, "2026-11-22T15:00:00Z");
        document["namewarden"] = json!({ "group": group });
        format!("{{\"create\":{{\"_id\":\"{id}\"}}}}\n{document}\n")
    };
    answer(bulk(&served, ALERTS, &(grouped("a", "a") + &grouped("a-1", "a") + &grouped("b", "b")))).await;
    let say = async |group: &str, body: &str| {
        answer(served.push("PUT", &format!("/v1/events/{group}/annotation"), body)).await
    };
    let ids = async |query: &str| {
        let (_, page) = answer(served.ask("GET", &format!("/v1/events?order=oldest&{query}"))).await;
        let ids: Vec<_> =
            page["events"].as_array().unwrap().iter().map(|event| event["id"].clone()).collect();
        (ids, page["events"][0]["annotation"].clone())
    };
    let (status, body) = say("a", r#"{"state":"dismissed","reason":"a test","by":"ann"}"#).await;
    assert_eq!(
        (status, &body["group"], &body["annotation"]["state"]),
        (200, &json!("a"), &json!("dismissed"))
    );
    let (found, said) = ids("state=dismissed").await;
    assert_eq!(found, ["a", "a-1"]);
    assert_eq!((&said["by"], &said["reason"]), (&json!("ann"), &json!("a test")));
    assert!(said["at"].as_str().unwrap().starts_with("20"), "{said}");
    assert_eq!(ids("state=new,acknowledged").await.0, ["b"]);
    answer(bulk(&served, ALERTS, &grouped("a-2", "a"))).await;
    assert_eq!(ids("state=dismissed").await.0.len(), 3, "what comes later is of the same group");
    assert_eq!(say("a", r#"{"state":"new"}"#).await.0, 200);
    assert_eq!(ids("state=dismissed").await.0.len(), 0);
    assert_eq!(say("c", r#"{"state":"new"}"#).await.0, 404);
    assert_eq!(say("a", r#"{"state":"open"}"#).await.0, 400);
    let served = start();
    let request = served.push("PUT", "/v1/events/a/annotation", r#"{"state":"new"}"#);
    let (status, body) = answer(request).await;
    assert!(status == 404 && body["error"].as_str().unwrap().contains("--store"), "{body}");
}
