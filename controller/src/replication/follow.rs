//! The follower's side: asks the leader for its state, and copies what differs.

use std::{
    fs,
    io::{self, Write as _},
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::http::{StatusCode, header};
use futures::StreamExt as _;
use namewarden_protocol::endpoint::controller::{PUBLISHED_HEADER, entity_tag};
use reqwest::{RequestBuilder, Response, Url};
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;

use super::{
    peer::{Peer, PeerError, Peers, why},
    state::{self, State},
};
use crate::{
    access::Secret,
    feed::{
        Pushes,
        copy::{Record, Shelf, hex},
        push::{DOCUMENT_BYTES_MAX, Head, Replica},
    },
    leader::Role,
    publish::Publisher,
};

/// How long a request for the state may wait at the leader.
const WAIT_SECONDS: u64 = 15;
/// How long a leader may be silent.
const SILENCE: Duration = Duration::from_secs(30);
/// How long everything is put off after a failure.
const RETRY: Duration = Duration::from_secs(2);
/// The largest state, set and copy: far more than there ever is, and not endless.
const STATE_BYTES_MAX: usize = 64 << 20;
const SET_BYTES_MAX: usize = 1 << 30;
const COPY_BYTES_MAX: u64 = 64 << 30;

/// What [`Follower`] works with.
pub struct Settings {
    /// How the leader is reached.
    pub peers: Arc<Peers>,
    /// Name of this controller among the followers.
    pub name: String,
    /// The token that is shown to the leader; read for each request, for tokens are renewed.
    pub token: Option<PathBuf>,
    /// The feeds' last good copies.
    pub shelf: Arc<Shelf>,
    /// The sets.
    pub publisher: Publisher,
    /// Pushed documents.
    pub pushes: Pushes,
}

/// Copies a leader's state for as long as somebody else leads.
pub struct Follower {
    settings: Settings,
    role: watch::Receiver<Role>,
}

/// Why something was not copied.
#[derive(Debug, thiserror::Error)]
enum Uncopied {
    #[error(transparent)]
    Peer(#[from] PeerError),
    #[error("the leader cannot be reached: {reason}", reason = why(.0))]
    Unreachable(#[from] reqwest::Error),
    #[error("the token {path} cannot be read: {error}; correct --peer-token-file", path = path.display())]
    Token { path: PathBuf, error: io::Error },
    #[error(
        "the leader answers {0}: give --peer-token-file, a token of the service account --controller-service-account for \
         --audience"
    )]
    Refused(StatusCode),
    #[error("the leader answers {0}")]
    Status(StatusCode),
    #[error("the leader's answer is too large")]
    TooLarge,
    #[error("the leader's answer makes no sense: {0}")]
    Wrong(String),
    #[error("it cannot be kept: {0}")]
    Disk(#[from] io::Error),
}

impl Follower {
    /// Follows whoever `role` says leads.
    pub fn new(settings: Settings, role: watch::Receiver<Role>) -> Self {
        Self { settings, role }
    }

    /// Follows for ever; while this controller leads, or nobody does, it waits.
    pub async fn run(mut self) {
        loop {
            let leader = self.role.borrow_and_update().leader().cloned();
            let Some(leader) = leader else {
                if self.role.changed().await.is_err() {
                    return;
                }
                continue;
            };
            tokio::select! {
                changed = self.role.changed() => if changed.is_err() { return },
                () = self.settings.follow(&leader) => {}
            }
        }
    }
}

impl Settings {
    /// Copies everything from one leader, until something fails.
    async fn follow(&self, leader: &Url) {
        tracing::info!("following the controller at {leader}");
        let mut ahead = State::default();
        // Of this leader's operations: numbers of its own that this controller gave when it led stand for nothing here.
        let mut reached = 0;
        let mut said = None;
        loop {
            let copied = async {
                let leader = self.peers.reach(leader)?;
                ahead = self.ask(&leader, &ahead, reached).await?;
                // Documents first: somebody waits for the leader's word that they are safe.
                let left_out = self.copy_documents(&leader, &ahead).await?;
                reached = reach(&ahead, &left_out, reached);
                // Side by side: agents wait for the set, and who leads next must not need to pull what it is made of.
                tokio::try_join!(self.copy_set(&leader, &ahead), self.copy_shelf(&leader, &ahead))?;
                Ok::<_, Uncopied>(left_out)
            };
            let now = copied.await.map_err(|error| error.to_string());
            let is_news = said.as_ref() != Some(&now);
            match &now {
                Ok(left_out) if is_news && left_out.is_empty() => {
                    tracing::info!("everything of the leader's is copied");
                }
                Ok(left_out) if is_news => tracing::warn!(
                    feeds = left_out.iter().map(|(feed, _)| feed.as_str()).collect::<Vec<_>>().join(" "),
                    "all but the documents of these feeds is copied, which the leader cannot read: push them again"
                ),
                Err(reason) if is_news => tracing::warn!("the leader's state is not copied: {reason}"),
                Ok(_) | Err(_) => {}
            }
            if now.is_err() {
                ahead = State::default();
                tokio::time::sleep(RETRY).await;
            }
            said = Some(now);
        }
    }

    /// The leader's state, once it is not `known` or the wait is over; it is told that all its operations below `reached` are here.
    async fn ask(&self, leader: &Peer, known: &State, reached: u64) -> Result<State, Uncopied> {
        let query = [
            ("name", self.name.clone()),
            ("next_seq_no", reached.to_string()),
            ("known", known.fingerprint()),
            ("wait", WAIT_SECONDS.to_string()),
        ];
        let mut url = at(&leader.base, &["v1", "replica", "state"])?;
        url.query_pairs_mut().extend_pairs(query);
        let response = self.request(leader, url)?.timeout(SILENCE).send().await?;
        if response.status() == StatusCode::NOT_MODIFIED {
            return Ok(known.clone());
        }
        let bytes = whole(response, STATE_BYTES_MAX).await?;
        serde_json::from_slice(&bytes).map_err(|error| Uncopied::Wrong(error.to_string()))
    }

    /// Copies the documents that differ. What the leader cannot read holds up nothing else: feeds and numbers of these.
    async fn copy_documents(&self, leader: &Peer, ahead: &State) -> Result<Vec<(String, u64)>, Uncopied> {
        let mut left_out = Vec::new();
        let mut behind: Vec<(&String, &Head)> =
            ahead.documents.iter().filter(|(feed, head)| self.pushes.head(feed) != Some(**head)).collect();
        // In the order of the operations: what a leader that ends has told of is copied first.
        behind.sort_by_key(|(_, head)| head.seq_no);
        for (feed, head) in behind {
            let replica = if head.deleted {
                Replica { head: *head, body: bytes::Bytes::new() }
            } else {
                let response = self.get(leader, &["v1", "replica", "documents", feed])?.send().await?;
                if response.status() == state::UNREADABLE {
                    left_out.push((feed.clone(), head.seq_no));
                    continue;
                }
                let head = head_of(&response)?;
                Replica { head, body: whole(response, DOCUMENT_BYTES_MAX).await? }
            };
            let (pushes, feed) = (self.pushes.clone(), feed.clone());
            blocking(move || pushes.adopt(&feed, &replica)).await?;
        }
        Ok(left_out)
    }

    async fn copy_set(&self, leader: &Peer, ahead: &State) -> Result<(), Uncopied> {
        let mine = self.publisher.current().borrow().as_ref().map(|set| entity_tag(set.id));
        if ahead.set.is_none() || ahead.set == mine {
            return Ok(());
        }
        let mut request = self.get(leader, &["v1", "replica", "set"])?;
        if let Some(mine) = &mine {
            request = request.header(header::IF_NONE_MATCH, mine);
        }
        let response = request.send().await?;
        if response.status() == StatusCode::NOT_MODIFIED {
            return Ok(());
        }
        let at = published_at(&response);
        let bytes = whole(response, SET_BYTES_MAX).await?;
        let publisher = self.publisher.clone();
        let adopted = blocking(move || {
            publisher.adopt(&bytes, at).map_err(|error| io::Error::other(error.to_string()))
        })
        .await?;
        tracing::info!("set {} is the leader's", adopted.id);
        Ok(())
    }

    async fn copy_shelf(&self, leader: &Peer, ahead: &State) -> Result<(), Uncopied> {
        let kept = self.shelf.clone();
        let mine = blocking(move || state::records(&kept)).await?;
        for feed in ahead
            .records
            .iter()
            .filter(|(feed, record)| mine.get(*feed) != Some(*record))
            .map(|(feed, _)| feed)
        {
            let response = self.get(leader, &["v1", "replica", "records", feed])?.send().await?;
            let text = whole(response, STATE_BYTES_MAX).await?;
            let record: Record =
                serde_json::from_slice(&text).map_err(|error| Uncopied::Wrong(error.to_string()))?;
            if record.feed != *feed || !state::is_digest(&record.digest) {
                return Err(Uncopied::Wrong(format!("what it says of feed {feed} is of another one")));
            }
            self.copy_record(leader, record).await?;
        }
        let gone: Vec<_> = mine.into_keys().filter(|feed| !ahead.records.contains_key(feed)).collect();
        let kept = self.shelf.clone();
        blocking(move || {
            gone.iter().try_for_each(|feed| kept.forget(feed))?;
            kept.sweep()
        })
        .await?;
        Ok(())
    }

    /// Copies what is known of a feed, and its last good copy where that is not here yet.
    async fn copy_record(&self, leader: &Peer, record: Record) -> Result<(), Uncopied> {
        if self.shelf.reader(&record.digest).is_ok() {
            return Ok(self.shelf.describe(&record)?);
        }
        let response = good(self.get(leader, &["v1", "replica", "copies", &record.digest])?.send().await?)?;
        let mut draft = self.shelf.draft()?;
        let mut digest = Sha256::new();
        let (mut left, mut parts) = (COPY_BYTES_MAX, response.bytes_stream());
        while let Some(part) = next(&mut parts).await? {
            left = left.checked_sub(part.len() as u64).ok_or(Uncopied::TooLarge)?;
            digest.update(&part);
            draft.write_all(&part)?;
        }
        if hex(&digest.finalize()) != record.digest {
            return Err(Uncopied::Wrong(format!("the copy of feed {} is damaged", record.feed)));
        }
        let kept = self.shelf.clone();
        Ok(blocking(move || kept.keep(&draft, &record)).await?)
    }

    fn get(&self, leader: &Peer, path: &[&str]) -> Result<RequestBuilder, Uncopied> {
        self.request(leader, at(&leader.base, path)?)
    }

    fn request(&self, leader: &Peer, url: Url) -> Result<RequestBuilder, Uncopied> {
        let request = leader.client.get(url);
        let Some(path) = &self.token else { return Ok(request) };
        let text = fs::read_to_string(path).map_err(|error| Uncopied::Token { path: path.clone(), error })?;
        Ok(request.bearer_auth(Secret::new(text.trim()).reveal()))
    }
}

/// Below which number all operations of the leader's are here: beyond those that are `ahead`, unless one was left out that came since
/// the last time. One that was left out before is nobody's to wait for.
fn reach(ahead: &State, left_out: &[(String, u64)], before: u64) -> u64 {
    let end = ahead.documents.values().map(|head| head.seq_no + 1).max().unwrap_or(0);
    let torn = left_out.iter().map(|(_, number)| *number).filter(|number| before > 0 && *number >= before);
    torn.min().unwrap_or(end)
}

fn at(base: &Url, segments: &[&str]) -> Result<Url, Uncopied> {
    let mut url = base.clone();
    url.set_query(None);
    url.path_segments_mut()
        .map_err(|()| Uncopied::Wrong("the leader's address cannot carry a path".to_owned()))?
        .clear()
        .extend(segments);
    Ok(url)
}

fn good(response: Response) -> Result<Response, Uncopied> {
    match response.status() {
        StatusCode::OK => Ok(response),
        status => Err(refused(status)),
    }
}

fn refused(status: StatusCode) -> Uncopied {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Uncopied::Refused(status),
        status => Uncopied::Status(status),
    }
}

/// Headers of a document say which version it is: it may be newer than the state that named it.
fn head_of(response: &Response) -> Result<Head, Uncopied> {
    let value = response.headers().get(state::DOCUMENT_HEAD).and_then(|value| value.to_str().ok());
    let head = value.and_then(|text| serde_json::from_str(text).ok());
    head.ok_or_else(|| {
        if response.status() == StatusCode::OK {
            Uncopied::Wrong("a document without its version".to_owned())
        } else {
            refused(response.status())
        }
    })
}

/// When the leader made the set; now where it does not say so.
fn published_at(response: &Response) -> SystemTime {
    let said = response.headers().get(PUBLISHED_HEADER).and_then(|value| value.to_str().ok()?.parse().ok());
    said.and_then(|seconds| UNIX_EPOCH.checked_add(Duration::from_secs(seconds)))
        .unwrap_or_else(SystemTime::now)
}

async fn whole(response: Response, most: usize) -> Result<bytes::Bytes, Uncopied> {
    let mut parts = good(response)?.bytes_stream();
    let mut bytes = Vec::new();
    while let Some(part) = next(&mut parts).await? {
        if part.len() > most - bytes.len() {
            return Err(Uncopied::TooLarge);
        }
        bytes.extend_from_slice(&part);
    }
    Ok(bytes.into())
}

/// The next part of a body, which may not be long in coming.
async fn next(
    parts: &mut (impl futures::Stream<Item = reqwest::Result<bytes::Bytes>> + Unpin),
) -> Result<Option<bytes::Bytes>, Uncopied> {
    match tokio::time::timeout(SILENCE, parts.next()).await {
        Ok(part) => Ok(part.transpose()?),
        Err(_) => Err(Uncopied::Wrong("it ended in silence".to_owned())),
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}
