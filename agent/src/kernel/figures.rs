//! What the kernel half counts, who floods, and which streams it was told to leave out.

use std::sync::{Mutex, PoisonError};

use aya::{
    Ebpf,
    maps::{Array, HashMap, MapData, PerCpuArray},
};
use namewarden_agent_common::{
    counters::{COUNTERS, CounterInfo},
    pace::{PACE_WORDS, pace_word},
    settings::Flow,
};

use super::{
    error::KernelError,
    load::{refused, take, typed},
};

/// `Flow` as plain words, as the map's value is read.
type FlowWords = [u64; size_of::<Flow>() / 8];

/// `Pace` likewise.
type PaceWords = [u64; PACE_WORDS];

/// One counter, summed over the CPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Its name, meaning and kind.
    pub info: &'static CounterInfo,
    /// Its value since the start.
    pub value: u64,
}

/// A cgroup that used up its budget, or one of whose sockets did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flood {
    /// Inode of the cgroup.
    pub cgroup_id: u64,
    /// Packets not copied since the start.
    pub packets: u64,
    /// Their payload bytes.
    pub bytes: u64,
    /// Cookie of the socket of the latest of them.
    pub socket_cookie: u64,
}

/// The maps that are read and written while the hooks run.
pub struct Figures {
    counters: PerCpuArray<MapData, u64>,
    paces: PerCpuArray<MapData, PaceWords>,
    cgroup_flows: HashMap<MapData, u64, FlowWords>,
    mutes: Mutex<Mutes>,
}

struct Mutes {
    muted: HashMap<MapData, u64, u32>,
    muting: Array<MapData, u32>,
    any: bool,
}

impl Figures {
    /// Takes the maps out of the loaded object.
    pub fn take(programs: &mut Ebpf) -> Result<Self, KernelError> {
        let muted = typed(take(programs, "MUTED")?, "MUTED")?;
        let muting = typed(take(programs, "MUTING")?, "MUTING")?;
        Ok(Self {
            counters: typed(take(programs, "COUNTERS")?, "COUNTERS")?,
            paces: typed(take(programs, "PACES")?, "PACES")?,
            cgroup_flows: typed(take(programs, "CGROUP_FLOWS")?, "CGROUP_FLOWS")?,
            mutes: Mutex::new(Mutes { muted, muting, any: false }),
        })
    }

    /// Every counter.
    pub fn counters(&self) -> Result<Vec<Reading>, KernelError> {
        let paces = self.paces.get(&0, 0).map_err(|error| refused("PACES", &error))?;
        (0_u32..)
            .zip(COUNTERS)
            .map(|(index, info)| {
                let value = if let Some(word) = pace_word(index) {
                    paces.iter().filter_map(|pace| pace.get(word)).sum()
                } else {
                    let values = self.counters.get(&index, 0).map_err(|error| refused("COUNTERS", &error))?;
                    values.iter().sum()
                };
                Ok(Reading { info, value })
            })
            .collect()
    }

    /// Every cgroup of which packets were not copied.
    pub fn floods(&self) -> Result<Vec<Flood>, KernelError> {
        let mut floods = Vec::new();
        for entry in &self.cgroup_flows {
            let (cgroup_id, [_, _, _, packets, bytes, socket_cookie]) =
                entry.map_err(|error| refused("CGROUP_FLOWS", &error))?;
            if packets > 0 {
                floods.push(Flood { cgroup_id, packets, bytes, socket_cookie });
            }
        }
        Ok(floods)
    }

    /// Mutes a socket.
    pub fn mute(&self, socket_cookie: u64) -> Result<(), KernelError> {
        let mut mutes = self.mutes.lock().unwrap_or_else(PoisonError::into_inner);
        mutes.muted.insert(&socket_cookie, &1, 0).map_err(|error| refused("MUTED", &error))?;
        if !mutes.any {
            mutes.muting.set(0, &1, 0).map_err(|error| refused("MUTING", &error))?;
            mutes.any = true;
        }
        Ok(())
    }
}
