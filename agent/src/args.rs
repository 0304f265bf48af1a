//! The command line as typed: clap derives, nothing validated beyond syntax. `settings` turns it into what is used.
//!
//! Each doc comment is the help text; each option is an environment variable too.

// What the kernel half captures.
mod capture;

// Where documents go, and how they look.
mod output;

// What DNS logs say.
mod dns_log;

// How names of pods are had, and who is not told of.
mod pods;

// How files are kept within a size.
mod rotation;

// How search engines are reached.
mod search;

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};
use namewarden_protocol::obtain::address::Reach;

use crate::command::{lookup::LookupArgs, replay::ReplayArgs};

pub use capture::CaptureArgs;
pub use dns_log::{DnsLogAggregation, DnsLogArgs, Switch};
pub use output::{OutputArgs, OutputFormat};
pub use pods::{PodArgs, PodNames};
pub use rotation::RotationArgs;
pub use search::SearchArgs;

/// Tells within a second that a workload asked for, or was answered with, a domain name that a threat feed lists.
#[derive(Debug, Parser)]
#[command(name = "namewarden-agent", version, max_term_width = 110)]
pub struct AgentArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: CommandArgs,

    /// How much the agent says on standard error: error, warn, info, debug, trace, or a filter such as
    /// `info,namewarden_agent::kernel=debug`.
    #[arg(
        long,
        global = true,
        env = "NAMEWARDEN_LOG",
        default_value = "info",
        value_name = "LEVEL",
        help_heading = "Log"
    )]
    pub log: String,

    /// How log lines on standard error look.
    #[arg(
        long,
        global = true,
        env = "NAMEWARDEN_LOG_FORMAT",
        value_enum,
        default_value_t = LogFormat::Text,
        value_name = "FORMAT",
        help_heading = "Log"
    )]
    pub log_format: LogFormat,
}

/// One subcommand a file in `command/`.
#[derive(Debug, Subcommand)]
pub enum CommandArgs {
    /// Capture the DNS packets of every workload of this node and alert on listed names.
    Run(Box<RunArgs>),

    /// Read capture files (pcap, pcapng) instead of the kernel: same pipeline, same options.
    Replay(Box<ReplayArgs>),

    /// Say whether names are listed, by which feed, entry, line and scope. Exit status: 0 listed, 1 not, 2 error.
    Lookup(LookupArgs),

    /// Ask the running agent what it sees: rates, loss, threat set, workloads.
    Status(StatusArgs),

    /// Print a completion script for a shell; for bash it belongs into `/etc/bash_completion.d`.
    Completion(CompletionArgs),
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
    /// Which feeds make the threat set.
    #[command(flatten, next_help_heading = "Feeds")]
    pub feeds: FeedArgs,

    /// The controller that makes the threat set.
    #[command(flatten, next_help_heading = "Controller")]
    pub controller: ControllerArgs,

    /// Names of pods.
    #[command(flatten, next_help_heading = "Kubernetes")]
    pub pods: PodArgs,

    /// What outlives the process.
    #[command(flatten, next_help_heading = "State")]
    pub state: StateArgs,

    /// Whether agents of this node take turns in folders below the state folder: the next one starts before the one before it
    /// ends, with what that one knows, and sends what it leaves in its spool. One of them logs DNS, each alerts.
    #[arg(
        long,
        env = "NAMEWARDEN_STATE_TURNS",
        value_enum,
        default_value_t = Switch::Off,
        value_name = "SWITCH",
        help_heading = "State"
    )]
    pub state_turns: Switch,

    /// Where documents go.
    #[command(flatten, next_help_heading = "Documents")]
    pub output: OutputArgs,

    /// How search engines are reached.
    #[command(flatten, next_help_heading = "Search engines")]
    pub search: SearchArgs,

    /// What the kernel half captures.
    #[command(flatten, next_help_heading = "Capture")]
    pub capture: CaptureArgs,

    /// Address for /metrics (Prometheus), /healthz and /readyz, for example 127.0.0.1:9091; on an address of this machine alone also for
    /// `status --address`. Port 0 picks one.
    #[arg(long, env = "NAMEWARDEN_LISTEN", value_name = "ADDR", help_heading = "Pages")]
    pub listen: Option<SocketAddr>,

    /// Unix socket on which `status` asks this agent.
    #[arg(
        long,
        env = "NAMEWARDEN_STATUS_SOCKET",
        default_value = DEFAULT_STATUS_SOCKET,
        value_name = "PATH",
        help_heading = "Pages"
    )]
    pub status_socket: PathBuf,

    /// Where the host's process table is mounted, process names are read there; or `off`: threads' names are all that is said
    /// of a process then.
    #[arg(
        long,
        env = "NAMEWARDEN_PROC_ROOT",
        default_value = "/proc",
        value_name = "DIR|off",
        help_heading = "Capture"
    )]
    pub proc_root: PathBuf,
}

/// Where `run` listens for `status` unless told otherwise.
pub const DEFAULT_STATUS_SOCKET: &str = "/run/namewarden/agent.sock";

/// Which feeds make the threat set.
#[derive(Clone, Debug, Args)]
pub struct FeedArgs {
    /// A feed: a file or an http(s) URL, with a name before `=` (default: the file's name). Repeatable; one a line in
    /// the environment.
    #[arg(long = "feed", env = "NAMEWARDEN_FEEDS", value_delimiter = '\n', value_name = "[NAME=]PATH|URL")]
    pub feeds: Vec<String>,

    /// Format of a feed: plain, hosts, adblock, dnsmasq, rpz, csv (its first field), json (a list of strings)
    /// or auto; for one feed with its name before `=`, else for all. Repeatable.
    #[arg(long, env = "NAMEWARDEN_FEED_FORMAT", value_delimiter = ' ', value_name = "[NAME=]FORMAT")]
    pub feed_format: Vec<String>,

    /// Which names a line of a plain list speaks of, where the line does not say: both (the name and all below it),
    /// exact or subdomains; for one feed with its name before `=`, else for all. Repeatable.
    #[arg(long, env = "NAMEWARDEN_FEED_MATCHING", value_delimiter = ' ', value_name = "[NAME=]SCOPE")]
    pub feed_matching: Vec<String>,

    /// Names that never alert, whatever the feeds say: a list in any format. Repeatable; one a line in the environment.
    #[arg(long, env = "NAMEWARDEN_ALLOW", value_delimiter = '\n', value_name = "PATH")]
    pub allow: Vec<PathBuf>,

    /// More certificate authorities (PEM) for feeds fetched by https.
    #[arg(long, env = "NAMEWARDEN_FEED_CA", value_name = "PATH")]
    pub feed_ca: Option<PathBuf>,

    /// Proxy for every feed that is fetched, `http://[USER:PASSWORD@]HOST:PORT`, or `none` (default: what `HTTP_PROXY`,
    /// `HTTPS_PROXY` and `ALL_PROXY` say). Hosts in `NO_PROXY` are asked directly.
    #[arg(long, env = "NAMEWARDEN_FEED_PROXY", hide_env_values = true, value_name = "URL|none")]
    pub feed_proxy: Option<String>,

    /// Which addresses a feed's URL may lead to: `network` leaves out this machine, link-local addresses and metadata
    /// services, `loopback` allows this machine, `any` everything. A proxy decides for itself.
    #[arg(
        long,
        env = "NAMEWARDEN_FEED_REACH",
        default_value = "loopback",
        value_name = "network|loopback|any"
    )]
    pub feed_reach: Reach,
}

/// The controller that makes the threat set.
#[derive(Clone, Debug, Args)]
pub struct ControllerArgs {
    /// Controller whose threat set is used, `https://HOST[:PORT]`. Feeds given by --feed are matched as well.
    #[arg(long, env = "NAMEWARDEN_CONTROLLER", value_name = "URL")]
    pub controller: Option<String>,

    /// Certificate authorities (PEM) that vouch for the controller, beside the compiled-in ones.
    #[arg(long, env = "NAMEWARDEN_CA", value_name = "PATH", requires = "controller")]
    pub ca: Option<PathBuf>,

    /// File with the token that this agent shows to the controller; read anew for each request.
    #[arg(long, env = "NAMEWARDEN_TOKEN_FILE", value_name = "PATH", requires = "controller")]
    pub token_file: Option<PathBuf>,
}

/// The state folder of what must have one, unless the operator names another.
pub const DEFAULT_STATE_DIR: &str = "/var/lib/namewarden";

/// What outlives the process.
#[derive(Clone, Debug, Args)]
pub struct StateArgs {
    /// Folder of this agent alone that keeps the hash key, the last good copy of every feed, and what else outlives a
    /// restart (default: /var/lib/namewarden for `run` with a controller or a search engine, else nothing is kept).
    #[arg(long, env = "NAMEWARDEN_STATE_DIR", value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
}

/// Options of `status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Unix socket of the agent.
    #[arg(long, env = "NAMEWARDEN_STATUS_SOCKET", default_value = DEFAULT_STATUS_SOCKET, value_name = "PATH")]
    pub status_socket: PathBuf,

    /// Ask the agent's `--listen` address instead.
    #[arg(long, visible_alias = "listen", env = "NAMEWARDEN_STATUS_ADDRESS", value_name = "ADDR")]
    pub address: Option<SocketAddr>,

    /// Print the agent's answer as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Options of `completion`.
#[derive(Debug, Args)]
pub struct CompletionArgs {
    /// The shell.
    pub shell: clap_complete::Shell,
}
