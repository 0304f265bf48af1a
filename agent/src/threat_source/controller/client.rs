//! One question to the controller, and its answer: HTTPS in, a set file out.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use namewarden_protocol::endpoint::controller::{
    AgentReport, PUBLISHED_HEADER, REPORT_PATH, SET_BYTES_MAX, SET_TYPE_AND_VERSION, THREAT_SET_PATH,
    WAIT_PARAMETER, entity_tag,
};
use namewarden_protocol::endpoint::ports::{PORTS_HEADER, ResolverPorts};
use namewarden_protocol::obtain::client;
use namewarden_protocol::obtain::copy::write_whole;
use namewarden_protocol::threat_set::wire::{self, ApplyError, Kind};
use namewarden_protocol::threat_set::{BuildError, OpenError, ThreatSet};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderValue, IF_NONE_MATCH, RETRY_AFTER};
use reqwest::{Client, RequestBuilder, Response, StatusCode, Url};

use super::follow::WAIT;
use super::{Answer, Missed, Settings, SetupError};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A controller that holds a question open says nothing for as long as it was told to wait, and this on top.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(30);
/// A whole answer, however slow the way: many agents may come at once.
const ANSWER_TIMEOUT: Duration = Duration::from_mins(30);
/// More than any list of ports.
const PORTS_BYTES_MAX: u64 = 256;
/// Of a refusal's text.
const SAID_MAX: usize = 200;

/// The controller as the agent knows it.
#[derive(Debug)]
pub struct Controller {
    client: RwLock<Client>,
    authorities: Option<PathBuf>,
    set: Url,
    report: Url,
    token_file: Option<PathBuf>,
    path: PathBuf,
    ports: PathBuf,
    place: String,
}

/// What reaches the controller; authorities are read from their file now.
fn connect(authorities: Option<&Path>) -> Result<Client, client::ClientError> {
    Client::builder()
        .tls_backend_preconfigured(client::tls(authorities)?)
        .user_agent(concat!("namewarden-agent/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(WAIT + SILENCE_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
        .map_err(|error| client::ClientError::Setup(error.without_url().to_string()))
}

impl Controller {
    /// Sets up what is needed to ask; nothing is asked yet.
    ///
    /// # Errors
    /// Authorities or folder cannot be used.
    pub fn new(settings: Settings) -> Result<Self, SetupError> {
        let Settings { url, authorities, token_file, folder } = settings;
        if let Err(error) = fs::create_dir_all(&folder) {
            tracing::warn!(
                "{} cannot be made: {error}; the controller's set is not kept over a restart",
                folder.display()
            );
        }
        if let Some(path) = &token_file {
            fs::metadata(path).map_err(|error| SetupError::Token { path: path.clone(), error })?;
        }
        let client =
            connect(authorities.as_deref()).map_err(|error| SetupError::Client(error.to_string()))?;
        let at = |path: &str| {
            let mut at = url.clone();
            at.set_path(&format!("{}{path}", url.path().trim_end_matches('/')));
            at
        };
        Ok(Self {
            client: RwLock::new(client),
            authorities,
            set: at(THREAT_SET_PATH),
            report: at(REPORT_PATH),
            token_file,
            path: folder.join("controller.set"),
            ports: folder.join("resolver_ports"),
            place: url.origin().ascii_serialization(),
        })
    }

    /// Reads the authorities anew: a controller that lost its disk has another one. Files that cannot be read change nothing.
    pub fn renew(&self) {
        if self.authorities.is_some()
            && let Ok(client) = connect(self.authorities.as_deref())
        {
            *self.client.write().unwrap_or_else(PoisonError::into_inner) = client;
        }
    }

    fn client(&self) -> Client {
        self.client.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Where it is, without credentials.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// The set that an earlier run kept; `None` where there is none. One that is not sound is refused.
    pub fn kept(&self) -> Result<Option<Arc<ThreatSet>>, OpenError> {
        if !self.path.exists() {
            return Ok(None);
        }
        ThreatSet::open(&self.path).map(|set| Some(Arc::new(set)))
    }

    /// When the controller made the set that was kept.
    pub fn kept_published(&self) -> Option<SystemTime> {
        fs::metadata(&self.path).and_then(|metadata| metadata.modified()).ok()
    }

    /// The resolvers' ports that an earlier run was told; none where nothing sound was kept.
    pub fn kept_ports(&self) -> ResolverPorts {
        let mut text = String::new();
        let read =
            File::open(&self.ports).and_then(|file| file.take(PORTS_BYTES_MAX).read_to_string(&mut text));
        read.ok().and_then(|_| text.trim().parse().ok()).unwrap_or_default()
    }

    /// Keeps them for the next run. Best effort: the controller tells them again.
    pub fn keep_ports(&self, ports: &ResolverPorts) {
        if let Err(error) = write_whole(&self.ports, ports.to_string().as_bytes()) {
            tracing::warn!("the resolvers' ports are not kept over a restart: {error}");
        }
    }

    /// Asks for a set other than `base`, or resolvers' ports other than these; the controller may hold the question open for
    /// `wait`. With the answer the ports, where the controller knows them.
    pub async fn ask(
        &self,
        base: Option<Arc<ThreatSet>>,
        ports: &ResolverPorts,
        wait: Duration,
    ) -> Result<(Answer, Option<ResolverPorts>), Missed> {
        let mut url = self.set.clone();
        url.query_pairs_mut().append_pair(WAIT_PARAMETER, &wait.as_secs().to_string());
        let mut request = self.client().get(url).timeout(ANSWER_TIMEOUT).header(ACCEPT, SET_TYPE_AND_VERSION);
        request = request.header(PORTS_HEADER, ports.to_string());
        if let Some(base) = &base {
            request = request.header(IF_NONE_MATCH, entity_tag(base.id()));
        }
        let response = self.send(request).await?;
        let told = told_ports(&response);
        let answer = match response.status() {
            StatusCode::NOT_MODIFIED if base.is_some() => {
                Ok(Answer::Unchanged { retry_after: retry_after(&response) })
            }
            StatusCode::OK => {
                let published = published(&response);
                let bytes = receive(response).await?;
                self.take(bytes, base, published).await
            }
            status => Err(refusal(status, response).await),
        };
        Ok((answer?, told))
    }

    /// Tells the controller how this agent fares.
    pub async fn report(&self, report: &AgentReport) -> Result<(), Missed> {
        // A report is numbers and names: it always has a JSON form.
        let body = serde_json::to_vec(report).unwrap_or_default();
        let request = self.client().post(self.report.clone()).timeout(SILENCE_TIMEOUT);
        let request = request.header(CONTENT_TYPE, "application/json").body(body);
        let response = self.send(request).await?;
        match response.status() {
            status if status.is_success() => Ok(()),
            status => Err(refusal(status, response).await),
        }
    }

    async fn send(&self, mut request: RequestBuilder) -> Result<Response, Missed> {
        if let Some(path) = &self.token_file {
            let token =
                fs::read_to_string(path).map_err(|error| Missed::Token { path: path.clone(), error })?;
            let shown = HeaderValue::from_str(&format!("Bearer {}", token.trim()));
            let mut shown = shown.map_err(|_| Missed::TokenText { path: path.clone() })?;
            shown.set_sensitive(true);
            request = request.header(reqwest::header::AUTHORIZATION, shown);
        }
        request.send().await.map_err(transport)
    }

    /// Bytes -> file -> set, in a thread of its own: a large set takes a while.
    async fn take(
        &self,
        bytes: Vec<u8>,
        base: Option<Arc<ThreatSet>>,
        published: SystemTime,
    ) -> Result<Answer, Missed> {
        let path = self.path.clone();
        let take = move || take_anywhere(&bytes, base.as_deref(), &path, published);
        tokio::task::spawn_blocking(take).await.unwrap_or(Err(Missed::Interrupted))
    }
}

/// Where a set goes that the state folder has no room for: in use, and lost with the process.
const ELSEWHERE: [&str; 2] = ["/tmp", "/dev/shm"];

/// As [`take`]; a disk that is full or read-only does not keep a new set from being used.
pub(super) fn take_anywhere(
    bytes: &[u8],
    base: Option<&ThreatSet>,
    path: &Path,
    published: SystemTime,
) -> Result<Answer, Missed> {
    let refused = match take(bytes, base, path, published) {
        Err(Missed::Apply(ApplyError::Write(error @ BuildError::Write { .. }))) => error,
        taken => return taken,
    };
    for folder in ELSEWHERE {
        let folder = Path::new(folder).join(format!("namewarden-agent-{}", std::process::id()));
        // A folder that somebody else made there is not written to.
        if fs::DirBuilder::new().mode(0o700).create(&folder).is_err() {
            continue;
        }
        let taken = take(bytes, base, &folder.join("controller.set"), published);
        // The file is in use until the next set: its name is not needed any more.
        let _ = fs::remove_dir_all(&folder);
        if taken.is_ok() {
            tracing::warn!("{refused}; the controller's set is in use, and not kept over a restart");
            return taken;
        }
    }
    Err(Missed::Disk(refused.to_string()))
}

/// Checks what came and makes it the set that is kept; what is kept stays as it was on any error.
///
/// The file's time is when the controller made it, so that its age is known after a restart too.
pub(super) fn take(
    bytes: &[u8],
    base: Option<&ThreatSet>,
    path: &Path,
    published: SystemTime,
) -> Result<Answer, Missed> {
    let announced = wire::announced(bytes)?;
    if base.is_some_and(|base| base.id() == announced.id) {
        return Ok(Answer::Unchanged { retry_after: None });
    }
    if let Some(base) = base
        && announced.id.epoch == base.id().epoch
        && announced.id.number < base.id().number
    {
        return Err(Missed::Older { offered: announced.id.number, used: base.id().number });
    }
    let delta = match (announced.kind, base) {
        (Kind::Full, _) => {
            wire::apply_full(bytes, path)?;
            false
        }
        (Kind::Delta { .. }, Some(base)) => {
            wire::apply_delta(bytes, base, path)?;
            true
        }
        (Kind::Delta { .. }, None) => return Err(ApplyError::Kind { expected: "a full set" }.into()),
    };
    // Best effort: without it the file's time is the one at which it came.
    let _ = File::options().write(true).open(path).and_then(|file| file.set_modified(published));
    Ok(Answer::Set { set: Arc::new(ThreatSet::open(path)?), delta, published })
}

async fn receive(mut response: Response) -> Result<Vec<u8>, Missed> {
    let announced = response.content_length().and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
    if announced > SET_BYTES_MAX {
        return Err(Missed::TooLarge { bytes_max: SET_BYTES_MAX });
    }
    let mut bytes = Vec::with_capacity(announced);
    while let Some(chunk) = response.chunk().await.map_err(transport)? {
        if bytes.len() + chunk.len() > SET_BYTES_MAX {
            return Err(Missed::TooLarge { bytes_max: SET_BYTES_MAX });
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// Seconds that the controller wants to be left alone.
fn retry_after(response: &Response) -> Option<Duration> {
    let text = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    text.trim().parse().ok().map(Duration::from_secs)
}

/// Ports that the controller says resolvers listen on; `None` where it says nothing that can be.
fn told_ports(response: &Response) -> Option<ResolverPorts> {
    response.headers().get(PORTS_HEADER)?.to_str().ok()?.parse().ok()
}

/// When the controller made the set; now where it does not say so, or is ahead of this clock.
fn published(response: &Response) -> SystemTime {
    let now = SystemTime::now();
    let said = response.headers().get(PUBLISHED_HEADER).and_then(|value| value.to_str().ok()?.parse().ok());
    said.and_then(|seconds| UNIX_EPOCH.checked_add(Duration::from_secs(seconds)))
        .map_or(now, |at| at.min(now))
}

async fn refusal(status: StatusCode, mut response: Response) -> Missed {
    if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
        return Missed::Denied(status);
    }
    let retry_after = retry_after(&response);
    let first = response.chunk().await.ok().flatten().unwrap_or_default();
    let said: String =
        String::from_utf8_lossy(&first).chars().filter(|c| !c.is_control()).take(SAID_MAX).collect();
    Missed::Status { status, said, retry_after }
}

fn transport(error: reqwest::Error) -> Missed {
    Missed::Transport(client::causes(error))
}
