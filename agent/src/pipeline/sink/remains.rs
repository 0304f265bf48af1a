//! What another agent left in its spool: sent from there, by threads of its own.

use std::{
    fs,
    path::Path,
    time::{Instant, SystemTime},
};

use super::{Search, Settings, SinkError, search::SearchError, spool, spool::Spool, start_search};

/// A spool that nobody adds to any more.
#[derive(Debug)]
pub struct Remains {
    search: Search,
    /// Documents that gave way before anything was sent.
    gave_way: u64,
}

impl Remains {
    /// Room for whatever there is.
    pub const ALL: (u64, u64) = (u64::MAX, u64::MAX);

    /// Whether there may be documents in that folder.
    #[must_use]
    pub fn are_in(folder: &Path) -> bool {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries
            .map(|entry| entry.path())
            .any(|path| path.extension().is_some_and(|it| it == spool::EXTENSION))
    }

    /// Begins to send it, once the oldest documents beyond these bytes of alerts and of DNS logs have given way; `None` where documents
    /// go to no search engine.
    ///
    /// # Errors
    /// The folder cannot be used, or somebody else uses it.
    pub fn open(
        settings: &Settings,
        folder: &Path,
        (alerts, logs): (u64, u64),
    ) -> Result<Option<Self>, SinkError> {
        let mut settings = settings.clone();
        let mut gave_way = 0;
        if let Some(search) = &mut settings.search {
            folder.clone_into(&mut search.folder);
            let mut spool =
                Spool::open(folder, search.limits, SystemTime::now()).map_err(SearchError::from)?;
            spool.shrink(alerts, logs);
            gave_way = spool::Kind::ALL.map(|kind| spool.counts(kind).dropped_size).iter().sum();
        }
        Ok(start_search(&settings)?.map(|search| Self { search, gave_way }))
    }

    /// Bytes of alerts and of DNS logs in that folder; nothing where it cannot be read.
    #[must_use]
    pub fn bytes_in(folder: &Path) -> (u64, u64) {
        let of = |kind: spool::Kind| {
            let entries = fs::read_dir(folder).into_iter().flatten().flatten();
            let is_ours = |entry: &fs::DirEntry| {
                let name = entry.file_name();
                let name = name.to_string_lossy();
                name.starts_with(kind.name()) && name.ends_with(&format!(".{}", spool::EXTENSION))
            };
            entries.filter(is_ours).filter_map(|entry| entry.metadata().ok()).map(|file| file.len()).sum()
        };
        (of(spool::Kind::Alerts), of(spool::Kind::Logs))
    }

    /// Drops the oldest documents beyond these bytes of alerts and of DNS logs.
    pub fn shrink(&self, alerts: u64, logs: u64) {
        self.search.shrink(alerts, logs);
    }

    /// What became of them so far: had by a server, refused for good, lost.
    #[must_use]
    pub fn fates(&self) -> [u64; 3] {
        self.search.lanes().iter().fold([0, 0, self.gave_way], |[had, refused, lost], lane| {
            let counts = lane.counts;
            let dropped = counts.dropped_size + counts.dropped_age + counts.dropped_disk;
            [had + counts.acknowledged, refused + counts.refused, lost + dropped + counts.damaged]
        })
    }

    /// Documents that were there.
    #[must_use]
    pub fn found(&self) -> u64 {
        self.gave_way + self.search.lanes().iter().map(|lane| lane.counts.found).sum::<u64>()
    }

    /// Documents that wait.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.search.lanes().iter().map(|lane| lane.counts.waiting).sum()
    }

    /// Ends; documents that wait still stay where they are: how many, and what became of the others.
    pub fn close(self, until: Instant) -> (u64, [u64; 3]) {
        self.search.queue().close(until);
        self.search.close(until);
        (self.waiting(), self.fates())
    }
}
