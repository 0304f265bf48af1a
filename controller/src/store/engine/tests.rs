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
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let _ = rustls::crypto::ring::default_provider().install_default();
    let engine = Engine::new(vec![url.parse().unwrap()], &Settings::default()).unwrap();
    (EngineStore::new(engine), asked)
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
