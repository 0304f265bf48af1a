//! What the parts of a running controller share: made once from the settings, handed to whoever serves.

use namewarden_protocol::endpoint::ports::ResolverPorts;
use tokio::sync::watch;

use crate::feed::{Feeds, Pushes, Source};
use crate::leader::Leadership;
use crate::publish::Publisher;
use crate::settings::RunSettings;

/// The parts of a running controller. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Context {
    /// As the operator set it.
    pub settings: RunSettings,
    /// Where resources come from; its API server also says who asks.
    pub source: Source,
    /// The task that owns the feeds.
    pub feeds: Feeds,
    /// Pushed documents.
    pub pushes: Pushes,
    /// The sets.
    pub publisher: Publisher,
    /// Who leads.
    pub leadership: Leadership,
    /// Ports that the cluster's resolvers listen on, once they are known.
    pub resolver_ports: watch::Receiver<Option<ResolverPorts>>,
}
