//! One subcommand a file.

// Capture files instead of a kernel.
pub mod replay;
