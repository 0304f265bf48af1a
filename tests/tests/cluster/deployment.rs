//! What the tests of the running controller begin with: an API server, the role that ships, controllers that know each
//! other, a server of lists.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use namewarden_protocol::threat_set::{ThreatSet, wire};
use namewarden_tests::{
    controller::{self, Controller, ControllerBuilder},
    feed_server::{Answer, Authority, FeedServer},
    kube::{Cluster, User, port},
    wait,
};
use serde_json::Value;

/// The namespace of the role that ships.
pub const NAMESPACE: &str = "namewarden";
/// The group of the tests' feeds.
pub const GROUP: &str = "projectcalico.org";
/// What a token is for that is shown to the API server.
const API: &str = "https://kubernetes.default.svc";
/// What a token is for that is shown to a controller.
pub const AUDIENCE: &str = "namewarden";
/// The role that ships.
pub const ROLE: &str = include_str!("../../../deploy/rbac/controller.yaml");

/// A cluster in which controllers can be started.
pub struct Deployment {
    // First: controllers and clients of the API server end before it does.
    folder: tempfile::TempDir,
    pub lists: FeedServer,
    pub cluster: Cluster,
}

impl Deployment {
    /// Definition, namespace, role; no controller yet.
    pub fn start() -> Result<Self> {
        let cluster = Cluster::start()?;
        controller::define(&cluster, GROUP)?;
        cluster.kubectl(&format!("create namespace {NAMESPACE}"))?;
        cluster.apply(ROLE)?;
        let folder = tempfile::tempdir()?;
        Authority::new()?.write_pair(&folder.path().join("tls"), &["127.0.0.1"])?;
        let token = cluster.service_account(NAMESPACE, "namewarden-controller", AUDIENCE)?;
        fs::write(folder.path().join("token"), token.token())?;
        Ok(Self { folder, lists: FeedServer::start()?, cluster })
    }

    /// A controller with the rights of the role that ships; `name` tells several apart.
    pub fn controller(&self, name: &str) -> Result<ControllerBuilder> {
        self.controller_by(name, &self.kubeconfig()?)
    }

    /// By this file a controller reaches the API server.
    pub fn kubeconfig(&self) -> Result<PathBuf> {
        self.cluster.kubeconfig(&self.account()?)
    }

    /// The controllers' service account as the API server knows it.
    pub fn account(&self) -> Result<User> {
        self.cluster.service_account(NAMESPACE, "namewarden-controller", API)
    }

    /// A controller that reaches the API server in this way.
    pub fn controller_by(&self, name: &str, kubeconfig: &Path) -> Result<ControllerBuilder> {
        let [port] = port::free()?;
        let address: SocketAddr = ([127, 0, 0, 1], port).into();
        let folder = self.folder.path();
        let builder = ControllerBuilder::of_cluster(&folder.join(name), kubeconfig)?
            .certificate(&folder.join("tls"))
            .listen(address)
            .arguments(&["--namespace", NAMESPACE, "--feed-proxy", "none", "--feed-reach", "loopback"])
            .arguments(&["--advertise-url", &format!("https://{address}")])
            .arguments(&["--peer-token-file", &folder.join("token").to_string_lossy()]);
        Ok(builder)
    }

    /// Files of a test.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Adds a feed that is pulled from the server of lists, which answers with these lines.
    pub fn add(&self, feed: &str, lines: &str) -> Result<()> {
        let path = format!("/{feed}");
        self.lists.answer(&path, [Answer::text(lines)]);
        self.apply_pulled(feed, &self.lists.url(&path), "")
    }

    /// Applies a feed that is pulled; `more` are further lines of `spec`.
    pub fn apply_pulled(&self, feed: &str, url: &str, more: &str) -> Result<()> {
        self.cluster.apply(&pulled(feed, url, more)).map(drop)
    }

    /// Applies a feed that is pushed.
    pub fn apply_pushed(&self, feed: &str) -> Result<()> {
        self.cluster.apply(&head(feed)).map(drop)
    }

    /// How often a feed was fetched.
    pub fn fetched(&self, feed: &str) -> usize {
        self.lists.seen(&format!("/{feed}")).len()
    }

    /// The feed's resource.
    pub fn feed(&self, feed: &str) -> Result<Value> {
        self.cluster.read(&format!("/apis/{GROUP}/v3/globalthreatfeeds/{feed}"))
    }

    /// Waits until the feed's status is as `condition` says; it.
    pub fn wait_for(&self, feed: &str, what: &str, condition: impl Fn(&Value) -> bool) -> Result<Value> {
        let mut last = Value::Null;
        let found = wait::until(what, || {
            last = self.feed(feed)?;
            Ok(last.get("status").filter(|status| condition(status)).cloned())
        });
        found.with_context(|| format!("{last:#}"))
    }

    /// Waits until the feed's condition `Ready` has this reason; its status.
    pub fn wait_for_reason(&self, feed: &str, reason: &str) -> Result<Value> {
        self.wait_for(feed, reason, |status| self::reason(status, "Ready") == Some(reason))
    }

    /// Waits until entries of the feed are in a set.
    pub fn wait_for_set_with(&self, feed: &str) -> Result<Value> {
        self.wait_for(feed, "a set with the feed", |status| status.get("threatSet").is_some())
    }

    /// A token that an agent shows to a controller.
    pub fn agent(&self) -> Result<User> {
        self.cluster.service_account(NAMESPACE, "namewarden-agent", AUDIENCE)
    }
}

fn head(feed: &str) -> String {
    format!(
        "apiVersion: {GROUP}/v3\nkind: GlobalThreatFeed\nmetadata: {{name: {feed}}}\nspec:\n  content: DomainNameSet\n"
    )
}

/// The manifest of a feed that is pulled.
pub fn pulled(feed: &str, url: &str, more: &str) -> String {
    format!("{}{more}  pull:\n    period: 1h\n    http:\n      url: {url}\n", head(feed))
}

/// Reason of a status's condition.
pub fn reason<'s>(status: &'s Value, kind: &str) -> Option<&'s str> {
    let conditions = status.get("conditions")?.as_array()?;
    let condition =
        conditions.iter().find(|condition| condition.get("type").is_some_and(|name| name == kind))?;
    condition.get("reason")?.as_str()
}

/// The set that a controller serves; none before the first.
pub fn served(controller: &Controller, agent: &User) -> Result<Option<ThreatSet>> {
    let folder = tempfile::tempdir()?;
    let (packed, path) = (folder.path().join("packed"), folder.path().join("set"));
    let options = ["--header", &bearer(agent), "--output", &packed.to_string_lossy()];
    if controller.curl("/v1/threat-set", &options).is_err() {
        return Ok(None);
    }
    wire::apply_full(&fs::read(packed)?, &path)?;
    Ok(Some(ThreatSet::open(&path)?))
}

/// Whether a feed is part of the set that a controller serves.
pub fn lists(controller: &Controller, agent: &User, feed: &str) -> Result<bool> {
    let set = served(controller, agent)?;
    Ok(set.is_some_and(|set| set.feeds().any(|info| &*info.name == feed)))
}

/// The header by which somebody shows a token.
pub fn bearer(user: &User) -> String {
    format!("authorization: Bearer {}", user.token())
}
