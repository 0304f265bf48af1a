//! The controller under test: started with folders of its own, asked over HTTPS, stopped by signal or killed.

// The documents that it keeps, as it prints them.
mod events;

use std::{
    fs,
    net::SocketAddr,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

pub use self::events::Following;
use crate::{
    kube::Cluster,
    lines::Lines,
    node::Node,
    program,
    wait::{self, PATIENCE},
};

/// Environment variable with the path of the controller's binary.
pub const PROGRAM_VARIABLE: &str = "NAMEWARDEN_CONTROLLER_BINARY";

/// Path of the controller's binary: from the environment, or beside this program.
pub fn program() -> Result<PathBuf> {
    program::built("namewarden-controller", PROGRAM_VARIABLE)
}

/// The definition of `GlobalThreatFeed` in an API group, as the controller writes it.
pub fn definition(group: &str) -> Result<String> {
    program::run(&program()?.to_string_lossy(), &["crd", group])
}

/// Definitions are applied one after the other: tests share an API server.
static DEFINING: Mutex<()> = Mutex::new(());

/// Applies that definition, and returns when it is served.
pub fn define(cluster: &Cluster, group: &str) -> Result<()> {
    let _one_at_a_time = DEFINING.lock().unwrap_or_else(PoisonError::into_inner);
    cluster.apply(&definition(group)?)?;
    cluster
        .kubectl(&format!("wait --for condition=Established --timeout 60s crd/globalthreatfeeds.{group}"))?;
    Ok(())
}

/// A controller to be started, with the folders that outlive its runs.
#[derive(Clone, Debug)]
pub struct ControllerBuilder {
    folder: PathBuf,
    arguments: Vec<String>,
    program: Option<PathBuf>,
    listen: String,
    authority: Option<PathBuf>,
}

impl ControllerBuilder {
    /// One whose resources are files: `folder` gets `manifests` and `state`.
    pub fn embedded(folder: &Path) -> Result<Self> {
        let builder = Self::new(folder)?;
        let manifests = folder.join("manifests");
        fs::create_dir_all(&manifests)?;
        Ok(builder.arguments(&["--manifests", &manifests.to_string_lossy()]))
    }

    /// One whose resources are those of an API server: `folder` gets `state`.
    pub fn of_cluster(folder: &Path, kubeconfig: &Path) -> Result<Self> {
        Ok(Self::new(folder)?.arguments(&["--kubeconfig", &kubeconfig.to_string_lossy()]))
    }

    fn new(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let listen = "127.0.0.1:0".to_owned();
        Ok(Self { folder: folder.to_owned(), arguments: Vec::new(), program: None, listen, authority: None })
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

    /// Serves there instead of on a port of its own choice.
    #[must_use]
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = address.to_string();
        self
    }

    /// Gives it the certificate of this folder: `tls.crt`, `tls.key`, and `ca.crt` of who signed it.
    #[must_use]
    pub fn certificate(mut self, folder: &Path) -> Self {
        self.authority = Some(folder.join("ca.crt"));
        let [certificate, key] = ["tls.crt", "tls.key"].map(|file| folder.join(file));
        self.arguments(&["--tls-cert", &certificate.to_string_lossy(), "--tls-key", &key.to_string_lossy()])
    }

    /// Its state folder.
    pub fn state(&self) -> PathBuf {
        self.folder.join("state")
    }

    /// The status that it wrote beside the manifest of a feed; empty where there is none.
    pub fn status(&self, feed: &str) -> String {
        fs::read_to_string(self.folder.join(format!("manifests/{feed}.status.yaml"))).unwrap_or_default()
    }

    /// Writes a manifest in one step, as a careful editor does.
    pub fn write(&self, file: &str, text: &str) -> Result<()> {
        let beside = self.folder.join(file);
        fs::write(&beside, text)?;
        Ok(fs::rename(beside, self.folder.join("manifests").join(file))?)
    }

    /// Removes a manifest.
    pub fn remove(&self, file: &str) -> Result<()> {
        Ok(fs::remove_file(self.folder.join("manifests").join(file))?)
    }

    /// Loses all that it keeps, the authority of its own included.
    pub fn lose_state(&self) -> Result<()> {
        Ok(fs::remove_dir_all(self.state())?)
    }

    /// Starts it, and returns when it serves.
    pub fn start(&self) -> Result<Controller> {
        self.spawn(Command::new(self.binary()?))
    }

    /// Starts it as a unit of `node`, and returns when it serves.
    pub fn start_on(&self, node: &Node) -> Result<Controller> {
        self.spawn(node.unit_command("namewarden-controller.service", &self.binary()?)?)
    }

    fn binary(&self) -> Result<PathBuf> {
        self.program.clone().map_or_else(program, Ok)
    }

    fn spawn(&self, mut command: Command) -> Result<Controller> {
        command.args(["run", "--listen", &self.listen, "--state-dir"]).arg(self.state());
        // Ctrl-C is for who started the controller: it decides when the controller ends.
        command.args(&self.arguments).process_group(0).stdin(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        let (log, reader) = Lines::follow(child.stderr.take().context("no standard error")?);
        let authority = self.authority.clone().unwrap_or_else(|| self.state().join("tls/ca.crt"));
        let (program, address) = (self.binary()?, ([127, 0, 0, 1], 0).into());
        let mut controller = Controller { child, log, program, address, authority };
        controller.address = match controller.serves() {
            Ok(address) => address,
            Err(error) => {
                // Its last words come when it has ended.
                let _ = controller.child.kill();
                let _ = reader.join();
                return Err(error.context(controller.log()));
            }
        };
        Ok(controller)
    }
}

/// A running controller; it is killed when this value is dropped.
#[derive(Debug)]
pub struct Controller {
    child: Child,
    log: Arc<Lines>,
    program: PathBuf,
    address: SocketAddr,
    authority: PathBuf,
}

impl Controller {
    /// Where it serves, once it says so; an error when it ends before.
    fn serves(&mut self) -> Result<SocketAddr> {
        wait::until("the controller serving", || {
            if let Some(status) = self.child.try_wait()? {
                bail!("the controller ended ({status})");
            }
            let lines = self.log.copy();
            let address =
                lines.iter().find_map(|line| Some(line.split_once("serving on https://")?.1.parse()));
            Ok(address.transpose()?)
        })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where it serves.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it serves, as clients name it.
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// The authority that its certificate is signed by.
    pub fn authority(&self) -> &Path {
        &self.authority
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        self.log.copy().join("\n")
    }

    /// Waits until a line of its log contains `text`.
    pub fn wait_for_log(&self, text: &str) -> Result<String> {
        let found = self.log.find(0, PATIENCE, |line| line.contains(text).then(|| line.to_owned()));
        found.with_context(|| format!("no {text:?} in the log:\n{}", self.log()))
    }

    /// Where names are pushed to a feed.
    pub fn push_url(&self, feed: &str) -> String {
        self.url() + &push_path(feed)
    }

    /// Pushes names to a feed, as the documentation says.
    pub fn push(&self, feed: &str, names: &[&str]) -> Result<String> {
        let document = json!({ "domains": names }).to_string();
        let json = "content-type: application/json";
        self.curl(&push_path(feed), &["--request", "PUT", "--header", json, "--data", &document])
    }

    /// What it answers to curl at `path`, given these options; a status of 400 and more is an error.
    pub fn curl(&self, path: &str, options: &[&str]) -> Result<String> {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--fail-with-body", "--cacert"]).arg(&self.authority);
        curl.args(options).arg(format!("{}{path}", self.url()));
        program::finish(&mut curl)
    }

    /// Ends it by SIGTERM; its log. Anything but exit status 0 is an error.
    pub fn stop(mut self) -> Result<String> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        let status = wait::until("the controller ended", || Ok(self.child.try_wait()?));
        let status = status.with_context(|| self.log())?;
        if !status.success() {
            bail!("the controller ended with {status}:\n{}", self.log());
        }
        Ok(self.log())
    }

    /// Ends it at once, as a crash does.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

fn push_path(feed: &str) -> String {
    format!("/tigera_secure_ee_threatfeeds_domainnameset.cluster./_doc/{feed}")
}

impl Drop for Controller {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
