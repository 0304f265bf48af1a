//! The controller's threat set: fetched whole or as a change, checked, kept on disk, used from there.
//!
//! In: the controller's URL. Out: a [`ThreatSet`] whenever the controller has another one, and what became of each try
//! ([`Contact`]). A controller that is gone stops updates, never detection: the last set stays on disk and in use.
//! Never does it block the pipeline: all of this runs beside it.

// One question to the controller, and its answer.
mod client;

// Asking again and again, reporting back.
mod follow;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use namewarden_protocol::threat_set::wire::ApplyError;
use namewarden_protocol::threat_set::{OpenError, SetId, ThreatSet};
use reqwest::{StatusCode, Url};

pub use client::Controller;
pub use follow::{Follower, Following};

/// How the controller is reached, and where its set is kept.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where it answers; https.
    pub url: Url,
    /// More certificate authorities (PEM) than the compiled-in ones.
    pub authorities: Option<PathBuf>,
    /// File with the token that is shown; read anew for each request, because it is renewed there.
    pub token_file: Option<PathBuf>,
    /// Folder that keeps the set.
    pub folder: PathBuf,
}

/// Why there is no controller to ask. Each is one whole sentence.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// Certificate authorities, TLS.
    #[error("--ca: {0}")]
    Client(String),
    /// The file with the token.
    #[error("--token-file {path}: {error}; name the file with the agent's service-account token", path = path.display())]
    Token {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// Why a try led to nothing. Each is one sentence with the remedy, without token or credentials.
#[derive(Debug, thiserror::Error)]
pub enum Missed {
    /// No answer, or it broke off.
    #[error("the controller does not answer: {0}")]
    Transport(String),
    /// The file with the token.
    #[error("cannot read the token file {path}: {error}; see to what --token-file names", path = path.display())]
    Token {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// What is in it.
    #[error("what {path} holds is no token: it has characters that no token has", path = path.display())]
    TokenText {
        /// The file.
        path: PathBuf,
    },
    /// Nowhere to write.
    #[error("no room for the controller's set: {0}; make room there")]
    Disk(String),
    /// 401 or 403.
    #[error(
        "the controller refuses this agent ({0}); give the token of an agent's service account with --token-file"
    )]
    Denied(StatusCode),
    /// Any other status.
    #[error("the controller answered {status}{detail}", detail = detail(said))]
    Status {
        /// The status.
        status: StatusCode,
        /// The first words of its body.
        said: String,
        /// How long it wants to be left alone.
        retry_after: Option<Duration>,
    },
    /// More bytes than any set may have.
    #[error("the controller's set is larger than {bytes_max} bytes and was not read")]
    TooLarge {
        /// The limit.
        bytes_max: usize,
    },
    /// The bytes are no set, or not the announced one.
    #[error("what the controller sent is no threat set: {0}")]
    Apply(#[from] ApplyError),
    /// What was just written cannot be read back.
    #[error("the controller's set cannot be read back from disk: {0}")]
    Open(#[from] OpenError),
    /// An older set of the same history than the one in use.
    #[error(
        "the controller serves set {offered}, which is older than set {used} in use; that one stays until there is a later one"
    )]
    Older {
        /// What it serves.
        offered: u64,
        /// What is in use.
        used: u64,
    },
    /// The thread that wrote the set ended early.
    #[error("writing the controller's set ended early")]
    Interrupted,
}

impl Missed {
    /// How long the controller wants to be left alone.
    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

fn detail(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!(": {said}") }
}

/// What became of the controller so far.
#[derive(Clone, Debug, Default)]
pub struct Contact {
    /// When it last answered as it should.
    pub answered: Option<Instant>,
    /// Why the last try led to nothing.
    pub problem: Option<String>,
    /// Whole sets taken.
    pub full: u64,
    /// Changes taken.
    pub deltas: u64,
    /// Tries that led to nothing.
    pub failures: u64,
    /// Reports that the controller took.
    pub reports: u64,
    /// The last set, and when the controller made it.
    pub published: Option<(SetId, SystemTime)>,
}

impl Contact {
    /// Whether the controller was asked and has given no answer.
    pub fn is_silent(&self) -> bool {
        self.answered.is_none() && self.failures > 0
    }

    /// Seconds since the controller made this set, where it is its last one.
    pub fn published_seconds(&self, set: SetId) -> Option<u64> {
        let (_, at) = self.published.filter(|(id, _)| *id == set)?;
        Some(at.elapsed().unwrap_or_default().as_secs())
    }
}

/// What an answer led to.
#[derive(Debug)]
pub enum Answer {
    /// The base is what there is to be.
    Unchanged {
        /// How long the controller wants to be left alone.
        retry_after: Option<Duration>,
    },
    /// Another set.
    Set {
        /// It, from its file.
        set: Arc<ThreatSet>,
        /// It came as a change of the base.
        delta: bool,
        /// When the controller made it.
        published: SystemTime,
    },
}

#[cfg(test)]
mod tests;
