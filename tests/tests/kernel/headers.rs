//! What stands between the IP header and UDP or TCP must not matter: IPv4 options, IPv6 extension headers, on the way
//! out and on the way in, on raw and on ordinary sockets.

use std::{
    net::{Ipv6Addr, SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::Result;
use data_encoding::HEXLOWER;
use namewarden_tests::{
    agent::AgentBuilder,
    expect::{Alert, expect_alerts},
    ip,
    message::{Record, Reply, read_question},
    node::{Node, dns_address},
    pod::Pod,
    server::Zone,
};

use crate::scene::Scene;

/// Headers under test: an entry of the feed that stands for them, and their pieces as `ip` takes them.
struct Shape {
    entry: &'static str,
    pieces: &'static [&'static [u8]],
}

/// A record-route option with room for nine addresses, and one byte of padding: the longest header there is.
const RECORD_ROUTE: &[u8] = &{
    let mut option = [0; 40];
    (option[0], option[1], option[2], option[39]) = (7, 39, 4, 1);
    option
};

const OPTIONS: [Shape; 2] = [
    Shape { entry: "padded.example", pieces: &[&[1, 1, 1, 1]] },
    Shape { entry: "longest.example", pieces: &[RECORD_ROUTE] },
];

/// Hop-by-hop options: padding.
const HOP: &[u8] = &[0, 0, 1, 4, 0, 0, 0, 0];
/// Destination options of 16 bytes: an option that nobody knows and everybody skips.
const DESTINATION: &[u8] = &[60, 1, 0x1e, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
/// A routing header of an experimental type whose route is at its end.
const ROUTING: &[u8] = &[43, 0, 253, 0, 0, 0, 0, 0];
/// A fragment header of a packet that is no fragment (RFC 6946).
const ATOMIC: &[u8] = &[44, 0, 0, 0, 0, 0, 0, 7];

const EXTENSIONS: [Shape; 5] = [
    Shape { entry: "hop.example", pieces: &[HOP] },
    Shape { entry: "destination.example", pieces: &[DESTINATION] },
    Shape { entry: "routing.example", pieces: &[ROUTING] },
    Shape { entry: "atomic.example", pieces: &[ATOMIC] },
    Shape { entry: "several.example", pieces: &[HOP, DESTINATION, ROUTING, ATOMIC, DESTINATION] },
];

fn agent(shapes: &[Shape]) -> AgentBuilder {
    let entries: Vec<&str> = shapes.iter().map(|shape| shape.entry).collect();
    AgentBuilder::new("agent").feed("bad", &entries.join("\n"))
}

fn address(pod: &Pod, v6: bool, port: u16) -> SocketAddr {
    SocketAddr::new(if v6 { pod.v6.into() } else { pod.v4.into() }, port)
}

/// A client sends one query in each shape; each alerts, and nothing else does.
fn out(shapes: &[Shape], v6: bool) -> Result<()> {
    let scene = Scene::with(Zone::new().silent(), &agent(shapes))?;
    let (pod, mut client) = scene.pod()?;
    let (source, target) = (address(&pod, v6, 4000), SocketAddr::new(dns_address(v6), 53));
    let mut alerts = Vec::new();
    for shape in shapes {
        let pieces: Vec<String> = shape.pieces.iter().map(|piece| HEXLOWER.encode(piece)).collect();
        client.tell(&format!("raw {} A {source} {target} {}", shape.entry, pieces.join(" ")))?;
        alerts.push(Alert::on(shape.entry).by(&pod, &client));
    }
    scene.expect(&alerts).map(drop)
}

#[test]
fn a_query_behind_ipv4_options_is_seen() -> Result<()> {
    out(&OPTIONS, false)
}

#[test]
fn a_query_behind_ipv6_extension_headers_is_seen() -> Result<()> {
    out(&EXTENSIONS, true)
}

/// Answers every query with an alias of the entry that it names, in a packet of the entry's shape.
struct Answerer {
    ended: Arc<AtomicBool>,
}

impl Answerer {
    fn start(node: &Node, shapes: &'static [Shape]) -> Result<Self> {
        let socket = node.dns().enter(|| Ok(UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 53))?))?;
        socket.set_read_timeout(Some(Duration::from_millis(100)))?;
        let ended = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&ended);
        let namespace = std::fs::File::open(node.dns().path())?;
        thread::spawn(move || {
            let kind = Some(rustix::thread::LinkNameSpaceType::Network);
            let inside = rustix::thread::move_into_link_name_space(rustix::fd::AsFd::as_fd(&namespace), kind);
            let mut buffer = [0; 512];
            while inside.is_ok() && !stop.load(Ordering::Relaxed) {
                let Ok((length, client)) = socket.recv_from(&mut buffer) else { continue };
                // An answer that does not come fails the test at the client.
                let _ = answer(shapes, client, buffer.get(..length).unwrap_or_default());
            }
        });
        Ok(Self { ended })
    }
}

impl Drop for Answerer {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}

fn answer(shapes: &[Shape], client: SocketAddr, query: &[u8]) -> Option<()> {
    let question = read_question(query)?;
    let entry = question.name.strip_prefix("www.not-")?;
    let shape = shapes.iter().find(|shape| shape.entry == entry)?;
    let reply = Reply { answer: vec![Record::cname(&question.name, entry)], ..Reply::default() };
    let client = SocketAddr::new(client.ip().to_canonical(), client.port());
    let server = SocketAddr::new(dns_address(client.is_ipv6()), 53);
    let pieces: Vec<Vec<u8>> = shape.pieces.iter().map(|piece| piece.to_vec()).collect();
    ip::send_udp(server, client, &pieces, &reply.message(&question)).ok()
}

/// A client asks benign names and gets each answer in another shape; each alerts, and nothing else does.
fn back(shapes: &'static [Shape], v6: bool) -> Result<()> {
    let node = Node::start()?;
    let _server = Answerer::start(&node, shapes)?;
    let agent = agent(shapes).start(&node)?;
    let pod = node.pod().start()?;
    let mut client = pod.client()?;
    let target = SocketAddr::new(dns_address(v6), 53);
    client.tell(if v6 { "udp6" } else { "udp4" })?;
    let mut alerts = Vec::new();
    for shape in shapes {
        let asked = format!("www.not-{}", shape.entry);
        client.tell(&format!("ask {asked} A {target}"))?;
        let alert = Alert::on(shape.entry).answered(&asked, "dns.answers.data", shape.entry);
        alerts.push(alert.by(&pod, &client));
    }
    expect_alerts(&agent.stop()?.documents, &alerts)
}

#[test]
fn an_answer_behind_ipv4_options_is_seen() -> Result<()> {
    back(&OPTIONS, false)
}

#[test]
fn an_answer_behind_ipv6_extension_headers_is_seen() -> Result<()> {
    back(&EXTENSIONS, true)
}

/// Asks over an ordinary socket whose packets all bear options or extension headers, and waits for the answer.
const ASK: &str = "import socket,sys
kind,address,name=sys.argv[1:]
v6=':' in address
s=socket.socket(socket.AF_INET6 if v6 else socket.AF_INET,socket.SOCK_STREAM if kind=='tcp' else socket.SOCK_DGRAM)
if v6:
    s.setsockopt(socket.IPPROTO_IPV6,socket.IPV6_HOPOPTS,bytes([0,0,1,4,0,0,0,0]))
    s.setsockopt(socket.IPPROTO_IPV6,socket.IPV6_DSTOPTS,bytes([0,0,1,4,0,0,0,0]))
else:
    s.setsockopt(socket.IPPROTO_IP,socket.IP_OPTIONS,bytes([7,11,4]+[0]*8+[1]))
s.settimeout(10); s.connect((address,53))
q=bytes([0,9,1,0,0,1,0,0,0,0,0,0])+b''.join(bytes([len(l)])+l.encode() for l in name.split('.'))+bytes([0,0,1,0,1])
s.sendall((len(q).to_bytes(2,'big') if kind=='tcp' else b'')+q)
assert len(s.recv(512))>0";

#[test]
fn ordinary_sockets_with_options_and_extension_headers_are_seen_over_udp_and_tcp() -> Result<()> {
    let ways = [("udp", false), ("tcp", false), ("udp", true), ("tcp", true)];
    let entries = ["one.example", "two.example", "three.example", "four.example"];
    let agent = AgentBuilder::new("agent").feed("bad", &entries.join("\n"));
    let scene = Scene::with(Zone::new(), &agent)?;
    let pod = scene.node.pod().start()?;
    let mut alerts = Vec::new();
    for ((kind, v6), entry) in ways.into_iter().zip(entries) {
        let mut python = pod.command("/usr/bin/python3");
        let mut python = python.args(["-c", ASK, kind, &dns_address(v6).to_string(), entry]).spawn()?;
        let pid = python.id();
        assert!(python.wait()?.success(), "{kind} to {}", dns_address(v6));
        alerts.push(Alert::on(entry).from(&pod).process(pid, "python3"));
    }
    scene.expect(&alerts).map(drop)
}
