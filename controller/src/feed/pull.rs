//! One pull of one feed: header values, the request, the verdict, the new last good copy.
//!
//! In: an order. Out: what came of it; the reconciler decides what that means for the feed. What is said of a failure
//! never holds the URL or a header's value.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use namewarden_protocol::obtain::copy::Origin as Known;
use namewarden_protocol::obtain::fetch::{Fetched, Fetcher};
use namewarden_protocol::obtain::request::{Request, RequestHeader};
use sha2::{Digest as _, Sha256};

use super::copy::{Draft, Provenance, Record, Shelf, Summary, hex};
use super::definition::{HeaderValue, PullOrigin, Reading};
use super::judge::{Limits, judge};
use super::push::{Document, Pushes};
use super::source::{Source, SourceError};
use super::values::SecretText;

/// What a pull is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The feed.
    pub feed: String,
    /// Where and with which headers.
    pub origin: PullOrigin,
    /// How the list is read.
    pub reading: Reading,
    /// The last good copy, if it is of the same URL and read in the same way.
    pub known: Option<Record>,
    /// Fewer entries are not believed at once.
    pub least: u64,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pulled {
    /// A new last good copy.
    New(Box<Record>),
    /// The server says that the copy is still right.
    Unchanged,
    /// The pushed document was deleted meanwhile.
    Gone,
    /// What was received is no feed, or not yet believed.
    Refused {
        /// Why.
        reason: String,
        /// What was found.
        summary: Summary,
        /// Good in itself, but less than half of what there was.
        shrank: bool,
    },
    /// Nothing was received.
    Failed {
        /// What kind of failure.
        kind: FailureKind,
        /// Why.
        reason: String,
        /// How long the server asks to be left alone.
        retry_after: Option<Duration>,
    },
}

/// What came of a pull, with the list itself: it becomes the last good copy only where the order still holds when it ends.
#[derive(Debug)]
pub struct Received {
    pulled: Pulled,
    draft: Option<Draft>,
}

impl Received {
    /// Keeps a new list; dropped instead, nothing is left of it.
    pub fn keep(self, copies: &Shelf) -> Pulled {
        match (&self.pulled, &self.draft) {
            (Pulled::New(record), Some(draft)) => match copies.keep(draft, record) {
                Ok(()) => self.pulled,
                Err(error) => disk(&error),
            },
            _ => self.pulled,
        }
    }
}

impl From<Pulled> for Received {
    fn from(pulled: Pulled) -> Self {
        Self { pulled, draft: None }
    }
}

/// What kept a list from being received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// A header's value is not there.
    Header,
    /// The server or the way to it.
    Fetch,
    /// The state folder.
    Disk,
}

impl Pulled {
    fn failed(kind: FailureKind, reason: String) -> Self {
        Self::Failed { kind, reason, retry_after: None }
    }
}

/// What pulls work with.
#[derive(Clone, Debug)]
pub struct Puller {
    /// Where header values come from.
    pub source: Source,
    /// The copies.
    pub shelf: Arc<Shelf>,
    /// The client.
    pub fetcher: Arc<Fetcher>,
    /// How large a feed may be.
    pub limits: Limits,
}

impl Puller {
    /// Pulls a feed; takes as long as the server does.
    pub async fn pull(self, order: Order) -> Received {
        let headers = match self.headers(&order).await {
            Ok(headers) => headers,
            Err(reason) => return Pulled::failed(FailureKind::Header, reason).into(),
        };
        let blocking = tokio::task::spawn_blocking(move || self.fetch(&order, &headers));
        blocking.await.unwrap_or_else(|error| {
            Pulled::failed(FailureKind::Fetch, format!("the pull broke off: {error}")).into()
        })
    }

    /// Judges a pushed document as if it had been pulled.
    pub async fn take(self, feed: String, pushes: Pushes, reading: Reading) -> Received {
        let blocking = tokio::task::spawn_blocking(move || match pushes.read(&feed) {
            Ok(Some(document)) => self.judge_document(&document, &reading),
            Ok(None) => Pulled::Gone.into(),
            Err(error) => {
                let reason = format!("its document cannot be read: {error}; push it again");
                Pulled::failed(FailureKind::Disk, reason).into()
            }
        });
        blocking.await.unwrap_or_else(|error| {
            Pulled::failed(FailureKind::Disk, format!("the document could not be read: {error}")).into()
        })
    }

    /// The headers with their values; those that may be missing are left out.
    async fn headers(&self, order: &Order) -> Result<Vec<RequestHeader>, String> {
        let mut headers = Vec::with_capacity(order.origin.headers.len());
        for (name, value) in &order.origin.headers {
            match value {
                HeaderValue::Text(text) => headers.push(header(name, text, false)?),
                HeaderValue::From(reference) => match self.source.value(reference).await {
                    Ok(Some(text)) => headers.push(header(name, &text, true)?),
                    Ok(None) if reference.optional => {}
                    Ok(None) => {
                        return Err(format!(
                            "header {name} waits for {reference}, which is not there; \
                             create it, or mark it optional"
                        ));
                    }
                    Err(error @ SourceError::Reference(_)) => return Err(error.to_string()),
                    Err(error) => return Err(format!("header {name}: cannot read {reference}: {error}")),
                },
            }
        }
        Ok(headers)
    }

    fn fetch(&self, order: &Order, headers: &[RequestHeader]) -> Received {
        let mut draft = match self.shelf.draft() {
            Ok(draft) => draft,
            Err(error) => return disk(&error).into(),
        };
        let known = order.known.as_ref().and_then(known);
        let (url, bytes_max) = (&order.origin.url, self.limits.bytes_max);
        let request = Request { url, headers, known: known.as_ref(), bytes_max };
        match self.fetcher.fetch(&request, &mut draft) {
            Err(error) => {
                let (kind, retry_after) = (FailureKind::Fetch, error.retry_after());
                Pulled::Failed { kind, reason: error.to_string(), retry_after }.into()
            }
            Ok(Fetched::NotModified) => Pulled::Unchanged.into(),
            Ok(Fetched::Body { etag, last_modified }) => {
                let url = url_digest(&order.origin.url);
                let provenance = Provenance::Pulled { url, etag, last_modified };
                self.judge(draft, &order.feed, &order.reading, provenance, order.least)
            }
        }
    }

    fn judge_document(&self, document: &Document, reading: &Reading) -> Received {
        let written = self.shelf.draft().and_then(|mut draft| {
            std::io::Write::write_all(&mut draft, &document.body)?;
            Ok(draft)
        });
        match written {
            Err(error) => disk(&error).into(),
            Ok(draft) => {
                let provenance = Provenance::Pushed(document.revision);
                self.judge(draft, &document.feed, reading, provenance, 0)
            }
        }
    }

    /// What is to be the last good copy, unless it is refused.
    fn judge(
        &self,
        draft: Draft,
        feed: &str,
        reading: &Reading,
        provenance: Provenance,
        least: u64,
    ) -> Received {
        // Here and not when it is kept: that holds up every other feed.
        let source = match draft.sync().and_then(|()| draft.reader()) {
            Ok(source) => source,
            Err(error) => return disk(&error).into(),
        };
        let judged = match judge(source, reading, self.limits) {
            Ok(judged) => judged,
            Err(refused) => {
                return Pulled::Refused { reason: refused.reason, summary: refused.summary, shrank: false }
                    .into();
            }
        };
        if judged.summary.entries < least {
            let reason = format!(
                "it shrank to {} entries, less than half of what it had; the last good copy stays until the next \
                 pull says the same",
                judged.summary.entries
            );
            return Pulled::Refused { reason, summary: judged.summary, shrank: true }.into();
        }
        let record = Record {
            feed: feed.to_owned(),
            provenance,
            digest: judged.digest,
            reading: reading.clone(),
            summary: judged.summary,
            synced_at: now_seconds(),
        };
        Received { pulled: Pulled::New(Box::new(record)), draft: Some(draft) }
    }
}

/// A header as it is sent; whether its value comes from a reference decides where to.
fn header(name: &str, value: &SecretText, secret: bool) -> Result<RequestHeader, String> {
    RequestHeader::new(name, value.reveal(), secret).map_err(|error| error.to_string())
}

/// What a record knows of the server's version.
fn known(record: &Record) -> Option<Known> {
    match &record.provenance {
        Provenance::Pulled { etag, last_modified, .. } => {
            Some(Known { etag: etag.clone(), last_modified: last_modified.clone(), ..Known::default() })
        }
        Provenance::Pushed { .. } => None,
    }
}

/// A URL's digest, to tell whether a copy is of it.
pub fn url_digest(url: &reqwest::Url) -> String {
    hex(&Sha256::digest(url.as_str()))
}

/// The time now, in seconds of the Unix epoch.
pub fn now_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()
}

fn disk(error: &std::io::Error) -> Pulled {
    Pulled::failed(FailureKind::Disk, format!("a copy of it cannot be kept: {error}"))
}
