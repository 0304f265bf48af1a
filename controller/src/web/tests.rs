//! The routes over real sockets and TLS, as clients meet them.

// A served site and its client.
pub mod served;

// Each route x each kind of caller.
mod admission;

// The threat set.
mod set;

// Elasticsearch's document API.
mod push;

// Documents, and what is read of them.
mod bulk;

// Reports, feeds, health, metrics, limits.
mod rest;
