//! The last sets, one immutable file each, and the changes between them.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use namewarden_protocol::threat_set::wire::{self, ApplyError, Kind};
use namewarden_protocol::threat_set::{SetId, ThreatSet};

use super::{PublishError, Published, Transfer};

/// Sets from which an agent can be led to the last one by what changed.
pub const KEPT: usize = 16;

/// The last sets.
#[derive(Debug)]
pub struct Versions {
    folder: PathBuf,
    kept: Mutex<VecDeque<SetId>>,
    ready: Mutex<Vec<(Option<SetId>, Transfer)>>,
    wire_bytes: Mutex<WireBytes>,
}

/// How many bytes the last set has on the wire, as far as somebody asked for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WireBytes {
    /// Whole.
    pub full: Option<u64>,
    /// As the change from the set before it.
    pub delta: Option<u64>,
}

impl Versions {
    /// The sets of a folder, which is made where it is missing.
    pub fn open(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let mut kept = Vec::new();
        for found in fs::read_dir(folder)? {
            let path = found?.path();
            match parse_name(&path.file_name().unwrap_or_default().to_string_lossy()) {
                Some(id) => kept.push(id),
                // Left half done by a process that was killed.
                None => fs::remove_file(path)?,
            }
        }
        kept.sort_unstable();
        Ok(Self {
            folder: folder.to_owned(),
            kept: Mutex::new(kept.into()),
            ready: Mutex::default(),
            wire_bytes: Mutex::default(),
        })
    }

    /// Where the sets are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The file of a set.
    pub fn path(&self, id: SetId) -> PathBuf {
        self.folder.join(file_name(id))
    }

    /// A set is the last one from now on; those too old go.
    pub fn add(&self, id: SetId) -> io::Result<()> {
        let mut kept = self.kept();
        kept.retain(|other| *other != id);
        kept.push_back(id);
        while kept.len() > KEPT {
            if let Some(old) = kept.pop_front() {
                fs::remove_file(self.path(old))?;
            }
        }
        drop(kept);
        self.ready().clear();
        *self.sizes() = WireBytes::default();
        Ok(())
    }

    /// How large the last set is on the wire; waits for nothing.
    pub fn wire_bytes(&self) -> WireBytes {
        *self.sizes()
    }

    /// What leads to `current`; made once for each base.
    pub fn transfer(&self, current: &Published, base: Option<SetId>) -> Result<Transfer, PublishError> {
        let base = base.filter(|base| *base != current.id && self.kept().contains(base));
        // Held while it is made: a thousand agents that ask at once wait for one.
        let mut ready = self.ready();
        let known = ready.iter().find(|(from, transfer)| *from == base && transfer.id == current.id);
        if let Some((_, transfer)) = known {
            return Ok(transfer.clone());
        }
        let transfer = self.encode(current, base)?;
        ready.push((base, transfer.clone()));
        self.note_size(base, &transfer);
        Ok(transfer)
    }

    fn note_size(&self, base: Option<SetId>, transfer: &Transfer) {
        let bytes = Some(transfer.bytes.len() as u64);
        let (last, before) = {
            let kept = self.kept();
            let mut sets = kept.iter().rev().copied();
            (sets.next(), sets.next())
        };
        if last != Some(transfer.id) {
            return;
        }
        if !transfer.delta {
            self.sizes().full = bytes;
        } else if base == before {
            self.sizes().delta = bytes;
        }
    }

    /// Writes a set that came over the wire into its file.
    pub fn adopt(&self, bytes: &[u8]) -> Result<ThreatSet, PublishError> {
        let failed = |error: ApplyError| PublishError::Wire(error.to_string());
        let announced = wire::announced(bytes).map_err(failed)?;
        let path = self.path(announced.id);
        match announced.kind {
            Kind::Full => wire::apply_full(bytes, &path),
            Kind::Delta { base } => wire::apply_delta(bytes, &ThreatSet::open(&self.path(base))?, &path),
        }
        .map_err(failed)?;
        Ok(ThreatSet::open(&path)?)
    }

    fn encode(&self, current: &Published, base: Option<SetId>) -> Result<Transfer, PublishError> {
        let new = ThreatSet::open(&current.path)?;
        let delta = base.and_then(|base| self.delta(base, &new));
        let is_delta = delta.is_some();
        let bytes = match delta {
            Some(bytes) => bytes,
            None => wire::full(&new).map_err(|error| PublishError::Wire(error.to_string()))?,
        };
        Ok(Transfer { id: current.id, bytes: bytes.into(), delta: is_delta })
    }

    /// What changed since a base; `None` where the whole set has to be given.
    fn delta(&self, base: SetId, new: &ThreatSet) -> Option<Vec<u8>> {
        let base = ThreatSet::open(&self.path(base))
            .inspect_err(|error| tracing::warn!("an older threat set on disk is damaged: {error}"))
            .ok()?;
        // Another key: nothing of the base is of use.
        wire::delta(&base, new).ok()
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<SetId>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sizes(&self) -> MutexGuard<'_, WireBytes> {
        self.wire_bytes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ready(&self) -> MutexGuard<'_, Vec<(Option<SetId>, Transfer)>> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A set's id as a file's name.
pub fn file_name(id: SetId) -> String {
    format!("{}.set", super::tag(id))
}

fn parse_name(name: &str) -> Option<SetId> {
    let (epoch, rest) = name.strip_suffix(".set")?.split_once('.')?;
    let (number, hex) = rest.split_once('-')?;
    let mut digest = [0; 32];
    if hex.len() != 64 || !hex.is_ascii() {
        return None;
    }
    for (byte, at) in digest.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(hex.get(at..at + 2)?, 16).ok()?;
    }
    Some(SetId { epoch: epoch.parse().ok()?, number: number.parse().ok()?, digest })
}
