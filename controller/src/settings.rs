//! Settings as used: every option validated, every default filled in. The rest of the controller sees only these.

// The search engine.
pub mod search;

// Who is served, and how.
mod serve;

// Documents that are kept.
mod store;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use namewarden_protocol::obtain::address::Reach;
use namewarden_protocol::obtain::client::{self, Proxy};
use namewarden_protocol::pod_rule::{self, Rule};

pub use serve::{Account, Certificate, ServeSettings};
pub use store::StoreSettings;

use crate::args::{FeedArgs, RunArgs, SourceArgs};
use crate::feed::Group;
use crate::feed::judge::Limits;
use crate::feed::reconcile::FeedSettings;

/// What `run` uses.
#[derive(Clone, Debug)]
pub struct RunSettings {
    /// Where resources come from.
    pub source: SourceSettings,
    /// What holds for all feeds.
    pub feeds: FeedSettings,
    /// How feeds are fetched.
    pub fetching: client::Settings,
    /// Who is served, and how.
    pub serve: ServeSettings,
    /// Documents that are kept, where they are.
    pub store: Option<StoreSettings>,
    /// How far back stored DNS logs are searched for names that were not listed before; zero: not at all.
    pub look_back: Duration,
    /// The search engine, where there is one.
    pub search: Option<search::SearchSettings>,
    /// What outlives the process.
    pub state_dir: PathBuf,
    /// Name of the cluster.
    pub cluster_name: String,
}

/// Where resources come from.
#[derive(Clone, Debug)]
pub enum SourceSettings {
    /// A folder.
    Manifests(PathBuf),
    /// An API server.
    Kubernetes {
        /// How it is reached; `None`: as a pod, else as kubectl does.
        kubeconfig: Option<PathBuf>,
        /// The controller's namespace; `None`: the pod's.
        namespace: Option<String>,
        /// The group; `None`: the one that is served.
        group: Option<Group>,
        /// By which controllers agree who leads.
        lease: String,
        /// The Secret with the hash key.
        key_secret: Option<String>,
        /// Which pods are resolvers.
        resolver_pods: Vec<Rule>,
    },
}

impl RunSettings {
    /// Validates the options of `run`.
    pub fn new(arguments: &RunArgs) -> anyhow::Result<Self> {
        // Taken apart whole: an option that nothing uses does not compile.
        let RunArgs { source, feeds, serve, store, search, state_dir, cluster_name } = arguments;
        check_cluster_name(cluster_name)?;
        let FeedArgs {
            allow,
            feed_ca,
            feed_proxy,
            feed_reach,
            feed_mib_max,
            feed_entries_max,
            feeds_max,
            pulls_max,
        } = feeds;
        let allow: Vec<_> = allow.iter().filter(|path| !path.as_os_str().is_empty()).cloned().collect();
        for path in &allow {
            std::fs::File::open(path).with_context(|| {
                format!("cannot read the allow list {}; correct its path", path.display())
            })?;
        }
        let used = source_settings(source)?;
        Ok(Self {
            store: StoreSettings::new(store, &used, serve, !search.elasticsearch.is_empty(), state_dir)?,
            source: used,
            look_back: Duration::from_hours(store.look_back_hours.into()),
            feeds: FeedSettings {
                limits: Limits { bytes_max: feed_mib_max << 20, entries_max: *feed_entries_max },
                feeds_max: (*feeds_max).into(),
                pulls_max: (*pulls_max).into(),
                allow,
            },
            fetching: client::Settings {
                authorities: feed_ca.clone(),
                proxy: proxy(feed_proxy.as_deref())?,
                reach: feed_reach.unwrap_or(if source.manifests.is_some() {
                    Reach::Loopback
                } else {
                    Reach::Network
                }),
                ..client::Settings::default()
            },
            serve: ServeSettings::new(serve)?,
            search: search::settings(search, cluster_name)?,
            state_dir: state_dir.clone(),
            cluster_name: cluster_name.clone(),
        })
    }
}

/// A cluster's name is part of the names of indices.
///
/// # Errors
///
/// A name that cannot be.
pub fn check_cluster_name(name: &str) -> anyhow::Result<()> {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
    if name.is_empty() || name.len() > 100 || !name.bytes().all(fits) {
        bail!(
            "--cluster-name {name:?}: it is part of an index name, use lower-case letters, digits, `-`, `_` and `.`, 100 at \
             most"
        );
    }
    Ok(())
}

fn source_settings(arguments: &SourceArgs) -> anyhow::Result<SourceSettings> {
    let SourceArgs { manifests, kubeconfig, namespace, group, lease, key_secret, resolver_pods } = arguments;
    let resolver_pods = pod_rule::resolvers(resolver_pods.iter().map(String::as_str))
        .map_err(|reason| anyhow::anyhow!("--resolver-pods {reason}"))?;
    if let Some(folder) = manifests {
        return Ok(SourceSettings::Manifests(folder.clone()));
    }
    let group = match group.as_str() {
        "auto" => None,
        name => Some(name.parse().map_err(|reason: String| anyhow::anyhow!("--group: {reason}, or auto"))?),
    };
    Ok(SourceSettings::Kubernetes {
        kubeconfig: kubeconfig.clone(),
        namespace: namespace.clone(),
        group,
        lease: lease.clone(),
        key_secret: key_secret.clone(),
        resolver_pods,
    })
}

/// A URL that cannot be read is not shown: it may hold a password.
fn proxy(text: Option<&str>) -> anyhow::Result<Proxy> {
    match text.map(str::trim) {
        None | Some("") => Ok(Proxy::Environment),
        Some("none") => Ok(Proxy::Direct),
        Some(url) => url.parse().map(Proxy::Url).map_err(|_| client::ClientError::Proxy.into()),
    }
}
