//! Names of this node's pods: told by the API server, kept in memory for a while after a pod is gone, and on disk.
//!
//! In: a node's name and the way to an API server. Out: [`Pods`] for the pipeline, which never waits. An API server that is
//! away stops news, not names: what was known stays known, also over a restart.

// A pod's object -> its names.
mod object;

// Which pods are resolvers, which are left out.
mod rules;

// UID -> names, bounded, also for a while after the pod is gone.
mod table;

// Address -> UID.
mod addresses;

// The watch.
mod follow;

// Whether the pods that are there are told of, or listed.
mod coming;

// What is known, on disk.
mod snapshot;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::pipeline::attribute::pod::{Pod, Pods};
use table::Table;

pub use follow::{ConnectError, Follower};
pub use object::Labels;
pub use rules::{Rule, Rules};

/// How names of pods are had.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How the API server is reached; `None` as in a pod.
    pub kubeconfig: Option<PathBuf>,
    /// This node, as its object is called.
    pub node: String,
    /// Labels that are kept.
    pub labels: Labels,
    /// Which pods are resolvers, which are left out.
    pub rules: Rules,
    /// Folder that keeps what is known over a restart.
    pub state_dir: Option<PathBuf>,
}

/// Counted so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PodCounts {
    /// Pods known now, those that went lately included.
    pub known: u64,
    /// Changes that the API server told.
    pub changes: u64,
    /// Times that the watch broke off.
    pub broken: u64,
    /// Pods forgotten early, to make room.
    pub evicted: u64,
    /// Objects of pods that found no room.
    pub refused: u64,
    /// Static pods that more than one object says it mirrors, now.
    pub contested: u64,
}

/// What is known of this node's pods.
#[derive(Debug, Default)]
pub struct Directory {
    table: RwLock<Table>,
    changes: AtomicU64,
    broken: AtomicU64,
    /// Told when a list of all pods came.
    listed: Notify,
}

impl Directory {
    /// Waits until all pods are known, but no longer than this; not at all where an earlier run knew some.
    pub async fn until_known(&self, patience: Duration) {
        if self.counts().known == 0 {
            let _ = tokio::time::timeout(patience, self.listed.notified()).await;
        }
    }

    /// Counted so far.
    pub fn counts(&self) -> PodCounts {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        PodCounts {
            known: table.len() as u64,
            changes: self.changes.load(Relaxed),
            broken: self.broken.load(Relaxed),
            evicted: table.evicted(),
            refused: table.refused(),
            contested: table.contested() as u64,
        }
    }

    /// What an earlier run knew.
    fn remember(&self, pods: impl Iterator<Item = Pod>) {
        let mut table = self.table_mut();
        pods.for_each(|pod| table.put(pod));
    }

    /// What the API server told.
    fn change(&self, change: impl FnOnce(&mut Table)) {
        self.changes.fetch_add(1, Relaxed);
        change(&mut self.table_mut());
    }

    fn table_mut(&self) -> RwLockWriteGuard<'_, Table> {
        self.table.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn all(&self) -> Vec<Arc<Pod>> {
        self.table.read().unwrap_or_else(PoisonError::into_inner).present()
    }

    fn expire(&self) {
        self.table_mut().expire(Instant::now());
    }
}

impl Pods for Directory {
    fn pod(&self, uid: &str) -> Option<Arc<Pod>> {
        self.table.read().unwrap_or_else(PoisonError::into_inner).pod(uid)
    }

    fn pod_at(&self, address: IpAddr) -> Option<Arc<Pod>> {
        self.table.read().unwrap_or_else(PoisonError::into_inner).pod_at(address)
    }

    fn is_asked(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_list_is_waited_for_but_not_for_ever_nor_where_pods_are_known() {
        let waited = async |directory: &Directory, patience| {
            let began = Instant::now();
            directory.until_known(patience).await;
            began.elapsed()
        };
        let (short, long) = (Duration::from_millis(20), Duration::from_mins(10));
        let directory = Directory::default();
        assert!(waited(&directory, short).await >= short);
        directory.listed.notify_one();
        assert!(waited(&directory, long).await < long, "a list came, of no pod");
        directory.remember([Pod::default()].into_iter());
        assert!(waited(&directory, long).await < long, "an earlier run knew some");
    }
}
