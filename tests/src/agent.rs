//! The agent under test: started as a unit of a node, asked over its status socket, stopped by signal, its documents
//! read from its standard output to the last line.

// What it answers.
mod ask;

// Its last words: sums that must close.
mod totals;

use std::{
    fs,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::{Arc, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use self::ask::{get, sum_of};
use crate::{
    lines::Lines,
    node::Node,
    program,
    wait::{self, PATIENCE},
};

/// Environment variable with the path of the agent's binary.
pub const PROGRAM_VARIABLE: &str = "NAMEWARDEN_AGENT";

/// Name of the status socket in the agent's folder.
const SOCKET: &str = "status.sock";

/// An agent to be started.
#[derive(Clone, Debug, Default)]
pub struct AgentBuilder {
    name: String,
    feeds: Vec<(String, String)>,
    arguments: Vec<String>,
    /// Columns of its readable lines.
    readable: Option<usize>,
    program: Option<PathBuf>,
    alerts: Option<String>,
    wrapper: Vec<String>,
    whole_machine: bool,
    environment: Vec<(String, String)>,
    cgroup_root: Option<PathBuf>,
    state: Option<PathBuf>,
}

impl AgentBuilder {
    /// An agent with no feed; `name` tells the agents of one node apart.
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// Lets it keep its state in this folder, which others may use too, instead of one of its own.
    #[must_use]
    pub fn state(mut self, folder: &Path) -> Self {
        self.state = Some(folder.to_owned());
        self
    }

    /// Gives it a feed with this text.
    #[must_use]
    pub fn feed(mut self, name: &str, text: &str) -> Self {
        self.feeds.push((name.to_owned(), text.to_owned()));
        self
    }

    /// Gives it further arguments.
    #[must_use]
    pub fn arguments(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        self
    }

    /// Takes this binary instead of the one that `program` finds.
    #[must_use]
    pub fn program(mut self, path: &Path) -> Self {
        self.program = Some(path.to_owned());
        self
    }

    /// Attaches it to this cgroup instead of the node's own.
    #[must_use]
    pub fn cgroup_root(mut self, path: &Path) -> Self {
        self.cgroup_root = Some(path.to_owned());
        self
    }

    /// Sends its alerts there instead of to standard output.
    #[must_use]
    pub fn alerts(mut self, target: &str) -> Self {
        self.alerts = Some(target.to_owned());
        self
    }

    /// Lets it find the root of the cgroup2 tree by itself: it sees the whole machine, not only the node.
    #[must_use]
    pub fn whole_machine(mut self) -> Self {
        self.whole_machine = true;
        self
    }

    /// Sets a variable of its environment.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Leaves it these capabilities only (`+bpf,+net_admin`), or none.
    #[must_use]
    pub fn capabilities(self, left: &str) -> Self {
        let set = format!("-all{}{left}", if left.is_empty() { "" } else { "," });
        self.within(&["setpriv", "--bounding-set", &set])
    }

    /// Starts it by this program, which becomes the agent, given after these arguments.
    #[must_use]
    pub fn within(mut self, wrapper: &[&str]) -> Self {
        self.wrapper = wrapper.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    /// Lets it write lines for people, in colour, instead of JSON.
    #[must_use]
    pub fn readable(mut self, columns: usize) -> Self {
        self.readable = Some(columns);
        self
    }

    /// Starts it on `node` and returns when it captures.
    pub fn start(&self, node: &Node) -> Result<Agent> {
        let mut agent = self.spawn(node)?;
        agent.wait_until_ready()?;
        Ok(agent)
    }

    /// Starts it on `node`; when it captures is for the caller to find out.
    pub fn spawn(&self, node: &Node) -> Result<Agent> {
        let folder = node.folder().join(&self.name);
        fs::create_dir_all(&folder)?;
        Agent::start(&mut self.command(node, &folder)?, folder.join(SOCKET))
    }

    /// Runs it to its end, for what cannot start.
    pub fn run_to_end(&self, node: &Node) -> Result<Output> {
        let folder = node.folder().join(&self.name);
        fs::create_dir_all(&folder)?;
        let mut command = self.command(node, &folder)?;
        let mut child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        let ended = wait::until("the agent ended by itself", || Ok(child.try_wait()?));
        if ended.is_err() {
            child.kill()?;
        }
        let output = child.wait_with_output()?;
        ended.with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
        Ok(output)
    }

    fn command(&self, node: &Node, folder: &Path) -> Result<Command> {
        let unit = format!("namewarden-{}.service", self.name);
        let binary = self.program.clone().map_or_else(program, Ok)?;
        let mut command = match self.wrapper.split_first() {
            Some((program, arguments)) => {
                let mut command = node.unit_command(&unit, Path::new(program))?;
                command.args(arguments).arg(binary);
                command
            }
            None => node.unit_command(&unit, &binary)?,
        };
        command.arg("run");
        if !self.whole_machine {
            command.arg("--cgroup-root").arg(self.cgroup_root.as_deref().unwrap_or(node.cgroup()));
        }
        let state = self.state.clone().unwrap_or_else(|| folder.join("state"));
        command.arg("--status-socket").arg(folder.join(SOCKET)).arg("--state-dir").arg(state);
        command.arg("--alerts").arg(self.alerts.as_deref().unwrap_or("stdout"));
        command.args(["--format", if self.readable.is_some() { "text" } else { "json" }]);
        for (name, text) in &self.feeds {
            let path = folder.join(name);
            fs::write(&path, text)?;
            command.arg("--feed").arg(format!("{name}={}", path.display()));
        }
        command.args(&self.arguments);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        if let Some(columns) = self.readable {
            command.env("CLICOLOR_FORCE", "1").env("COLUMNS", columns.to_string());
        }
        // Ctrl-C is for who started the agent: it decides when the agent ends.
        command.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Ok(command)
    }
}

/// Path of the agent's binary: from the environment, or beside this program.
pub fn program() -> Result<PathBuf> {
    program::built("namewarden-agent", PROGRAM_VARIABLE)
}

/// A running agent; it ends when this value is dropped.
#[derive(Debug)]
pub struct Agent {
    child: Child,
    socket: PathBuf,
    documents: Arc<Lines>,
    log: Arc<Lines>,
    readers: Vec<JoinHandle<()>>,
}

/// What an agent left when it ended.
#[derive(Debug)]
pub struct Ended {
    /// Every document it wrote.
    pub documents: Vec<Value>,
    /// Its log.
    pub log: String,
    /// How it ended.
    pub status: ExitStatus,
}

impl Agent {
    /// Starts `command`, which must lead to an agent with this status socket.
    pub fn start(command: &mut Command, socket: PathBuf) -> Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        let (documents, first) = Lines::follow(child.stdout.take().context("no standard output")?);
        let (log, second) = Lines::follow(child.stderr.take().context("no standard error")?);
        Ok(Self { child, socket, documents, log, readers: vec![first, second] })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        self.log.copy().join("\n")
    }

    /// Path of its status socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_raw(i32::try_from(self.pid())?).context("no process id")?;
        Ok(kill_process(pid, signal)?)
    }

    /// Number of the threat set in use.
    pub fn set_number(&self) -> Result<u64> {
        let status = self.status()?;
        status.pointer("/threat_set/number").and_then(Value::as_u64).with_context(|| format!("{status:#}"))
    }

    /// Waits until it says that it is ready; an error when it ends before.
    pub fn wait_until_ready(&mut self) -> Result<()> {
        self.wait_until_ready_within(PATIENCE)
    }

    /// The same, with a patience of the caller's.
    pub fn wait_until_ready_within(&mut self, patience: Duration) -> Result<()> {
        wait::within(patience, "the agent ready", || {
            if let Some(status) = self.child.try_wait()? {
                bail!("the agent ended ({status}): {}", self.log.copy().join("\n"));
            }
            Ok(self.get("/readyz").ok().filter(|answer| answer.starts_with("HTTP/1.1 200")).map(drop))
        })
        .with_context(|| self.log.copy().join("\n"))
    }

    /// Answer to `GET path` on its status socket, with status line and headers.
    pub fn get(&self, path: &str) -> Result<String> {
        get(&self.socket, path)
    }

    /// Sum of the samples of a metric whose labels contain `labels`.
    pub fn metric(&self, name: &str, labels: &str) -> Result<u64> {
        sum_of(&self.get("/metrics")?, name, labels)
    }

    /// A counter of its own by the name it has in its metrics, without `namewarden_` and `_total`.
    pub fn counter(&self, name: &str) -> Result<u64> {
        self.metric(&format!("namewarden_{name}_total"), "")
    }

    /// Waits until a document satisfies `condition` and returns it.
    pub fn wait_for(&self, what: &str, condition: impl Fn(&Value) -> bool) -> Result<Value> {
        let deadline = Instant::now() + PATIENCE;
        let mut seen = 0;
        let mut lines = self.documents.read.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            for line in lines.iter().skip(seen) {
                let document = serde_json::from_str(line).with_context(|| line.clone())?;
                if condition(&document) {
                    return Ok(document);
                }
            }
            seen = lines.len();
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                bail!("no document in time: {what}; log:\n{}", self.log.copy().join("\n"));
            }
            lines = self.documents.grown.wait_timeout(lines, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits until the controller's set that it uses is as `condition` says; it.
    pub fn wait_for_controller_set(&self, what: &str, condition: impl Fn(&Value) -> bool) -> Result<Value> {
        let mut last = Value::Null;
        let found = wait::until(what, || {
            last = self.status()?;
            let set = last.pointer("/controller/threat_set").cloned();
            Ok(set.filter(|set| !set.is_null() && condition(set)))
        });
        found.with_context(|| format!("{last:#}\n{}", self.log()))
    }

    /// What it says of itself (`/status`).
    pub fn status(&self) -> Result<Value> {
        let answer = self.get("/status")?;
        let (_, body) = answer.split_once("\r\n\r\n").context("an answer without a body")?;
        serde_json::from_str(body).with_context(|| answer.clone())
    }

    /// Ends it by SIGTERM and returns all documents that it wrote; anything but exit status 0 is an error.
    pub fn stop(self) -> Result<Ended> {
        let (lines, log, status) = self.end()?;
        let parse = |line: &String| serde_json::from_str(line).with_context(|| line.clone());
        let documents = lines.iter().map(parse).collect::<Result<_>>()?;
        Ok(Ended { documents, log, status })
    }

    /// Ends it by SIGTERM; its lines of output, its log and how it ended. Totals that do not add up are an error.
    pub fn end(mut self) -> Result<(Vec<String>, String, ExitStatus)> {
        self.signal(Signal::TERM)?;
        let status = wait::until("the agent ended", || Ok(self.child.try_wait()?))
            .with_context(|| self.log.copy().join("\n"))?;
        for reader in self.readers.drain(..) {
            if reader.join().is_err() {
                bail!("a reader of the agent's output panicked");
            }
        }
        let log = self.log.copy().join("\n");
        if !status.success() {
            bail!("the agent ended with {status}:\n{log}");
        }
        totals::check(&log)?;
        Ok((self.documents.copy(), log, status))
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
