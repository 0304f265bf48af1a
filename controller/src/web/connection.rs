//! Connections: bounded in number, and a client that does not read is given up.

use std::{
    future::{Future as _, Ready, ready},
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready as await_ready},
    time::Duration,
};

use axum_server::accept::Accept;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, Sleep},
};

/// How long a client may take no byte while there are some for it.
const STALLED: Duration = Duration::from_secs(30);

/// Lets in as many connections as there is room for; others are closed at once.
#[derive(Clone, Debug)]
pub struct Bounded(Arc<Semaphore>);

impl Bounded {
    /// Room for this many.
    pub fn new(connections: usize) -> Self {
        Self(Arc::new(Semaphore::new(connections)))
    }
}

impl<S> Accept<TcpStream, S> for Bounded {
    type Stream = Connection<TcpStream>;
    type Service = S;
    type Future = Ready<io::Result<(Self::Stream, S)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let Ok(place) = self.0.clone().try_acquire_owned() else {
            return ready(Err(io::Error::new(io::ErrorKind::ConnectionRefused, "too many connections")));
        };
        // Answers are small and asked for one by one.
        let _ = stream.set_nodelay(true);
        ready(Ok((Connection::new(stream, STALLED, Some(place)), service)))
    }
}

/// A connection that ends when its client reads nothing for too long.
#[derive(Debug)]
pub struct Connection<T> {
    stream: T,
    patience: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
    _place: Option<OwnedSemaphorePermit>,
}

impl<T: AsyncWrite + Unpin> Connection<T> {
    fn new(stream: T, patience: Duration, place: Option<OwnedSemaphorePermit>) -> Self {
        Self { stream, patience, stalled: None, _place: place }
    }

    /// Polls a write; one that stays pending for too long fails.
    fn patiently<R>(
        &mut self,
        context: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut T>, &mut Context<'_>) -> Poll<io::Result<R>>,
    ) -> Poll<io::Result<R>> {
        if let Poll::Ready(done) = write(Pin::new(&mut self.stream), context) {
            self.stalled = None;
            return Poll::Ready(done);
        }
        let end = Instant::now() + self.patience;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(end)));
        await_ready!(stalled.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client reads nothing")))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Connection<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Connection<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.patiently(context, |stream, context| stream.poll_write(context, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.patiently(context, |stream, context| stream.poll_write_vectored(context, parts))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.patiently(context, AsyncWrite::poll_flush)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.patiently(context, AsyncWrite::poll_shutdown)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn a_client_that_reads_nothing_is_given_up() {
        let (server, _client) = tokio::io::duplex(16);
        let mut connection = Connection::new(server, Duration::from_millis(10), None);
        let error = connection.write_all(&[0; 100]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_client_that_reads_on_is_waited_for_anew() {
        let (server, mut client) = tokio::io::duplex(16);
        let mut connection = Connection::new(server, STALLED, None);
        connection.write_all(&[0; 16]).await.unwrap();
        assert!(futures::poll!(std::pin::pin!(connection.write_all(&[0; 16]))).is_pending());
        assert!(connection.stalled.is_some());
        client.read_exact(&mut [0; 16]).await.unwrap();
        connection.write_all(&[0; 16]).await.unwrap();
        assert!(connection.stalled.is_none());
    }

    #[tokio::test]
    async fn a_connection_beyond_the_room_is_closed_and_room_comes_back() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let bounded = Bounded::new(1);
        let connect = async || {
            let client = TcpStream::connect(address).await.unwrap();
            (client, bounded.accept(listener.accept().await.unwrap().0, ()).await)
        };
        let (_first_client, first) = connect().await;
        let (_second_client, second) = connect().await;
        assert!(first.is_ok() && second.is_err());
        drop(first);
        assert!(connect().await.1.is_ok());
    }
}
