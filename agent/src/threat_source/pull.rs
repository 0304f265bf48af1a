//! One fetch of a feed's URL, on its own: it waits for a server as long as it takes, and nothing waits for it.

use std::{io, thread};

use namewarden_protocol::obtain::copy::{Draft, Origin};
use namewarden_protocol::obtain::fetch::{Fetched, Fetcher};
use namewarden_protocol::obtain::request::Request;
use reqwest::Url;

use super::reading::{Fresh, Missed};

/// A fetch that is due.
pub struct Pull {
    pub(super) index: usize,
    pub(super) url: Url,
    pub(super) known: Option<Origin>,
    pub(super) draft: io::Result<Draft>,
    pub(super) fetcher: Fetcher,
    pub(super) bytes_max: u64,
}

/// What came of it.
#[derive(Debug)]
pub struct Pulled {
    pub(super) index: usize,
    pub(super) outcome: Result<Fresh, Missed>,
}

impl Pull {
    /// Fetches; blocks the thread that calls it.
    pub fn run(self) -> Pulled {
        let Self { index, url, known, draft, fetcher, bytes_max } = self;
        let outcome = draft.map_err(Missed::Copy).and_then(|mut draft| {
            let request = Request { url: &url, headers: &[], known: known.as_ref(), bytes_max };
            match fetcher.fetch(&request, &mut draft).map_err(Missed::Url)? {
                Fetched::Body { etag, last_modified } => Ok(Fresh { draft, etag, last_modified }),
                Fetched::NotModified => Err(Missed::Unchanged),
            }
        });
        Pulled { index, outcome }
    }
}

/// Runs all side by side and waits for them.
pub fn run_all(pulls: Vec<Pull>) -> Vec<Pulled> {
    thread::scope(|scope| {
        let running: Vec<_> = pulls.into_iter().map(|pull| scope.spawn(|| pull.run())).collect();
        // One that panicked brings nothing.
        running.into_iter().filter_map(|running| running.join().ok()).collect()
    })
}
