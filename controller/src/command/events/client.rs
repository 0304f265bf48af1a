//! Asks a controller for pages of events.

use std::error::Error as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use namewarden_protocol::obtain::client;
use reqwest::{StatusCode, Url};
use serde::Deserialize;
use serde_json::Value;

use super::event::Event;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The controller gives a search 10 s, and a page may be large.
const TIMEOUT: Duration = Duration::from_secs(60);
/// A thousand documents of 64 KiB.
const PAGE_BYTES_MAX: usize = 64 << 20;
/// Characters of a refusal's text.
const SAID_MAX: usize = 300;

/// A page of events.
#[derive(Debug, Deserialize)]
pub struct Page {
    /// In the order that was asked for.
    pub events: Vec<Event>,
    /// Where the next page begins.
    pub next: Option<String>,
    /// Where the order of arrival goes on.
    pub arrived: String,
}

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub enum Missed {
    /// No answer.
    #[error("{place} does not answer: {why}")]
    Silent {
        /// Where.
        place: String,
        /// What happened.
        why: String,
    },
    /// An answer that is none.
    #[error("{place} answered {status}: {said}")]
    Refused {
        /// Where.
        place: String,
        /// Its status.
        status: StatusCode,
        /// Its words.
        said: String,
    },
    /// The token's file.
    #[error("cannot read the token in {}: {error}", path.display())]
    Token {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
}

impl Missed {
    /// Whether asking again leads to nothing.
    pub fn is_lasting(&self) -> bool {
        match self {
            Self::Silent { .. } => false,
            Self::Refused { status, .. } => {
                status.is_client_error() && *status != StatusCode::TOO_MANY_REQUESTS
            }
            Self::Token { .. } => true,
        }
    }
}

/// Asks a controller.
#[derive(Debug)]
pub struct Client {
    http: reqwest::Client,
    url: Url,
    place: String,
    token_file: Option<PathBuf>,
}

impl Client {
    /// Sets up what is needed to ask; nothing is asked yet.
    ///
    /// # Errors
    /// URL or authorities cannot be used.
    pub fn new(url: &Url, authorities: Option<&Path>, token_file: Option<PathBuf>) -> anyhow::Result<Self> {
        if url.scheme() != "https" || !url.has_host() {
            bail!("--url must be https://HOST[:PORT]: the controller speaks TLS only");
        }
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(client::tls(authorities).context("--ca")?)
            .user_agent(concat!("namewarden-controller/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(reqwest::Error::without_url)
            .context("cannot set up TLS")?;
        let place = url.origin().ascii_serialization();
        let mut url = url.clone();
        url.set_path(&format!("{}/v1/events", url.path().trim_end_matches('/')));
        Ok(Self { http, url, place, token_file })
    }

    /// Asks for a page.
    pub async fn page(&self, query: &[(&'static str, String)]) -> Result<Page, Missed> {
        let mut url = self.url.clone();
        url.query_pairs_mut().extend_pairs(query);
        let mut request = self.http.get(url);
        if let Some(path) = &self.token_file {
            let token =
                fs::read_to_string(path).map_err(|error| Missed::Token { path: path.clone(), error })?;
            request = request.bearer_auth(token.trim());
        }
        let mut response = request.send().await.map_err(|error| self.silent(error))?;
        let status = response.status();
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.silent(error))? {
            if bytes.len() + chunk.len() > PAGE_BYTES_MAX {
                return Err(self.refused(status, "its answer has no end".to_owned()));
            }
            bytes.extend_from_slice(&chunk);
        }
        if status != StatusCode::OK {
            return Err(self.refused(status, said(&bytes)));
        }
        serde_json::from_slice(&bytes)
            .map_err(|_| self.refused(status, "what answers there is no controller".to_owned()))
    }

    fn silent(&self, error: reqwest::Error) -> Missed {
        let error = error.without_url();
        let mut why = error.to_string();
        let mut cause = error.source();
        while let Some(inner) = cause {
            why.push_str(": ");
            why.push_str(&inner.to_string());
            cause = inner.source();
        }
        Missed::Silent { place: self.place.clone(), why }
    }

    fn refused(&self, status: StatusCode, said: String) -> Missed {
        Missed::Refused { place: self.place.clone(), status, said }
    }
}

/// The controller's own sentence, or the first words of whatever answered.
fn said(bytes: &[u8]) -> String {
    let answer = serde_json::from_slice::<Value>(bytes).ok();
    let sentence = answer.as_ref().and_then(|answer| answer.get("error")?.as_str());
    let text = sentence.map_or_else(|| String::from_utf8_lossy(bytes), Into::into);
    text.chars().filter(|c| !c.is_control()).take(SAID_MAX).collect()
}
