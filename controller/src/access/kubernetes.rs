//! In a cluster: the API server says who a token is (`TokenReview`) and what they may do (`SubjectAccessReview`).
//!
//! Answers are kept for a short while, also those that say no. When the API server is away, what is not known is answered
//! with 503: nobody is admitted, nobody is called a stranger.

use std::{
    collections::HashSet,
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use k8s_openapi::api::{
    authentication::v1::{TokenReview, TokenReviewSpec, UserInfo},
    authorization::v1::{
        NonResourceAttributes, ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
    },
};
use kube::{Api, Client, api::PostParams};
use tokio::sync::Semaphore;

use super::{
    Caller, Denied, Right, Secret,
    cache::{Cache, Key},
    right::{Demand, EVENTS},
};
use namewarden_protocol::api_server;

/// How long a known token is known: as long as the API server itself keeps what a webhook said of one.
const KNOWN: Duration = Duration::from_mins(2);
/// How long a right that was given stays given.
const ALLOWED: Duration = Duration::from_secs(30);
/// How long a no is a no: a role binding that was just made takes effect soon.
const REFUSED: Duration = Duration::from_secs(10);
/// Rows of each cache: agents of a large cluster, twice.
const ROWS: usize = 20_000;
/// Questions to the API server at once.
const AT_ONCE: usize = 32;
/// How long a question may take, its turn included.
const PATIENCE: Duration = Duration::from_secs(5);

/// What [`super::Access::kubernetes`] needs.
pub struct KubernetesAccess {
    /// Asks the API server.
    pub client: Client,
    /// API group that serves `globalthreatfeeds` here.
    pub group: String,
    /// Audience of agents' and controllers' tokens.
    pub audience: String,
    /// Service accounts that agents run under, each as `(namespace, name)`.
    pub agents: Vec<(String, String)>,
    /// Service accounts that controllers run under, likewise.
    pub controllers: Vec<(String, String)>,
}

/// Decides by the API server's word.
pub struct Kubernetes {
    client: Client,
    group: String,
    audience: String,
    agents: HashSet<String>,
    controllers: HashSet<String>,
    callers: Cache<Option<Arc<Caller>>>,
    decisions: Cache<bool>,
    at_once: Semaphore,
}

impl fmt::Debug for Kubernetes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kubernetes")
            .field("group", &self.group)
            .field("agents", &self.agents)
            .finish_non_exhaustive()
    }
}

impl Kubernetes {
    pub(super) fn new(settings: KubernetesAccess) -> Self {
        let names = |accounts: Vec<(String, String)>| {
            let full = |(namespace, name)| format!("system:serviceaccount:{namespace}:{name}");
            accounts.into_iter().map(full).collect()
        };
        Self {
            client: settings.client,
            group: settings.group,
            audience: settings.audience,
            agents: names(settings.agents),
            controllers: names(settings.controllers),
            callers: Cache::new(ROWS),
            decisions: Cache::new(ROWS),
            at_once: Semaphore::new(AT_ONCE),
        }
    }

    /// Admits a token; `may_cost` is asked before the API server is, and again once it is the question's turn: many may wait.
    pub(super) async fn admit(
        &self,
        token: &Secret,
        right: Right,
        feed: Option<&str>,
        may_cost: impl Fn() -> Result<(), Denied>,
    ) -> Result<Arc<Caller>, Denied> {
        let demand = right.demand();
        let caller = self.caller(token, demand, &may_cost).await?.ok_or(Denied::BadCredentials)?;
        let may = match demand {
            Demand::Known => true,
            Demand::Agent => self.agents.contains(&caller.name),
            Demand::Controller => self.controllers.contains(&caller.name),
            Demand::Feeds { .. } | Demand::Events { .. } | Demand::Path(_) => {
                self.review(&caller, demand, feed).await?
            }
        };
        if may { Ok(caller) } else { Err(right.denied(&caller.name, Some(&self.group))) }
    }

    /// Whose token it is. Agents' and controllers' must be made for us; a person's may be for us or for the API server.
    async fn caller(
        &self,
        token: &Secret,
        demand: Demand,
        may_cost: &impl Fn() -> Result<(), Denied>,
    ) -> Result<Option<Arc<Caller>>, Denied> {
        let ours = matches!(demand, Demand::Agent | Demand::Controller);
        let key = self.callers.key(&[&[u8::from(ours)], token.reveal().as_bytes()]);
        if let Some(known) = self.callers.find(&key, Instant::now()) {
            return Ok(known);
        }
        may_cost()?;
        let mut found = None;
        if !ours {
            found = self.whose(token, None, may_cost).await?;
        }
        if found.is_none() {
            found = self.whose(token, Some(&self.audience), may_cost).await?;
        }
        let for_ = if found.is_some() { KNOWN } else { REFUSED };
        self.callers.keep(key, found.clone(), Instant::now(), for_);
        Ok(found)
    }

    async fn whose(
        &self,
        token: &Secret,
        audience: Option<&str>,
        may_cost: &impl Fn() -> Result<(), Denied>,
    ) -> Result<Option<Arc<Caller>>, Denied> {
        let review = TokenReview {
            spec: TokenReviewSpec {
                audiences: audience.map(|audience| vec![audience.to_owned()]),
                token: Some(token.reveal().to_owned()),
            },
            ..TokenReview::default()
        };
        let status = self.ask(review, may_cost).await?.status.unwrap_or_default();
        // An authenticator that knows nothing of audiences names none: it has not checked for ours.
        let for_us =
            audience.is_none_or(|ours| status.audiences.unwrap_or_default().iter().any(|one| one == ours));
        let user = status.user.filter(|_| for_us && status.authenticated == Some(true));
        Ok(user.map(|user| Arc::new(caller(user))).filter(|caller| !caller.name.is_empty()))
    }

    async fn review(&self, caller: &Caller, demand: Demand, feed: Option<&str>) -> Result<bool, Denied> {
        let key = self.decision_key(caller, demand, feed);
        if let Some(known) = self.decisions.find(&key, Instant::now()) {
            return Ok(known);
        }
        let review = SubjectAccessReview {
            spec: SubjectAccessReviewSpec {
                user: Some(caller.name.clone()),
                groups: Some(caller.groups.clone()),
                uid: Some(caller.uid.clone()).filter(|uid| !uid.is_empty()),
                extra: Some(caller.extra.clone()).filter(|extra| !extra.is_empty()),
                resource_attributes: self.resource(demand, feed),
                non_resource_attributes: path(demand),
            },
            ..SubjectAccessReview::default()
        };
        let status = self.ask(review, || Ok(())).await?.status.unwrap_or_default();
        let allowed = status.allowed && status.denied != Some(true);
        self.decisions.keep(key, allowed, Instant::now(), if allowed { ALLOWED } else { REFUSED });
        Ok(allowed)
    }

    fn resource(&self, demand: Demand, feed: Option<&str>) -> Option<ResourceAttributes> {
        let (group, resource, subresource, verb) = match demand {
            Demand::Feeds { verb, subresource } => {
                (self.group.as_str(), "globalthreatfeeds", subresource, verb)
            }
            Demand::Events { verb } => (EVENTS.0, EVENTS.1, "", verb),
            Demand::Agent | Demand::Controller | Demand::Known | Demand::Path(_) => return None,
        };
        Some(ResourceAttributes {
            group: Some(group.to_owned()),
            version: Some("v3".to_owned()),
            resource: Some(resource.to_owned()),
            subresource: Some(subresource.to_owned()).filter(|sub| !sub.is_empty()),
            verb: Some(verb.to_owned()),
            name: feed.map(str::to_owned),
            ..ResourceAttributes::default()
        })
    }

    fn decision_key(&self, caller: &Caller, demand: Demand, feed: Option<&str>) -> Key {
        let who = format!("{caller:?}");
        self.decisions.key(&[
            who.as_bytes(),
            format!("{demand:?}").as_bytes(),
            feed.unwrap_or_default().as_bytes(),
        ])
    }

    async fn ask<K>(&self, review: K, may_cost: impl Fn() -> Result<(), Denied>) -> Result<K, Denied>
    where
        K: kube::Resource<DynamicType = ()>
            + Clone
            + fmt::Debug
            + serde::Serialize
            + serde::de::DeserializeOwned,
    {
        let answer = tokio::time::timeout(PATIENCE, async {
            let _turn = self.at_once.acquire().await;
            may_cost()?;
            let answer = Api::all(self.client.clone()).create(&PostParams::default(), &review).await;
            answer.map_err(|error| unchecked::<K>(&error))
        });
        let silent =
            || Denied::Unavailable { reason: "the Kubernetes API server does not answer".to_owned() };
        answer.await.unwrap_or_else(|_| Err(silent()))
    }
}

/// Why the API server did not review it.
fn unchecked<K: kube::Resource<DynamicType = ()>>(error: &kube::Error) -> Denied {
    let reason = match error {
        kube::Error::Api(status) if status.code == 403 => {
            format!("the controller's own role may not create {}", K::plural(&()))
        }
        error => {
            tracing::warn!("the API server does not check credentials: {}", api_server::why(error));
            "the Kubernetes API server does not answer as it should".to_owned()
        }
    };
    Denied::Unavailable { reason }
}

fn path(demand: Demand) -> Option<NonResourceAttributes> {
    let Demand::Path(path) = demand else { return None };
    Some(NonResourceAttributes { path: Some(path.to_owned()), verb: Some("get".to_owned()) })
}

fn caller(user: UserInfo) -> Caller {
    let extra = user.extra.unwrap_or_default();
    let node = extra.get("authentication.kubernetes.io/node-name").and_then(|names| names.first()).cloned();
    Caller {
        name: user.username.unwrap_or_default(),
        groups: user.groups.unwrap_or_default(),
        uid: user.uid.unwrap_or_default(),
        extra,
        node,
    }
}
