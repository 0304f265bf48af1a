//! Where resources come from: an API server, or a folder of the same manifests; what goes back to them.
//!
//! One code path after this: [`Change`] in, status, values of headers and events out.

// An API server's resources, Secrets, ConfigMaps and events.
pub mod kubernetes;

// A folder of manifests.
pub mod manifests;

use futures::stream::BoxStream;

use super::resource::{GlobalThreatFeedStatus, Resource};
use super::values::{SecretText, ValueReference};

/// What a source says of a resource: as applied, or why it cannot be used.
pub type Observed = Result<Box<Resource>, Unusable>;

/// A resource that cannot be read at all; what it was before stays in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unusable {
    /// Its name.
    pub name: String,
    /// Why.
    pub reason: String,
}

/// What happened to the resources.
#[derive(Clone, Debug)]
pub enum Change {
    /// One is new or different.
    Applied(Observed),
    /// One is gone.
    Deleted(String),
    /// All of them, after a first or a new list: what is not among them is gone.
    All(Vec<Observed>),
}

/// Something to be told of a feed, as an event of the resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Whether a person should look at it.
    pub is_warning: bool,
    /// One word.
    pub reason: &'static str,
    /// A sentence.
    pub note: String,
}

/// Why a source could not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The API server.
    #[error("the API server did not take it: {reason}", reason = namewarden_protocol::api_server::why(.0))]
    Kubernetes(#[from] Box<kube::Error>),
    /// The folder of manifests.
    #[error("cannot use {path}: {error}", path = path.display())]
    Folder {
        /// The file or folder.
        path: std::path::PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A name that the feed has no right to.
    #[error("{0}")]
    Reference(String),
}

/// Where resources come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// An API server.
    Kubernetes(Box<kubernetes::Kubernetes>),
    /// A folder.
    Manifests(manifests::Manifests),
}

impl Source {
    /// Every change, for ever: it reconnects by itself.
    pub fn changes(&self) -> BoxStream<'static, Change> {
        match self {
            Self::Kubernetes(kubernetes) => kubernetes.changes(),
            Self::Manifests(manifests) => manifests.changes(),
        }
    }

    /// Writes a feed's status; a feed that is gone by now is no error.
    pub async fn write_status(&self, name: &str, status: &GlobalThreatFeedStatus) -> Result<(), SourceError> {
        match self {
            Self::Kubernetes(kubernetes) => kubernetes.write_status(name, status).await,
            Self::Manifests(manifests) => manifests.write_status(name, status),
        }
    }

    /// A key of a Secret or ConfigMap of the controller's own namespace; `None` where it is not there.
    pub async fn value(&self, of: &ValueReference) -> Result<Option<SecretText>, SourceError> {
        of.check()?;
        match self {
            Self::Kubernetes(kubernetes) => kubernetes.value(of).await,
            Self::Manifests(manifests) => Ok(manifests.value(of)),
        }
    }

    /// Tells of a feed: an event, or a log line where there is no API server.
    pub async fn announce(&self, feed: &Resource, notice: Notice) {
        match self {
            Self::Kubernetes(kubernetes) => kubernetes.announce(feed, notice).await,
            Self::Manifests(_) => {
                let name = feed.metadata.name.as_deref().unwrap_or_default();
                if notice.is_warning {
                    tracing::warn!(feed = name, reason = notice.reason, "{}", notice.note);
                } else {
                    tracing::info!(feed = name, reason = notice.reason, "{}", notice.note);
                }
            }
        }
    }
}
