//! One lane: its servers, its data stream, what is known of them, and one try to send a batch.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use namewarden_protocol::search_engine::{Answer, Asker, Missed};
use reqwest::Url;
use tokio::sync::Notify;

use super::endpoints::{Endpoints, Pick};
use super::judge::{self, Outcome, Verdict};
use super::lookup::{self, Resolved};
use super::{Contact, body};
use crate::pipeline::sink::spool::{Batch, Fate, Item, Kind};

/// What of an answer is read.
const FILTER: &str = "items.*.status,items.*.error";

/// The servers of one kind of documents.
#[derive(Debug)]
pub struct Lane {
    /// Which documents.
    pub kind: Kind,
    /// Data stream that they belong to.
    pub stream: String,
    /// Something was appended.
    pub filled: Notify,
    /// A server answered, or failed.
    pub changed: Notify,
    urls: Vec<Url>,
    endpoints: Mutex<Endpoints>,
    contact: Mutex<Contact>,
    standing: Mutex<Standing>,
}

/// What is known of the data stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Standing {
    /// Nothing.
    #[default]
    Unknown,
    /// It is there, or is made by the first document.
    Usable {
        /// The server refuses to make an index instead.
        require: bool,
    },
}

/// How a try ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Tried {
    /// For each item, in order.
    Items(Vec<Outcome>),
    /// Its halves may be taken.
    Divide {
        /// Status of the answer.
        status: u16,
        /// Why, where it holds one document only.
        reason: String,
    },
    /// To be tried again.
    Failed {
        /// Why.
        why: String,
        /// The server may have taken any part of it.
        uncertain: bool,
    },
}

impl From<Missed> for Tried {
    fn from(missed: Missed) -> Self {
        Self::Failed { why: missed.why, uncertain: missed.uncertain }
    }
}

fn waits(why: String) -> Tried {
    Tried::Failed { why, uncertain: false }
}

impl Lane {
    /// A lane whose servers have not been asked yet.
    pub fn new(kind: Kind, urls: Vec<Url>, stream: String) -> Self {
        let locations = urls.iter().map(|url| url.origin().ascii_serialization()).collect();
        Self {
            kind,
            stream,
            filled: Notify::new(),
            changed: Notify::new(),
            endpoints: Mutex::new(Endpoints::new(urls.len())),
            urls,
            contact: Mutex::new(Contact { locations, ..Contact::default() }),
            standing: Mutex::default(),
        }
    }

    /// What is known of its servers.
    pub fn contact(&self) -> Contact {
        lock(&self.contact).clone()
    }

    /// Whether the last thing that happened was a failure.
    pub fn is_in_trouble(&self) -> bool {
        lock(&self.contact).problem.is_some()
    }

    /// The server to ask now, or when to ask again.
    pub fn pick(&self, now: Instant) -> Pick {
        lock(&self.endpoints).pick(now)
    }

    /// Counts documents that are sent once more.
    pub fn repeats(&self, documents: u64) {
        lock(&self.contact).repeated += documents;
    }

    /// Counts a request that was split.
    pub fn splits(&self) {
        lock(&self.contact).split += 1;
    }

    /// A server did what it should.
    pub fn answered(&self, server: usize) {
        lock(&self.endpoints).answered(server);
        let before = {
            let mut contact = lock(&self.contact);
            contact.answered = Some(Instant::now());
            contact.problem.take()
        };
        if before.is_some() {
            tracing::info!("{} are taken again by {}", self.kind.name(), self.place(server));
        }
        self.changed.notify_waiters();
    }

    /// A server did not, which is said once for each reason.
    pub fn failed(&self, server: usize, why: &str, chance: f64) {
        lock(&self.endpoints).failed(server, Instant::now(), chance);
        let problem = format!("{}: {why}", self.place(server));
        let is_new = {
            let mut contact = lock(&self.contact);
            contact.failures += 1;
            contact.problem.replace(problem.clone()).is_none_or(|before| before != problem)
        };
        if is_new {
            tracing::warn!("{} wait in the spool: {problem}", self.kind.name());
        }
        self.changed.notify_waiters();
    }

    /// Where a server is, without credentials.
    pub fn place(&self, server: usize) -> String {
        self.urls.get(server).map_or_else(String::new, |url| url.origin().ascii_serialization())
    }

    /// Sends items once. Documents that a server may have are looked up first.
    pub async fn attempt(&self, asker: &Asker, server: usize, batch: &Batch, items: &[Item]) -> Tried {
        match self.attempted(asker, server, batch, items).await {
            Ok(tried) | Err(tried) => tried,
        }
    }

    async fn attempted(
        &self,
        asker: &Asker,
        server: usize,
        batch: &Batch,
        items: &[Item],
    ) -> Result<Tried, Tried> {
        let require = self.make_usable(asker, server).await?;
        let held = self.held(asker, server, batch, items).await?;
        let is_held = |item: &Item| item.uncertain && held.contains(&body::id(batch, item));
        let left: Vec<Item> = items.iter().filter(|item| !is_held(item)).cloned().collect();
        let mut sent = if left.is_empty() {
            Vec::new()
        } else {
            match self.send(asker, server, batch, &left, require).await? {
                Verdict::Items(outcomes) => outcomes,
                Verdict::Divide { status, reason } => return Ok(Tried::Divide { status, reason }),
                Verdict::Nothing { why } => return Err(waits(why)),
                Verdict::Unknown { why } => return Err(Tried::Failed { why, uncertain: true }),
            }
        }
        .into_iter();
        let unsaid = || Outcome::Again { uncertain: true, reason: String::new() };
        let outcome = |item: &Item| {
            if is_held(item) {
                Outcome::Settled(Fate::Recognised)
            } else {
                sent.next().unwrap_or_else(unsaid)
            }
        };
        Ok(Tried::Items(items.iter().map(outcome).collect()))
    }

    async fn send(
        &self,
        asker: &Asker,
        server: usize,
        batch: &Batch,
        items: &[Item],
        require: bool,
    ) -> Result<Verdict, Tried> {
        let packed = body::packed(batch, items).map_err(|error| waits(error.to_string()))?;
        let mut url = self.url(server, &[&self.stream, "_bulk"])?;
        url.query_pairs_mut().append_pair("filter_path", FILTER);
        if require {
            url.query_pairs_mut().append_pair("require_data_stream", "true");
        }
        {
            let mut contact = lock(&self.contact);
            contact.requests += 1;
            contact.bytes += packed.len() as u64;
        }
        let answer = asker.post_packed(url, packed).await?;
        let verdict = judge::judge(answer.status, &answer.body, items.len());
        if !matches!(verdict, Verdict::Items(_) | Verdict::Divide { .. }) {
            // Somebody may have removed it, or another server taken the place.
            *lock(&self.standing) = Standing::Unknown;
        }
        Ok(verdict)
    }

    /// Sees that documents go into a data stream and never make an index of its name; whether the server sees to that.
    async fn make_usable(&self, asker: &Asker, server: usize) -> Result<bool, Tried> {
        if let Standing::Usable { require } = *lock(&self.standing) {
            return Ok(require);
        }
        let (resolved, answer) = self.resolve(asker, server).await?;
        let require = answer.is_elasticsearch;
        match resolved {
            Resolved::Stream(_) => (),
            Resolved::Index => {
                return Err(waits(format!(
                    "{} is an index there and must be a data stream; remove or rename that index",
                    self.stream
                )));
            }
            Resolved::Nothing if require => (),
            Resolved::Nothing => self.create(asker, server).await?,
        }
        *lock(&self.standing) = Standing::Usable { require };
        Ok(require)
    }

    async fn create(&self, asker: &Asker, server: usize) -> Result<(), Tried> {
        let answer = asker.put(self.url(server, &["_data_stream", &self.stream])?).await?;
        let said = judge::said(&answer.body);
        match answer.status {
            200 => Ok(()),
            400 if said.contains("resource_already_exists") => Ok(()),
            status @ (401 | 403) => Err(waits(judge::denied(status, &answer.body))),
            status => Err(waits(format!(
                "it cannot make the data stream {} ({status}{said}); install the index templates of Namewarden",
                self.stream
            ))),
        }
    }

    /// Those ids of uncertain items that the stream's indices hold.
    async fn held(
        &self,
        asker: &Asker,
        server: usize,
        batch: &Batch,
        items: &[Item],
    ) -> Result<HashSet<String>, Tried> {
        let uncertain = items.iter().filter(|item| item.uncertain);
        let mut wanted: Vec<String> = uncertain.map(|item| body::id(batch, item)).collect();
        let mut held = HashSet::new();
        if wanted.is_empty() {
            return Ok(held);
        }
        let (Resolved::Stream(indices), _) = self.resolve(asker, server).await? else { return Ok(held) };
        for index in indices {
            for ids in wanted.chunks(lookup::IDS_MAX) {
                let mut url = self.url(server, &[&index, "_mget"])?;
                url.query_pairs_mut()
                    .append_pair("_source", "false")
                    .append_pair("filter_path", "docs._id,docs.found,docs.error.type");
                let answer = asker.post(url, lookup::question(ids)).await.map_err(not_sent)?;
                held.extend(checked(&answer, lookup::held)?);
            }
            wanted.retain(|id| !held.contains(id));
            if wanted.is_empty() {
                break;
            }
        }
        Ok(held)
    }

    async fn resolve(&self, asker: &Asker, server: usize) -> Result<(Resolved, Answer), Tried> {
        let url = self.url(server, &["_resolve", "index", &self.stream])?;
        let answer = asker.get(url).await.map_err(not_sent)?;
        Ok((checked(&answer, lookup::resolved)?, answer))
    }

    fn url(&self, server: usize, path: &[&str]) -> Result<Url, Tried> {
        let mut url =
            self.urls.get(server).cloned().ok_or_else(|| waits("there is no such server".to_owned()))?;
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        Ok(url)
    }
}

/// A question that failed changes nothing.
fn not_sent(missed: Missed) -> Tried {
    waits(missed.why)
}

fn checked<T>(answer: &Answer, read: fn(u16, &[u8]) -> Result<T, String>) -> Result<T, Tried> {
    if matches!(answer.status, 401 | 403) {
        return Err(waits(judge::denied(answer.status, &answer.body)));
    }
    read(answer.status, &answer.body).map_err(waits)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
