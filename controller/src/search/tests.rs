//! Against a stand-in: what the servers that tests can start do not have, lifecycle management of both products.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use namewarden_protocol::search_engine::Settings;
use serde_json::{Value, json};

use super::engine::{Engine, EngineError};
use super::install::{Plan, install};
use super::step::Outcome;

/// What was written where, with a number that rises.
type Kept = Arc<Mutex<BTreeMap<String, (u64, Value)>>>;

struct StandIn {
    engine: Engine,
    kept: Kept,
}

impl StandIn {
    async fn start(introduction: Value) -> Self {
        let kept = Kept::default();
        let shared = (Arc::clone(&kept), introduction);
        let router = Router::new().fallback(answer).with_state(shared);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        // As the program does when it starts.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let engine = Engine::new(vec![url.parse().unwrap()], &Settings::default()).unwrap();
        Self { engine, kept }
    }

    async fn install(&self, alert_days: u16) -> Vec<(String, Outcome)> {
        let plan = Plan { cluster: "east".to_owned(), alert_days, log_days: 8 };
        let (_, steps) = install(&self.engine, &plan).await.unwrap();
        steps.into_iter().map(|step| (step.what, step.outcome)).collect()
    }

    fn at(&self, path: &str, pointer: &str) -> Value {
        self.kept.lock().unwrap()[path].1.pointer(pointer).cloned().unwrap_or_default()
    }
}

fn elasticsearch() -> Value {
    json!({ "version": { "number": "9.2.0", "build_flavor": "default" } })
}

fn opensearch() -> Value {
    json!({ "version": { "number": "3.4.0", "distribution": "opensearch" } })
}

async fn answer(State((kept, introduction)): State<(Kept, Value)>, request: Request) -> Response {
    let (path, query) = (request.uri().path().to_owned(), request.uri().query().map(str::to_owned));
    let method = request.method().clone();
    let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap();
    if path == "/" {
        return said(&introduction).into_response();
    }
    if path.starts_with("/_resolve/") {
        return said(&json!({ "data_streams": [] })).into_response();
    }
    let mut kept = kept.lock().unwrap();
    let next = kept.values().map(|(number, _)| number + 1).max().unwrap_or(7);
    let place =
        path.strip_prefix("/_alias/").map_or(path.clone(), |alias| format!("/{alias}namewarden-000001"));
    let known = kept.get(&place).cloned();
    if method == Method::PUT {
        let only = known.as_ref().map(|(number, _)| format!("if_seq_no={number}&if_primary_term=1"));
        if path.contains("/_ism/") && query != only {
            return (StatusCode::CONFLICT, said(&json!({ "error": { "reason": "changed" } })))
                .into_response();
        }
        kept.insert(path, (next, serde_json::from_slice(&body).unwrap()));
        return said(&json!({ "acknowledged": true })).into_response();
    }
    match known {
        Some((number, body)) => said(&shown(&path, number, &body)).into_response(),
        None => (StatusCode::NOT_FOUND, said(&json!({ "error": { "reason": "not found" } }))).into_response(),
    }
}

fn said(body: &Value) -> String {
    body.to_string()
}

/// As the servers show what they keep.
fn shown(path: &str, number: u64, body: &Value) -> Value {
    let name = path.rsplit('/').next().unwrap();
    if path.starts_with("/_component_template/") {
        return json!({ "component_templates": [{ "name": name, "component_template": body }] });
    }
    if path.starts_with("/_index_template/") {
        return json!({ "index_templates": [{ "name": name, "index_template": body }] });
    }
    if path.contains("/_ism/") {
        return json!({ "_id": name, "_seq_no": number, "_primary_term": 1, "policy": body["policy"] });
    }
    json!({ name: { "version": number, "policy": body["policy"] } })
}

fn outcome(steps: &[(String, Outcome)], what: &str) -> Outcome {
    steps.iter().find(|(step, _)| step.contains(what)).unwrap_or_else(|| panic!("{steps:?}")).1.clone()
}

const ILM: &str = "/_ilm/policy/namewarden-alerts";
const ISM: &str = "/_plugins/_ism/policies/namewarden-alerts";

#[tokio::test]
async fn alerts_go_after_91_days_by_index_lifecycle_management() {
    let server = StandIn::start(elasticsearch()).await;
    let steps = server.install(91).await;
    assert!(steps.iter().all(|(_, outcome)| *outcome == Outcome::Created), "{steps:?}");
    assert_eq!(server.at(ILM, "/policy/phases/delete/min_age"), "91d");
    assert_eq!(server.at("/_ilm/policy/namewarden-dns", "/policy/phases/delete/min_age"), "8d");
    let settings = "/_component_template/namewarden-alerts@settings";
    assert_eq!(server.at(settings, "/template/settings/index/lifecycle/name"), "namewarden-alerts");
    let again = server.install(91).await;
    assert!(again.iter().all(|(_, outcome)| *outcome == Outcome::Kept), "{again:?}");
}

#[tokio::test]
async fn other_days_change_the_policy_and_what_a_person_changed_in_it_stays_otherwise() {
    let server = StandIn::start(elasticsearch()).await;
    server.install(91).await;
    server.kept.lock().unwrap().get_mut(ILM).unwrap().1["policy"]["phases"]["delete"]["min_age"] =
        "400d".into();
    assert_eq!(outcome(&server.install(91).await, "policy namewarden-alerts"), Outcome::Kept);
    assert_eq!(server.at(ILM, "/policy/phases/delete/min_age"), "400d");
    assert_eq!(outcome(&server.install(30).await, "policy namewarden-alerts"), Outcome::Updated);
    assert_eq!(server.at(ILM, "/policy/phases/delete/min_age"), "30d");
}

#[tokio::test]
async fn opensearch_is_told_by_index_state_management() {
    let server = StandIn::start(opensearch()).await;
    let steps = server.install(91).await;
    assert_eq!(outcome(&steps, "policy namewarden-alerts"), Outcome::Created);
    assert_eq!(server.at(ISM, "/policy/states/0/transitions/0/conditions/min_rollover_age"), "91d");
    assert_eq!(server.at(ISM, "/policy/ism_template/0/index_patterns/0"), "logs-namewarden.alert-*");
    assert_eq!(outcome(&server.install(91).await, "policy namewarden-alerts"), Outcome::Kept);
    // Written over the one that was read: the stand-in refuses anything else.
    assert_eq!(outcome(&server.install(30).await, "policy namewarden-alerts"), Outcome::Updated);
    assert_eq!(server.at(ISM, "/policy/states/0/transitions/0/conditions/min_rollover_age"), "30d");
}

#[tokio::test]
async fn what_is_no_search_engine_of_ours_is_refused() {
    for found in [json!({ "version": { "number": "7.17.0" } }), json!({ "hello": "world" })] {
        let server = StandIn::start(found).await;
        assert!(matches!(server.engine.server().await, Err(EngineError::Foreign { .. })));
    }
}

/// An engine with one index of pushed feeds, as it is now: its UUID, where there is one, and the feeds with a document.
type Held = Arc<Mutex<(Option<&'static str>, Vec<&'static str>)>>;

async fn listing(State(held): State<Held>, request: Request) -> Response {
    let (uuid, feeds) = held.lock().unwrap().clone();
    let path = request.uri().path();
    let body = if path.contains("/_settings/") {
        uuid.map_or(
            json!({}),
            |uuid| json!({ "pushed": { "settings": { "index.creation_date": "1", "index.uuid": uuid } } }),
        )
    } else if path.ends_with("/_search") {
        let hit = |feed| json!({ "_index": "pushed", "_id": feed, "_seq_no": 3, "_primary_term": 1 });
        json!({ "hits": { "hits": feeds.into_iter().map(hit).collect::<Vec<_>>() } })
    } else {
        json!({ "domains": ["evil.example"] })
    };
    said(&body).into_response()
}

#[tokio::test]
async fn lists_leave_with_their_document_and_not_with_their_index() {
    let folder = tempfile::tempdir().unwrap();
    let pushes = crate::feed::Pushes::open(folder.path()).unwrap();
    let held = Held::default();
    let router = Router::new().fallback(listing).with_state(Arc::clone(&held));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let _ = rustls::crypto::ring::default_provider().install_default();
    let engine = Engine::new(vec![url.parse().unwrap()], &Settings::default()).unwrap();
    let mut watch = super::pushed::Watch::new("east");
    let mut look = async |uuid, feeds: &[&'static str]| {
        *held.lock().unwrap() = (uuid, feeds.to_vec());
        let looked = watch.look(&engine, &pushes).await.unwrap();
        (looked.changed.join(" "), looked.hidden.join(" "), pushes.feeds().join(" "))
    };
    let seen =
        |changed: &str, hidden: &str, here: &str| (changed.to_owned(), hidden.to_owned(), here.to_owned());
    assert_eq!(look(Some("u1"), &["a", "b"]).await, seen("a b", "", "a b"));
    assert_eq!(look(None, &[]).await, seen("", "a b", "a b"), "no index is seen");
    assert_eq!(look(Some("u2"), &[]).await, seen("", "a b", "a b"), "an empty one was installed");
    assert_eq!(look(Some("u2"), &["a"]).await, seen("", "b", "a b"), "one list was pushed again");
    assert_eq!(look(Some("u1"), &["a", "b"]).await, seen("", "", "a b"), "the index is back");
    assert_eq!(look(Some("u1"), &["a"]).await, seen("b", "", "a"), "a document was deleted");
}
