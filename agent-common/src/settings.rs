//! What user space tells the kernel half: constants before anything is attached, maps that may change later.

/// Ports in the port set at most.
pub const PORTS_MAX: usize = 16;

/// Words of 64 bits in the map that holds the port set, one bit a port.
pub const PORT_WORDS: usize = 65_536 / 64;

/// A budget's window: `time_boot_ns >> WINDOW_SHIFT`, 134 ms.
pub const WINDOW_SHIFT: u32 = 27;

/// Windows in a second, rounded down.
pub const WINDOWS_PER_SECOND: u64 = 1_000_000_000 >> WINDOW_SHIFT;

/// While the ring buffer is half full, a budget is this many powers of two smaller.
pub const PRESSURE_SHIFT: u64 = 3;

/// Forced wakeups for new processes in a window, on each CPU (about 200 a second).
pub const FRESH_WAKEUPS_PER_WINDOW: u32 = 28;

/// cgroups whose budget is watched at a time; the one idle the longest makes room.
pub const FLOWS_MAX: usize = 2_048;

/// TCP streams muted at a time; the one idle the longest is heard again.
pub const MUTED_MAX: usize = 4_096;

/// What one cgroup used of its budget, and what was not copied since the agent started.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flow {
    /// The window that `records` and `bytes` count.
    pub window: u64,
    /// Records in this window.
    pub records: u64,
    /// Payload bytes in this window.
    pub bytes: u64,
    /// Packets not copied.
    pub shed_packets: u64,
    /// Payload bytes not copied.
    pub shed_bytes: u64,
    /// Socket of the latest packet that was not copied.
    pub shed_socket: u64,
}

const _: () = assert!(size_of::<Flow>() == 48);

/// The port's word in the port set and its bit therein.
pub const fn port_bit(port: u16) -> (u32, u64) {
    ((port >> 6) as u32, 1 << (port & 63))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_port_stands_in_the_last_word() {
        assert_eq!(port_bit(u16::MAX), (65_535 / 64, 1 << 63));
        assert_eq!(port_bit(u16::MAX).0 as usize + 1, PORT_WORDS);
        assert_eq!(port_bit(53), (0, 1 << 53));
    }
}
