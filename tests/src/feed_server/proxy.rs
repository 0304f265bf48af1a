//! A forward proxy: tunnels for https (`CONNECT`), requests handed on for http. Every name leads to where the test says.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
};

use anyhow::Result;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, copy_bidirectional},
    net::TcpStream,
    sync::oneshot,
};

use super::held;

/// A running proxy; it ends when this value is dropped.
#[derive(Debug)]
pub struct ForwardProxy {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl ForwardProxy {
    /// A proxy that connects to `server` whatever host it is asked for.
    pub fn start(server: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let heads = Arc::default();
        let (end, ended) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let kept = Arc::clone(&heads);
        let thread = thread::Builder::new().name("forward-proxy".to_owned()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = ended => {}
                    accepted = accept(listener, server, kept) => {
                        if let Err(error) = accepted {
                            eprintln!("the proxy ended: {error}");
                        }
                    }
                }
            });
        })?;
        Ok(Self { address, heads, end: Some(end), thread: Some(thread) })
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The first line and the headers of each request that it got.
    pub fn heads(&self) -> Vec<String> {
        held(&self.heads).clone()
    }
}

impl Drop for ForwardProxy {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            // A panic in it has failed the test already.
            let _ = thread.join();
        }
    }
}

async fn accept(listener: TcpListener, server: SocketAddr, heads: Arc<Mutex<Vec<String>>>) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    loop {
        let (client, _) = listener.accept().await?;
        let heads = Arc::clone(&heads);
        // What goes wrong on one connection is for its client to notice.
        tokio::spawn(async move { serve(client, server, &heads).await.ok() });
    }
}

async fn serve(client: TcpStream, server: SocketAddr, heads: &Mutex<Vec<String>>) -> io::Result<()> {
    let mut client = BufReader::new(client);
    let mut head = String::new();
    while client.read_line(&mut head).await? > 2 {}
    held(heads).push(head.clone());
    let mut onward = TcpStream::connect(server).await?;
    if head.starts_with("CONNECT ") {
        client.write_all(b"HTTP/1.1 200 tunnel\r\n\r\n").await?;
    } else {
        onward.write_all(in_origin_form(&head).as_bytes()).await?;
    }
    copy_bidirectional(&mut client, &mut onward).await.map(drop)
}

/// `GET http://host/path HTTP/1.1` -> `GET /path HTTP/1.1`; the rest stays.
fn in_origin_form(head: &str) -> String {
    let Some((method, rest)) = head.split_once(" http://") else { return head.to_owned() };
    match rest.find('/').and_then(|slash| rest.get(slash..)) {
        Some(path) => format!("{method} {path}"),
        None => head.to_owned(),
    }
}
