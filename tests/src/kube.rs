//! A real Kubernetes API server with its store on loopback, for tests: nothing else of a cluster runs.
//!
//! Ports are free ones, files are in a folder of its own, whoever asks is known by a token. Dropping it ends both programs;
//! what a killed run left is swept when the next one starts. It needs no root.

// etcd and kube-apiserver: where they are, how they are started, watched and ended.
mod daemon;

// Ports of loopback that nobody else is given.
pub mod port;

// Users known by a token, and the files that clients are given.
mod user;

// A connection to the server that can be cut or go dead.
mod link;

use std::{
    fs,
    net::{Ipv4Addr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex, MutexGuard, Once, PoisonError, Weak},
    time::Duration,
};

use anyhow::{Context as _, Result};
use serde_json::Value;

use self::daemon::Daemon;
pub use self::{daemon::provide, link::Link, user::User};
use crate::{claim, program, wait};

/// What stands in the folder's name beside whose it is.
const KIND: &str = "-kube-";

/// How long the server may take to be ready: five seconds where nothing else runs.
const START: Duration = Duration::from_secs(180);

static SWEEP: Once = Once::new();
static SHARED: Mutex<Weak<Cluster>> = Mutex::new(Weak::new());

/// A running API server; it ends when this value is dropped.
#[derive(Debug)]
pub struct Cluster {
    // Daemons first: they end before their folder goes.
    server: Mutex<Option<Daemon>>,
    store: Mutex<Daemon>,
    ports: Ports,
    shape: Shape,
    folder: tempfile::TempDir,
}

/// What differs from other API servers.
#[derive(Clone, Copy, Debug)]
struct Shape {
    family: Family,
    /// As `--feature-gates` takes them.
    gates: &'static str,
}

/// Of the addresses of Services.
#[derive(Clone, Copy, Debug)]
enum Family {
    V4,
    V6,
}

#[derive(Clone, Copy, Debug)]
struct Ports {
    server: u16,
    store: u16,
    peer: u16,
}

impl Cluster {
    /// Starts one, and returns when it is ready.
    pub fn start() -> Result<Self> {
        Self::start_with(Shape { family: Family::V4, gates: "" })
    }

    /// One that tells of the objects that are there in lists only, as Kubernetes 1.33 does by default, and whatever is older than 1.32.
    pub fn start_without_streamed_lists() -> Result<Self> {
        Self::start_with(Shape { family: Family::V4, gates: "WatchList=false" })
    }

    /// One whose Services have addresses of IPv6.
    pub fn start_ipv6() -> Result<Self> {
        Self::start_with(Shape { family: Family::V6, gates: "" })
    }

    fn start_with(shape: Shape) -> Result<Self> {
        SWEEP.call_once(|| {
            if let Err(error) = sweep() {
                eprintln!("cannot remove what an earlier run left: {error:#}");
            }
        });
        let prefix = claim::name() + KIND;
        let folder = tempfile::Builder::new().prefix(&prefix).tempdir()?;
        user::write_tokens(folder.path())?;
        make_key(folder.path())?;
        let [server, store, peer] = port::free()?;
        let ports = Ports { server, store, peer };
        let store = Daemon::start("etcd", folder.path(), &store_arguments(folder.path(), ports))?;
        let cluster = Self { server: Mutex::new(None), store: Mutex::new(store), ports, shape, folder };
        cluster.start_server()?;
        Ok(cluster)
    }

    /// One that tests share which leave it as they found it; it ends with the last of them.
    pub fn shared() -> Result<Arc<Self>> {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cluster) = shared.upgrade() {
            return Ok(cluster);
        }
        let cluster = Arc::new(Self::start()?);
        *shared = Arc::downgrade(&cluster);
        Ok(cluster)
    }

    /// Its folder, for files of the test, removed with it.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where clients reach it.
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.ports.server)
    }

    /// The certificates that its own is signed by.
    pub fn authority(&self) -> PathBuf {
        self.folder().join("certificates/apiserver.crt")
    }

    /// A file by which kubectl, or a controller, reaches it as `user`.
    pub fn kubeconfig(&self, user: &User) -> Result<PathBuf> {
        user::kubeconfig(self.folder(), user, &self.url(), &self.authority())
    }

    /// A file by which it is reached as `user` through `link`.
    pub fn kubeconfig_through(&self, link: &Link, user: &User) -> Result<PathBuf> {
        let url = format!("https://{}", link.address());
        user::kubeconfig(self.folder(), user, &url, &self.authority())
    }

    /// A connection to it that the test can cut.
    pub fn link(&self) -> Result<Link> {
        Link::to(([127, 0, 0, 1], self.ports.server).into())
    }

    /// Runs kubectl as the administrator; the words of `arguments` are separated by spaces.
    pub fn kubectl(&self, arguments: &str) -> Result<String> {
        self.kubectl_as(&User::admin(), arguments, "")
    }

    /// Runs kubectl as `user`, with `input` on its standard input.
    pub fn kubectl_as(&self, user: &User, arguments: &str, input: &str) -> Result<String> {
        let words: Vec<&str> = arguments.split_whitespace().collect();
        self.kubectl_at(&self.kubeconfig(user)?, &words, input)
    }

    /// Runs kubectl with a file that says where and as whom, and with arguments that may hold spaces.
    pub fn kubectl_at(&self, kubeconfig: &Path, arguments: &[&str], input: &str) -> Result<String> {
        let mut command = Command::new(daemon::program("kubectl")?);
        command.arg("--kubeconfig").arg(kubeconfig).args(arguments);
        // Its cache of what the server offers must not outlive this server.
        command.env("KUBECACHEDIR", self.folder().join("kubectl")).env("HOME", self.folder());
        command.env_remove("KUBECONFIG");
        program::finish_fed(&mut command, input)
    }

    /// Applies manifests as the administrator.
    pub fn apply(&self, manifests: &str) -> Result<String> {
        self.kubectl_as(&User::admin(), "apply --filename -", manifests)
    }

    /// What it holds at `path`, read as the administrator.
    pub fn read(&self, path: &str) -> Result<Value> {
        let text = self.kubectl(&format!("get --raw {path}"))?;
        serde_json::from_str(&text).with_context(|| text.clone())
    }

    /// Makes a service account where there is none, and gives it a token for `audience`.
    pub fn service_account(&self, namespace: &str, name: &str, audience: &str) -> Result<User> {
        self.apply(&format!(
            "apiVersion: v1\nkind: ServiceAccount\nmetadata: {{name: {name}, namespace: {namespace}}}\n"
        ))?;
        let token = self.kubectl(&format!(
            "create token {name} --namespace {namespace} --audience {audience} --duration 1h"
        ))?;
        Ok(User::of_token(&format!("{namespace}-{name}"), token.trim()))
    }

    /// Ends the API server at once, as a crash does; what it stored stays.
    pub fn stop_server(&self) {
        *self.server() = None;
    }

    /// Starts the API server again where it was, and returns when it is ready.
    pub fn start_server(&self) -> Result<()> {
        let arguments = server_arguments(self.folder(), self.ports, self.shape);
        let mut server = Daemon::start("kube-apiserver", self.folder(), &arguments)?;
        wait::within(START, "the API server ready", || {
            server.check()?;
            self.store().check()?;
            // kubectl costs more than the server itself: it is asked once somebody listens.
            let listens = TcpStream::connect((Ipv4Addr::LOCALHOST, self.ports.server)).is_ok();
            Ok(if listens { self.kubectl("get --raw /readyz").ok() } else { None })
        })
        .with_context(|| server.said())?;
        *self.server() = Some(server);
        Ok(())
    }

    /// Forgets all versions of all objects but the last: a watch from an older one gets 410.
    pub fn compact(&self) -> Result<()> {
        daemon::compact(self.ports.store)
    }

    /// Process ids of the store and, while it runs, of the API server.
    pub fn pids(&self) -> Vec<u32> {
        let server = self.server().as_ref().map(Daemon::pid);
        std::iter::once(self.store().pid()).chain(server).collect()
    }

    fn store(&self) -> MutexGuard<'_, Daemon> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn server(&self) -> MutexGuard<'_, Option<Daemon>> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What signs the tokens of service accounts.
fn make_key(folder: &Path) -> Result<()> {
    let mut openssl = Command::new("openssl");
    // The older of the two forms of a key: the only one of this kind that the API server reads.
    openssl.args(["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out"]);
    program::finish(openssl.arg(folder.join("accounts.key"))).map(drop)
}

fn store_arguments(folder: &Path, ports: Ports) -> Vec<String> {
    let Ports { store, peer, .. } = ports;
    vec![
        format!("--data-dir={}", folder.join("store").display()),
        format!("--listen-client-urls=http://127.0.0.1:{store}"),
        format!("--advertise-client-urls=http://127.0.0.1:{store}"),
        format!("--listen-peer-urls=http://127.0.0.1:{peer}"),
        format!("--initial-advertise-peer-urls=http://127.0.0.1:{peer}"),
        format!("--initial-cluster=default=http://127.0.0.1:{peer}"),
        // A test's data need not outlive the machine.
        "--unsafe-no-fsync".to_owned(),
    ]
}

fn server_arguments(folder: &Path, ports: Ports, shape: Shape) -> Vec<String> {
    let (services, advertised) = match shape.family {
        Family::V4 => ("10.96.0.0/16", "127.0.0.1"),
        Family::V6 => ("fd00:96::/112", "::1"),
    };
    let key = folder.join("accounts.key").display().to_string();
    vec![
        format!("--etcd-servers=http://127.0.0.1:{}", ports.store),
        format!("--secure-port={}", ports.server),
        format!("--cert-dir={}", folder.join("certificates").display()),
        format!("--token-auth-file={}", folder.join("tokens.csv").display()),
        format!("--service-account-key-file={key}"),
        format!("--service-account-signing-key-file={key}"),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        format!("--service-cluster-ip-range={services}"),
        "--authorization-mode=RBAC".to_owned(),
        "--bind-address=127.0.0.1".to_owned(),
        format!("--advertise-address={advertised}"),
        // Loopback is no address that the Service of the API server may lead to.
        "--endpoint-reconciler-type=none".to_owned(),
        "--profiling=false".to_owned(),
        format!("--feature-gates={}", shape.gates),
    ]
}

/// Ends the programs and removes the folders of runs whose process is gone.
fn sweep() -> Result<()> {
    for entry in fs::read_dir(std::env::temp_dir())? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.contains(KIND) && claim::is_orphan(&name) {
            daemon::end_all_of(&entry.path())?;
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}
