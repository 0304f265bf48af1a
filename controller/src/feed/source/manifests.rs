//! A folder of manifests, watched: the same YAML that an API server takes, statuses written beside it.
//!
//! Every look reads the whole folder. A file that cannot be read as it is now (half written, a slip) counts as it was
//! when it last could; its feeds say so. Of a file with a document that is none, the others count, and what it held before. `NAME.status.yaml` is written here and never read as a manifest.

// One file -> resources and values.
pub mod file;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::BoxStream;
use kube::api::TypeMeta;
use notify::Watcher as _;
use serde_json::json;
use tokio::sync::mpsc;

use super::{Change, SourceError, Unusable};
use crate::feed::copy::write_whole;
use crate::feed::resource::{GlobalThreatFeedStatus, Group};
use crate::feed::values::{SecretText, ValueReference};
use file::Contents;

/// What a status file's name ends with.
pub const STATUS_ENDING: &str = ".status.yaml";
/// How long a folder must be at rest before it is read.
const REST: Duration = Duration::from_millis(150);
/// It is read this often without being told of a change: not every file system tells.
const LOOK_ANYWAY: Duration = Duration::from_secs(30);
/// The most files.
const FILES_MAX: usize = 10_000;

/// A folder of manifests. Cheap to share.
#[derive(Clone, Debug)]
pub struct Manifests {
    folder: Arc<Path>,
    known: Arc<Mutex<Known>>,
}

/// What the last look found.
#[derive(Debug, Default)]
struct Known {
    /// Each file as it was last good.
    files: BTreeMap<PathBuf, Contents>,
    /// The files that cannot be read as they are, and why.
    broken: BTreeMap<PathBuf, String>,
    /// What is wrong with documents of the others.
    faults: BTreeMap<PathBuf, String>,
    /// Feeds that a file defines once more.
    doubled: BTreeSet<(PathBuf, String)>,
}

impl Manifests {
    /// A folder that is there.
    pub fn open(folder: &Path) -> Result<Self, SourceError> {
        let failed = |error| SourceError::Folder { path: folder.to_owned(), error };
        if !fs::metadata(folder).map_err(failed)?.is_dir() {
            return Err(failed(io::ErrorKind::NotADirectory.into()));
        }
        Ok(Self { folder: folder.into(), known: Arc::default() })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Every change, for ever: all resources, each time that the folder changed.
    pub fn changes(&self) -> BoxStream<'static, Change> {
        let (sender, receiver) = mpsc::channel::<()>(1);
        let watch = self.watch(sender);
        let looks = futures::stream::unfold((self.clone(), receiver, watch, true), |mut state| async move {
            let (source, changed, _, is_first) = &mut state;
            if !std::mem::take(is_first) {
                wait(changed).await;
            }
            let source = source.clone();
            let all = tokio::task::spawn_blocking(move || source.look()).await.unwrap_or_else(|error| {
                tracing::error!("the folder of manifests was not read: {error}");
                None
            });
            Some((all, state))
        });
        looks.filter_map(std::future::ready).boxed()
    }

    /// Writes a feed's status beside the manifests.
    pub fn write_status(&self, name: &str, status: &GlobalThreatFeedStatus) -> Result<(), SourceError> {
        let known = self.known();
        let Some((path, file)) = known.files.iter().find(|(_, file)| file.names().any(|named| named == name))
        else {
            return Ok(());
        };
        let folder = path.parent().unwrap_or(&self.folder);
        // One that cannot be read may have no types.
        let types = file.feed(name).and_then(|feed| feed.types.clone()).unwrap_or_else(|| TypeMeta {
            api_version: Group::ProjectCalico.api_version(),
            kind: "GlobalThreatFeed".to_owned(),
        });
        let text = serde_saphyr::to_string(&json!({
            "apiVersion": types.api_version,
            "kind": types.kind,
            "metadata": { "name": name },
            "status": status,
        }));
        let path = folder.join(format!("{name}{STATUS_ENDING}"));
        let failed = |error| SourceError::Folder { path: path.clone(), error };
        write_whole(&path, text.map_err(|error| failed(io::Error::other(error)))?.as_bytes()).map_err(failed)
    }

    /// A key of a Secret or ConfigMap among the manifests.
    pub fn value(&self, of: &ValueReference) -> Option<SecretText> {
        let known = self.known();
        known.files.values().find_map(|file| file.value(of.holder, &of.name, &of.key).cloned())
    }

    /// Reads the whole folder.
    fn look(&self) -> Option<Change> {
        let paths = self
            .paths()
            .inspect_err(|error| {
                tracing::warn!(
                    "the manifests in {} cannot be listed: {error}; what was read last stays",
                    self.folder.display()
                );
            })
            .ok()?;
        let mut known = self.known();
        let before = known.names();
        known.files.retain(|path, _| paths.contains(path));
        known.broken.retain(|path, _| paths.contains(path));
        known.faults.retain(|path, _| paths.contains(path));
        for path in paths {
            let read = file::read(&path);
            known.note(path, read);
        }
        for gone in before.difference(&known.names()) {
            // Best effort: a status without a feed is of no use, and no harm.
            let _ = fs::remove_file(self.folder.join(format!("{gone}{STATUS_ENDING}")));
        }
        Some(Change::All(known.observed()))
    }

    /// The manifests of the folder in the order of their names; folders in it are not entered.
    fn paths(&self) -> io::Result<Vec<PathBuf>> {
        let mut paths = Vec::new();
        for found in fs::read_dir(&self.folder)? {
            let path = found?.path();
            if is_manifest(&path) && path.is_file() {
                paths.push(path);
            }
        }
        paths.sort();
        paths.truncate(FILES_MAX);
        Ok(paths)
    }

    /// Tells of changes while it lives; without it the folder is read now and then.
    fn watch(&self, sender: mpsc::Sender<()>) -> Option<notify::RecommendedWatcher> {
        let tell = move |event: notify::Result<notify::Event>| {
            let is_ours = event.as_ref().is_ok_and(|event| {
                event.kind.is_access() || event.paths.iter().all(|path| !is_manifest(path) && !is_link(path))
            });
            if !is_ours {
                // A change that waits already stands for this one too.
                let _ = sender.try_send(());
            }
        };
        notify::recommended_watcher(tell)
            .and_then(|mut watcher| {
                watcher.watch(&self.folder, notify::RecursiveMode::NonRecursive)?;
                Ok(watcher)
            })
            .inspect_err(|error| {
                tracing::warn!("the folder of manifests is not watched: {error}; it is read now and then");
            })
            .ok()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// The feeds of all files.
    fn names(&self) -> BTreeSet<String> {
        self.files.values().flat_map(Contents::names).map(str::to_owned).collect()
    }

    /// What a look at a file found; the log says once what is wrong.
    fn note(&mut self, path: PathBuf, read: Result<Contents, String>) {
        match read {
            Ok(mut contents) => {
                self.broken.remove(&path);
                let faults = contents.faults.join("; ");
                if faults.is_empty() {
                    self.faults.remove(&path);
                } else {
                    if self.faults.insert(path.clone(), faults.clone()).as_ref() != Some(&faults) {
                        tracing::warn!("{}: {faults}; what else it holds counts", path.display());
                    }
                    if let Some(before) = self.files.remove(&path) {
                        contents.hold(before);
                    }
                }
                self.files.insert(path, contents);
            }
            Err(reason) => {
                if self.broken.insert(path.clone(), reason.clone()).as_ref() != Some(&reason) {
                    tracing::warn!("{} is not read as it is: {reason}", path.display());
                }
            }
        }
    }

    /// Every feed once; those of a file that cannot be read as it is stay, and say so.
    fn observed(&mut self) -> Vec<super::Observed> {
        let mut seen = BTreeSet::new();
        let mut doubled = BTreeSet::new();
        let mut observed = Vec::new();
        for (path, file) in &self.files {
            for resource in &file.feeds {
                let name = resource.metadata.name.clone().unwrap_or_default();
                if !seen.insert(name.clone()) {
                    doubled.insert((path.clone(), name));
                    continue;
                }
                observed.push(Ok(Box::new(resource.clone())));
                if let Some(reason) = self.broken.get(path) {
                    let file = path.file_name().unwrap_or_default().to_string_lossy();
                    let reason = format!("{file} cannot be read as it is now: {reason}");
                    observed.push(Err(Unusable { name, reason }));
                }
            }
            observed.extend(file.unusable.iter().cloned().map(Err));
        }
        for (path, name) in doubled.difference(&self.doubled) {
            tracing::warn!(feed = name, "{} defines it once more: that is passed over", path.display());
        }
        self.doubled = doubled;
        observed
    }
}

/// Waits for a change and then for rest, or for the time of a look anyway.
async fn wait(changed: &mut mpsc::Receiver<()>) {
    match tokio::time::timeout(LOOK_ANYWAY, changed.recv()).await {
        // Nobody tells any more.
        Ok(None) => tokio::time::sleep(LOOK_ANYWAY).await,
        Ok(Some(())) => while let Ok(Some(())) = tokio::time::timeout(REST, changed.recv()).await {},
        Err(_) => {}
    }
}

/// `*.yaml`, `*.yml`, `*.json`; no hidden files, no statuses.
fn is_manifest(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let is_text = [".yaml", ".yml", ".json"].into_iter().any(|ending| name.ends_with(ending));
    is_text && !name.starts_with('.') && !name.ends_with(STATUS_ENDING)
}

/// A mounted ConfigMap changes by one hidden link, not by its files.
fn is_link(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "..data")
}
