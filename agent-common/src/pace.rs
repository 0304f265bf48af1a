//! What each CPU keeps beside the other counters: its pace, and the counters of most packets.
//!
//! The fields that every packet touches stand at the end, 64 bytes together: a hook that runs seldom finds its memory cold,
//! and each further cache line costs it more than its instructions.

use core::mem::offset_of;

use crate::counters::Counter;

/// One CPU's.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// Multiples of the wakeup's bytes that waited when this CPU last looked.
    pub waited: u64,
    /// Wakeups forced for new processes in this window.
    pub fresh_wakeups: u64,
    /// The window that `records` and `bytes` count.
    pub window: u64,
    /// The window in which the ring buffer was last seen half full, 0 where that is over.
    pub pressed: u64,
    /// Records of wanted packets in this window.
    pub records: u64,
    /// Their payload bytes.
    pub bytes: u64,
    /// Bytes written to the ring buffer since the start.
    pub written: u64,
    /// `Counter::Seen`, atomic.
    pub seen: u64,
    /// `Counter::OtherPort`, atomic.
    pub other_port: u64,
    /// `Counter::Submitted`, atomic.
    pub submitted: u64,
}

/// Words of `Pace`, as user space reads it.
pub const PACE_WORDS: usize = size_of::<Pace>() / 8;

/// Where the counter of this index stands among the words of `Pace`; `None` for all that are counted elsewhere.
pub const fn pace_word(index: u32) -> Option<usize> {
    let offset = if index == Counter::Seen.index() {
        offset_of!(Pace, seen)
    } else if index == Counter::OtherPort.index() {
        offset_of!(Pace, other_port)
    } else if index == Counter::Submitted.index() {
        offset_of!(Pace, submitted)
    } else {
        return None;
    };
    Some(offset / 8)
}

const _: () = assert!(size_of::<Pace>() == 80);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counters_of_most_packets_are_the_last_words() {
        let words =
            [Counter::Seen, Counter::OtherPort, Counter::Submitted].map(|counter| pace_word(counter.index()));
        assert_eq!(words, [Some(7), Some(8), Some(PACE_WORDS - 1)]);
        assert_eq!(pace_word(Counter::Lost.index()), None);
    }
}
