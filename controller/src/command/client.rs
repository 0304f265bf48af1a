//! Asks a controller for what people want of it.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use namewarden_protocol::obtain::client;
use reqwest::{Method, StatusCode, Url, header};
use serde::de::DeserializeOwned;
use serde_json::Value;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The controller gives a search 10 s, and a page may be large.
const TIMEOUT: Duration = Duration::from_secs(60);
/// A thousand documents of 64 KiB.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// Characters of a refusal's text.
const SAID_MAX: usize = 300;

/// Which controller, and who asks.
#[derive(Clone, Debug, Args)]
pub struct ConnectArgs {
    /// The controller.
    #[arg(long, env = "NAMEWARDEN_CONTROLLER", default_value = "https://localhost:8443", value_name = "URL")]
    pub url: Url,

    /// Certificate authorities (PEM) that vouch for the controller, beside the compiled-in ones.
    #[arg(long, env = "NAMEWARDEN_CA", value_name = "PATH")]
    pub ca: Option<PathBuf>,

    /// File with the token to show; read anew for each request.
    #[arg(long, env = "NAMEWARDEN_TOKEN_FILE", value_name = "PATH")]
    pub token_file: Option<PathBuf>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Missed {
    /// Nobody there.
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
    pub fn new(arguments: &ConnectArgs) -> anyhow::Result<Self> {
        let ConnectArgs { url, ca, token_file } = arguments;
        if url.scheme() != "https" || !url.has_host() {
            bail!("--url must be https://HOST[:PORT]: the controller speaks TLS only");
        }
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(client::tls(ca.as_deref()).context("--ca")?)
            .user_agent(concat!("namewarden-controller/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(reqwest::Error::without_url)
            .context("cannot set up TLS")?;
        let place = url.origin().ascii_serialization();
        Ok(Self { http, url: url.clone(), place, token_file: token_file.clone() })
    }

    /// What is at a path, given a query.
    pub async fn get<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&'static str, String)],
    ) -> Result<T, Missed> {
        let mut url = self.at(path);
        url.query_pairs_mut().extend_pairs(query);
        self.ask(Method::GET, url, None).await
    }

    /// Puts JSON to a path; the answer.
    pub async fn put<T: DeserializeOwned>(&self, path: &[&str], body: &Value) -> Result<T, Missed> {
        self.ask(Method::PUT, self.at(path), Some(body)).await
    }

    fn at(&self, path: &[&str]) -> Url {
        let mut url = self.url.clone();
        // What has a host has segments.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        url: Url,
        body: Option<&Value>,
    ) -> Result<T, Missed> {
        let mut request = self.http.request(method, url);
        if let Some(path) = &self.token_file {
            let token =
                fs::read_to_string(path).map_err(|error| Missed::Token { path: path.clone(), error })?;
            request = request.bearer_auth(token.trim());
        }
        if let Some(body) = body {
            request = request.header(header::CONTENT_TYPE, "application/json").body(body.to_string());
        }
        let mut response = request.send().await.map_err(|error| self.silent(error))?;
        let status = response.status();
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.silent(error))? {
            if bytes.len() + chunk.len() > ANSWER_BYTES_MAX {
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
        Missed::Silent { place: self.place.clone(), why: client::causes(error) }
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
