//! The kernel half's account of who floods -> documents, every few seconds and once more at the end.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use namewarden_protocol::document::{Document, Identity};

use super::clock;
use crate::{
    kernel::{Attached, Flood},
    machine::MachineHandle,
    pipeline::{
        attribute::Workload,
        compose::Composer,
        flood::{FloodWatch, Reading, Settings, Volume},
    },
};

/// How long a flood is rolled up: as long as alerts are.
const WINDOW: Duration = Duration::from_hours(1);

/// Reads floods and makes documents of them.
pub struct Floods {
    watch: Mutex<FloodWatch>,
    composer: Composer,
    machine: MachineHandle,
}

impl Floods {
    /// Reports in the name of this run.
    pub fn new(identity: &Identity, composer: Composer, machine: MachineHandle) -> Self {
        let (cluster, node) = (identity.cluster.clone(), identity.node.clone());
        let watch = Mutex::new(FloodWatch::new(Settings { cluster, node, window: WINDOW }));
        Self { watch, composer, machine }
    }

    /// Hands out the documents that are due.
    pub fn look(&self, attached: &Attached, each: &mut impl FnMut(Document)) {
        let floods = match attached.floods() {
            Ok(floods) => floods,
            Err(error) => {
                tracing::debug!(%error, "cannot read who floods");
                return;
            }
        };
        let readings: Vec<_> = floods.iter().map(|flood| self.reading(flood)).collect();
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        watch.look(&readings, clock::now(), &mut |report| each(self.composer.flood(&report)));
    }

    /// Looks for the last time, and hands out what was not told yet.
    pub fn finish(&self, attached: &Attached, each: &mut impl FnMut(Document)) {
        self.look(attached, each);
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        watch.finish(clock::now(), &mut |report| each(self.composer.flood(&report)));
    }

    fn reading(&self, flood: &Flood) -> Reading {
        let workload = self.machine.workload_of(flood.cgroup_id);
        Reading {
            cgroup_id: flood.cgroup_id,
            workload: workload.unwrap_or_else(|| Arc::new(Workload::unknown())),
            uncaptured: Volume { packets: flood.packets, bytes: flood.bytes },
        }
    }
}
