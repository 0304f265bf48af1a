//! What another agent left in its spool: sent from there, by threads of its own.

use std::{fs, path::Path, time::Instant};

use super::{Search, Settings, SinkError, spool, start_search};

/// A spool that nobody adds to any more.
#[derive(Debug)]
pub struct Remains {
    search: Search,
}

impl Remains {
    /// Whether there may be documents in that folder.
    #[must_use]
    pub fn are_in(folder: &Path) -> bool {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries
            .map(|entry| entry.path())
            .any(|path| path.extension().is_some_and(|it| it == spool::EXTENSION))
    }

    /// Begins to send it; `None` where documents go to no search engine.
    ///
    /// # Errors
    /// The folder cannot be used, or somebody else uses it.
    pub fn open(settings: &Settings, folder: &Path) -> Result<Option<Self>, SinkError> {
        let mut settings = settings.clone();
        if let Some(search) = &mut settings.search {
            folder.clone_into(&mut search.folder);
        }
        Ok(start_search(&settings)?.map(|search| Self { search }))
    }

    /// Documents that were there.
    #[must_use]
    pub fn found(&self) -> u64 {
        self.search.lanes().iter().map(|lane| lane.counts.found).sum()
    }

    /// Documents that wait.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.search.lanes().iter().map(|lane| lane.counts.waiting).sum()
    }

    /// Ends; documents that wait still stay where they are.
    pub fn close(self, until: Instant) -> u64 {
        self.search.queue().close(until);
        self.search.close(until);
        self.waiting()
    }
}
