//! A TCP relay in front of a server that loses answers, or cuts requests, when a test says so.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::Result;

/// What happens to bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Mode {
    /// They are passed on.
    Whole,
    /// Requests are passed on; the first byte of an answer ends the connection.
    LoseAnswers,
    /// Half a request is passed on, then the connection ends.
    CutRequests,
    /// No connection is taken.
    Away,
    /// Each request is refused as by a server that has too much to do.
    TooMany,
    /// Bytes go through in small parts, with pauses.
    Slow,
}

/// Bytes of a part, and the pause behind it, where a server is slow.
const PART: usize = 2048;
const PAUSE: Duration = Duration::from_millis(10);

const TOO_MANY: &[u8] = b"HTTP/1.1 429 Too Many Requests\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

#[derive(Debug)]
struct Shared {
    mode: AtomicU8,
    lost: AtomicUsize,
    open: Mutex<Vec<TcpStream>>,
}

/// A relay to one server.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Relay {
    pub fn to(server: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            mode: AtomicU8::new(Mode::Whole as u8),
            lost: AtomicUsize::new(0),
            open: Mutex::new(Vec::new()),
        });
        let here = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().map_while(io::Result::ok) {
                if !here.is(Mode::Away) {
                    // A server that is away is a connection that ends, as without a relay.
                    let _ = here.join(&client, server);
                }
            }
        });
        Ok(Self { address, shared })
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on; connections that are open feel it too.
    pub fn turn(&self, mode: Mode) {
        self.shared.mode.store(mode as u8, Ordering::SeqCst);
        if mode == Mode::Away {
            for stream in self.shared.open.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
    }

    /// Answers that were lost, and requests that were cut or refused.
    pub fn lost(&self) -> usize {
        self.shared.lost.load(Ordering::SeqCst)
    }
}

impl Shared {
    fn is(&self, mode: Mode) -> bool {
        self.mode.load(Ordering::SeqCst) == mode as u8
    }

    fn join(self: &Arc<Self>, client: &TcpStream, server: SocketAddr) -> io::Result<()> {
        let server = TcpStream::connect(server)?;
        for (from, to, is_answer) in [(client, &server, false), (&server, client, true)] {
            let (from, to) = (from.try_clone()?, to.try_clone()?);
            self.open.lock().unwrap_or_else(PoisonError::into_inner).push(from.try_clone()?);
            let here = Arc::clone(self);
            thread::spawn(move || {
                here.pass(&from, &to, is_answer);
                let _ = to.shutdown(Shutdown::Both);
                let _ = from.shutdown(Shutdown::Both);
            });
        }
        Ok(())
    }

    fn pass(&self, mut from: &TcpStream, mut to: &TcpStream, is_answer: bool) {
        let mut buffer = [0; 16_384];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            let Some(bytes) = buffer.get(..length) else { return };
            if is_answer && self.is(Mode::LoseAnswers) {
                self.lost.fetch_add(1, Ordering::SeqCst);
                return;
            }
            if !is_answer && self.is(Mode::CutRequests) {
                self.lost.fetch_add(1, Ordering::SeqCst);
                let _ = to.write_all(bytes.split_at(length / 2).0);
                return;
            }
            if !is_answer && self.is(Mode::TooMany) {
                self.lost.fetch_add(1, Ordering::SeqCst);
                let _ = from.write_all(TOO_MANY);
                // What still comes is read, so that the answer is not lost with the connection.
                let _ = from.shutdown(Shutdown::Write);
                while matches!(from.read(&mut buffer), Ok(1..)) {}
                return;
            }
            let part = if self.is(Mode::Slow) { PART } else { length };
            for bytes in bytes.chunks(part) {
                if to.write_all(bytes).is_err() {
                    return;
                }
                if self.is(Mode::Slow) {
                    thread::sleep(PAUSE);
                }
            }
        }
    }
}
