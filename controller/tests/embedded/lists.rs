//! A server of lists: answers as it is told, remembers what it was asked.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// What a path answers.
#[derive(Clone)]
pub struct Answer {
    pub status: &'static str,
    pub body: String,
    pub etag: Option<&'static str>,
}

impl Answer {
    pub fn text(body: &str) -> Self {
        Self { status: "200 OK", body: body.to_owned(), etag: None }
    }
}

#[derive(Default)]
struct State {
    answers: Mutex<HashMap<String, Answer>>,
    requests: Mutex<Vec<String>>,
    ended: AtomicBool,
}

/// The server; it ends when it is dropped.
pub struct Lists {
    address: SocketAddr,
    state: Arc<State>,
}

impl Lists {
    pub fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.ended.load(Ordering::SeqCst) {
                    return;
                }
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || serve(stream.unwrap(), &shared));
            }
        });
        Self { address, state }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn answer(&self, path: &str, answer: Answer) {
        self.state.answers.lock().unwrap().insert(path.to_owned(), answer);
    }

    pub fn requests(&self) -> Vec<String> {
        self.state.requests.lock().unwrap().clone()
    }

    pub fn wait_for(&self, condition: impl Fn(&[String]) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !condition(&self.requests()) {
            assert!(Instant::now() < deadline, "never asked so: {:#?}", self.requests());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Lists {
    fn drop(&mut self) {
        self.state.ended.store(true, Ordering::SeqCst);
        // One more connection makes the listener look.
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(mut stream: TcpStream, state: &State) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut request = String::new();
    while let Ok(count) = reader.read_line(&mut request) {
        if count == 0 || request.ends_with("\r\n\r\n") {
            break;
        }
    }
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    state.requests.lock().unwrap().push(request.clone());
    let answer = state.answers.lock().unwrap().get(&path).cloned();
    let Answer { status, body, etag } =
        answer.unwrap_or(Answer { status: "404 Not Found", body: String::new(), etag: None });
    let is_known =
        etag.is_some_and(|etag| request.to_lowercase().contains(&format!("if-none-match: {etag}")));
    let (status, body) = if is_known { ("304 Not Modified", String::new()) } else { (status, body) };
    let etag = etag.map(|etag| format!("ETag: {etag}\r\n")).unwrap_or_default();
    let head =
        format!("HTTP/1.1 {status}\r\n{etag}Content-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
}
