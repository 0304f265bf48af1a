//! Against a stand-in: what is asked for, and in which order.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use namewarden_protocol::search_engine::Settings;
use serde_json::{Value, json};

use super::*;
use crate::store::{Field, Filter};

/// Paths and bodies of what was asked.
type Asked = Arc<Mutex<Vec<(String, Value)>>>;

/// A server with one shard and one name; a refresh fails in as many shards as `failed` says.
async fn stand_in(failed: u64) -> (EngineStore, Asked) {
    let asked = Asked::default();
    let router = Router::new().fallback(answer).with_state((Arc::clone(&asked), failed));
    (EngineStore::new(served(router).await), asked)
}

async fn served(router: Router) -> Engine {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let _ = rustls::crypto::ring::default_provider().install_default();
    Engine::new(vec![url.parse().unwrap()], &Settings::default()).unwrap()
}

async fn answer(State((asked, failed)): State<(Asked, u64)>, request: Request) -> String {
    let path = request.uri().path().to_owned();
    let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap();
    let copy = json!({ "routing": { "primary": true }, "seq_no": { "global_checkpoint": 4 } });
    let answer = match path.rsplit('/').next().unwrap() {
        "docs" => json!({ "indices": { "i": { "shards": { "0": [copy] } } } }),
        "_refresh" => json!({ "_shards": { "failed": failed } }),
        _ => {
            json!({ "hits": { "hits": [] }, "aggregations": { "names": { "buckets": [{ "key": { "name": "evil.example" } }] } } })
        }
    };
    asked.lock().unwrap().push((path, serde_json::from_slice(&body).unwrap_or_default()));
    answer.to_string()
}

/// The last parts of the paths.
fn parts(asked: &Asked) -> Vec<String> {
    asked.lock().unwrap().iter().map(|(path, _)| path.rsplit('/').next().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn each_question_sees_to_it_that_what_was_written_is_found() {
    let (stream, filter) = (Stream::Logs, Filter::default());
    let (store, asked) = stand_in(0).await;
    let histogram = Histogram { stream, filter: filter.clone(), from: Time(0), step: 1_000_000, steps: 1 };
    store.histogram(histogram).await.unwrap();
    assert_eq!(parts(&asked), ["docs", "_refresh", "_search"]);
    let (store, asked) = stand_in(0).await;
    store.top(Top { stream, filter, field: Field::Question, limit: 1 }).await.unwrap();
    assert_eq!(parts(&asked), ["docs", "_refresh", "_search"]);
    let (store, asked) = stand_in(0).await;
    assert_eq!(store.get(stream, "c".to_owned(), "a".to_owned()).await, Ok(None));
    assert_eq!(parts(&asked), ["docs", "_refresh", "_search"]);
}

#[tokio::test]
async fn a_shard_that_cannot_be_refreshed_is_an_error() {
    let (store, _) = stand_in(1).await;
    let refused = store.get(Stream::Logs, "c".to_owned(), "a".to_owned()).await.unwrap_err().to_string();
    assert!(refused.contains("1 of its shards do not answer"), "{refused}");
}

#[tokio::test]
async fn documents_of_names_are_sorted_by_what_is_their_own() {
    let (store, asked) = stand_in(0).await;
    let is_meant = Arc::new(|_: &str| true);
    let naming =
        Naming { cluster: "c".to_owned(), since: Time(0), arrived_after: None, is_meant, after: None };
    store.naming(naming).await.unwrap();
    let asked = asked.lock().unwrap();
    let sort = asked.iter().find_map(|(_, body)| body.get("sort")).unwrap();
    assert!(sort[0].get("@timestamp").is_some() && sort[1].get("event.id").is_some(), "{sort}");
}

/// A server of seven documents of a thousand bytes each, all of the same moment.
async fn seven(request: Request) -> String {
    let path = request.uri().path().to_owned();
    let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    if !path.ends_with("_search") {
        return json!({ "indices": {}, "_shards": { "failed": 0 } }).to_string();
    }
    let behind = body
        .pointer("/search_after/1")
        .and_then(Value::as_str)
        .map_or(0, |id| id.parse::<u64>().unwrap() + 1);
    let size = body["size"].as_u64().unwrap();
    let hits: Vec<_> = (behind..7.min(behind + size)).map(document).collect();
    json!({ "hits": { "hits": hits } }).to_string()
}

fn document(number: u64) -> Value {
    let id = number.to_string();
    json!({
        "_id": id, "_index": ".ds-logs-namewarden.dns-default-000001", "_source": { "long": "x".repeat(1000) },
        "fields": { "@timestamp": ["2026-11-28T00:00:00.000000000Z"] }, "sort": [0, id, "i", 0],
    })
}

#[tokio::test]
async fn a_page_that_is_too_long_for_an_answer_is_a_shorter_page() {
    let engine = served(Router::new().fallback(seven)).await.with_answers_up_to(3000);
    let store = EngineStore::new(engine);
    let (mut after, mut ids, mut pages) = (None, Vec::new(), 0);
    loop {
        let (stream, order) = (Stream::Logs, Order::OldestFirst);
        let search = Search { stream, filter: Filter::default(), order, after, limit: 100 };
        let page = store.search(search).await.unwrap();
        ids.extend(page.hits.into_iter().map(|hit| hit.id));
        (after, pages) = (page.next, pages + 1);
        if after.is_none() {
            break;
        }
    }
    assert_eq!(ids, ["0", "1", "2", "3", "4", "5", "6"]);
    assert_eq!(pages, 4);
    let engine = served(Router::new().fallback(seven)).await.with_answers_up_to(500);
    let (stream, filter, order) = (Stream::Logs, Filter::default(), Order::OldestFirst);
    let search = Search { stream, filter, order, after: None, limit: 100 };
    let refused = EngineStore::new(engine).search(search).await.unwrap_err().to_string();
    assert!(refused.contains("more than 500 bytes"), "{refused}");
}

/// A server whose index was made a moment ago: its shard answers from the third question on.
async fn just_made(State(asked): State<Arc<Mutex<usize>>>, request: Request) -> String {
    let index = ".ds-logs-namewarden.dns-default-000001";
    if request.uri().path().starts_with("/_resolve") {
        return json!({ "data_streams": [{ "backing_indices": [index] }] }).to_string();
    }
    let mut asked = asked.lock().unwrap();
    *asked += 1;
    let told = if *asked < 3 {
        json!({ "_id": "a", "_index": index, "error": { "type": "illegal_index_shard_state_exception" } })
    } else {
        json!({ "_id": "a", "_index": index, "found": true })
    };
    json!({ "docs": [told] }).to_string()
}

#[tokio::test]
async fn an_index_that_was_made_a_moment_ago_is_asked_again_until_it_answers() {
    let asked = Arc::new(Mutex::new(0));
    let engine = served(Router::new().fallback(just_made).with_state(Arc::clone(&asked))).await;
    let holds =
        EngineStore::new(engine).holds(Stream::Logs, "default".to_owned(), vec!["a".to_owned()]).await;
    assert_eq!((holds, *asked.lock().unwrap()), (Ok(vec![true]), 3));
}
