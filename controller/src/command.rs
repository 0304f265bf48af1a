//! Subcommands, one a file.

// Pull, take, compile, serve.
pub mod run;

// Asks a controller.
pub mod client;

// Security events of a store.
pub mod events;

// What is to be thought of them.
pub mod annotate;

// What would be made of manifests or lists.
pub mod check;

// What a search engine needs.
pub mod setup_search;
