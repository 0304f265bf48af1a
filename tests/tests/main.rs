//! Tests that need root: one binary, one module for each part of the subject.

// The parts that the tests stand on, without an agent.
mod harness;
