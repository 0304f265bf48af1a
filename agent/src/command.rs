//! One subcommand a file; each takes its arguments and says with which exit status the process ends.

// Attach to the kernel, stream alerts until a signal.
pub mod run;

// Capture files through the same pipeline.
pub mod replay;

// Is a name listed, and by what?
pub mod lookup;

// What does the running agent see?
pub mod status;

// Completion scripts.
pub mod completion;
