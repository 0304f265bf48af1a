//! The agent's sink against real search engines. One binary, one module in `search/` for each part of the subject.

// The parts that the tests stand on, without an agent.
#[path = "search/harness.rs"]
mod harness;
