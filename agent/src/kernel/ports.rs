//! The port set of the kernel half: the operator's ports, and those of the cluster's resolvers beside them, which may change while
//! the hooks run.

use std::collections::BTreeSet;

use aya::{
    Ebpf,
    maps::{Array, MapData},
};
use namewarden_agent_common::settings::{PORT_WORDS, PORTS_MAX, port_bit};

use super::{
    error::KernelError,
    load::{refused, take, typed},
};

/// The section of the object that holds the filter, and nothing else.
const FILTER: &str = ".data";

/// The maps, and what they hold.
pub struct Ports {
    set: Array<MapData, u64>,
    filter: Array<MapData, u64>,
    own: BTreeSet<u16>,
    used: BTreeSet<u16>,
}

impl Ports {
    /// Takes the maps out of the loaded object and writes the operator's ports.
    pub fn take(programs: &mut Ebpf, own: &[u16]) -> Result<Self, KernelError> {
        let set = typed(take(programs, "PORT_SET")?, "PORT_SET")?;
        let filter = typed(take(programs, FILTER)?, FILTER)?;
        let own: BTreeSet<u16> = own.iter().copied().collect();
        let mut ports = Self { set, filter, own: own.clone(), used: BTreeSet::new() };
        ports.write(own)?;
        Ok(ports)
    }

    /// Ports that are captured now.
    pub fn used(&self) -> &BTreeSet<u16> {
        &self.used
    }

    /// Captures these beside the operator's own, instead of those before; what finds no room is left out.
    pub fn capture_also(&mut self, others: impl IntoIterator<Item = u16>) -> Result<(), KernelError> {
        self.write(together(&self.own, others))
    }

    /// A port is in force when both maps have it: a packet in between is judged by the set before.
    fn write(&mut self, ports: BTreeSet<u16>) -> Result<(), KernelError> {
        let (before, after) = (words(&self.used), words(&ports));
        for (index, (old, new)) in (0_u32..).zip(before.iter().zip(&after)) {
            if old != new {
                self.set.set(index, new, 0).map_err(|error| refused("PORT_SET", &error))?;
            }
        }
        let filter = after.iter().fold(0, |filter, word| filter | word);
        self.filter.set(0, &filter, 0).map_err(|error| refused(FILTER, &error))?;
        self.used = ports;
        Ok(())
    }
}

/// The operator's ports, and of the others as many as there is room for.
fn together(own: &BTreeSet<u16>, others: impl IntoIterator<Item = u16>) -> BTreeSet<u16> {
    let mut all = own.clone();
    for port in others {
        if all.len() < PORTS_MAX {
            all.insert(port);
        }
    }
    all
}

fn words(ports: &BTreeSet<u16>) -> Vec<u64> {
    let mut words = vec![0_u64; PORT_WORDS];
    for port in ports {
        let (index, bit) = port_bit(*port);
        if let Some(word) = words.get_mut(index as usize) {
            *word |= bit;
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operators_ports_stay_and_the_others_have_the_room_that_is_left() {
        let own: BTreeSet<u16> = (1..=15).collect();
        let all = together(&own, [53, 54]);
        assert!(all.is_superset(&own) && all.contains(&53) && all.len() == PORTS_MAX, "{all:?}");
        assert_eq!(together(&[53].into(), [53, 1053]), [53, 1053].into());
        assert_eq!(together(&[53].into(), []), [53].into(), "those before are gone");
    }

    #[test]
    fn each_port_is_one_bit() {
        let words = words(&[53, 117, 65_535].into());
        assert_eq!((words[0], words[1], words[PORT_WORDS - 1]), (1 << 53, 1 << 53, 1 << 63));
    }
}
