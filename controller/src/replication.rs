//! More than one controller: followers copy sets, pushed documents and feeds' last good copies from the leader, so that any
//! of them can serve, and any of them can lead next.
//!
//! A follower asks the leader for its state and waits until it differs from its own; in asking it says what it has on disk.
//! The leader acknowledges a push when a follower has it too, if one is there.

// The leader's side: which followers there are, and how far they are.
mod followers;

// What a leader says of its state.
mod state;

// How another controller is reached.
mod peer;

// The follower's side.
mod follow;

// Requests that only the leader can answer.
mod forward;

#[cfg(test)]
mod tests;

pub use follow::{Follower, Settings};
pub use followers::{Followers, Standing};
pub use forward::Forward;
pub use peer::{Peer, PeerError, Peers};
pub use state::{DOCUMENT_HEAD, State, UNREADABLE, is_digest, state};
