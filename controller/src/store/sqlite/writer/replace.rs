//! The file in place of one that is damaged.

use std::sync::atomic::Ordering;

use rusqlite::Connection;

use super::thread::Thread;
use crate::store::sqlite::{blocks, file};

impl Thread {
    /// Looks whether what a reader found is so.
    pub(super) fn check(&mut self) {
        let path = file::path(&self.folder, self.stream);
        // Another connection, for what this one has in memory is sound.
        let checked = file::reader(&self.folder, self.stream);
        let sound = |mut connection| {
            file::check(&mut connection, &path)?;
            blocks::check(&connection)
        };
        if let Err(error) = checked.and_then(sound)
            && file::is_corrupt(&error)
        {
            self.replace(&error.to_string());
        }
    }

    /// Sets a damaged file aside and begins a new one.
    pub(super) fn replace(&mut self, reason: &str) {
        // The file is closed first; until there is a new one everything fails.
        let Ok(none) = Connection::open_in_memory() else { return };
        self.connection = none;
        self.is_open = false;
        match file::set_aside(&file::path(&self.folder, self.stream), reason) {
            Ok(()) => self.begin(),
            Err(error) => tracing::error!("a damaged file cannot be set aside: {error}"),
        }
    }

    pub(super) fn begin(&mut self) {
        match file::open(&self.folder, self.stream) {
            Ok(connection) => {
                self.connection = connection;
                self.is_open = true;
                self.newest = None;
                self.shared.generation.fetch_add(1, Ordering::Relaxed);
                if let Err(error) = self.measure() {
                    tracing::error!("the new file of {} cannot be read: {error}", self.stream.name());
                }
            }
            Err(error) => tracing::error!("there is no file for {}: {error}", self.stream.name()),
        }
    }
}
