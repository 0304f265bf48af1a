//! Who leads: one controller pulls, compiles and writes status; the others serve what it made.
//!
//! In: a Lease of the API server, or nothing (embedded: always the leader). Out: a [`Role`] to watch.
//!
//! A leader that cannot renew stops leading before anybody else may begin. The Lease also says up to which number sets
//! may have been published: whoever takes over begins behind it, so that no number is used twice whatever was lost.

// What a Lease says, and what may be written into it.
mod lease;

use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::Lease;
use kube::api::PostParams;
use kube::{Api, Client};
use reqwest::Url;
use tokio::sync::watch;

use crate::publish::{PublishError, Publisher};
use lease::{Claim, Observed};

/// Between two renewals, and between two looks of a follower.
const RENEW: Duration = Duration::from_millis(1500);
/// How long a request may take.
const REQUEST: Duration = Duration::from_secs(2);
/// A leader that was not able to renew for so long leads no longer.
const RENEW_DEADLINE: Duration = Duration::from_secs(6);
/// A Lease that nobody renewed for so long, as a follower sees it, is free.
const LEASE: Duration = Duration::from_secs(8);

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

/// The role as it changes. Cheap to share.
#[derive(Clone, Debug)]
pub struct Leadership {
    role: watch::Receiver<Role>,
}

/// How the controllers of a deployment find their leader.
pub struct Election {
    leases: Api<Lease>,
    claim: Claim,
    publisher: Publisher,
    role: watch::Sender<Role>,
    observed: Option<Observed>,
    renewed_at: Option<Instant>,
    /// The leader that was said to be out of reach.
    unreachable: Option<String>,
}

impl Leadership {
    /// Always the leader: there is nobody else.
    pub fn alone() -> Self {
        // A watch keeps its last value when its sender is gone.
        Self { role: watch::channel(Role::Leader).1 }
    }

    /// As a test says.
    #[cfg(test)]
    pub fn of(role: watch::Receiver<Role>) -> Self {
        Self { role }
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
    /// An election by the Lease `name`; `identity` is this controller's alone, `url` is where it is reached.
    pub fn new(
        client: Client,
        (namespace, name): (&str, &str),
        identity: String,
        url: Option<Url>,
        publisher: Publisher,
    ) -> (Self, Leadership) {
        let (role, watched) = watch::channel(Role::Follower { leader: None });
        let election = Self {
            leases: Api::namespaced(client, namespace),
            claim: Claim { name: name.to_owned(), identity, url, duration: LEASE },
            publisher,
            role,
            observed: None,
            renewed_at: None,
            unreachable: None,
        };
        (election, Leadership { role: watched })
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
            let lease = self.claim.first(self.publisher.position());
            return self.hold(self.leases.create(&PostParams::default(), &lease).await, now);
        };
        let observed = Observed::again(self.observed.take(), lease, now);
        let is_ours = observed.holder() == Some(&*self.claim.identity);
        if !is_ours && !observed.is_free(now, LEASE) {
            self.tell_of_missing_url(&observed);
            self.follow(observed.url());
            self.observed = Some(observed);
            return Ok(());
        }
        let is_new = self.renewed_at.is_none();
        if is_new {
            // Whoever led before may have published up to there.
            let (epoch, number) = observed.reserved();
            self.publisher.skip_to(epoch, number)?;
        }
        let lease = self.claim.renewed(&observed, !is_ours, is_new, self.publisher.position());
        self.observed = Some(observed);
        self.hold(self.leases.replace(&self.claim.name, &PostParams::default(), &lease).await, now)
    }

    /// The Lease is ours, unless somebody else was quicker.
    fn hold(&mut self, written: Result<Lease, kube::Error>, now: Instant) -> Result<(), ElectionError> {
        match written {
            Ok(lease) => {
                self.observed = Some(Observed::again(self.observed.take(), lease, now));
                // Counted from before the request: nobody else counts from earlier.
                if self.renewed_at.replace(now).is_none() {
                    tracing::info!(identity = self.claim.identity, "this controller leads");
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

    /// A follower that copies nothing would pull everything anew when it leads: that is said, once for each leader.
    fn tell_of_missing_url(&mut self, observed: &Observed) {
        let holder = observed.holder().filter(|_| observed.url().is_none());
        if let Some(holder) = holder.filter(|holder| self.unreachable.as_deref() != Some(holder)) {
            tracing::warn!(
                leader = holder,
                "the leader does not say where it is reached, nothing is copied from it: give each controller --advertise-url"
            );
            self.unreachable = Some(holder.to_owned());
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
    #[error(transparent)]
    Kubernetes(#[from] kube::Error),
    #[error(transparent)]
    Publish(#[from] PublishError),
}
