//! Subcommands, one a file.

// Pull, take, compile, serve.
pub mod run;

// What would be made of manifests or lists.
pub mod check;
