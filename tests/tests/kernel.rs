//! The agent on this machine's kernel: needs root. One binary, one module in `kernel/` for each part of the subject.

// The parts that the tests stand on, without an agent.
#[path = "kernel/harness.rs"]
mod harness;

// A node with a server and an agent, and the end that every test has: all its alerts and no other.
#[path = "kernel/scene.rs"]
mod scene;

// Ways to ask: transports, addresses, kinds of sockets and sends.
#[path = "kernel/asking.rs"]
mod asking;

// Answers: sizes, and where in them a listed name can stand.
#[path = "kernel/answers.rs"]
mod answers;

// Both sides of an exchange on one node, loopback, Services.
#[path = "kernel/sides.rs"]
mod sides;

// IPv4 options and IPv6 extension headers.
#[path = "kernel/headers.rs"]
mod headers;

// TCP: how messages are cut into segments.
#[path = "kernel/streams.rs"]
mod streams;

// Names and feeds: exceptions, case, internationalised names.
#[path = "kernel/names.rs"]
mod names;

// Who asked: short lives, moves, forks, many at once.
#[path = "kernel/owners.rs"]
mod owners;

// One agent comes while another goes.
#[path = "kernel/turnover.rs"]
mod turnover;

// Agents that come, go and share the machine with others.
#[path = "kernel/lifecycle.rs"]
mod lifecycle;

// A socket load-balancer at the root of the cgroup tree.
#[path = "kernel/rewriter.rs"]
mod rewriter;

// Programs of others at the same hooks.
#[path = "kernel/foreign.rs"]
mod foreign;

// Floods: what one pod does must not cost another pod an alert.
#[path = "kernel/floods.rs"]
mod floods;

// Accounting: every message is delivered or counted as lost.
#[path = "kernel/accounting.rs"]
mod accounting;

// Every byte of a million records.
#[path = "kernel/integrity.rs"]
mod integrity;

// The options of `run`.
#[path = "kernel/options.rs"]
mod options;

// Where documents go and how they look.
#[path = "kernel/outputs.rs"]
mod outputs;

// Feeds read anew.
#[path = "kernel/reload.rs"]
mod reload;

// What cannot start says why; what is bad in a feed stops nothing.
#[path = "kernel/refusals.rs"]
mod refusals;

// Feeds from a web server, and agents that do not wait for one.
#[path = "kernel/fetching.rs"]
mod fetching;

// Agents that follow a controller.
#[path = "kernel/following.rs"]
mod following;
