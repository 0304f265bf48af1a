//! The program with its folders: started, looked at, stopped.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use namewarden_protocol::threat_set::{SetId, ThreatSet};

/// Far more than anything takes, on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(90);

/// A folder of manifests and a state folder.
pub struct Program {
    manifests: tempfile::TempDir,
    state: tempfile::TempDir,
}

/// The program as it runs; killed when it is dropped.
pub struct Running<'p> {
    program: &'p Program,
    child: Child,
    log: Arc<Mutex<String>>,
}

/// The set that is served.
pub struct Set {
    pub id: SetId,
    set: ThreatSet,
}

impl Program {
    pub fn new() -> Self {
        Self { manifests: tempfile::tempdir().unwrap(), state: tempfile::tempdir().unwrap() }
    }

    /// Writes a manifest in one step, as a careful editor does.
    pub fn write(&self, name: &str, text: &str) {
        let beside = self.state.path().join("beside");
        fs::write(&beside, text).unwrap();
        fs::rename(beside, self.manifests.path().join(name)).unwrap();
    }

    pub fn remove(&self, name: &str) {
        fs::remove_file(self.manifests.path().join(name)).unwrap();
    }

    /// Damages the last good copy that holds this text.
    pub fn damage_copy(&self, text: &str) {
        for entry in fs::read_dir(self.state.path().join("copies")).unwrap() {
            let path = entry.unwrap().path();
            if fs::read_to_string(&path).is_ok_and(|copy| copy.contains(text)) {
                fs::write(&path, "<html>").unwrap();
            }
        }
    }

    /// Loses all that it keeps.
    pub fn lose_state(&self) {
        fs::remove_dir_all(self.state.path()).unwrap();
        fs::create_dir(self.state.path()).unwrap();
    }

    pub fn start(&self) -> Running<'_> {
        let mut child = Command::new(env!("CARGO_BIN_EXE_namewarden-controller"))
            .args(["run", "--listen", "127.0.0.1:0", "--manifests"])
            .arg(self.manifests.path())
            .arg("--state-dir")
            .arg(self.state.path())
            .env("NAMEWARDEN_LOG", "debug")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let (lines, shared) = (BufReader::new(child.stderr.take().unwrap()), Arc::clone(&log));
        std::thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                let mut log = shared.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
            }
        });
        Running { program: self, child, log }
    }
}

impl Running<'_> {
    pub fn wait_for_set(&self, condition: impl Fn(&Set) -> bool) -> Set {
        self.wait_for("the set", || current(self.program.state.path()).filter(&condition))
    }

    pub fn wait_for_status(&self, feed: &str, condition: impl Fn(&str) -> bool) -> String {
        let path = self.program.manifests.path().join(format!("{feed}.status.yaml"));
        self.wait_for(&format!("the status of {feed}"), || {
            fs::read_to_string(&path).ok().filter(|text| condition(text))
        })
    }

    pub fn wait_for_log(&self, text: &str) {
        self.wait_for(text, || self.log.lock().unwrap().contains(text).then_some(()));
    }

    /// Where it serves.
    pub fn url(&self) -> String {
        self.wait_for("its address", || {
            let log = self.log.lock().unwrap();
            let at = log.split("serving on https://127.0.0.1:").nth(1)?;
            Some(format!("https://localhost:{}", at.split_whitespace().next()?))
        })
    }

    /// Whom its clients trust.
    pub fn authority(&self) -> std::path::PathBuf {
        self.program.state.path().join("tls/ca.crt")
    }

    /// Ends it at once.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// What it answers at a path.
    pub fn get(&self, path: &str) -> serde_json::Value {
        let serving = "serving on https://";
        self.wait_for_log(serving);
        let log = self.log.lock().unwrap().clone();
        let address = log.split_once(serving).unwrap().1.split_whitespace().next().unwrap().to_owned();
        let authority = self.program.state.path().join("tls/ca.crt");
        let output = Command::new("curl")
            .args(["--silent", "--show-error", "--fail-with-body", "--cacert"])
            .arg(authority)
            .arg(format!("https://{address}{path}"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Ends it in order; what it logged.
    pub fn stop(mut self) -> String {
        let id = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
        let status = self.child.wait().unwrap();
        let log = self.log.lock().unwrap().clone();
        assert!(status.success(), "{status}: {log}");
        log
    }

    pub fn wait_for<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = look() {
                return found;
            }
            let folder = self.program.manifests.path();
            let statuses = || {
                let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
                let statuses = files.filter(|path| path.to_string_lossy().ends_with(".status.yaml"));
                statuses.filter_map(|path| fs::read_to_string(path).ok()).collect::<Vec<_>>().join("---\n")
            };
            assert!(
                Instant::now() < deadline,
                "{what} never came; {}\n{}",
                self.log.lock().unwrap(),
                statuses()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Set {
    /// Whether an alert would follow on the name.
    pub fn lists(&self, name: &str) -> bool {
        let hasher = self.set.hasher();
        let exact = hasher.suffix(name).map(|hash| hasher.exact(hash));
        let suffixes = name.match_indices('.').map(|(dot, _)| &name[dot + 1..]).chain([name]);
        let mut all = suffixes.filter_map(|suffix| hasher.suffix(suffix)).chain(exact);
        all.any(|hash| self.set.probe(hash).is_some())
    }
}

fn current(state: &Path) -> Option<Set> {
    let note: serde_json::Value =
        serde_json::from_slice(&fs::read(state.join("published.json")).ok()?).ok()?;
    let set = ThreatSet::open(&state.join("sets").join(note["file"].as_str()?)).ok()?;
    Some(Set { id: set.id(), set })
}
