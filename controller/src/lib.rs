//! The controller: feeds in, one hashed threat set out, to every agent.

// The command line as typed.
pub mod args;

// Settings as used.
pub mod settings;

// What the parts of a running controller share.
pub mod context;

// GlobalThreatFeed resources -> last good copies, status.
pub mod feed;

// Last good copies -> numbered threat sets.
pub mod publish;

// TLS for every connection.
pub mod tls;

// Documents: kept, found again.
pub mod store;

// Stored DNS logs searched for names that were listed later.
pub mod look_back;

// Ports that the cluster's resolvers listen on.
pub mod resolvers;

// Who asks, and may they.
pub mod access;

// Everything that is served.
pub mod web;

// Every counter as one list.
pub mod telemetry;

// What a search engine is told, and asked.
pub mod search;

// Who leads.
pub mod leader;

// Followers copy what the leader has.
pub mod replication;

// Subcommands.
pub mod command;

// How many files may be open at one time.
mod open_files;
