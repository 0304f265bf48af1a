//! A cluster with the chart installed and the examples' feeds applied, as a user would, and OpenSearch to keep the alerts; tests
//! share it. It is taken down when their process ends, in whatever way.

use std::{
    collections::BTreeSet,
    env, fs,
    ops::Deref,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use namewarden_tests::{claim, program, wait};
use serde_json::Value;

use crate::engine::Engine;

/// The network namespace that the cluster is in.
const NAMESPACE: &str = "/run/netns/namewarden-cluster";

/// Where the controller is found inside it.
const CONTROLLER: &str = "namewarden-controller.namewarden-controller.svc";

/// The file that says whose cluster it is.
const CLAIM: &str = "claim";

/// How long the slowest of the steps may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(200);

/// How often the API server and the controller are asked.
const PACE: Duration = Duration::from_millis(250);

/// Who publishes feeds inside the cluster: the demo's.
const PUBLISHER: &str = include_str!("../../../xtask/src/demo/publisher.yaml");

/// A pod that asks for what each feed lists until the agent has the set.
const PROBE: &str = "
apiVersion: v1
kind: Pod
metadata: {name: probe, namespace: default}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: probe
    image: busybox:1
    imagePullPolicy: Never
    command: [sh, -c, 'while true; do nslookup probe.paypa1.example.; sleep 1; done']
";

/// Reads until there is nothing more to come, which is when the tests are gone; then takes their cluster down.
const WATCH: &str = "cat; [ -e \"$1\" ] && [ \"$(cat \"$1\")\" != \"$2\" ] || exec \"$0\" cluster down";

static SHARED: OnceLock<std::result::Result<Installation, String>> = OnceLock::new();
static TURN: Mutex<()> = Mutex::new(());

/// The installation while it is one test's alone: some of them take away what others need, and put it back.
pub struct Turn {
    installation: &'static Installation,
    _turn: MutexGuard<'static, ()>,
}

impl Turn {
    /// The end of a test: whatever it and those before it did is in OpenSearch, each alert once.
    pub fn end(self) -> Result<()> {
        self.installation.engine.holds_each_once()
    }
}

impl Deref for Turn {
    type Target = Installation;

    fn deref(&self) -> &Installation {
        self.installation
    }
}

/// The cluster.
#[derive(Debug)]
pub struct Installation {
    xtask: PathBuf,
    /// Who waits for the end of this process.
    _watch: Child,
    folder: PathBuf,
    token: String,
    /// Where the chart's values have agents and controllers keep documents.
    pub engine: Engine,
}

impl Installation {
    /// The one that tests share, once it is this test's turn.
    pub fn turn() -> Result<Turn> {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let shared = SHARED.get_or_init(|| Self::start().map_err(|error| format!("{error:#}")));
        let installation = shared.as_ref().map_err(|error| anyhow!("no cluster: {error}"))?;
        Ok(Turn { installation, _turn: turn })
    }

    fn start() -> Result<Self> {
        let xtask = PathBuf::from(env::var_os("NAMEWARDEN_XTASK").context("run `cargo xtask test node`")?);
        let folder = PathBuf::from(
            env::var_os("NAMEWARDEN_CLUSTER").unwrap_or_else(|| "/var/lib/namewarden-cluster".into()),
        );
        sweep(&xtask, &folder)?;
        let mut watch = Command::new("sh");
        let name = claim::name();
        watch.args(["-c", WATCH]).arg(&xtask).arg(folder.join(CLAIM)).arg(&name);
        watch.stdin(Stdio::piped()).stdout(Stdio::null());
        // Ctrl-C is for the tests.
        let watch = watch.stderr(Stdio::null()).process_group(0).spawn()?;
        let engine = thread::scope(|scope| {
            let engine = scope.spawn(Engine::start);
            cluster(&xtask, &["up"])?;
            fs::write(folder.join(CLAIM), name)?;
            engine.join().map_err(|_| anyhow!("starting OpenSearch panicked"))?
        })?;
        engine.open_to(Path::new(NAMESPACE))?;
        let mut installation = Self { xtask, _watch: watch, folder, token: String::new(), engine };
        let images = env::var_os("NAMEWARDEN_IMAGES").context("NAMEWARDEN_IMAGES is not set")?;
        for image in env::split_paths(&images) {
            cluster(&installation.xtask, &["load", &image.to_string_lossy()])?;
        }
        installation.publish()?;
        installation.install()?;
        Ok(installation)
    }

    fn publish(&self) -> Result<()> {
        self.apply(&PUBLISHER.replace("BUSYBOX", "busybox:1"))?;
        let feeds = root().join("deploy/examples/feeds").display().to_string();
        let lists = self.kubectl(&format!(
            "create configmap lists --namespace publisher --dry-run=client --output yaml --from-file {feeds}"
        ))?;
        self.apply(&lists).map(drop)
    }

    fn install(&mut self) -> Result<()> {
        let started = Instant::now();
        self.install_chart()?;
        for feed in ["malware", "phishing"] {
            let path = root().join(format!("deploy/examples/manifests/{feed}.yaml"));
            let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            let here = "http://lists.publisher.svc.cluster.local";
            self.apply(&text.replace("https://feeds.example.net", here))?;
        }
        self.apply(PROBE)?;
        self.kubectl("create serviceaccount soc")?;
        self.kubectl(
            "create clusterrolebinding soc --clusterrole=namewarden:viewer --serviceaccount=default:soc",
        )?;
        self.kubectl("create token soc --duration 1h")?.trim().clone_into(&mut self.token);
        self.wait_for_alerts("the first alert", |alerts| !alerts.is_empty())?;
        println!("from `helm install` to the first alert: {:.1} s", started.elapsed().as_secs_f64());
        Ok(())
    }

    /// Installs the chart with OpenSearch, and returns when agent and controllers are ready.
    pub fn install_chart(&self) -> Result<()> {
        self.put_chart("install", &chart(), &Engine::values())
    }

    /// `helm install` or `helm upgrade` of the chart in a folder, with more options; returns when agent and controllers are ready.
    pub fn put_chart(&self, verb: &str, chart: &Path, options: &str) -> Result<()> {
        // Whoever signs the controller's certificate is made anew with it.
        _ = fs::remove_file(self.folder.join("controller-ca.crt"));
        self.helm(&format!(
            "{verb} namewarden {} --namespace namewarden --create-namespace --set image.pullPolicy=Never \
             --set agent.stateDir={}/agent-state --wait --timeout 300s {options}",
            chart.display(),
            self.folder.display()
        ))
        .map(drop)
    }

    /// A folder of the cluster's, which goes with it.
    pub fn folder(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Runs `cargo xtask cluster` with these words.
    pub fn cluster(&self, words: &[&str]) -> Result<String> {
        cluster(&self.xtask, words)
    }

    /// Runs a program inside the cluster's network; what it says.
    pub fn inside(words: &[&str]) -> Result<String> {
        program::finish(Command::new("nsenter").arg(format!("--net={NAMESPACE}")).args(words))
    }

    /// Gives images that the node has other names as well.
    pub fn tag_image(&self, from: &str, to: &str) -> Result<()> {
        let mut ctr = self.program("ctr");
        ctr.arg("--address").arg(self.folder.join("containerd.sock")).args(["--namespace", "k8s.io"]);
        program::finish(ctr.args(["images", "tag", "--force", from, to])).map(drop)
    }

    /// A program of the cluster as its administrator.
    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.folder.join("bin").join(name));
        command.env("KUBECONFIG", self.folder.join("kubeconfig")).env("HOME", &self.folder);
        command.env("KUBECACHEDIR", self.folder.join("kubectl-cache"));
        command
    }

    /// Runs kubectl; the words of `arguments` are separated by spaces.
    pub fn kubectl(&self, arguments: &str) -> Result<String> {
        program::finish(self.program("kubectl").args(arguments.split_whitespace()))
    }

    /// Runs helm, likewise.
    pub fn helm(&self, arguments: &str) -> Result<String> {
        program::finish(self.program("helm").args(arguments.split_whitespace()))
    }

    /// Applies manifests.
    pub fn apply(&self, manifests: &str) -> Result<String> {
        program::finish_fed(self.program("kubectl").args(["apply", "--filename", "-"]), manifests)
    }

    /// Has the kubelet run a pod from a file.
    pub fn run_static(&self, name: &str, manifest: &str) -> Result<()> {
        let draft = self.folder.join(name);
        fs::write(&draft, manifest)?;
        // Renamed, so that the kubelet never reads half of it.
        Ok(fs::rename(draft, self.folder.join("static-pods").join(format!("{name}.yaml")))?)
    }

    /// Objects that kubectl gets, as a list.
    pub fn get(&self, arguments: &str) -> Result<Vec<Value>> {
        let text = self.kubectl(&format!("get {arguments} --output json"))?;
        let list: Value = serde_json::from_str(&text)?;
        Ok(list.pointer("/items").and_then(Value::as_array).cloned().unwrap_or_default())
    }

    /// What the controller answers to a person with the role for viewers, asked at its Service.
    fn ask(&self, path: &str) -> Result<Value> {
        let secret = "get secret namewarden-controller-tls --namespace namewarden-controller";
        let authority = self.folder.join("controller-ca.crt");
        if !authority.exists() {
            let text = self.kubectl(&format!("{secret} --output jsonpath={{.data.ca\\.crt}}"))?;
            fs::write(&authority, data_encoding::BASE64.decode(text.trim().as_bytes())?)?;
        }
        let service = "get service namewarden-controller --namespace namewarden-controller";
        let address = self.kubectl(&format!("{service} --output jsonpath={{.spec.clusterIP}}"))?;
        let mut curl = Command::new("nsenter");
        curl.arg(format!("--net={NAMESPACE}")).args([
            "curl",
            "-sS",
            "--fail",
            "--max-time",
            "20",
            "--cacert",
        ]);
        curl.arg(&authority).args(["--resolve", &format!("{CONTROLLER}:8443:{}", address.trim())]);
        curl.args(["-H", &format!("Authorization: Bearer {}", self.token)]);
        let text = program::finish(curl.arg(format!("https://{CONTROLLER}:8443{path}")))?;
        serde_json::from_str(&text).with_context(|| text.clone())
    }

    /// Every alert so far, as the controller keeps them.
    pub fn alerts(&self) -> Result<Vec<Value>> {
        self.events("listed-name")
    }

    /// Every security event of a kind so far.
    pub fn events(&self, kind: &str) -> Result<Vec<Value>> {
        let (mut events, mut after) = (Vec::new(), String::new());
        loop {
            let answer = self.ask(&format!("/v1/events?limit=1000&order=oldest&kind={kind}{after}"))?;
            let page = answer.pointer("/events").and_then(Value::as_array).context("no events")?;
            events.extend(page.iter().filter_map(|event| event.pointer("/document").cloned()));
            let Some(next) = answer.pointer("/next").and_then(Value::as_str) else { return Ok(events) };
            let escaped = next.bytes().map(|byte| format!("%{byte:02x}")).collect::<Vec<_>>().concat();
            after = format!("&after={escaped}");
        }
    }

    /// Alerts, once they hold what is waited for.
    pub fn wait_for_alerts(&self, what: &str, mut holds: impl FnMut(&[Value]) -> bool) -> Result<Vec<Value>> {
        let mut last = Vec::new();
        let waited = wait_for(what, || {
            // A controller that has just started may not be behind its Service yet.
            let Ok(alerts) = self.alerts() else { return Ok(false) };
            last = alerts;
            Ok(holds(&last))
        });
        waited.with_context(|| format!("alerts of {:?}", named(&last)))?;
        Ok(last)
    }
}

/// Waits for the end of a cluster whose tests are gone, or ends it; one of somebody else is theirs.
fn sweep(xtask: &Path, folder: &Path) -> Result<()> {
    if !folder.exists() && !Path::new(NAMESPACE).exists() {
        return Ok(());
    }
    let is_orphan = |name: String| claim::is_orphan(name.trim());
    if !fs::read_to_string(folder.join(CLAIM)).is_ok_and(is_orphan) {
        bail!("a cluster is up that is not the tests': `cargo xtask cluster down` ends it");
    }
    wait::until("an earlier cluster gone", || Ok((!folder.exists()).then_some(())))
        .or_else(|_| cluster(xtask, &["down"]).map(drop))
}

/// Looks at a condition until it holds.
pub fn wait_for(what: &str, mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
    let mut next = Instant::now();
    wait::within(PATIENCE, what, || {
        if Instant::now() < next {
            return Ok(None);
        }
        let held = holds()?;
        next = Instant::now() + PACE;
        Ok(held.then_some(()))
    })
}

fn cluster(xtask: &Path, arguments: &[&str]) -> Result<String> {
    program::finish(Command::new(xtask).arg("cluster").args(arguments))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The chart of this workspace.
pub fn chart() -> PathBuf {
    root().join("deploy/chart")
}

/// Pods of alerts, or what they say where they name none.
pub fn named(alerts: &[Value]) -> BTreeSet<String> {
    let name = |alert: &Value| {
        let pod = alert.pointer("/kubernetes/pod/name").or_else(|| alert.pointer("/message"));
        pod.and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    alerts.iter().map(name).collect()
}

#[test]
fn after_the_installation_a_pod_that_asks_alerts() -> Result<()> {
    let installation = Installation::turn()?;
    let alerts = installation.alerts()?;
    ensure!(named(&alerts).contains("probe"), "{:?}", named(&alerts));
    installation.end()
}
