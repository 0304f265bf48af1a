//! A feed's URL -> its bytes in a draft, or "not changed since".
//!
//! TLS by rustls with ring, trusting the roots compiled in and the operator's own authorities. Bounded in time and
//! size; redirects never lead from https to http. What goes wrong is said without the URL: it may hold a password.

use std::error::Error as _;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{ETAG, HeaderMap, HeaderName, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode, Url};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::copy::Origin;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Without a byte for so long the server is taken for dead.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest that a whole feed may take.
const TOTAL_TIMEOUT: Duration = Duration::from_mins(10);
const REDIRECTS_MAX: usize = 5;

/// What came of a fetch.
#[derive(Debug, PartialEq, Eq)]
pub enum Fetched {
    /// The body is in the draft; what the server says of its version.
    Body {
        /// `ETag`
        etag: Option<String>,
        /// `Last-Modified`
        last_modified: Option<String>,
    },
    /// The server says that the copy is still right.
    NotModified,
}

/// Why a feed was not fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Another status than 200 and 304.
    #[error("the server answered {0}")]
    Status(StatusCode),
    /// No answer, or it broke off.
    #[error("{0}")]
    Transport(String),
    /// More bytes than allowed, after decompression.
    #[error("the body is larger than the limit of {bytes_max} bytes")]
    TooLarge {
        /// The limit.
        bytes_max: u64,
    },
    /// The body could not be kept.
    #[error("the body could not be written to disk: {0}")]
    Write(#[from] std::io::Error),
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The authorities could not be read.
    #[error("cannot read certificate authorities from {path}: {reason} (a PEM file is expected)", path = path.display())]
    Authorities {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// TLS or the runtime could not be set up.
    #[error("cannot set up fetching of feeds: {0}")]
    Setup(String),
}

/// Fetches feeds; blocks the thread that calls it, which must not be an asynchronous one.
#[derive(Debug)]
pub struct Fetcher {
    client: Client,
    runtime: tokio::runtime::Runtime,
}

impl Fetcher {
    /// A client that trusts the compiled-in roots and those of `authorities`.
    pub fn new(authorities: Option<&Path>) -> Result<Self, ClientError> {
        let setup = |error: &dyn std::fmt::Display| ClientError::Setup(error.to_string());
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| setup(&e))?;
        let client = Client::builder()
            .tls_backend_preconfigured(tls(authorities)?)
            .user_agent(concat!("namewarden-agent/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(SILENCE_TIMEOUT)
            .timeout(TOTAL_TIMEOUT)
            .redirect(redirects())
            .build()
            .map_err(|error| setup(&error))?;
        Ok(Self { client, runtime })
    }

    /// Fetches `url` into `draft`, unless it is still what `known` describes.
    pub fn fetch(
        &self,
        url: &Url,
        known: Option<&Origin>,
        bytes_max: u64,
        draft: &mut impl Write,
    ) -> Result<Fetched, FetchError> {
        self.runtime.block_on(self.fetch_async(url, known, bytes_max, draft))
    }

    async fn fetch_async(
        &self,
        url: &Url,
        known: Option<&Origin>,
        bytes_max: u64,
        draft: &mut impl Write,
    ) -> Result<Fetched, FetchError> {
        let mut request = self.client.get(url.clone());
        if let Some(known) = known {
            if let Some(etag) = &known.etag {
                request = request.header(IF_NONE_MATCH, etag);
            }
            if let Some(time) = &known.last_modified {
                request = request.header(IF_MODIFIED_SINCE, time);
            }
        }
        let response = request.send().await.map_err(transport)?;
        match response.status() {
            StatusCode::NOT_MODIFIED if known.is_some() => Ok(Fetched::NotModified),
            StatusCode::OK => {
                let etag = header(response.headers(), &ETAG);
                let last_modified = header(response.headers(), &LAST_MODIFIED);
                receive(response, bytes_max, draft).await?;
                Ok(Fetched::Body { etag, last_modified })
            }
            status => Err(FetchError::Status(status)),
        }
    }
}

/// Writes the body as it comes in, up to the limit.
async fn receive(mut response: Response, bytes_max: u64, draft: &mut impl Write) -> Result<(), FetchError> {
    let mut bytes = 0_u64;
    while let Some(chunk) = response.chunk().await.map_err(transport)? {
        bytes += chunk.len() as u64;
        if bytes > bytes_max {
            return Err(FetchError::TooLarge { bytes_max });
        }
        draft.write_all(&chunk)?;
    }
    Ok(())
}

fn header(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

/// The error with its causes and without the URL.
fn transport(error: reqwest::Error) -> FetchError {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    FetchError::Transport(text)
}

/// At most five, never from https to http.
fn redirects() -> Policy {
    Policy::custom(|attempt| {
        let was_secure = attempt.previous().last().is_some_and(|url| url.scheme() == "https");
        if attempt.previous().len() > REDIRECTS_MAX {
            attempt.error("too many redirects")
        } else if was_secure && attempt.url().scheme() != "https" {
            attempt.error("redirected from https to http")
        } else {
            attempt.follow()
        }
    })
}

fn tls(authorities: Option<&Path>) -> Result<rustls::ClientConfig, ClientError> {
    let mut roots = rustls::RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    if let Some(path) = authorities {
        let failed = |reason: String| ClientError::Authorities { path: path.to_owned(), reason };
        let certificates = CertificateDer::pem_file_iter(path).map_err(|error| failed(error.to_string()))?;
        let before = roots.len();
        for certificate in certificates {
            let certificate = certificate.map_err(|error| failed(error.to_string()))?;
            roots.add(certificate).map_err(|error| failed(error.to_string()))?;
        }
        if roots.len() == before {
            return Err(failed("there is no certificate in it".to_owned()));
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| ClientError::Setup(error.to_string()))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}
