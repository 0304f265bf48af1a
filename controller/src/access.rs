//! Who asks, and may they: the one place that decides.
//!
//! In: a request's headers, its peer, and the right that its route needs. Out: the caller, or why not. Nothing here logs or
//! keeps a password or token: caches know them by their SHA-256 under a random key.

// What a route may ask for, and what that takes in each mode.
mod right;

// The Authorization header -> credentials.
mod credentials;

// What was found out, for a short while.
mod cache;

// Addresses that showed too many wrong credentials.
mod failures;

// A file's one token.
mod token_file;

// Users with bcrypt hashes.
mod htpasswd;

// TokenReview and SubjectAccessReview.
mod kubernetes;

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Instant,
};

use axum::http::HeaderMap;

pub use credentials::Secret;
pub use htpasswd::Htpasswd;
pub use kubernetes::{Kubernetes, KubernetesAccess};
pub use right::Right;
pub use token_file::TokenFile;

use credentials::Credentials;
use failures::Failures;

/// Why a list of users or a token file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be read.
    #[error("{path} cannot be read: {error}")]
    Unreadable {
        /// The file.
        path: String,
        /// What the system said.
        error: std::io::Error,
    },
    /// It is not what it should be.
    #[error("{path}: {reason}")]
    Wrong {
        /// The file.
        path: String,
        /// What is wrong, and what to do.
        reason: String,
    },
}

/// Who asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    /// User name, as logs and audits show it.
    pub name: String,
    /// Groups that Kubernetes knows the user to be in.
    pub groups: Vec<String>,
    /// Unique id of the user; may be empty.
    pub uid: String,
    /// Whatever else the authenticator said of the user.
    pub extra: BTreeMap<String, Vec<String>>,
    /// Node that the token is bound to, where it is bound to one.
    pub node: Option<String>,
}

/// Why a request is refused. The texts go to the client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// 401.
    #[error("credentials are needed: a bearer token, or basic authentication with a token as the password")]
    NoCredentials,
    /// 401.
    #[error("these credentials are not accepted; they may be wrong, expired, or for another audience")]
    BadCredentials,
    /// 403.
    #[error("{name} may not {what}")]
    NotAllowed {
        /// Who asked.
        name: String,
        /// What was asked for, and the right that it takes.
        what: String,
    },
    /// 429.
    #[error("too many wrong credentials from this address; try again in {seconds} s")]
    TooManyFailures {
        /// Until the address is heard again.
        seconds: u64,
    },
    /// 503.
    #[error("credentials cannot be checked now: {reason}; try again")]
    Unavailable {
        /// What is out of reach.
        reason: String,
    },
}

/// Decides on every request.
#[derive(Debug)]
pub struct Access {
    mode: Mode,
    users: Option<Htpasswd>,
    failures: Failures,
}

#[derive(Debug)]
enum Mode {
    /// Whoever is on this machine may do everything.
    Loopback,
    TokenFile(TokenFile),
    Kubernetes(Box<Kubernetes>),
}

impl Access {
    /// Embedded mode without a token: peers on this machine may do everything, others nothing.
    pub fn loopback() -> Self {
        Self::new(Mode::Loopback)
    }

    /// Embedded mode with a token: whoever shows it may do everything.
    pub fn token_file(file: TokenFile) -> Self {
        Self::new(Mode::TokenFile(file))
    }

    /// In a cluster: its API server says who asks and what they may do.
    pub fn kubernetes(settings: KubernetesAccess) -> Self {
        Self::new(Mode::Kubernetes(Box::new(Kubernetes::new(settings))))
    }

    fn new(mode: Mode) -> Self {
        Self { mode, users: None, failures: Failures::default() }
    }

    /// Also knows these users, for pushes only.
    #[must_use]
    pub fn with_users(mut self, users: Htpasswd) -> Self {
        self.users = Some(users);
        self
    }

    /// Whether a caller's name is that of a person or service account; else it stands for everybody who may.
    pub const fn names_callers(&self) -> bool {
        matches!(self.mode, Mode::Kubernetes(_))
    }

    /// Whether an address may be listened on. Without any credentials only this machine's own may.
    ///
    /// # Errors
    /// One sentence for the operator.
    pub fn check_listen(&self, address: SocketAddr) -> Result<(), String> {
        match self.mode {
            Mode::Loopback if !is_loopback(address.ip()) => Err(format!(
                "--listen {address} is open to other machines, and nothing says who may ask: give --token-file FILE, \
                 or listen on 127.0.0.1"
            )),
            _ => Ok(()),
        }
    }

    /// Admits a request, or says why not. `feed` is the feed that it is about, where it is about one.
    pub async fn admit(
        &self,
        headers: &HeaderMap,
        peer: SocketAddr,
        right: Right,
        feed: Option<&str>,
    ) -> Result<Arc<Caller>, Denied> {
        let credentials = Credentials::read(headers)?;
        if let (Some(users), Credentials::Basic { user, password }) = (&self.users, &credentials)
            && users.knows(user)
        {
            return self.user(users, user, password, peer.ip(), right).await;
        }
        match &self.mode {
            Mode::Loopback => loopback(headers, peer.ip()),
            Mode::TokenFile(file) => file.check(credentials.token().ok_or(Denied::NoCredentials)?),
            Mode::Kubernetes(kubernetes) => {
                let token = credentials.token().ok_or(Denied::NoCredentials)?;
                let caller =
                    kubernetes.admit(token, right, feed, || self.failures.check(peer.ip(), Instant::now()));
                caller.await.inspect_err(|denied| self.note(denied, peer.ip()))
            }
        }
    }

    async fn user(
        &self,
        users: &Htpasswd,
        user: &str,
        password: &Secret,
        peer: IpAddr,
        right: Right,
    ) -> Result<Arc<Caller>, Denied> {
        let caller = users.check(user, password, || self.failures.check(peer, Instant::now())).await;
        let caller = caller.inspect_err(|denied| self.note(denied, peer))?;
        if right.is_a_users() { Ok(caller) } else { Err(right.denied(&caller.name, None)) }
    }

    fn note(&self, denied: &Denied, peer: IpAddr) {
        if *denied == Denied::BadCredentials {
            self.failures.note(peer, Instant::now());
        }
    }
}

/// Admits this machine's own programs. What a browser sends on another site's behalf is refused: without credentials,
/// being on this machine is all that the site would need.
fn loopback(headers: &HeaderMap, peer: IpAddr) -> Result<Arc<Caller>, Denied> {
    if !is_loopback(peer) {
        return Err(Denied::NoCredentials);
    }
    match headers.get("sec-fetch-site").map(axum::http::HeaderValue::as_bytes) {
        None | Some(b"same-origin" | b"none") => {
            Ok(Arc::new(Caller { name: "local".to_owned(), ..Caller::default() }))
        }
        Some(_) => Err(Denied::NotAllowed {
            name: "another site's page".to_owned(),
            what: "use this controller without credentials".to_owned(),
        }),
    }
}

fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

#[cfg(test)]
mod tests;
