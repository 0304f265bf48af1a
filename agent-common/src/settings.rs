//! What user space tells the kernel half before anything is attached.

/// Ports in the port set at most.
pub const PORTS_MAX: usize = 16;
