//! What a route may ask for, and what that takes in each mode: the one table.

use super::Denied;

/// What a request needs.
///
/// On this machine without a token, and with the token of a token file, every right is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Right {
    /// Fetch the threat set.
    FetchSet,
    /// Report an agent's status.
    ReportStatus,
    /// Read the state of feeds and agents.
    ReadFeeds,
    /// Have a feed pulled now.
    PullNow,
    /// Ask which kind of server this is.
    Identify,
    /// Read what was pushed to a feed.
    ReadPush,
    /// Push to a feed, or take back what was pushed.
    Push,
    /// Copy everything that another controller needs.
    Replicate,
    /// Read the metrics.
    ReadMetrics,
    /// Have documents kept, and ask which are.
    KeepDocuments,
    /// Read security events.
    ReadEvents,
    /// Say what is to be thought of them.
    AnnotateEvents,
}

/// What a right takes in a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Demand {
    /// A service account that agents run under, shown by a token for our audience.
    Agent,
    /// The service account of the controllers themselves, likewise.
    Controller,
    /// Anyone the API server knows.
    Known,
    /// A verb on `globalthreatfeeds` or one of its subresources.
    Feeds { verb: &'static str, subresource: &'static str },
    /// `get` on a path.
    Path(&'static str),
    /// A verb on [`EVENTS`].
    Events { verb: &'static str },
}

/// What people are given rights on to read security events; nothing of that kind is kept by the API server.
pub(super) const EVENTS: (&str, &str) = ("namewarden.dev", "securityevents");

impl Right {
    /// Every right.
    pub const ALL: [Self; 12] = [
        Self::FetchSet,
        Self::ReportStatus,
        Self::ReadFeeds,
        Self::PullNow,
        Self::Identify,
        Self::ReadPush,
        Self::Push,
        Self::Replicate,
        Self::ReadMetrics,
        Self::KeepDocuments,
        Self::ReadEvents,
        Self::AnnotateEvents,
    ];

    /// What it takes in a cluster.
    pub(super) const fn demand(self) -> Demand {
        match self {
            Self::FetchSet | Self::ReportStatus | Self::KeepDocuments => Demand::Agent,
            Self::ReadFeeds => Demand::Feeds { verb: "list", subresource: "" },
            Self::PullNow => Demand::Feeds { verb: "update", subresource: "" },
            Self::Identify => Demand::Known,
            Self::ReadPush => Demand::Feeds { verb: "get", subresource: "domains" },
            Self::Push => Demand::Feeds { verb: "update", subresource: "domains" },
            Self::Replicate => Demand::Controller,
            Self::ReadMetrics => Demand::Path("/metrics"),
            Self::ReadEvents => Demand::Events { verb: "get" },
            Self::AnnotateEvents => Demand::Events { verb: "update" },
        }
    }

    /// Whether a user of the htpasswd file has it, in any mode.
    pub(super) const fn is_a_users(self) -> bool {
        matches!(self, Self::Identify | Self::ReadPush | Self::Push)
    }

    /// The refusal of a caller that lacks it; in a cluster with what would grant it.
    pub(super) fn denied(self, name: &str, group: Option<&str>) -> Denied {
        let words = self.in_words();
        let what = match (group, self.demand()) {
            (Some(group), Demand::Feeds { verb, subresource }) => {
                format!(
                    "{words}: it takes `{verb}` on {}",
                    resource(&format!("globalthreatfeeds.{group}"), subresource)
                )
            }
            (Some(_), Demand::Agent) => format!("{words}: only the agents' service account may"),
            (Some(_), Demand::Controller) => format!("{words}: only the controllers' service account may"),
            (Some(_), Demand::Path(path)) => format!("{words}: it takes `get` on {path}"),
            (Some(_), Demand::Events { verb }) => format!("{words}: it takes `{verb}` on {}", events()),
            (Some(_), Demand::Known) | (None, _) => words.to_owned(),
        };
        Denied::NotAllowed { name: name.to_owned(), what }
    }

    /// What it takes in a cluster, for the reference.
    pub fn in_a_cluster(self) -> String {
        match self.demand() {
            Demand::Agent => {
                "a token of an agent's service account, for the audience `namewarden`".to_owned()
            }
            Demand::Controller => "a token of the controllers' service account, likewise".to_owned(),
            Demand::Known => "any token that the API server knows".to_owned(),
            Demand::Feeds { verb, subresource } => {
                format!("`{verb}` on `{}`", resource("globalthreatfeeds", subresource))
            }
            Demand::Path(path) => format!("`get` on the path `{path}`"),
            Demand::Events { verb } => format!("`{verb}` on `{}`", events()),
        }
    }

    /// What it is for: behind `may`.
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::FetchSet => "fetch the threat set",
            Self::ReportStatus => "report an agent's status",
            Self::ReadFeeds => "read the state of feeds and agents",
            Self::PullNow => "have a feed pulled",
            Self::Identify => "ask what this server is",
            Self::ReadPush => "read what was pushed to this feed",
            Self::Push => "push to this feed",
            Self::Replicate => "copy a controller's state",
            Self::ReadMetrics => "read the metrics",
            Self::KeepDocuments => "have documents kept",
            Self::ReadEvents => "read security events",
            Self::AnnotateEvents => "annotate security events",
        }
    }
}

fn events() -> String {
    let (group, resource) = EVENTS;
    format!("{resource}.{group}")
}

fn resource(resource: &str, subresource: &str) -> String {
    if subresource.is_empty() { resource.to_owned() } else { format!("{resource}/{subresource}") }
}
