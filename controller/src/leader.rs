//! Who leads: one controller pulls, compiles and writes status; the others serve what it made.
//!
//! In: a Lease of the API server, or nothing (embedded: always the leader). Out: a [`Role`] to watch.

use reqwest::Url;
use tokio::sync::watch;

/// What this controller is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// Pull, compile, publish, write status.
    Leader,
    /// Serve what the leader made.
    Follower {
        /// Where the leader is reached, where it says so.
        leader: Option<Url>,
    },
}

/// The role as it changes.
#[derive(Clone, Debug)]
pub struct Leadership {
    role: watch::Receiver<Role>,
}

impl Leadership {
    /// Always the leader: there is nobody else.
    pub fn alone() -> Self {
        // A watch keeps its last value when its sender is gone.
        Self { role: watch::channel(Role::Leader).1 }
    }

    /// The role as it changes.
    pub fn watch(&self) -> watch::Receiver<Role> {
        self.role.clone()
    }

    /// Whether this controller leads right now.
    pub fn is_leader(&self) -> bool {
        *self.role.borrow() == Role::Leader
    }
}
