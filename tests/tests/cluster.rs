//! Controller and agent against a real API server; the agent needs root. One binary, one module in `cluster/` for each part of the
//! subject.

// The parts that the tests stand on, without a controller.
#[path = "cluster/harness.rs"]
mod harness;

// Requests with a token.
#[path = "cluster/client.rs"]
mod client;

// Turns of the tests that share an API server.
#[path = "cluster/lane.rs"]
mod lane;

// What the tests of running controllers start from.
#[path = "cluster/scene.rs"]
mod scene;

// `GlobalThreatFeed` as the API server takes it.
#[path = "cluster/definition.rs"]
mod definition;

// Feeds that are pulled: status, columns, headers, period, what leaves the set.
#[path = "cluster/pulled.rs"]
mod pulled;

// Feeds that somebody pushes.
#[path = "cluster/pushed.rs"]
mod pushed;

// Several controllers: one leads, the others copy.
#[path = "cluster/leading.rs"]
mod leading;

// Numbers of sets, whatever is lost.
#[path = "cluster/numbers.rs"]
mod numbers;

// An API server that breaks off, forgets, goes away.
#[path = "cluster/breaking.rs"]
mod breaking;

// What the controller may, and what it says where it may not.
#[path = "cluster/rights.rs"]
mod rights;

// What the roles for people allow.
#[path = "cluster/people.rs"]
mod people;

// The chart as it is rendered.
#[path = "cluster/chart.rs"]
mod chart;

// Its alerts, as Prometheus takes them.
#[path = "cluster/alerts.rs"]
mod alerts;

// Who reaches whom through its NetworkPolicies.
#[path = "cluster/flows.rs"]
mod flows;

// What it keeps, whatever the values become.
#[path = "cluster/kept.rs"]
mod kept;

// The chart as it is installed.
#[path = "cluster/installed.rs"]
mod installed;

// Names of pods in the agent's documents; needs root.
#[path = "cluster/pods.rs"]
mod pods;

// Ports that resolvers listen on; needs root.
#[path = "cluster/ports.rs"]
mod ports;

// What resolvers ask for others, and what is left out; needs root.
#[path = "cluster/withheld.rs"]
mod withheld;
