//! Controller and agent against a real API server; the agent needs root. One binary, one module in `cluster/` for each part of the
//! subject.

// The parts that the tests stand on, without a controller.
#[path = "cluster/harness.rs"]
mod harness;

// `GlobalThreatFeed` as the API server takes it.
#[path = "cluster/definition.rs"]
mod definition;

// An API server with the role that ships, controllers, and a server of lists.
#[path = "cluster/deployment.rs"]
mod deployment;

// Feeds pulled and pushed, and what their status says.
#[path = "cluster/feeds.rs"]
mod feeds;

// Controllers beside each other, and what is left when one is gone.
#[path = "cluster/several.rs"]
mod several;

// Breaks between the controller and the API server.
#[path = "cluster/broken.rs"]
mod broken;

// Names of pods in the agent's documents; needs root.
#[path = "cluster/pods.rs"]
mod pods;
