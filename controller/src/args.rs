//! The command line as typed: clap derives, nothing validated beyond syntax. `settings` turns it into what is used.
//!
//! Each doc comment is the help text; each option is an environment variable too.

// Search engines.
mod search;

// Who is served, and how.
mod serve;

// Documents that are kept.
mod store;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use namewarden_protocol::obtain::address::Reach;
use namewarden_protocol::pod_rule::DEFAULT_RESOLVER_PODS;

pub use search::{SearchArgs, SetupSearchArgs};
pub use serve::ServeArgs;
pub use store::StoreArgs;

use crate::command::annotate::AnnotateArgs;
use crate::command::check::CheckArgs;
use crate::command::events::EventsArgs;

/// Makes one threat set of all threat feeds and serves it to the agent of every node.
#[derive(Debug, Parser)]
#[command(name = "namewarden-controller", version, about, max_term_width = 110)]
pub struct ControllerArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: CommandArgs,

    /// How much the controller says on standard error: error, warn, info, debug, trace, or a filter such as
    /// `info,namewarden_controller::feed=debug`.
    #[arg(long, global = true, env = "NAMEWARDEN_LOG", default_value = "info", value_name = "LEVEL")]
    pub log: String,

    /// How log lines on standard error look.
    #[arg(long, global = true, env = "NAMEWARDEN_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
}

/// One subcommand a file in `command/`.
#[derive(Debug, Subcommand)]
pub enum CommandArgs {
    /// Pull feeds, take pushed ones, serve the threat set.
    Run(Box<RunArgs>),

    /// Print security events that a controller keeps, the oldest first, and follow what comes in.
    Events(Box<EventsArgs>),

    /// Say of alert groups what is to be thought of them: who, when and why stand with their events from then on.
    Annotate(AnnotateArgs),

    /// Say what would be made of manifests or lists: entries, scopes, guards, rejected lines. Nothing is kept. Exit
    /// status: 0 good, 1 something is refused or rejected whole, 2 error.
    Check(CheckArgs),

    /// Install in Elasticsearch or OpenSearch what alerts, DNS logs and pushed feeds need there: index templates, how long
    /// documents are kept, the alias that feeds are pushed to. Done again it changes nothing, after an upgrade what is older;
    /// components named @custom are yours. Exit status: 0 done, 1 done and something is short, 2 error.
    SetupSearch(Box<SetupSearchArgs>),

    /// Print the CustomResourceDefinition of an API group.
    Crd(CrdArgs),
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One readable line an event.
    Text,
    /// One JSON object an event.
    Json,
}

/// Options of `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Where GlobalThreatFeed resources come from.
    #[command(flatten, next_help_heading = "Resources")]
    pub source: SourceArgs,

    /// How feeds are pulled.
    #[command(flatten, next_help_heading = "Feeds")]
    pub feeds: FeedArgs,

    /// Who is served, and how.
    #[command(flatten, next_help_heading = "Serving")]
    pub serve: ServeArgs,

    /// Documents that are kept.
    #[command(flatten, next_help_heading = "Documents")]
    pub store: StoreArgs,

    /// Where alerts and DNS logs are, if not only with the agents: what `setup-search` installs is installed at the start.
    #[command(flatten, next_help_heading = "Search engine")]
    pub search: SearchArgs,

    /// Folder that keeps the hash key, the threat sets, and the last good copy of every feed over a restart.
    #[arg(long, env = "NAMEWARDEN_STATE_DIR", value_name = "DIR", help_heading = "Controller")]
    pub state_dir: PathBuf,

    /// Name of the cluster: part of the index that feeds are pushed to.
    #[arg(
        long,
        env = "NAMEWARDEN_CLUSTER_NAME",
        default_value = "cluster",
        value_name = "NAME",
        help_heading = "Controller"
    )]
    pub cluster_name: String,
}

/// Where resources come from.
#[derive(Clone, Debug, Args)]
pub struct SourceArgs {
    /// Folder of manifests to use instead of a Kubernetes API server: GlobalThreatFeeds, Secrets and ConfigMaps in
    /// *.yaml, *.yml and *.json, watched. What became of a feed is written beside them as NAME.status.yaml.
    #[arg(long, env = "NAMEWARDEN_MANIFESTS", value_name = "DIR")]
    pub manifests: Option<PathBuf>,

    /// Kubeconfig to reach the API server with (default: the pod's service account, else as kubectl finds it).
    #[arg(long, env = "NAMEWARDEN_KUBECONFIG", value_name = "PATH", conflicts_with = "manifests")]
    pub kubeconfig: Option<PathBuf>,

    /// Namespace of the controller: its Secrets, ConfigMaps and Lease (default: the pod's, else the kubeconfig's).
    #[arg(long, env = "NAMEWARDEN_NAMESPACE", value_name = "NAME")]
    pub namespace: Option<String>,

    /// API group of GlobalThreatFeed: projectcalico.org, namewarden.dev, or auto: the one that is served here.
    #[arg(long, env = "NAMEWARDEN_GROUP", default_value = "auto", value_name = "GROUP")]
    pub group: String,

    /// Name of the Lease by which controllers agree who leads.
    #[arg(long, env = "NAMEWARDEN_LEASE", default_value = "namewarden-controller", value_name = "NAME")]
    pub lease: String,

    /// Secret of the controller's namespace with the hash key: key `key`, 32 hexadecimal digits (default: a key made
    /// at the first start and kept in the state folder; a controller that follows takes the leader's).
    #[arg(long, env = "NAMEWARDEN_KEY_SECRET", value_name = "NAME")]
    pub key_secret: Option<String>,

    /// Pods that are the cluster's resolvers, as the agents' option of this name has them; or `none`. Agents are told the ports
    /// besides 53 that their containers name, and see what is asked there. Repeatable; separated by commas in the
    /// environment.
    #[arg(
        long = "resolver-pods",
        env = "NAMEWARDEN_RESOLVER_PODS",
        value_delimiter = ',',
        default_values_t = DEFAULT_RESOLVER_PODS.map(str::to_owned),
        value_name = "NAMESPACE/KEY=VALUE[@ACCOUNT]|none"
    )]
    pub resolver_pods: Vec<String>,
}

/// How feeds are pulled.
#[derive(Clone, Debug, Args)]
pub struct FeedArgs {
    /// Names that never alert, whatever the feeds say: a list in any format. Repeatable; one a line in the environment.
    #[arg(long, env = "NAMEWARDEN_ALLOW", value_delimiter = '\n', value_name = "PATH")]
    pub allow: Vec<PathBuf>,

    /// More certificate authorities (PEM) for feeds fetched by https.
    #[arg(long, env = "NAMEWARDEN_FEED_CA", value_name = "PATH")]
    pub feed_ca: Option<PathBuf>,

    /// Proxy for every feed that is pulled, `http://[USER:PASSWORD@]HOST:PORT`, or `none` (default: what `HTTP_PROXY`,
    /// `HTTPS_PROXY` and `ALL_PROXY` say). Hosts in `NO_PROXY` are asked directly.
    #[arg(long, env = "NAMEWARDEN_FEED_PROXY", hide_env_values = true, value_name = "URL|none")]
    pub feed_proxy: Option<String>,

    /// Which addresses a feed's URL may lead to: `network` leaves out this machine, link-local addresses and metadata
    /// services, `loopback` allows this machine, `any` everything (default: loopback with --manifests, else network,
    /// for who names feeds in a cluster is not who runs the controller). A proxy decides for itself.
    #[arg(long, env = "NAMEWARDEN_FEED_REACH", value_name = "network|loopback|any")]
    pub feed_reach: Option<Reach>,

    /// Largest feed, in MiB after decompression.
    #[arg(
        long,
        env = "NAMEWARDEN_FEED_MIB_MAX",
        default_value_t = 1024,
        value_parser = clap::value_parser!(u64).range(1..=65_536),
        value_name = "MIB"
    )]
    pub feed_mib_max: u64,

    /// Most entries of a feed.
    #[arg(long, env = "NAMEWARDEN_FEED_ENTRIES_MAX", default_value_t = 20_000_000, value_name = "ENTRIES")]
    pub feed_entries_max: u64,

    /// Most feeds; those beyond contribute nothing and say so.
    #[arg(
        long,
        env = "NAMEWARDEN_FEEDS_MAX",
        default_value_t = 1000,
        value_parser = clap::value_parser!(u16).range(1..=30_000),
        value_name = "FEEDS"
    )]
    pub feeds_max: u16,

    /// Pulls at the same time.
    #[arg(
        long,
        env = "NAMEWARDEN_PULLS_MAX",
        default_value_t = 4,
        value_parser = clap::value_parser!(u8).range(1..=64),
        value_name = "PULLS"
    )]
    pub pulls_max: u8,
}

/// Options of `crd`.
#[derive(Debug, Args)]
pub struct CrdArgs {
    /// projectcalico.org or namewarden.dev.
    pub group: crate::feed::Group,
}
