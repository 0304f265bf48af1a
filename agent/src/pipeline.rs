//! The journey of a packet: the only file that knows every stage.
//!
//! Everything from `decode` to `roll_up` is sans-IO: bytes and time come in as arguments, values go out.

// The values that are handed from stage to stage.
pub mod packet;

// Drain the ring buffer in batches.
pub mod capture;

// Record bytes -> packets: checked, chunks joined, coalesced datagrams split, time made civil.
pub mod decode;

// TCP segments -> DNS messages, in order, bounded.
pub mod reassemble;

// Raw message -> the names in it that may be listed; no allocation.
pub mod screen;

// Raw message -> header, questions and records, as far as they can be read.
pub mod parse;

// Candidate names x threat set -> findings.
pub mod matching;

// Origin -> workload and process.
pub mod attribute;

// One message, or a query and its answer: what alerts and DNS logs are made of.
pub mod exchange;

// Findings x workload -> alerts, once per window.
pub mod roll_up;

// Queries and answers -> DNS logs, joined and counted.
pub mod dns_log;

// Alerts and DNS logs -> documents.
pub mod compose;

// Text of others -> text that is safe to show.
pub mod printable;

// Documents -> where they are written.
pub mod sink;
