//! A search engine of the tests' own: a data stream in memory, and whatever a test wants to go wrong.

use std::collections::VecDeque;
use std::io::Read as _;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use reqwest::Url;
use serde_json::{Value, json};

/// What becomes of the next bulk request.
#[derive(Clone, Debug)]
pub enum Fault {
    /// This status, and nothing is taken.
    Status(u16),
    /// Everything is taken, and the connection ends without an answer.
    LostAnswer,
    /// As that, and the stream rolls over before anybody can ask.
    LostAnswerAndRollover,
    /// Documents whose id ends so get this item status.
    Items(&'static str, u16),
}

#[derive(Debug, Default)]
struct Inner {
    /// Ids by backing index, the oldest first; empty before the stream is made.
    indices: Vec<Vec<String>>,
    faults: VecDeque<Fault>,
    bulks: usize,
    largest: Option<usize>,
    never: Option<&'static str>,
    authorization: Option<String>,
    lookups: usize,
}

/// The server; it ends with the test.
#[derive(Clone, Debug)]
pub struct StandIn {
    inner: Arc<Mutex<Inner>>,
    pub url: Url,
}

type Shared = State<Arc<Mutex<Inner>>>;

impl StandIn {
    pub fn start(faults: &[Fault]) -> Self {
        let inner =
            Arc::new(Mutex::new(Inner { faults: faults.iter().cloned().collect(), ..Inner::default() }));
        let router = Router::new()
            .route("/_resolve/index/{name}", get(resolve))
            .route("/_data_stream/{name}", put(create))
            .route("/{name}/_mget", post(mget))
            .route("/{name}/_bulk", post(bulk))
            .layer(DefaultBodyLimit::disable())
            .with_state(Arc::clone(&inner));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                axum::serve(listener, router).await.unwrap();
            });
        });
        Self { inner, url }
    }

    /// Bodies of more bytes, unpacked, get 413.
    pub fn refuse_bodies_over(&self, bytes: usize) {
        self.inner.lock().unwrap().largest = Some(bytes);
    }

    /// Documents whose id begins so are put off for ever.
    pub fn never_take(&self, beginning: &'static str) {
        self.inner.lock().unwrap().never = Some(beginning);
    }

    /// Ids of every document in every index, sorted.
    pub fn ids(&self) -> Vec<String> {
        let mut ids: Vec<String> = self.inner.lock().unwrap().indices.iter().flatten().cloned().collect();
        ids.sort();
        ids
    }

    pub fn bulks(&self) -> usize {
        self.inner.lock().unwrap().bulks
    }

    pub fn lookups(&self) -> usize {
        self.inner.lock().unwrap().lookups
    }

    pub fn authorization(&self) -> Option<String> {
        self.inner.lock().unwrap().authorization.clone()
    }
}

fn index_name(stream: &str, number: usize) -> String {
    format!(".ds-{stream}-{number:06}")
}

async fn resolve(State(inner): Shared, Path(name): Path<String>) -> String {
    let count = inner.lock().unwrap().indices.len();
    let indices: Vec<_> = (0..count).map(|number| index_name(&name, number)).collect();
    let streams = if count == 0 { json!([]) } else { json!([{"name": name, "backing_indices": indices}]) };
    json!({"indices": [], "aliases": [], "data_streams": streams}).to_string()
}

async fn create(State(inner): Shared) -> String {
    inner.lock().unwrap().indices.push(Vec::new());
    json!({"acknowledged": true}).to_string()
}

async fn mget(State(inner): Shared, Path(name): Path<String>, body: Bytes) -> String {
    let mut inner = inner.lock().unwrap();
    inner.lookups += 1;
    let number: usize = name.rsplit('-').next().unwrap().parse().unwrap();
    let asked: Value = serde_json::from_slice(&body).unwrap();
    let found =
        |id: &Value| json!({"_id": id, "found": inner.indices[number].iter().any(|known| known == id)});
    json!({"docs": asked["ids"].as_array().unwrap().iter().map(found).collect::<Vec<_>>()}).to_string()
}

async fn bulk(State(inner): Shared, headers: HeaderMap, body: Bytes) -> Response {
    assert_eq!(headers["content-encoding"], "gzip");
    let mut text = String::new();
    flate2::read::GzDecoder::new(&body[..]).read_to_string(&mut text).unwrap();
    let mut inner = inner.lock().unwrap();
    inner.bulks += 1;
    inner.authorization = headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
    if inner.largest.is_some_and(|largest| text.len() > largest) {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    }
    let fault = inner.faults.pop_front();
    if let Some(Fault::Status(status)) = fault {
        return StatusCode::from_u16(status).unwrap().into_response();
    }
    let lines: Vec<&str> = text.lines().collect();
    let items: Vec<Value> = lines.chunks(2).map(|pair| inner.item(pair, fault.as_ref())).collect();
    if matches!(fault, Some(Fault::LostAnswerAndRollover)) {
        inner.indices.push(Vec::new());
    }
    drop(inner);
    if matches!(fault, Some(Fault::LostAnswer | Fault::LostAnswerAndRollover)) {
        // Ends this connection, without a word on standard error.
        std::panic::resume_unwind(Box::new(()));
    }
    json!({"errors": false, "items": items}).to_string().into_response()
}

impl Inner {
    fn item(&mut self, pair: &[&str], fault: Option<&Fault>) -> Value {
        let action: Value = serde_json::from_str(pair[0]).unwrap();
        let document: Value = serde_json::from_str(pair[1]).unwrap();
        let id = action["create"]["_id"].as_str().unwrap();
        assert_eq!(document["event"]["id"], id);
        let status = match fault {
            Some(Fault::Items(end, status)) if id.ends_with(end) => *status,
            _ if self.never.is_some_and(|beginning| id.starts_with(beginning)) => 503,
            _ if self.indices.last().unwrap().iter().any(|known| known == id) => 409,
            _ => 201,
        };
        if status == 201 {
            self.indices.last_mut().unwrap().push(id.to_owned());
        }
        json!({"create": {"status": status, "error": {"type": "t", "reason": "r"}}})
    }
}
