//! A certificate and key of the operator's, read anew when a file changes.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};

use super::{TlsError, file_error, server_config};

/// Where certificate and key are, and what they were at the last look.
pub struct Pair {
    certificate: PathBuf,
    key: PathBuf,
    seen: Option<(Vec<u8>, Vec<u8>)>,
}

impl std::fmt::Debug for Pair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pair")
            .field("certificate", &self.certificate)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

impl Pair {
    /// A chain in PEM, the server's own certificate first, and its key in PEM.
    pub fn new(certificate: &Path, key: &Path) -> Self {
        Self { certificate: certificate.to_owned(), key: key.to_owned(), seen: None }
    }

    /// Reads both.
    pub(super) fn read(&mut self) -> Result<ServerConfig, TlsError> {
        let contents = self.contents()?;
        self.seen = Some(contents.clone());
        self.parse(&contents)
    }

    /// Reads both if one of them changed since the last look, usable or not.
    pub(super) fn read_if_changed(&mut self) -> Result<Option<ServerConfig>, TlsError> {
        let contents = match self.contents() {
            Ok(contents) => contents,
            // Said once, not at every look.
            Err(error) => return if self.seen.take().is_some() { Err(error) } else { Ok(None) },
        };
        if self.seen.as_ref() == Some(&contents) {
            return Ok(None);
        }
        self.seen = Some(contents.clone());
        self.parse(&contents).map(Some)
    }

    fn contents(&self) -> Result<(Vec<u8>, Vec<u8>), TlsError> {
        let certificate = fs::read(&self.certificate).map_err(file_error(&self.certificate))?;
        let key = fs::read(&self.key).map_err(file_error(&self.key))?;
        Ok((certificate, key))
    }

    fn parse(&self, (certificate, key): &(Vec<u8>, Vec<u8>)) -> Result<ServerConfig, TlsError> {
        let wrong =
            |path: &Path, reason: String| TlsError::Wrong { path: path.display().to_string(), reason };
        let chain: Vec<_> = CertificateDer::pem_slice_iter(certificate)
            .collect::<Result<_, _>>()
            .map_err(|error| wrong(&self.certificate, format!("no certificate chain in PEM: {error}")))?;
        if chain.is_empty() {
            return Err(wrong(&self.certificate, "it holds no certificate in PEM".to_owned()));
        }
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|error| wrong(&self.key, format!("no private key in PEM: {error}")))?;
        server_config(chain, key)
    }
}
