//! Connections to the pages from other machines: bounded in number and in time, for whoever can reach the address is a
//! stranger. Where there is no room the oldest gives way, so that a probe is answered whoever else holds connections.

use std::{
    collections::VecDeque,
    future::Future as _,
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::serve::Listener;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    time::{Sleep, sleep},
};

/// Connections at once.
const ROOM: usize = 64;
/// How long a connection may last: a page is made in milliseconds.
const LIFETIME: Duration = Duration::from_secs(30);

/// A listener whose connections end.
#[derive(Debug)]
pub struct Bounded {
    listener: TcpListener,
    room: usize,
    lifetime: Duration,
    /// One for each connection, the oldest first; a connection whose sender is dropped ends.
    open: VecDeque<oneshot::Sender<()>>,
}

impl Bounded {
    /// Bounds the connections of `listener`.
    pub fn new(listener: TcpListener) -> Self {
        Self { listener, room: ROOM, lifetime: LIFETIME, open: VecDeque::new() }
    }

    fn admit(&mut self, stream: TcpStream) -> Connection {
        self.open.retain(|connection| !connection.is_closed());
        while self.open.len() >= self.room {
            self.open.pop_front();
        }
        let (holder, evicted) = oneshot::channel();
        self.open.push_back(holder);
        Connection { stream, evicted, end: Box::pin(sleep(self.lifetime)), is_over: false }
    }
}

impl Listener for Bounded {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        let (stream, address) = Listener::accept(&mut self.listener).await;
        (self.admit(stream), address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection that ends when its time is up, or when its place is needed.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    evicted: oneshot::Receiver<()>,
    end: Pin<Box<Sleep>>,
    is_over: bool,
}

impl Connection {
    /// The stream, while the connection may go on.
    fn alive(&mut self, context: &mut Context<'_>) -> io::Result<Pin<&mut TcpStream>> {
        self.is_over = self.is_over
            || Pin::new(&mut self.evicted).poll(context).is_ready()
            || self.end.as_mut().poll(context).is_ready();
        if self.is_over {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the connection has lasted long enough"));
        }
        Ok(Pin::new(&mut self.stream))
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.alive(context)?.poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.alive(context)?.poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.alive(context)?.poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.alive(context)?.poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use axum::{Router, routing::get};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// Serves a page from behind so much room; says where.
    async fn serve(room: usize, lifetime: Duration) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let bounded = Bounded { room, lifetime, ..Bounded::new(listener) };
        let address = bounded.local_addr().unwrap();
        let router = Router::new().route("/", get(|| async { "alive" }));
        tokio::spawn(axum::serve(bounded, router).into_future());
        address
    }

    /// What comes until the connection is closed.
    async fn rest(stream: &mut TcpStream) -> String {
        let mut text = String::new();
        let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_string(&mut text)).await;
        read.expect("the connection stays open").unwrap();
        text
    }

    #[tokio::test]
    async fn the_oldest_connection_gives_way_to_the_newest() {
        let address = serve(2, LIFETIME).await;
        let mut idle = Vec::new();
        for _ in 0..3 {
            idle.push(TcpStream::connect(address).await.unwrap());
        }
        assert_eq!(rest(&mut idle[0]).await, "");
        let mut probe = TcpStream::connect(address).await.unwrap();
        probe.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
        let answer = rest(&mut probe).await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("alive"), "{answer}");
    }

    #[tokio::test]
    async fn a_connection_that_is_kept_without_a_question_ends() {
        let address = serve(2, Duration::from_millis(10)).await;
        let mut idle = TcpStream::connect(address).await.unwrap();
        idle.write_all(b"GET / HTT").await.unwrap();
        assert_eq!(rest(&mut idle).await, "");
    }
}
