//! The node agent as a library: everything but the command line, so that tests and fuzz targets can reach each stage.

// Load, attach, count: the kernel half as seen from user space.
pub mod kernel;

// The journey of a packet, stage by stage.
pub mod pipeline;

// Capture files instead of the kernel half.
pub mod replay;

// Where the threat set comes from: feeds, files, the last copy on disk.
pub mod threat_source;

// Live tables that attribution reads: the cgroup tree and the process table of this machine.
pub mod machine;

// Names of this node's pods, as the API server tells them.
pub mod pods;

// Command line as typed.
pub mod args;

// Settings as used.
pub mod settings;

// Every counter, one list; /metrics, /healthz, /readyz.
pub mod telemetry;

// One subcommand a file.
pub mod command;
