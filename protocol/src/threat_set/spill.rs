//! Entries on their way into a set, parted by the top byte of their hash, in 1 MiB of memory however many they are.
//!
//! What does not fit waits in a file without a name, so that a set of a million is built beside one in use without a
//! peak in memory. A small set never touches the disk.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use rustix::fs::{MemfdFlags, Mode, OFlags};
use zerocopy::{FromZeros as _, IntoBytes as _};

use super::layout::Pending;

/// Entries of a partition that wait in memory, and of a block in the file: 4 KiB.
const BLOCK: usize = 256;
const BLOCK_BYTES: u64 = 4096;

/// Entries by partition.
#[derive(Debug)]
pub struct Spill {
    partitions: Vec<Partition>,
    file: Option<File>,
    blocks: u32,
}

#[derive(Clone, Debug, Default)]
struct Partition {
    waiting: Vec<Pending>,
    /// Numbers of the blocks in the file that are this partition's.
    spilled: Vec<u32>,
}

impl Spill {
    pub fn new(partitions: usize) -> Self {
        Self { partitions: vec![Partition::default(); partitions], file: None, blocks: 0 }
    }

    /// Entries of a partition.
    pub fn count(&self, partition: usize) -> usize {
        self.partitions.get(partition).map_or(0, |one| one.spilled.len() * BLOCK + one.waiting.len())
    }

    pub fn push(&mut self, partition: usize, pending: Pending) -> io::Result<()> {
        let Some(partition) = self.partitions.get_mut(partition) else { return Ok(()) };
        if partition.waiting.len() == BLOCK {
            let file = match self.file.take() {
                Some(file) => file,
                None => scratch_file()?,
            };
            let written =
                file.write_all_at(partition.waiting.as_bytes(), u64::from(self.blocks) * BLOCK_BYTES);
            self.file = Some(file);
            written?;
            partition.spilled.push(self.blocks);
            partition.waiting.clear();
            self.blocks += 1;
        }
        partition.waiting.push(pending);
        Ok(())
    }

    /// Appends a partition's entries to `to` and forgets those in memory.
    pub fn take(&mut self, partition: usize, to: &mut Vec<Pending>) -> io::Result<()> {
        let Some(partition) = self.partitions.get_mut(partition) else { return Ok(()) };
        let partition = std::mem::take(partition);
        let mut start = to.len();
        to.resize(start + partition.spilled.len() * BLOCK, Pending::new_zeroed());
        for block in partition.spilled {
            let Some(place) = to.get_mut(start..start + BLOCK) else { break };
            let file = self.file.as_ref().ok_or(io::ErrorKind::NotFound)?;
            file.read_exact_at(place.as_mut_bytes(), u64::from(block) * BLOCK_BYTES)?;
            start += BLOCK;
        }
        to.extend(partition.waiting);
        Ok(())
    }
}

/// A file that has no name and vanishes with its last descriptor: on disk where there is a folder for such files,
/// else in memory (a container with a read-only root).
pub fn scratch_file() -> io::Result<File> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let on_disk = rustix::fs::open(std::env::temp_dir(), flags, Mode::RUSR | Mode::WUSR);
    let file = on_disk.or_else(|_| rustix::fs::memfd_create("namewarden-set", MemfdFlags::CLOEXEC))?;
    Ok(File::from(file))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Scope;
    use crate::threat_set::layout::Mark;

    fn pending(hash: u64) -> Pending {
        Pending { hash, mark: Mark::new(3, Scope::Both, 9) }
    }

    #[test]
    fn what_was_pushed_comes_back_from_memory_and_file() {
        let mut spill = Spill::new(2);
        for hash in 0..2000 {
            spill.push(usize::from(hash % 3 == 0), pending(hash)).unwrap();
        }
        assert!(spill.blocks > 0, "more than fits in memory");
        let mut all = Vec::new();
        spill.take(0, &mut all).unwrap();
        spill.take(1, &mut all).unwrap();
        all.sort_unstable();
        assert_eq!(all, (0..2000).map(pending).collect::<Vec<_>>());
    }

    #[test]
    fn a_small_set_never_touches_the_disk() {
        let mut spill = Spill::new(1);
        (0..256).for_each(|hash| spill.push(0, pending(hash)).unwrap());
        assert!(spill.file.is_none());
    }
}
