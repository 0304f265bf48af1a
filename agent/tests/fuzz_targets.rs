//! Random and hostile input against stated properties, one target a module: a function of bytes, as cargo-fuzz has them,
//! run here on stable over a corpus and its mutations.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "every function here is part of a test, also where the linter cannot see it"
)]

// Corpus, mutations, and what to do about a crash.
#[path = "fuzz/harness.rs"]
mod harness;

// Kernel records: no panic, every record accounted.
#[path = "fuzz/decode.rs"]
mod decode;

// TCP segments: bounded, every byte accounted.
#[path = "fuzz/reassemble.rs"]
mod reassemble;

// DNS messages: what hickory-proto reads, the screen finds and parse shows.
#[path = "fuzz/message.rs"]
mod message;

// All stages together: the sums close from the record to the document.
#[path = "fuzz/pipeline.rs"]
mod pipeline;

// Capture files: refused, or every frame accounted.
#[path = "fuzz/capture.rs"]
mod capture;

// Feeds of each format: only normalised names come out.
#[path = "fuzz/feed.rs"]
mod feed;

// Set files: refused, or safe to ask.
#[path = "fuzz/set_file.rs"]
mod set_file;

// Segments of the spool: only what was written comes out.
#[path = "fuzz/spool.rs"]
mod spool;
