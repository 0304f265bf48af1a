//! Feeds fetched from a real web server: what a server can answer, do wrong, or lead to.

// What all of them start from.
#[path = "feeds/fetching.rs"]
mod fetching;

// Versions: what did not change is not sent again.
#[path = "feeds/versions.rs"]
mod versions;

// Statuses other than success.
#[path = "feeds/statuses.rs"]
mod statuses;

// Where redirects may lead, and what is carried along.
#[path = "feeds/redirects.rs"]
mod redirects;

// Bodies: slow, cut, packed, without end.
#[path = "feeds/bodies.rs"]
mod bodies;

// TLS and proxies.
#[path = "feeds/ways.rs"]
mod ways;

// Addresses that no feed may reach.
#[path = "feeds/addresses.rs"]
mod addresses;

// A feed through the agent's threat source: the last good copy stays.
#[path = "feeds/copies.rs"]
mod copies;

// The same faults through a controller: the reason stands in the resource's status.
#[path = "feeds/controller.rs"]
mod controller;
