//! One subcommand a file.

// Capture files instead of a kernel.
pub mod replay;

// Whether names are listed, and by what.
pub mod lookup;
