//! The index and the name of every kernel counter; each exit of the kernel half has one.
