//! The seam between the kernel half and the user half of the agent: the bytes both agree on.
//!
//! Integers, byte arrays and explicit padding only; no pointer-sized field; every size asserted.
#![no_std]

// What the kernel says of a packet: header, then payload bytes.
pub mod record;

// What user space tells the kernel before anything is attached.
pub mod settings;

// The index and the name of every kernel counter.
pub mod counters;

// What each CPU keeps: its pace, and the counters of most packets.
pub mod pace;
