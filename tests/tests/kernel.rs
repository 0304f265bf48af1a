//! The agent on this machine's kernel: needs root. One binary, one module in `kernel/` for each part of the subject.

// The parts that the tests stand on, without an agent.
#[path = "kernel/harness.rs"]
mod harness;
