//! A web server whose every answer a test decides: lists, redirects, and all that a server can do wrong.
//!
//! It is a real one (axum, over TLS by rustls where asked), on a loopback port of its own, in a thread of its own. Each
//! path has a queue of answers, of which the last one stays; each request is kept to be looked at.

// The certificates that TLS servers show, and the authority that signs them.
mod authority;

// What a path answers.
mod answer;

// A forward proxy that keeps what it was asked.
mod proxy;

use std::{
    collections::{HashMap, VecDeque},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
};

use anyhow::{Context as _, Result};
use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
};
use axum_server::{Handle, tls_rustls::RustlsConfig};

pub use self::{
    answer::{Answer, gzip},
    authority::Authority,
    proxy::ForwardProxy,
};

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Path and query.
    pub target: String,
    /// Its headers.
    pub headers: HeaderMap,
}

impl Seen {
    /// The header's value; empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// A running server; it ends when this value is dropped.
#[derive(Debug)]
pub struct FeedServer {
    address: SocketAddr,
    origin: String,
    state: Arc<Served>,
    handle: Handle<SocketAddr>,
    thread: Option<JoinHandle<()>>,
}

/// What the server answers and has been asked.
#[derive(Debug, Default)]
struct Served {
    answers: Mutex<HashMap<String, VecDeque<Answer>>>,
    seen: Mutex<Vec<Seen>>,
}

impl FeedServer {
    /// Serves http.
    pub fn start() -> Result<Self> {
        Self::serve("http", "127.0.0.1", None)
    }

    /// Serves https with a certificate for these names and addresses.
    pub fn start_tls(authority: &Authority, names: &[&str]) -> Result<Self> {
        Self::serve("https", names.first().copied().unwrap_or("127.0.0.1"), Some(authority.server(names)?))
    }

    fn serve(scheme: &str, host: &str, tls: Option<RustlsConfig>) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let origin = format!("{scheme}://{host}:{}", address.port());
        let state = Arc::new(Served::default());
        let handle = Handle::new();
        let service = Router::new().fallback(answer).with_state(Arc::clone(&state)).into_make_service();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let ending = handle.clone();
        let thread = thread::Builder::new().name("feed-server".to_owned()).spawn(move || {
            let served = runtime.block_on(async {
                match tls {
                    Some(config) => {
                        axum_server::from_tcp_rustls(listener, config)?.handle(ending).serve(service).await
                    }
                    None => axum_server::from_tcp(listener)?.handle(ending).serve(service).await,
                }
            });
            // A body that never ends must not hold up the end of the server.
            runtime.shutdown_background();
            if let Err(error) = served {
                eprintln!("the feed server ended: {error}");
            }
        })?;
        Ok(Self { address, origin, state, handle, thread: Some(thread) })
    }

    /// Its address on the loopback device.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of a path, which begins with `/`.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    /// From now on `path` answers with these, one after the other; the last one stays.
    pub fn answer(&self, path: &str, answers: impl IntoIterator<Item = Answer>) {
        held(&self.state.answers).insert(path.to_owned(), answers.into_iter().collect());
    }

    /// What was asked of `path`, in order.
    pub fn seen(&self, path: &str) -> Vec<Seen> {
        let asked = |seen: &&Seen| seen.target.split('?').next() == Some(path);
        held(&self.state.seen).iter().filter(asked).cloned().collect()
    }

    /// What was asked of `path` last.
    pub fn last(&self, path: &str) -> Result<Seen> {
        self.seen(path).pop().with_context(|| format!("nobody asked for {path}"))
    }
}

impl Drop for FeedServer {
    fn drop(&mut self) {
        self.handle.shutdown();
        if let Some(thread) = self.thread.take() {
            // A panic in it has failed the test already.
            let _ = thread.join();
        }
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn answer(State(served): State<Arc<Served>>, request: Request) -> Response {
    let (path, headers) = (request.uri().path().to_owned(), request.headers().clone());
    let target = request.uri().path_and_query().map(ToString::to_string).unwrap_or_default();
    held(&served.seen).push(Seen { target, headers: headers.clone() });
    let next = held(&served.answers).get_mut(&path).and_then(|answers| match answers.len() {
        0 | 1 => answers.front().cloned(),
        _ => answers.pop_front(),
    });
    match next {
        Some(answer) => answer.respond(&headers).await,
        None => (StatusCode::NOT_FOUND, "no such list\n").into_response(),
    }
}
