//! A real OpenSearch beside the cluster, which agents and controllers know by the chart's values alone: what the tests' workloads
//! do is there once, and stays there whatever becomes of the chart.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Mutex, PoisonError},
    thread,
};

use anyhow::{Context as _, Result, ensure};
use namewarden_tests::{
    namespace,
    search_engine::{Kind, SearchEngine},
};
use serde_json::Value;

/// Where pods reach it: the node's address.
const ADDRESS: &str = "198.18.90.1:9200";

/// Where the alerts are.
const STREAM: &str = "logs-namewarden.alert-default";

/// Reads until there is nothing more to come, which is when the tests are gone; then ends their server.
const WATCH: &str = "cat; kill -9 \"$0\"; rm -rf \"$1\"";

/// The server, and what it has to hold.
#[derive(Debug)]
pub struct Engine {
    server: SearchEngine,
    /// Who waits for the end of this process.
    _watch: Child,
    /// Pods, and how many entries each asked for.
    expected: Mutex<BTreeMap<String, usize>>,
}

impl Engine {
    /// Starts it, and returns when it is ready.
    pub fn start() -> Result<Self> {
        let server = SearchEngine::start(Kind::OpenSearch)?;
        let (pid, folder) = server.remains().context("it does not run")?;
        let mut watch = Command::new("sh");
        watch.args(["-c", WATCH, &pid.to_string()]).arg(folder);
        // Ctrl-C is for the tests.
        watch.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        Ok(Self { server, _watch: watch.spawn()?, expected: Mutex::default() })
    }

    /// Lets the pods of the cluster in this network namespace reach it.
    pub fn open_to(&self, cluster: &Path) -> Result<()> {
        let listener = namespace::enter(cluster, || Ok(TcpListener::bind(ADDRESS)?))?;
        let server = self.server.address();
        thread::spawn(move || {
            for client in listener.incoming().map_while(io::Result::ok) {
                // A server that is away is a connection that ends, as without a relay.
                _ = join(client, server);
            }
        });
        Ok(())
    }

    /// What the chart is told of it.
    pub fn values() -> String {
        format!("--set searchEngine.urls={{http://{ADDRESS}}}")
    }

    /// From now on each of these pods has alerts of so many entries.
    pub fn expect<'p>(&self, pods: impl IntoIterator<Item = &'p String>, entries: usize) {
        let mut expected = self.expected.lock().unwrap_or_else(PoisonError::into_inner);
        expected.extend(pods.into_iter().map(|pod| (pod.clone(), entries)));
    }

    /// Fails unless every alert that the tests were promised so far is there, each in one document that bears its group's name.
    pub fn holds_each_once(&self) -> Result<()> {
        let documents = self.server.documents(STREAM)?;
        let mut groups: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        let mut pods: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for document in
            documents.iter().filter(|document| text(document, "/_source/event/action") == "listed-name")
        {
            let group = text(document, "/_source/namewarden/group");
            groups.entry(group).or_default().push(text(document, "/_id"));
            pods.entry(text(document, "/_source/kubernetes/pod/name")).or_default().insert(group);
        }
        for (group, ids) in &groups {
            let first = ids.iter().filter(|id| *id == group).count();
            ensure!(first == 1, "{first} first alerts of the group {group} among {ids:?}");
        }
        let expected = self.expected.lock().unwrap_or_else(PoisonError::into_inner);
        for (pod, entries) in &*expected {
            let found = pods.get(&**pod).map_or(0, BTreeSet::len);
            ensure!(found == *entries, "{pod} has alerts of {found} entries, not {entries}");
        }
        println!("OpenSearch holds the alerts of {} pods, each once", expected.len());
        Ok(())
    }
}

fn text<'a>(document: &'a Value, path: &str) -> &'a str {
    document.pointer(path).and_then(Value::as_str).unwrap_or_default()
}

/// Passes bytes on both ways until either side has ended.
fn join(client: TcpStream, server: SocketAddr) -> io::Result<()> {
    let server = TcpStream::connect(server)?;
    let ways = [(client.try_clone()?, server.try_clone()?), (server, client)];
    for (mut from, mut to) in ways {
        thread::spawn(move || {
            _ = io::copy(&mut from, &mut to);
            _ = to.shutdown(Shutdown::Write);
        });
    }
    Ok(())
}
