//! TLS for every connection: a certificate from files, or from an authority of our own.
//!
//! Out: a configuration that follows what it was made from. It is renewed before it expires, and read anew when files
//! change; what is broken changes nothing.

// The deployment's own certificate authority, kept in the state folder.
mod authority;

// A certificate and key of the operator's.
mod files;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use axum_server::tls_rustls::RustlsConfig;
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer},
};

pub use authority::Authority;
pub use files::Pair;

/// How often it is looked whether something is due.
const LOOK: Duration = Duration::from_secs(10);

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read or written.
    #[error("{path}: {error}")]
    File {
        /// The file.
        path: String,
        /// What the system said.
        error: std::io::Error,
    },
    /// A file is not what it should be.
    #[error("{path}: {reason}")]
    Wrong {
        /// The file.
        path: String,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// A name cannot stand in a certificate.
    #[error("--tls-name {name} is neither a host name nor an IP address")]
    Name {
        /// As it was given.
        name: String,
    },
    /// The library refused.
    #[error("no certificate can be made: {0}")]
    Make(#[from] rcgen::Error),
    /// Certificate and key do not go together, or are not usable.
    #[error("the certificate cannot be used: {0}")]
    Use(#[from] rustls::Error),
}

/// Where the certificate comes from.
#[derive(Debug)]
pub enum Source {
    /// An authority of our own signs one for these names.
    Authority(Box<Authority>),
    /// Files of the operator's.
    Files(Pair),
}

/// A certificate that is kept usable.
pub struct Tls {
    source: Source,
    config: RustlsConfig,
    issued: SystemTime,
}

impl Tls {
    /// Takes the first certificate into use.
    ///
    /// # Errors
    /// There is none that can be used.
    pub fn open(mut source: Source) -> Result<Self, TlsError> {
        let config = match &mut source {
            Source::Authority(authority) => authority.issue(SystemTime::now())?,
            Source::Files(pair) => pair.read()?,
        };
        Ok(Self { source, config: RustlsConfig::from_config(Arc::new(config)), issued: SystemTime::now() })
    }

    /// What the server uses; it changes under it.
    pub fn config(&self) -> RustlsConfig {
        self.config.clone()
    }

    /// The authority's certificate that clients need, where it is our own.
    pub fn authority(&self) -> Option<&Path> {
        match &self.source {
            Source::Authority(authority) => Some(authority.certificate_path()),
            Source::Files(_) => None,
        }
    }

    /// Renews what is due, for ever.
    pub async fn keep(mut self) {
        let mut looks = tokio::time::interval(LOOK);
        loop {
            looks.tick().await;
            self.look(SystemTime::now());
        }
    }

    /// Renews what is due now.
    fn look(&mut self, now: SystemTime) {
        let renewed = match &mut self.source {
            Source::Authority(authority) if Authority::is_due(self.issued, now) => Some(authority.issue(now)),
            Source::Authority(_) => None,
            Source::Files(pair) => pair.read_if_changed().transpose(),
        };
        match renewed {
            Some(Ok(config)) => {
                self.config.reload_from_config(Arc::new(config));
                self.issued = now;
                tracing::info!("a new certificate is in use");
            }
            Some(Err(error)) => tracing::warn!("the certificate stays as it was: {error}"),
            None => {}
        }
    }
}

/// HTTP/1.1 over TLS 1.2 or 1.3.
fn server_config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ServerConfig, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn file_error(path: &Path) -> impl Fn(std::io::Error) -> TlsError {
    let path: PathBuf = path.to_owned();
    move |error| TlsError::File { path: path.display().to_string(), error }
}

#[cfg(test)]
mod tests;
