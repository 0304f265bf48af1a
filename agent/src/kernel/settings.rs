//! What the operator chose for the kernel half, and whether it can be had.

use std::{collections::BTreeSet, path::PathBuf};

use namewarden_agent_common::settings::{PORTS_MAX, PRESSURE_SHIFT, WINDOWS_PER_SECOND};

use super::error::KernelError;

const RING_MIN: u32 = 64 << 10;
const RING_MAX: u32 = 1 << 30;

/// What one cgroup may use before it counts as a flood; one socket may use half of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budgets {
    /// Records a second.
    pub records_per_second: u64,
    /// Payload bytes a second.
    pub bytes_per_second: u64,
}

impl Default for Budgets {
    fn default() -> Self {
        Self { records_per_second: 250_000, bytes_per_second: 64 << 20 }
    }
}

/// What is captured, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelSettings {
    /// cgroup2 directory below which everything is captured; found by itself when `None`.
    pub cgroup_root: Option<PathBuf>,
    /// Ports that mean DNS, 1 to 16.
    pub ports: Vec<u16>,
    /// Capture the server's side of each exchange, too.
    pub server_side: bool,
    /// Size of the ring buffer: a power of two.
    pub ring_bytes: u32,
    /// Let the kernel half log what goes wrong.
    pub log: bool,
    /// When a cgroup counts as a flood.
    pub budgets: Budgets,
}

impl Default for KernelSettings {
    fn default() -> Self {
        Self {
            cgroup_root: None,
            ports: vec![53],
            server_side: false,
            ring_bytes: 2 << 20,
            log: false,
            budgets: Budgets::default(),
        }
    }
}

impl KernelSettings {
    /// Whether the kernel half can be set up so.
    pub fn check(&self) -> Result<(), KernelError> {
        self.check_ports()?;
        if !self.ring_bytes.is_power_of_two() || !(RING_MIN..=RING_MAX).contains(&self.ring_bytes) {
            return Err(KernelError::RingSize { bytes: self.ring_bytes });
        }
        // Less would be nothing for a socket in a window while the ring is under pressure.
        let least_records = (2 * WINDOWS_PER_SECOND) << PRESSURE_SHIFT;
        let Budgets { records_per_second, bytes_per_second } = self.budgets;
        if records_per_second < least_records {
            return Err(KernelError::Budget {
                value: records_per_second,
                unit: "records",
                least: least_records,
            });
        }
        let least_bytes = least_records * 512;
        if bytes_per_second < least_bytes {
            return Err(KernelError::Budget { value: bytes_per_second, unit: "bytes", least: least_bytes });
        }
        Ok(())
    }

    fn check_ports(&self) -> Result<(), KernelError> {
        let different: BTreeSet<u16> = self.ports.iter().copied().collect();
        let reason = if different.is_empty() {
            "no port is given".to_owned()
        } else if different.contains(&0) {
            "port 0 cannot be captured".to_owned()
        } else if different.len() > PORTS_MAX {
            format!("{} ports are too many", different.len())
        } else {
            return Ok(());
        };
        Err(KernelError::Ports { reason })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_accepted() {
        assert!(KernelSettings::default().check().is_ok());
    }

    #[test]
    fn a_ring_that_is_no_power_of_two_is_refused() {
        let settings = KernelSettings { ring_bytes: 100_000, ..KernelSettings::default() };
        assert!(matches!(settings.check(), Err(KernelError::RingSize { bytes: 100_000 })));
    }

    #[test]
    fn a_ring_smaller_than_its_largest_packet_is_refused() {
        let settings = KernelSettings { ring_bytes: 32 << 10, ..KernelSettings::default() };
        assert!(matches!(settings.check(), Err(KernelError::RingSize { .. })));
    }

    #[test]
    fn seventeen_ports_are_refused_and_sixteen_are_not() {
        let mut settings = KernelSettings { ports: (1..=17).collect(), ..KernelSettings::default() };
        assert!(matches!(settings.check(), Err(KernelError::Ports { .. })));
        settings.ports.pop();
        assert!(settings.check().is_ok());
    }

    #[test]
    fn a_repeated_port_counts_once() {
        let settings = KernelSettings { ports: vec![53; 40], ..KernelSettings::default() };
        assert!(settings.check().is_ok());
    }

    #[test]
    fn port_zero_and_no_port_are_refused() {
        for ports in [vec![], vec![53, 0]] {
            let settings = KernelSettings { ports, ..KernelSettings::default() };
            assert!(matches!(settings.check(), Err(KernelError::Ports { .. })));
        }
    }

    #[test]
    fn a_budget_of_nothing_is_refused() {
        let budgets = Budgets { records_per_second: 0, ..Budgets::default() };
        let settings = KernelSettings { budgets, ..KernelSettings::default() };
        assert!(matches!(settings.check(), Err(KernelError::Budget { unit: "records", .. })));
    }
}
