//! The watch of this node's pods: those that are there first, every change from then on; broken off, it is begun again.

use std::collections::HashSet;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use futures::stream::BoxStream;
use kube::core::ApiResource;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client};
use namewarden_protocol::api_server::{self, ConfigError};

use super::coming::Coming;
use super::object::{Labels, PodObject, names};
use super::rules::Rules;
use super::snapshot::Snapshot;
use super::{Directory, Settings};

/// Between two writings of what is known, and two looks at what is to be forgotten.
const HOUSEKEEPING: Duration = Duration::from_secs(10);

/// Why no API server can be asked.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nothing says where it is.
    #[error("names of pods cannot be had: {0}; name one with --kubeconfig, or give --pod-names off")]
    Config(#[from] ConfigError),
    /// TLS, credentials.
    #[error("names of pods cannot be had: {0}; see to the kubeconfig, or give --pod-names off")]
    Client(String),
}

/// Changes of pods.
type Events = BoxStream<'static, watcher::Result<watcher::Event<PodObject>>>;

/// Whoever follows the pods of a node.
pub struct Follower {
    api: Api<PodObject>,
    node: String,
    labels: Labels,
    rules: Rules,
    directory: Arc<Directory>,
    snapshot: Option<Arc<Mutex<Snapshot>>>,
}

impl Follower {
    /// Sets up what is needed; nothing is asked yet. What an earlier run knew is known at once.
    pub async fn connect(settings: &Settings) -> Result<Self, ConnectError> {
        let config = api_server::config(settings.kubeconfig.as_deref()).await?;
        let client =
            Client::try_from(config).map_err(|error| ConnectError::Client(api_server::why(&error)))?;
        let directory = Arc::new(Directory::default());
        let snapshot = settings.state_dir.as_deref().map(Snapshot::new);
        let kept = snapshot.iter().flat_map(Snapshot::read);
        directory.remember(kept.map(|pod| settings.rules.judged(pod)));
        let resource = ApiResource {
            group: String::new(),
            version: "v1".to_owned(),
            api_version: "v1".to_owned(),
            kind: "Pod".to_owned(),
            plural: "pods".to_owned(),
        };
        Ok(Self {
            api: Api::all_with(client, &resource),
            node: settings.node.clone(),
            labels: settings.labels.clone(),
            rules: settings.rules.clone(),
            directory,
            snapshot: snapshot.map(|snapshot| Arc::new(Mutex::new(snapshot))),
        })
    }

    /// What becomes known.
    pub fn directory(&self) -> Arc<Directory> {
        Arc::clone(&self.directory)
    }

    /// Follows for ever.
    pub async fn run(self) {
        let mut events = self.events(self.one_by_one());
        let mut coming = Coming::one_by_one();
        let mut housekeeping = tokio::time::interval(HOUSEKEEPING);
        let mut listed = HashSet::new();
        let mut told = None;
        loop {
            tokio::select! {
                event = events.next() => match event {
                    None => return,
                    Some(event) if coming.must_list(&event, tokio::time::Instant::now()) => {
                        events = self.list_instead();
                    }
                    Some(Ok(event)) => {
                        let is_list = matches!(event, watcher::Event::InitDone);
                        self.take(event, &mut listed);
                        if is_list {
                            self.keep();
                        }
                        if told.take().is_some() {
                            tracing::info!("the API server tells of pods again");
                        }
                    }
                    Some(Err(error)) => self.broken(&error, &mut told),
                },
                () = coming.silence() => events = self.list_instead(),
                _ = housekeeping.tick() => {
                    self.directory.expire();
                    self.keep();
                }
            }
        }
    }

    fn list_instead(&self) -> Events {
        tracing::info!("this API server does not tell of pods one by one: they are listed");
        self.events(self.as_list())
    }

    fn events(&self, config: watcher::Config) -> Events {
        watcher(self.api.clone(), config).default_backoff().boxed()
    }

    fn config(&self) -> watcher::Config {
        let of_node = format!("spec.nodeName={}", self.node);
        watcher::Config::default().fields(&of_node).timeout(api_server::WATCH_SECONDS)
    }

    /// As events of the watch (Kubernetes 1.32 and from 1.34 on): objects may be large, and are never held together.
    fn one_by_one(&self) -> watcher::Config {
        self.config().streaming_lists()
    }

    /// As a list, out of the API server's memory: a thousand agents that begin anew together read nothing of its store. A list in pages
    /// would be read there.
    fn as_list(&self) -> watcher::Config {
        watcher::Config { page_size: None, ..self.config().any_semantic() }
    }

    fn take(&self, event: watcher::Event<PodObject>, listed: &mut HashSet<String>) {
        match event {
            watcher::Event::Init => listed.clear(),
            watcher::Event::InitApply(object) => {
                listed.extend(object.metadata.uid.clone());
                self.put(&object);
            }
            watcher::Event::InitDone => {
                let there = std::mem::take(listed);
                self.directory.change(|table| table.retain(&there, Instant::now()));
                self.directory.listed.notify_one();
            }
            watcher::Event::Apply(object) => self.put(&object),
            watcher::Event::Delete(object) => {
                // Its last state: a container may have been made since the last change.
                self.put(&object);
                if let Some(uid) = &object.metadata.uid {
                    self.directory.change(|table| table.remove(uid, Instant::now()));
                }
            }
        }
    }

    fn put(&self, object: &PodObject) {
        if let Some(pod) = names(object, &self.labels, &self.rules) {
            self.directory.change(|table| table.put(pod));
        }
    }

    /// Counted each time, told once for each reason.
    fn broken(&self, error: &watcher::Error, told: &mut Option<String>) {
        self.directory.broken.fetch_add(1, Relaxed);
        let reason = api_server::why_no_watch(error);
        if told.as_ref() != Some(&reason) {
            tracing::warn!(
                "the watch of this node's pods broke off, it is begun again: {reason}; known names stay"
            );
            *told = Some(reason);
        }
    }

    /// Beside: a slow disk keeps nobody from hearing of new pods. Where the last ones are still being written, the next turn writes these.
    fn keep(&self) {
        let Some(snapshot) = self.snapshot.clone() else { return };
        let pods = self.directory.all();
        tokio::task::spawn_blocking(move || {
            let Ok(mut snapshot) = snapshot.try_lock() else { return };
            if let Err(error) = snapshot.write(&pods) {
                tracing::warn!("names of pods cannot be kept: {error}");
            }
        });
    }
}
