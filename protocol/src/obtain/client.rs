//! The two ways to a server, each with what is checked on it: directly, where the addresses that a name resolves to
//! are judged at the moment of connecting, and through a proxy, which resolves names itself.
//!
//! With a proxy only literal addresses can be judged here: which others a feed may reach is the proxy's to say.

use std::error::Error as _;
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hyper_util::client::proxy::matcher::Matcher;
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, NoProxy, Url};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::address::{Forbidden, Reach};
use super::receive::Pace;
use super::resolve::Resolver;

/// What holds for every fetch.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// More certificate authorities (PEM) than the compiled-in ones.
    pub authorities: Option<PathBuf>,
    /// Through which proxy.
    pub proxy: Proxy,
    /// Which addresses may be reached.
    pub reach: Reach,
    /// Names whose addresses are given, as in a hosts file; judged as all others are.
    pub hosts: Vec<(String, IpAddr)>,
    /// How slow a server may be.
    pub pace: Pace,
}

/// Through which proxy feeds are fetched; hosts in `NO_PROXY` are asked directly in either case.
#[derive(Clone, Default)]
pub enum Proxy {
    /// What `HTTP_PROXY`, `HTTPS_PROXY` and `ALL_PROXY` say.
    #[default]
    Environment,
    /// None, whatever the environment says.
    Direct,
    /// This one for every URL; http or https, user and password in it are sent to it.
    Url(Url),
}

impl fmt::Debug for Proxy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Environment => "Environment",
            Self::Direct => "Direct",
            Self::Url(_) => "Url(…)",
        })
    }
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
    /// No URL of a proxy; its text may hold a password.
    #[error("the URL of the proxy for feeds is not valid; write http://HOST:PORT")]
    Proxy,
    /// TLS or the runtime could not be set up.
    #[error("cannot set up fetching of feeds: {0}")]
    Setup(String),
}

/// The ways to a server.
#[derive(Debug)]
pub(super) struct Ways {
    direct: Client,
    proxied: Option<(Client, Matcher)>,
    reach: Reach,
}

impl Ways {
    pub(super) fn new(settings: &Settings) -> Result<Self, ClientError> {
        let tls = tls(settings.authorities.as_deref())?;
        let client = || builder(&tls, &settings.pace);
        let resolver = Arc::new(Resolver::new(settings.reach, &settings.hosts));
        let direct = built(client().no_proxy().dns_resolver(resolver))?;
        let proxied = match &settings.proxy {
            Proxy::Direct => None,
            Proxy::Environment => Some((built(client())?, Matcher::from_env())),
            Proxy::Url(url) => {
                if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
                    return Err(ClientError::Proxy);
                }
                let proxy = reqwest::Proxy::all(url.clone()).map_err(|_| ClientError::Proxy)?;
                let client = built(client().proxy(proxy.no_proxy(NoProxy::from_env())))?;
                Some((client, Matcher::builder().all(url.as_str()).no(hosts_asked_directly()).build()))
            }
        };
        Ok(Self { direct, proxied, reach: settings.reach })
    }

    /// The client to ask for `url`, and the proxy that it goes through.
    pub(super) fn to(&self, url: &Url) -> Result<(&Client, Option<String>), Forbidden> {
        let host = url.host_str().unwrap_or_default();
        if let Ok(address) = host.trim_start_matches('[').trim_end_matches(']').parse() {
            self.reach.check(address)?;
        }
        let through = self.proxied.as_ref().and_then(|(client, matcher)| {
            let proxy = matcher.intercept(&url.as_str().parse().ok()?)?;
            let port = proxy.uri().port().map_or_else(String::new, |port| format!(":{port}"));
            Some((client, Some(format!("{}{port}", proxy.uri().host()?))))
        });
        Ok(through.unwrap_or((&self.direct, None)))
    }
}

/// As reqwest reads it, for the same answer.
fn hosts_asked_directly() -> String {
    std::env::var("NO_PROXY").or_else(|_| std::env::var("no_proxy")).unwrap_or_default()
}

/// What both ways have in common. Redirects and packed bodies are not the client's: who follows must judge each step,
/// who unpacks must know when to stop. Nothing is asked often enough to keep connections for.
fn builder(tls: &rustls::ClientConfig, pace: &Pace) -> ClientBuilder {
    Client::builder()
        .tls_backend_preconfigured(tls.clone())
        .user_agent(concat!("namewarden/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(pace.connect)
        .redirect(Policy::none())
        .no_gzip()
        .no_brotli()
        .no_zstd()
        .no_deflate()
        .pool_max_idle_per_host(0)
}

fn built(builder: ClientBuilder) -> Result<Client, ClientError> {
    builder.build().map_err(|error| ClientError::Setup(error.without_url().to_string()))
}

/// TLS by rustls with ring, trusting the compiled-in roots and those of `authorities` (PEM).
pub fn tls(authorities: Option<&Path>) -> Result<rustls::ClientConfig, ClientError> {
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

/// An error with its causes, one after the other, and without the URL: that may hold a secret.
pub fn causes(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}
