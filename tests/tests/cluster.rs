//! The controller against a real API server; needs no root. One binary, one module in `cluster/` for each part of the
//! subject.

// The parts that the tests stand on, without a controller.
#[path = "cluster/harness.rs"]
mod harness;

// `GlobalThreatFeed` as the API server takes it.
#[path = "cluster/definition.rs"]
mod definition;
