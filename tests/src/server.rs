//! A DNS server whose every answer the test decides: UDP and TCP, IPv4 and IPv6, ports 53 and 5353, in the node's DNS
//! namespace. Its sockets belong to the test's own cgroup, which the agent under test does not look at.

use std::{
    collections::HashMap,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, Ipv6Addr, TcpListener, TcpStream, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::Result;

use crate::{
    message::{Question, Record, Reply, kind, read_question, with_length},
    namespace::Namespace,
};

/// Ports that it answers on.
const PORTS: [u16; 2] = [53, 5353];
/// How often a blocked thread looks whether the server is to end.
const TICK: Duration = Duration::from_millis(100);

/// How answers are written to a TCP connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delivery {
    /// All answers that are due in one write.
    #[default]
    Whole,
    /// The length before each answer in a write of its own.
    LengthApart,
    /// Writes of so many bytes.
    Pieces(usize),
}

/// What the server answers. A name without an entry of its own has one A and one AAAA record.
#[derive(Clone, Debug, Default)]
pub struct Zone {
    replies: HashMap<String, Reply>,
    delivery: Delivery,
    silent: bool,
}

impl Zone {
    /// A zone in which every name has an address.
    pub fn new() -> Self {
        Self::default()
    }

    /// Answers questions for `name`, of whatever type, with `reply`.
    #[must_use]
    pub fn reply(mut self, name: &str, reply: Reply) -> Self {
        self.replies.insert(name.to_ascii_lowercase(), reply);
        self
    }

    /// Answers questions for `name` with these records in the answer section.
    #[must_use]
    pub fn answer(self, name: &str, answer: Vec<Record>) -> Self {
        self.reply(name, Reply { answer, ..Reply::default() })
    }

    /// Takes every question and answers none: what is seen of an exchange is then the query alone.
    #[must_use]
    pub fn silent(mut self) -> Self {
        self.silent = true;
        self
    }

    /// Answers over TCP are written this way.
    #[must_use]
    pub fn delivery(mut self, delivery: Delivery) -> Self {
        self.delivery = delivery;
        self
    }

    fn message(&self, question: &Question) -> Vec<u8> {
        match self.replies.get(&question.name.to_ascii_lowercase()) {
            Some(reply) => reply.message(question),
            None => default_reply(question).message(question),
        }
    }
}

/// A running server; it ends when this value is dropped.
#[derive(Debug)]
pub struct Server {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    zone: Zone,
    ended: AtomicBool,
    answered: AtomicU64,
}

impl Server {
    /// Starts the server in `namespace`; it answers once this returns.
    pub fn start(namespace: &Namespace, zone: Zone) -> Result<Self> {
        Self::bound_by(|port| namespace.enter(|| bind(port)), zone)
    }

    /// Starts the server in this process's own network.
    pub fn start_here(zone: Zone) -> Result<Self> {
        Self::bound_by(bind, zone)
    }

    fn bound_by(bind: impl Fn(u16) -> Result<(UdpSocket, TcpListener)>, zone: Zone) -> Result<Self> {
        let shared = Arc::new(Shared { zone, ended: AtomicBool::new(false), answered: AtomicU64::new(0) });
        for port in PORTS {
            let (udp, tcp) = bind(port)?;
            udp.set_read_timeout(Some(TICK))?;
            let here = Arc::clone(&shared);
            thread::spawn(move || here.serve_udp(&udp));
            let here = Arc::clone(&shared);
            thread::spawn(move || here.serve_tcp(&tcp));
        }
        Ok(Self { shared })
    }

    /// Questions answered so far.
    pub fn answered(&self) -> u64 {
        self.shared.answered.load(Ordering::Relaxed)
    }
}

fn bind(port: u16) -> Result<(UdpSocket, TcpListener)> {
    let any = (Ipv6Addr::UNSPECIFIED, port);
    Ok((UdpSocket::bind(any)?, TcpListener::bind(any)?))
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
    }
}

impl Shared {
    fn ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    fn answer(&self, query: &[u8]) -> Option<Vec<u8>> {
        let question = read_question(query)?;
        self.answered.fetch_add(1, Ordering::Relaxed);
        (!self.zone.silent).then(|| self.zone.message(&question))
    }

    fn serve_udp(&self, socket: &UdpSocket) {
        let mut buffer = [0; 4096];
        while !self.ended() {
            let Ok((length, peer)) = socket.recv_from(&mut buffer) else { continue };
            if let Some(answer) = buffer.get(..length).and_then(|query| self.answer(query)) {
                // A client that has gone is no concern of the server's.
                let _ = socket.send_to(&answer, peer);
            }
        }
    }

    fn serve_tcp(self: &Arc<Self>, listener: &TcpListener) {
        let tick = rustix::event::Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
        while !self.ended() {
            let mut ready = [rustix::event::PollFd::new(listener, rustix::event::PollFlags::IN)];
            if !matches!(rustix::event::poll(&mut ready, Some(&tick)), Ok(1)) {
                continue;
            }
            let Ok((stream, _)) = listener.accept() else { continue };
            let here = Arc::clone(self);
            thread::spawn(move || here.serve_connection(stream));
        }
    }

    /// Answers until the client closes; an error means the same.
    fn serve_connection(&self, mut stream: TcpStream) {
        let ready = stream.set_nodelay(true).and_then(|()| stream.set_read_timeout(Some(TICK)));
        let mut pending = Vec::new();
        let mut buffer = vec![0; 65_536];
        while ready.is_ok() && !self.ended() {
            match stream.read(&mut buffer) {
                Ok(0) => return,
                Ok(length) => pending.extend_from_slice(buffer.get(..length).unwrap_or_default()),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => continue,
                Err(_) => return,
            }
            let mut answers = Vec::new();
            while let Some(query) = take_message(&mut pending) {
                answers.extend(self.answer(&query));
            }
            if self.deliver(&mut stream, &answers).is_err() {
                return;
            }
        }
    }

    fn deliver(&self, stream: &mut TcpStream, answers: &[Vec<u8>]) -> std::io::Result<()> {
        let whole: Vec<u8> = answers.iter().flat_map(|answer| with_length(answer)).collect();
        match self.zone.delivery {
            Delivery::Whole => stream.write_all(&whole),
            Delivery::Pieces(size) => whole.chunks(size.max(1)).try_for_each(|piece| stream.write_all(piece)),
            Delivery::LengthApart => answers.iter().try_for_each(|answer| {
                let bytes = with_length(answer);
                let (length, message) = bytes.split_at(2);
                stream.write_all(length)?;
                stream.write_all(message)
            }),
        }
    }
}

/// Takes the first whole message with its length from the front of `pending`.
pub fn take_message(pending: &mut Vec<u8>) -> Option<Vec<u8>> {
    let length = usize::from(u16::from_be_bytes(pending.get(..2)?.try_into().ok()?));
    let message = pending.get(2..2 + length)?.to_vec();
    pending.drain(..2 + length);
    Some(message)
}

/// What a question for a name without an entry is answered with: one address.
pub fn default_reply(question: &Question) -> Reply {
    let answer = match question.kind {
        kind::A => vec![Record::a(&question.name, Ipv4Addr::new(192, 0, 2, 80))],
        kind::AAAA => vec![Record::aaaa(&question.name, Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x80))],
        _ => Vec::new(),
    };
    Reply { answer, ..Reply::default() }
}
