//! Drains the ring buffer in batches: the one place where it is read.
//!
//! Comes in: the ring of the loaded kernel half. Goes out: each record's bytes, borrowed until the closure returns.

use std::time::Duration;

use aya::maps::{Map, MapData, RingBuf};
use rustix::{
    event::{Timespec, epoll},
    fd::OwnedFd,
    io::Errno,
};

use crate::kernel::KernelError;

/// The reading end of the ring buffer; one thread owns it.
pub struct Ring {
    buffer: RingBuf<MapData>,
    epoll: OwnedFd,
    /// The last drain stopped at its limit: more is waiting.
    more: bool,
}

impl Ring {
    /// Maps the ring buffer into this process.
    pub(crate) fn new(map: Map) -> Result<Self, KernelError> {
        let refused = |error: aya::maps::MapError| KernelError::Refused {
            what: "mapping the ring buffer".to_owned(),
            reason: error.to_string(),
        };
        let buffer = RingBuf::try_from(map).map_err(refused)?;
        let epoll = watched(&buffer).map_err(|errno| KernelError::Machine {
            what: "waiting for the ring buffer",
            reason: errno.into(),
        })?;
        Ok(Self { buffer, epoll, more: false })
    }

    /// Sleeps until the kernel half wakes its reader or the time is over; returns at once when a drain left something.
    ///
    /// The kernel half wakes rarely (when much waits, or a process may be gone soon): a caller that wants each record
    /// within 20 ms gives 20 ms.
    pub fn wait(&mut self, timeout: Duration) -> Result<(), KernelError> {
        if self.more {
            return Ok(());
        }
        let timeout = Timespec::try_from(timeout).ok();
        let mut events =
            [epoll::Event { flags: epoll::EventFlags::empty(), data: epoll::EventData::new_u64(0) }];
        match epoll::wait(&self.epoll, &mut events, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(errno) => {
                Err(KernelError::Machine { what: "waiting for the ring buffer", reason: errno.into() })
            }
        }
    }

    /// Hands up to `max` records to `each`, oldest first; returns how many.
    pub fn drain(&mut self, max: usize, mut each: impl FnMut(&[u8])) -> usize {
        let mut records = 0;
        while records < max {
            let Some(record) = self.buffer.next() else { break };
            each(&record);
            records += 1;
        }
        self.more = records == max;
        records
    }
}

/// Edge-triggered: woken by the kernel half's wakeups only, not by each record that waits.
fn watched(ring: &RingBuf<MapData>) -> Result<OwnedFd, Errno> {
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let edges = epoll::EventFlags::IN | epoll::EventFlags::ET;
    epoll::add(&epoll, ring, epoll::EventData::new_u64(0), edges)?;
    Ok(epoll)
}
