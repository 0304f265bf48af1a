//! Subcommands, one a file.

// Pull, take, compile, serve.
pub mod run;

// Security events of a store.
pub mod events;

// What would be made of manifests or lists.
pub mod check;

// What a search engine needs.
pub mod setup_search;
