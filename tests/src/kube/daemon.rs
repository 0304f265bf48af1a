//! etcd and kube-apiserver: where they are, how they are started, watched and ended.

use std::{
    env,
    fs::{self, File},
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use crate::{program, wait::PATIENCE};

/// Characters of a log that an error shows.
const TAIL: usize = 4_000;

static PLACES: OnceLock<Vec<(&'static str, PathBuf)>> = OnceLock::new();

/// Where the programs are, for who starts them without the variables that tests get: names of variables and paths.
pub fn provide(places: Vec<(&'static str, PathBuf)>) {
    // The first word holds: a program says it once.
    let _ = PLACES.set(places);
}

/// The program `name`, from envtest's variables: one of its own, or the folder of all.
pub(super) fn program(name: &str) -> Result<PathBuf> {
    let variable = format!("TEST_ASSET_{}", name.to_uppercase().replace('-', "_"));
    let provided =
        || PLACES.get()?.iter().find(|(known, _)| *known == variable).map(|(_, place)| place.clone());
    let alone = env::var_os(&variable).map(PathBuf::from).or_else(provided);
    let path =
        alone.or_else(|| env::var_os("KUBEBUILDER_ASSETS").map(|folder| Path::new(&folder).join(name)));
    path.with_context(|| format!("no {name}: run `cargo xtask test cluster`, or set {variable}"))
}

/// A program that runs until this value is dropped.
#[derive(Debug)]
pub(super) struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts the program `name`; what it says goes to a file in `folder`.
    pub(super) fn start(name: &str, folder: &Path, arguments: &[String]) -> Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let output = File::options().create(true).append(true).open(&log)?;
        let mut command = Command::new(program(name)?);
        // Tests run side by side: memory matters more than time.
        command.args(arguments).env("GOGC", "50").current_dir(folder);
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        Ok(Self { child, log })
    }

    /// Its process id.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// An error once it has ended.
    pub(super) fn check(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            Some(status) => bail!("{} ended ({status})", self.log.display()),
            None => Ok(()),
        }
    }

    /// The end of what it said.
    pub(super) fn said(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let tail = text.get(text.len().saturating_sub(TAIL)..).unwrap_or_default();
        String::from_utf8_lossy(tail).into_owned()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Ends the programs that work in `folder`, whose owner is gone.
pub(super) fn end_all_of(folder: &Path) -> Result<()> {
    program::end_all(|pid| works_in(pid, folder))
}

fn works_in(pid: i32, folder: &Path) -> bool {
    fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|place| place == folder)
}

/// Makes the store at `port` forget all versions but the last.
pub(super) fn compact(port: u16) -> Result<()> {
    let range = call(port, "range", &json!({"key": "AA==", "count_only": true}))?;
    let revision = range.pointer("/header/revision").and_then(Value::as_str);
    let revision = revision.with_context(|| format!("no revision: {range}"))?;
    call(port, "compaction", &json!({"revision": revision, "physical": true})).map(drop)
}

/// A call of etcd's JSON interface.
fn call(port: u16, method: &str, body: &Value) -> Result<Value> {
    let body = body.to_string();
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "POST /v3/kv/{method} HTTP/1.0\r\nHost: etcd\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    if !answer.contains(" 200 ") {
        bail!("etcd refused {method}: {answer}");
    }
    let (_, text) = answer.split_once("\r\n\r\n").context("an answer without a body")?;
    Ok(serde_json::from_str(text)?)
}
