//! Settings as used: every option validated, every default filled in. The rest of the agent sees only these.

// Where documents go, and how they look.
mod output;

// What DNS logs say.
mod dns_log;

// How search engines are reached.
mod search;

// How names of pods are had, and which of them are not told of.
mod names;

use std::{
    fs::File,
    io::{self, Read},
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use namewarden_protocol::{document::Identity, obtain::client};

pub use output::sink;

use crate::{
    args::{CaptureArgs, ControllerArgs, DEFAULT_STATE_DIR, FeedArgs, OutputArgs, RunArgs, StateArgs},
    kernel::KernelSettings,
    pipeline::{PipelineSettings, reassemble::Limits, roll_up, sink},
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
    /// The host's process table; `None`: no process is looked at.
    pub proc_root: Option<PathBuf>,
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
        Self::within(arguments, None)
    }

    /// Likewise; with a folder, everything is kept there and not where the options say.
    ///
    /// # Errors
    /// Likewise.
    pub fn within(arguments: &RunArgs, folder: Option<PathBuf>) -> anyhow::Result<Self> {
        // Taken apart whole: an option that nothing uses does not compile.
        let RunArgs {
            feeds,
            controller,
            pods,
            state,
            state_turns: _,
            output,
            search,
            capture,
            listen,
            status_socket,
            proc_root,
        } = arguments;
        let mut settings = sink(output)?;
        let is_needed = controller.controller.is_some() || settings.has_spool();
        let state_dir = folder.or_else(|| state_dir(state, is_needed));
        let controller = controller_settings(controller, state_dir.as_deref())?;
        let has_feed = feeds.feeds.iter().any(|feed| !feed.trim().is_empty());
        if !has_feed && controller.is_none() && output.dns_logs == "off" {
            bail!(
                "nothing to do: give at least one --feed [NAME=]PATH|URL, a --controller URL, or --dns-logs \
                 stdout|file:PATH|URL"
            );
        }
        settings.search = Some(search::settings(search, state_dir.as_deref(), NAMESPACE)?);
        let pipeline = pipeline(output, Limits::LIVE, &settings)?;
        Ok(Self {
            kernel: kernel(capture),
            source: SourceSettings::new(feeds, state_dir.as_deref())?,
            controller,
            pods: names::settings(pods, state_dir.as_deref(), &pipeline.identity.node)?,
            pipeline,
            output: settings,
            listen: *listen,
            status_socket: status_socket.clone(),
            proc_root: process_table(proc_root)?,
            state_dir,
        })
    }
}

/// What outlives the process, where anything has to: a set outlives its controller, documents their search engine.
fn state_dir(arguments: &StateArgs, is_needed: bool) -> Option<PathBuf> {
    let StateArgs { state_dir } = arguments;
    state_dir.clone().or_else(|| is_needed.then(|| PathBuf::from(DEFAULT_STATE_DIR)))
}

impl SourceSettings {
    /// Validates the options on feeds; without a folder nothing is kept.
    pub fn new(arguments: &FeedArgs, state_dir: Option<&Path>) -> anyhow::Result<Self> {
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
                state_dir: state_dir.map(Path::to_path_buf),
                fetching,
                ..SourceOptions::default()
            },
        })
    }
}

/// The text may hold a password: it is not shown.
fn controller_settings(
    arguments: &ControllerArgs,
    state_dir: Option<&Path>,
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
        folder: state_dir.unwrap_or(Path::new(DEFAULT_STATE_DIR)).to_owned(),
    }))
}

/// The text may hold a password: it is not shown.
fn proxy(text: Option<&str>) -> anyhow::Result<client::Proxy> {
    match text.map(str::trim) {
        None | Some("") => Ok(client::Proxy::Environment),
        Some(word) if word.eq_ignore_ascii_case("none") => Ok(client::Proxy::Direct),
        Some(url) => url.parse().map(client::Proxy::Url).map_err(|_| client::ClientError::Proxy.into()),
    }
}

/// How the pipeline works, for `run` and `replay`.
pub fn pipeline(
    arguments: &OutputArgs,
    limits: Limits,
    output: &sink::Settings,
) -> anyhow::Result<PipelineSettings> {
    let identity = identity(arguments)?;
    let roll_up = roll_up::Settings::new(&identity.cluster, &identity.node);
    // Also where none is wanted: a wrong option is said while it is being written.
    let dns_log = dns_log::settings(&arguments.dns_log)?;
    let dns_log = output.dns_logs.is_some().then_some(dns_log);
    let log_fields = dns_log::fields(&arguments.dns_log);
    let withhold = dns_log::withhold(&arguments.dns_log);
    Ok(PipelineSettings { identity, limits, roll_up, dns_log, log_fields, withhold })
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
    let node = match &arguments.node_name {
        Some(name) => printable("--node-name", name)?,
        None => rustix::system::uname().nodename().to_string_lossy().into_owned(),
    };
    Ok(Identity {
        cluster: printable("--cluster-name", &arguments.cluster_name)?,
        node,
        namespace: NAMESPACE.to_owned(),
        instance: instance().context("reading random bytes from /dev/urandom")?,
        version: env!("CARGO_PKG_VERSION").to_owned(),
    })
}

/// The host's process table, unless it is switched off.
fn process_table(folder: &Path) -> anyhow::Result<Option<PathBuf>> {
    if folder == Path::new("off") {
        return Ok(None);
    }
    if !folder.join("self").exists() {
        bail!("--proc-root {} is no process table; mount the host's /proc there", folder.display());
    }
    Ok(Some(folder.to_owned()))
}

/// A name that documents bear.
fn printable(option: &str, text: &str) -> anyhow::Result<String> {
    let name = text.trim();
    if name.is_empty() || name.chars().any(char::is_control) {
        bail!("{option} {text:?} is no name; give a few printable characters, or leave the option out");
    }
    Ok(name.to_owned())
}

/// One run of one agent: 64 random bits in hexadecimal.
fn instance() -> io::Result<String> {
    let mut bytes = [0; 8];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(format!("{:016x}", u64::from_le_bytes(bytes)))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::{AgentArgs, CommandArgs};

    /// What `run` uses when it is given a feed and these options.
    fn settings(options: &[&str]) -> anyhow::Result<RunSettings> {
        let typed = ["namewarden-agent", "run", "--feed", "bad.txt"];
        let arguments = AgentArgs::try_parse_from(typed.iter().chain(options)).unwrap();
        let CommandArgs::Run(arguments) = arguments.command else { panic!("not `run`") };
        RunSettings::new(&arguments)
    }

    #[test]
    fn what_must_outlive_the_process_is_kept_in_one_folder_that_need_not_be_named() {
        let folders = |options: &[&str]| {
            let settings = settings(options).unwrap();
            let controller = settings.controller.map(|controller| controller.folder);
            (settings.state_dir, settings.source.options.state_dir, controller)
        };
        let kept = Some(PathBuf::from(DEFAULT_STATE_DIR));
        let named = Some(PathBuf::from("/state"));
        let controller = ["--controller", "https://controller.example", "--state-dir", "/state"];
        assert_eq!(folders(&[]), (None, None, None), "nothing has to be kept");
        assert_eq!(folders(&controller[..2]), (kept.clone(), kept.clone(), kept.clone()));
        assert_eq!(folders(&controller), (named.clone(), named.clone(), named));
        for option in ["--alerts", "--dns-logs"] {
            let search = [option, "https://search.example:9200"];
            assert_eq!(folders(&search), (kept.clone(), kept.clone(), None), "{option}");
        }
    }

    #[test]
    fn the_process_table_can_be_switched_off() {
        assert_eq!(settings(&[]).unwrap().proc_root, Some(PathBuf::from("/proc")));
        assert_eq!(settings(&["--proc-root", "off"]).unwrap().proc_root, None);
        assert!(settings(&["--proc-root", "/"]).is_err(), "that is none");
    }

    #[test]
    fn names_in_documents_are_printable() {
        for wrong in [["--node-name", "a\tb"], ["--node-name", " "], ["--cluster-name", "a\nb"]] {
            let sentence = settings(&wrong).unwrap_err().to_string();
            assert!(sentence.starts_with(wrong[0]) && sentence.contains("printable"), "{sentence}");
        }
    }
}
