//! A real OpenSearch or Elasticsearch on loopback, for tests: one node, its files in a folder of its own.
//!
//! Neither runs as root, so under root it runs as `nobody`, who may read the servers' files and no more. Dropping it ends
//! it; what a killed run left is swept when the next one starts.

// Its processes: started, found, ended.
mod daemon;

// OpenSearch with its security plugin.
mod secured;

pub use secured::TOKEN_KEY;

use std::{
    env, fs,
    net::{Ipv4Addr, SocketAddr, TcpStream},
    os::unix::fs::chown,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Arc, Mutex, MutexGuard, Once, OnceLock, PoisonError, Weak},
    time::Duration,
};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use self::daemon::Daemon;
use crate::{claim, controller, kube::port, program, wait};

/// What stands in the folder's name beside whose it is.
const KIND: &str = "-search-";

/// How long a server may take to be ready: half a minute where nothing else runs.
const START: Duration = Duration::from_secs(300);

/// Whoever runs nothing else.
const NOBODY: u32 = 65_534;

/// The program that keeps its secrets.
const KEYSTORE: &str = "elasticsearch-keystore";

/// Who may do everything where somebody guards.
const SUPERUSER: &str = "elastic";

static SWEEP: Once = Once::new();
static PLACES: OnceLock<Vec<(&str, PathBuf)>> = OnceLock::new();
static SHARED: [Mutex<Weak<SearchEngine>>; 2] = [const { Mutex::new(Weak::new()) }; 2];

/// Which server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// OpenSearch.
    OpenSearch,
    /// Elasticsearch.
    Elasticsearch,
}

impl Kind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::OpenSearch, Self::Elasticsearch];

    fn name(self) -> &'static str {
        match self {
            Self::OpenSearch => "opensearch",
            Self::Elasticsearch => "elasticsearch",
        }
    }

    /// What the variables of its start script begin with.
    fn prefix(self) -> &'static str {
        match self {
            Self::OpenSearch => "OPENSEARCH",
            Self::Elasticsearch => "ES",
        }
    }

    /// Where it is; of OpenSearch there is another one with the plugin that guards it.
    fn home(self, is_guarded: bool) -> Result<PathBuf> {
        let secured = if is_guarded && self == Self::OpenSearch { "_SECURED" } else { "" };
        variable(&format!("NAMEWARDEN_{}{secured}_HOME", self.name().to_uppercase()))
    }
}

/// Where servers and Java are, for who starts them without the variables that tests get.
pub fn provide(places: Vec<(&'static str, PathBuf)>) {
    // The first word holds: a program says it once.
    let _ = PLACES.set(places);
}

fn variable(name: &str) -> Result<PathBuf> {
    let provided = || PLACES.get()?.iter().find(|(known, _)| *known == name).map(|(_, place)| place.clone());
    let value = env::var_os(name).map(PathBuf::from).or_else(provided);
    value.with_context(|| format!("no search engine: run `cargo xtask test search`, or set {name}"))
}

/// Who may do what.
#[derive(Clone, Copy, Debug)]
pub struct Guard<'a> {
    /// Folder with the server's certificate: `tls.crt`, `tls.key`, and `ca.crt` of who signed it.
    pub pair: &'a Path,
    /// Users, each with a role of the same name and what that may do, in JSON. Passwords are [`password`].
    pub users: &'a [(&'a str, &'a str)],
}

/// Password of a user.
pub fn password(user: &str) -> String {
    format!("the-password-of-{user}")
}

/// A server; it ends when this value is dropped.
#[derive(Debug)]
pub struct SearchEngine {
    // First: it ends before its folder goes.
    daemon: Mutex<Option<Daemon>>,
    kind: Kind,
    port: u16,
    is_guarded: bool,
    folder: tempfile::TempDir,
}

impl SearchEngine {
    /// Starts one, and returns when it is ready.
    pub fn start(kind: Kind) -> Result<Self> {
        Self::start_with(kind, None)
    }

    /// Starts one that serves over TLS and knows who asks, and returns when it is ready.
    pub fn start_guarded(kind: Kind, guard: &Guard<'_>) -> Result<Self> {
        Self::start_with(kind, Some(guard))
    }

    fn start_with(kind: Kind, guard: Option<&Guard<'_>>) -> Result<Self> {
        SWEEP.call_once(|| {
            if let Err(error) = sweep() {
                eprintln!("cannot remove what an earlier run left: {error:#}");
            }
        });
        let prefix = claim::name() + KIND;
        let folder = tempfile::Builder::new().prefix(&prefix).tempdir()?;
        let [port, transport] = port::free()?;
        lay_out(kind, folder.path(), port, transport, guard)?;
        let engine = Self { daemon: Mutex::new(None), kind, port, is_guarded: guard.is_some(), folder };
        engine.resume()?;
        Ok(engine)
    }

    /// One that tests share, each with data streams of its own, of names that the template is for; it ends with the last of
    /// them.
    pub fn shared(kind: Kind) -> Result<Arc<Self>> {
        let [opensearch, elasticsearch] = &SHARED;
        let shared = if kind == Kind::OpenSearch { opensearch } else { elasticsearch };
        let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(engine) = shared.upgrade() {
            return Ok(engine);
        }
        let engine = Arc::new(Self::start(kind)?);
        let (said, status) = engine.set_up(&[])?;
        // 1: these servers come without lifecycle management.
        anyhow::ensure!(status == 0 || status == 1, "setup-search: {said}");
        *shared = Arc::downgrade(&engine);
        Ok(engine)
    }

    /// Whether it is OpenSearch, not Elasticsearch.
    pub fn is_opensearch(&self) -> bool {
        self.kind == Kind::OpenSearch
    }

    /// Where it answers.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Where clients reach it.
    pub fn url(&self) -> String {
        format!("http{}://{}", if self.is_guarded { "s" } else { "" }, self.address())
    }

    /// Its process and its folder: whoever outlives this one can end the one and remove the other.
    pub fn remains(&self) -> Option<(u32, PathBuf)> {
        let pid = self.daemon().as_ref().map(Daemon::pid)?;
        Some((pid, self.folder.path().to_owned()))
    }

    /// Certificate of who signed its own, where it is guarded.
    pub fn authority(&self) -> PathBuf {
        self.folder.path().join("config/ca.crt")
    }

    /// Ends it at once, as a crash does; what it stored stays.
    pub fn kill(&self) {
        *self.daemon() = None;
    }

    /// Starts it where it was, with what it stored, and returns when it is ready.
    pub fn resume(&self) -> Result<()> {
        let mut command = command(self.kind, self.is_guarded, self.kind.name(), self.folder.path())?;
        let mut daemon = Daemon::start(&mut command, self.folder.path())?;
        wait::within(START, "the search engine ready", || {
            daemon.check()?;
            let listens = TcpStream::connect(self.address()).is_ok();
            let ready = || self.ask("GET", "/_cluster/health?wait_for_status=yellow&timeout=1s", "").ok();
            let healthy = |answer: &Value| answer.pointer("/timed_out") == Some(&json!(false));
            Ok(if listens { ready().filter(healthy) } else { None })
        })
        .with_context(|| daemon.said())?;
        *self.daemon() = Some(daemon);
        Ok(())
    }

    /// Its answer, whatever its status.
    pub fn ask(&self, method: &str, path: &str, body: &str) -> Result<Value> {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--noproxy", "*", "--max-time", "60", "--request", method]);
        curl.args(["--header", "content-type: application/json"]);
        if self.is_guarded {
            curl.arg("--cacert")
                .arg(self.authority())
                .args(["--user", &format!("{SUPERUSER}:{}", password(SUPERUSER))]);
        }
        if !body.is_empty() {
            curl.args(["--data-binary", "@-"]);
        }
        let text = program::finish_fed(curl.arg(format!("{}{path}", self.url())), body)?;
        serde_json::from_str(&text).with_context(|| text.clone())
    }

    /// Runs `setup-search` of the controller against it, with these options besides; what it says, and its exit status.
    pub fn set_up(&self, options: &[&str]) -> Result<(String, i32)> {
        let mut command = Command::new(controller::program()?);
        command.args(["setup-search", "--elasticsearch", &self.url()]).args(options);
        let output = command.stdin(Stdio::null()).output().context("cannot start the controller")?;
        let said =
            [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
        Ok((said, output.status.code().context("the controller was ended by a signal")?))
    }

    /// Every document of a data stream that searches find after a refresh, read page by page: one answer holds 10,000 at most.
    pub fn documents(&self, stream: &str) -> Result<Vec<Value>> {
        whole(&self.ask("POST", &format!("/{stream}/_refresh"), "")?)?;
        let mut page = self.ask("GET", &format!("/{stream}/_search?size=5000&sort=_doc&scroll=1m"), "")?;
        whole(&page)?;
        let mut documents = Vec::new();
        loop {
            let hits =
                page.pointer("/hits/hits").and_then(Value::as_array).with_context(|| format!("{page}"))?;
            if hits.is_empty() {
                return Ok(documents);
            }
            documents.extend(hits.iter().cloned());
            let next = json!({"scroll": "1m", "scroll_id": page.pointer("/_scroll_id")});
            page = self.ask("POST", "/_search/scroll", &next.to_string())?;
        }
    }

    /// Makes the data stream write to a new index from now on.
    pub fn roll_over(&self, stream: &str) -> Result<()> {
        let answer = self.ask("POST", &format!("/{stream}/_rollover"), "")?;
        anyhow::ensure!(answer.pointer("/rolled_over") == Some(&json!(true)), "{answer}");
        Ok(())
    }

    fn daemon(&self) -> MutexGuard<'_, Option<Daemon>> {
        self.daemon.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Fails where a shard did not answer: what it holds would count as not there.
fn whole(answer: &Value) -> Result<()> {
    let failed = answer.pointer("/_shards/failed").and_then(Value::as_u64);
    anyhow::ensure!(failed.is_none_or(|failed| failed == 0), "shards are away: {answer}");
    Ok(())
}

/// Writes its settings; all of the folder belongs to who runs it.
fn lay_out(kind: Kind, folder: &Path, port: u16, transport: u16, guard: Option<&Guard<'_>>) -> Result<()> {
    let settings = folder.join("config");
    for part in ["config", "data", "logs", "tmp"] {
        fs::create_dir(folder.join(part))?;
    }
    copy_files(&kind.home(guard.is_some())?.join("config"), &settings)?;
    // Relative to the server's own folder, where nobody may write.
    let options = fs::read_to_string(settings.join("jvm.options"))?;
    let kept = options
        .lines()
        .filter(|line| !["-Xlog", "HeapDump", "ErrorFile"].iter().any(|part| line.contains(part)));
    fs::write(settings.join("jvm.options"), kept.collect::<Vec<_>>().join("\n"))?;
    let text = settings_text(folder, port, transport) + security(kind, guard.is_some());
    fs::write(settings.join(format!("{}.yml", kind.name())), text)?;
    if let Some(guard) = guard {
        copy_files(guard.pair, &settings)?;
        if kind == Kind::OpenSearch {
            secured::let_in(&kind.home(true)?, &settings, guard)?;
        }
        // JSON on one line is YAML.
        let line =
            |(name, role): &(&str, &str)| Ok(format!("{name}: {}\n", serde_json::from_str::<Value>(role)?));
        let roles: String = guard.users.iter().map(line).collect::<Result<_>>()?;
        fs::write(settings.join("roles.yml"), roles)?;
    }
    if rustix::process::geteuid().is_root() {
        own(folder)?;
    }
    match guard {
        Some(guard) if kind == Kind::Elasticsearch => let_in(kind, folder, guard),
        _ => Ok(()),
    }
}

/// Writes the passwords down where the server looks for them.
fn let_in(kind: Kind, folder: &Path, guard: &Guard<'_>) -> Result<()> {
    program::finish(command(kind, true, KEYSTORE, folder)?.arg("create"))?;
    let mut add = command(kind, true, KEYSTORE, folder)?;
    program::finish_fed(add.args(["add", "--stdin", "bootstrap.password"]), &password(SUPERUSER))?;
    for (name, _) in guard.users {
        let mut users = command(kind, true, "elasticsearch-users", folder)?;
        program::finish(users.args(["useradd", name, "-p", &password(name), "-r", name]))?;
    }
    Ok(())
}

fn security(kind: Kind, is_guarded: bool) -> &'static str {
    match (kind, is_guarded) {
        (Kind::OpenSearch, false) => "",
        (Kind::OpenSearch, true) => secured::SETTINGS,
        (Kind::Elasticsearch, false) => "xpack.security.enabled: false\n",
        (Kind::Elasticsearch, true) => {
            "xpack.security.enabled: true\nxpack.security.http.ssl.enabled: true\n\
             xpack.security.http.ssl.key: tls.key\nxpack.security.http.ssl.certificate: tls.crt\n"
        }
    }
}

fn settings_text(folder: &Path, port: u16, transport: u16) -> String {
    format!(
        "cluster.name: namewarden-test\nnode.name: one\ndiscovery.type: single-node\nnetwork.host: 127.0.0.1\n\
         http.port: {port}\ntransport.port: {transport}\npath.data: {0}/data\npath.logs: {0}/logs\n\
         cluster.routing.allocation.disk.threshold_enabled: false\n",
        folder.display()
    )
}

fn copy_files(from: &Path, to: &Path) -> Result<()> {
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

fn own(path: &Path) -> Result<()> {
    chown(path, Some(NOBODY), Some(NOBODY))?;
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            own(&entry?.path())?;
        }
    }
    Ok(())
}

fn command(kind: Kind, is_guarded: bool, name: &str, folder: &Path) -> Result<Command> {
    let program = kind.home(is_guarded)?.join("bin").join(name);
    let mut command = if rustix::process::geteuid().is_root() {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
        // The servers' files may lie where nobody may look. Java asks beforehand whether it may read them, and the kernel's
        // answer heeds a capability only so.
        command.args(["--securebits", "+no_setuid_fixup"]);
        for set in ["--inh-caps", "--ambient-caps", "--bounding-set"] {
            command.args([set, "-all,+dac_read_search"]);
        }
        command.arg(program);
        command
    } else {
        Command::new(program)
    };
    let prefix = kind.prefix();
    command.env(format!("{prefix}_JAVA_HOME"), variable("NAMEWARDEN_SEARCH_JAVA")?);
    command.env(format!("{prefix}_PATH_CONF"), folder.join("config"));
    command.env(format!("{prefix}_TMPDIR"), folder.join("tmp"));
    command.env(format!("{prefix}_JAVA_OPTS"), "-Xms512m -Xmx512m");
    Ok(command)
}

/// Ends the servers and removes the folders of runs whose process is gone.
fn sweep() -> Result<()> {
    for entry in fs::read_dir(env::temp_dir())? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.contains(KIND) && claim::is_orphan(&name) {
            daemon::end_all_of(&entry.path())?;
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}
