//! What the tests of more than one program, and the demo, share: pods made by hand (cgroups, network namespaces), DNS
//! servers, clients, an API server.
//!
//! A `Node` is a little world of its own: a cgroup that holds everything it starts, a network namespace that plays
//! the host, one for each pod and one for the DNS server. Dropping it leaves nothing behind; what a killed run left
//! is swept when the next one starts.

// Other programs: run one, its failure is an error that shows what it said.
pub mod program;

// Conditions: wait until one holds, or say what was waited for.
pub mod wait;

// Names that say whose a thing is, so that leftovers are found.
pub mod claim;

// The cgroup2 tree: find it, make, end and remove groups.
pub mod cgroup;

// Network namespaces: make, enter, connect, remove.
pub mod namespace;

// A node: host namespace, DNS namespace, cgroup, sweep of what earlier runs left.
pub mod node;

// A pod as the kubelet makes it, and processes inside.
pub mod pod;

// DNS messages as bytes, for the client and the server of these tests.
pub mod message;

// A DNS server whose every answer a test decides.
pub mod server;

// UDP in IP packets made by hand: options, extension headers.
pub mod ip;

// A TCP peer on a raw socket: what it does not acknowledge comes again, what it sends comes in any order.
pub mod raw_peer;

// Files over HTTPS, with an authority of a test's own.
pub mod https;

// A folder of lists over HTTP.
pub mod lists;

// Debian's nsd with zones of our own.
pub mod nsd;

// A DNS client that does what it is told line by line, in a pod.
pub mod client;

// What a program writes, line by line.
pub mod lines;

// The agent under test: start, ask, stop, read its documents.
pub mod agent;

// Alerts as a test expects them, compared with those that came.
pub mod expect;

// The same capture read by `replay` and by tshark, compared.
pub mod differential;

// A Kubernetes API server with its store, on loopback.
pub mod kube;

// Helm, and the chart.
pub mod helm;

// OpenSearch and Elasticsearch, on loopback.
pub mod search_engine;

// A web server whose every answer a test decides, and a proxy.
#[cfg(feature = "feed-server")]
pub mod feed_server;

// The controller under test: start, ask, stop, kill.
pub mod controller;
