//! Settings as used: every option validated, every default filled in. The rest of the agent sees only these.

// How search engines are reached.
mod search;

use std::{
    fs::File,
    io::{self, Read},
    net::SocketAddr,
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context, bail};
use namewarden_protocol::{document::Identity, obtain::client};

use crate::{
    args::{
        CaptureArgs, ControllerArgs, DnsLogDetail, FeedArgs, OutputArgs, OutputFormat, PodArgs, PodNames,
        RunArgs, StateArgs,
    },
    kernel::KernelSettings,
    pipeline::{
        PipelineSettings, dns_log,
        reassemble::Limits,
        roll_up,
        sink::{self, Style, Target},
    },
    pods,
    threat_source::{Options as SourceOptions, controller, spec::FeedSpec},
};

/// Third part of the data streams' names.
const NAMESPACE: &str = "default";

/// What `run` uses.
#[derive(Debug)]
pub struct RunSettings {
    /// What the kernel half captures.
    pub kernel: KernelSettings,
    /// Feeds and allow lists.
    pub source: SourceSettings,
    /// Whose threat set is used.
    pub controller: Option<controller::Settings>,
    /// How names of pods are had; `None` where they are not.
    pub pods: Option<pods::Settings>,
    /// Where documents go.
    pub output: sink::Settings,
    /// How the pipeline works.
    pub pipeline: PipelineSettings,
    /// Where the pages are served over TCP.
    pub listen: Option<SocketAddr>,
    /// Where `status` asks.
    pub status_socket: PathBuf,
    /// The host's process table.
    pub proc_root: PathBuf,
    /// What outlives the process.
    pub state_dir: Option<PathBuf>,
}

/// Feeds, and how they are loaded.
#[derive(Debug)]
pub struct SourceSettings {
    /// The feeds, each with a name of its own.
    pub feeds: Vec<FeedSpec>,
    /// Allow lists, state folder, how URLs are fetched.
    pub options: SourceOptions,
}

impl RunSettings {
    /// Validates the options of `run`.
    ///
    /// # Errors
    /// One sentence for the first option that cannot be used.
    pub fn new(arguments: &RunArgs) -> anyhow::Result<Self> {
        // Taken apart whole: an option that nothing uses does not compile.
        let RunArgs {
            feeds,
            controller,
            pods,
            state,
            output,
            search,
            capture,
            listen,
            status_socket,
            proc_root,
        } = arguments;
        let controller = controller_settings(controller, state)?;
        let has_feed = feeds.feeds.iter().any(|feed| !feed.trim().is_empty());
        if !has_feed && controller.is_none() && output.dns_logs == "off" {
            bail!(
                "nothing to do: give at least one --feed [NAME=]PATH|URL, a --controller URL, or --dns-logs \
                 stdout|file:PATH|URL"
            );
        }
        if !proc_root.join("self").exists() {
            bail!("--proc-root {} is no process table; mount the host's /proc there", proc_root.display());
        }
        let mut settings = sink(output)?;
        settings.search = Some(search::settings(search, state, NAMESPACE)?);
        let pipeline = pipeline(output, Limits::LIVE, &settings)?;
        Ok(Self {
            kernel: kernel(capture),
            source: SourceSettings::new(feeds, Some(state))?,
            controller,
            pods: pod_settings(pods, state, &pipeline.identity.node),
            pipeline,
            output: settings,
            listen: *listen,
            status_socket: status_socket.clone(),
            proc_root: proc_root.clone(),
            state_dir: state.state_dir.clone(),
        })
    }
}

impl SourceSettings {
    /// Validates the options on feeds; without `state` nothing is kept.
    pub fn new(arguments: &FeedArgs, state: Option<&StateArgs>) -> anyhow::Result<Self> {
        let FeedArgs { feeds, feed_format, feed_matching, allow, feed_ca, feed_proxy, feed_reach } =
            arguments;
        let fetching = client::Settings {
            authorities: feed_ca.clone(),
            proxy: proxy(feed_proxy.as_deref())?,
            reach: *feed_reach,
            ..client::Settings::default()
        };
        Ok(Self {
            feeds: FeedSpec::parse_all(feeds, feed_format, feed_matching)?,
            options: SourceOptions {
                allow: allow.clone(),
                state_dir: state.and_then(|state| state.state_dir.clone()),
                fetching,
                ..SourceOptions::default()
            },
        })
    }
}

/// Where the controller's set is kept unless the operator names a folder: a set outlives its controller.
const STATE_DIR: &str = "/var/lib/namewarden";

/// The text may hold a password: it is not shown.
fn controller_settings(
    arguments: &ControllerArgs,
    state: &StateArgs,
) -> anyhow::Result<Option<controller::Settings>> {
    let ControllerArgs { controller, ca, token_file } = arguments;
    let Some(text) = controller else { return Ok(None) };
    let url = text.trim().parse::<reqwest::Url>().ok();
    let Some(url) = url.filter(|url| url.scheme() == "https" && url.has_host() && url.query().is_none())
    else {
        bail!("--controller is no address of a controller; write https://HOST[:PORT]");
    };
    Ok(Some(controller::Settings {
        url,
        authorities: ca.clone(),
        token_file: token_file.clone(),
        folder: state.state_dir.clone().unwrap_or_else(|| PathBuf::from(STATE_DIR)),
    }))
}

fn pod_settings(arguments: &PodArgs, state: &StateArgs, node: &str) -> Option<pods::Settings> {
    let PodArgs { pod_names, kubeconfig, pod_labels } = arguments;
    // The kubelet sets it in every pod.
    let is_in_cluster = || std::env::var_os("KUBERNETES_SERVICE_HOST").is_some();
    if *pod_names == PodNames::Off || (kubeconfig.is_none() && !is_in_cluster()) {
        return None;
    }
    let labels = match pod_labels.as_slice() {
        [all] if all == "all" => pods::Labels::All,
        keys => pods::Labels::Keys(keys.iter().filter(|key| *key != "none").cloned().collect()),
    };
    Some(pods::Settings {
        kubeconfig: kubeconfig.clone(),
        node: node.to_owned(),
        labels,
        state_dir: state.state_dir.clone(),
    })
}

/// The text may hold a password: it is not shown.
fn proxy(text: Option<&str>) -> anyhow::Result<client::Proxy> {
    match text.map(str::trim) {
        None | Some("") => Ok(client::Proxy::Environment),
        Some(word) if word.eq_ignore_ascii_case("none") => Ok(client::Proxy::Direct),
        Some(url) => url.parse().map(client::Proxy::Url).map_err(|_| client::ClientError::Proxy.into()),
    }
}

/// Where documents go; looks whether standard output is a terminal.
pub fn sink(arguments: &OutputArgs) -> anyhow::Result<sink::Settings> {
    let dns_logs = match arguments.dns_logs.as_str() {
        "off" => None,
        target => Some(target.parse::<Target>().context("--dns-logs")?),
    };
    Ok(sink::Settings {
        alerts: arguments.alerts.parse().context("--alerts")?,
        dns_logs,
        style: match arguments.format {
            OutputFormat::Auto => Style::of_terminal(),
            OutputFormat::Text => Style::readable(),
            OutputFormat::Json => Style::Json,
        },
        capacity: sink::Settings::CAPACITY,
        search: None,
    })
}

/// How the pipeline works, for `run` and `replay`.
pub fn pipeline(
    arguments: &OutputArgs,
    limits: Limits,
    output: &sink::Settings,
) -> anyhow::Result<PipelineSettings> {
    let identity = identity(arguments)?;
    let roll_up = roll_up::Settings::new(&identity.cluster, &identity.node);
    let dns_log = output.dns_logs.is_some().then(|| dns_log(arguments));
    Ok(PipelineSettings { identity, limits, roll_up, dns_log })
}

fn dns_log(arguments: &OutputArgs) -> dns_log::Settings {
    dns_log::Settings {
        detail: match arguments.dns_log_detail {
            DnsLogDetail::Every => dns_log::Detail::Every,
            DnsLogDetail::Counted => dns_log::Detail::Counted,
        },
        interval: Duration::from_secs(arguments.dns_log_interval),
        limit: if arguments.dns_log_limit == 0 { u64::MAX } else { arguments.dns_log_limit },
        ..dns_log::Settings::default()
    }
}

fn kernel(arguments: &CaptureArgs) -> KernelSettings {
    let CaptureArgs { dns_ports, cgroup_root, server_side, ring_kib, kernel_log } = arguments;
    KernelSettings {
        cgroup_root: cgroup_root.clone(),
        ports: dns_ports.clone(),
        server_side: *server_side,
        // What does not fit is no power of two either: refused with the bounds.
        ring_bytes: ring_kib.saturating_mul(1024),
        log: *kernel_log,
        ..KernelSettings::default()
    }
}

fn identity(arguments: &OutputArgs) -> anyhow::Result<Identity> {
    let cluster = arguments.cluster_name.trim();
    if cluster.is_empty() || cluster.chars().any(char::is_control) {
        bail!("--cluster-name {:?} is no name; give a few printable characters", arguments.cluster_name);
    }
    let node = match &arguments.node_name {
        Some(name) if name.trim().is_empty() => {
            bail!("--node-name is empty; leave it out for the host's name")
        }
        Some(name) => name.trim().to_owned(),
        None => rustix::system::uname().nodename().to_string_lossy().into_owned(),
    };
    Ok(Identity {
        cluster: cluster.to_owned(),
        node,
        namespace: NAMESPACE.to_owned(),
        instance: instance().context("reading random bytes from /dev/urandom")?,
        version: env!("CARGO_PKG_VERSION").to_owned(),
    })
}

/// One run of one agent: 64 random bits in hexadecimal.
fn instance() -> io::Result<String> {
    let mut bytes = [0; 8];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(format!("{:016x}", u64::from_le_bytes(bytes)))
}
