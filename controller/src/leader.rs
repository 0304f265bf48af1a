//! Who leads: one controller pulls, compiles and writes status; the others serve what it made.
//!
//! In: a Lease of the API server, or nothing (embedded: always the leader). Out: a [`Role`] to watch.
//!
//! A leader that cannot renew stops leading before anybody else may begin. The Lease also says up to which number sets
//! may have been published, and under which key: whoever takes over begins behind it, or a later epoch where its key is
//! another one, so that no number is used twice whatever was lost. A controller whose disk is empty lets others go first:
//! they need not pull anything.

// What a Lease says, and what may be written into it.
mod lease;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::Lease;
use kube::api::PostParams;
use kube::{Api, Client};
use reqwest::Url;
use tokio::sync::watch;

use crate::publish::{PublishError, Publisher};
use lease::{Claim, Observed, Position};
use namewarden_protocol::api_server;

/// Between two renewals, and between two looks of a follower.
const RENEW: Duration = Duration::from_millis(1500);
/// How long a request may take.
const REQUEST: Duration = Duration::from_secs(2);
/// A leader that was not able to renew for so long leads no longer.
const RENEW_DEADLINE: Duration = Duration::from_secs(6);
/// A Lease that nobody renewed for so long, as a follower sees it, is free.
const LEASE: Duration = Duration::from_secs(8);
/// How much longer a controller waits for a Lease that has no set to serve: one that has looks at it twice meanwhile.
const GRACE: Duration = Duration::from_secs(4);

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

impl Role {
    /// Where another one that leads is reached, where it says so.
    pub fn leader(&self) -> Option<&Url> {
        match self {
            Self::Leader => None,
            Self::Follower { leader } => leader.as_ref(),
        }
    }
}

/// The role as it changes. Cheap to share.
#[derive(Clone, Debug)]
pub struct Leadership {
    role: watch::Receiver<Role>,
    since: Arc<Mutex<Instant>>,
}

/// How the controllers of a deployment find their leader.
pub struct Election {
    leases: Api<Lease>,
    claim: Claim,
    has_peers: bool,
    publisher: Publisher,
    role: watch::Sender<Role>,
    /// Since when this controller leads, or last led.
    since: Arc<Mutex<Instant>>,
    observed: Option<Observed>,
    renewed_at: Option<Instant>,
    /// The other leader that was told of.
    told: Option<String>,
}

/// This controller among the others.
pub struct Member {
    /// Its alone.
    pub identity: String,
    /// Where the others reach it.
    pub url: Option<Url>,
    /// Whether it can reach the others.
    pub has_peers: bool,
}

impl Leadership {
    /// Always the leader: there is nobody else.
    pub fn alone() -> Self {
        // A watch keeps its last value when its sender is gone.
        Self::of(watch::channel(Role::Leader).1)
    }

    /// A role that others decide on; where it is the leader's now, since now.
    pub fn of(role: watch::Receiver<Role>) -> Self {
        Self { role, since: Arc::new(Mutex::new(Instant::now())) }
    }

    /// Since when this controller leads, where it does.
    pub fn since(&self) -> Instant {
        *self.since.lock().unwrap_or_else(PoisonError::into_inner)
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

impl Election {
    /// An election by the Lease `name` of a namespace.
    pub fn new(
        client: Client,
        (namespace, name): (&str, &str),
        member: Member,
        publisher: Publisher,
    ) -> (Self, Leadership) {
        let (role, watched) = watch::channel(Role::Follower { leader: None });
        let Member { identity, url, has_peers } = member;
        let leadership = Leadership::of(watched);
        let election = Self {
            leases: Api::namespaced(client, namespace),
            claim: Claim { name: name.to_owned(), identity, url, duration: LEASE },
            has_peers,
            publisher,
            role,
            since: Arc::clone(&leadership.since),
            observed: None,
            renewed_at: None,
            told: None,
        };
        (election, leadership)
    }

    /// Takes part, for ever.
    pub async fn run(&mut self) {
        loop {
            let begun = Instant::now();
            // A request that hangs must not outlast the time for which this controller may lead.
            let left = self.renewed_at.map(|at| RENEW_DEADLINE.saturating_sub(at.elapsed()));
            let limit = left.map_or(REQUEST * 2, |left| left.min(REQUEST * 2));
            match tokio::time::timeout(limit, self.step(begun)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!("the Lease {} cannot be had: {error}", self.claim.name),
                Err(_) => {
                    tracing::warn!("the Lease {} cannot be had: the API server is silent", self.claim.name);
                }
            }
            if self.renewed_at.is_some_and(|at| at.elapsed() + RENEW > RENEW_DEADLINE) {
                self.follow(None);
            }
            tokio::time::sleep(RENEW.saturating_sub(begun.elapsed())).await;
        }
    }

    /// Gives the Lease up, so that the next leader need not wait for its end.
    pub async fn resign(&mut self) {
        let Some(observed) = self.observed.take().filter(|_| self.renewed_at.take().is_some()) else {
            return;
        };
        self.role.send_replace(Role::Follower { leader: None });
        let (how, released) = (PostParams::default(), observed.released());
        let replaced = self.leases.replace(&self.claim.name, &how, &released);
        // Best effort: without it the others wait a few seconds longer.
        let _ = tokio::time::timeout(REQUEST, replaced).await;
    }

    /// Looks at the Lease; renews it, takes it, or follows whoever holds it.
    async fn step(&mut self, now: Instant) -> Result<(), ElectionError> {
        let Some(lease) = self.leases.get_opt(&self.claim.name).await? else {
            let lease = self.claim.first(&self.position());
            return self.hold(self.leases.create(&PostParams::default(), &lease).await, now);
        };
        let observed = Observed::again(self.observed.take(), lease, now);
        let is_ours = observed.holder() == Some(&*self.claim.identity);
        let is_empty = self.publisher.current().borrow().is_none();
        let grace = if is_empty { GRACE } else { Duration::ZERO };
        if !is_ours && !observed.is_free(now, LEASE, grace) {
            self.tell_of(&observed);
            self.follow(observed.url());
            self.observed = Some(observed);
            return Ok(());
        }
        let is_new = self.renewed_at.is_none();
        if is_new {
            self.take_over(&observed)?;
        }
        let lease = self.claim.renewed(&observed, !is_ours, is_new, &self.position());
        self.observed = Some(observed);
        self.hold(self.leases.replace(&self.claim.name, &PostParams::default(), &lease).await, now)
    }

    fn position(&self) -> Position {
        Position { last: self.publisher.position(), key_id: self.publisher.key_id() }
    }

    /// Goes behind whatever the last leader may have published.
    fn take_over(&self, observed: &Observed) -> Result<(), PublishError> {
        let (epoch, number) = observed.reserved();
        if self.publisher.lead_after((epoch, number), observed.key_id())? {
            tracing::warn!(
                "the last leader had another hash key, which this controller never copied: a new epoch begins, and every \
                 agent fetches the whole set"
            );
        }
        Ok(())
    }

    /// Says once who else leads, and what keeps this controller from copying it.
    fn tell_of(&mut self, observed: &Observed) {
        let Some(holder) = observed.holder().filter(|_| observed.is_alive()) else { return };
        if self.told.as_deref() == Some(holder) {
            return;
        }
        match observed.url() {
            None => tracing::warn!(
                "{holder} leads and says nowhere where it is reached: nothing is copied from it, and pushes are not \
                 passed on; give every controller --advertise-url"
            ),
            Some(_) if !self.has_peers => tracing::warn!(
                "{holder} leads, and nothing is copied from it or passed on to it: give every controller --peer-ca, the \
                 authority that signed the controllers' certificate"
            ),
            Some(url) => tracing::info!("{holder} leads, at {url}"),
        }
        self.told = Some(holder.to_owned());
    }

    /// The Lease is ours, unless somebody else was quicker.
    fn hold(&mut self, written: Result<Lease, kube::Error>, now: Instant) -> Result<(), ElectionError> {
        match written {
            Ok(lease) => {
                self.observed = Some(Observed::again(self.observed.take(), lease, now));
                // Counted from before the request: nobody else counts from earlier.
                if self.renewed_at.replace(now).is_none() {
                    tracing::info!(identity = self.claim.identity, "this controller leads");
                    self.told = None;
                    *self.since.lock().unwrap_or_else(PoisonError::into_inner) = now;
                }
                self.role.send_if_modified(|role| std::mem::replace(role, Role::Leader) != Role::Leader);
                Ok(())
            }
            Err(kube::Error::Api(status)) if status.code == 409 => {
                self.follow(None);
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    fn follow(&mut self, leader: Option<Url>) {
        if self.renewed_at.take().is_some() {
            tracing::warn!(identity = self.claim.identity, "this controller no longer leads");
        }
        let role = Role::Follower { leader };
        self.role.send_if_modified(|known| {
            let is_other = *known != role;
            *known = role;
            is_other
        });
    }
}

#[derive(Debug, thiserror::Error)]
enum ElectionError {
    #[error("{reason}", reason = api_server::why(.0))]
    Kubernetes(#[from] kube::Error),
    #[error(transparent)]
    Publish(#[from] PublishError),
}
