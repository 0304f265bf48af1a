//! A certificate authority of the tests, known to nobody who is not told.

use std::{fs, path::Path, sync::Arc};

use anyhow::{Context as _, Result};
use axum_server::tls_rustls::RustlsConfig;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
};
use rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};

/// An authority with its key.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    /// A new one.
    pub fn new() -> Result<Self> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "authority of the tests");
        let key = KeyPair::generate()?;
        let pem = params.self_signed(&key)?.pem();
        Ok(Self { issuer: Issuer::new(params, key), pem })
    }

    /// Its certificate, as who trusts it is given it.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Writes its certificate to a file.
    pub fn write(&self, path: &Path) -> Result<()> {
        fs::write(path, &self.pem).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Writes what a server with these names and addresses needs to `tls.crt`, `tls.key` and `ca.crt` of a folder.
    pub fn write_pair(&self, folder: &Path, names: &[&str]) -> Result<()> {
        let (certificate, key) = self.issue(names)?;
        self.write_issued(folder, &certificate, &key)
    }

    /// Likewise, what a client shows that goes by a name.
    pub fn write_client(&self, folder: &Path, name: &str) -> Result<()> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate()?;
        self.write_issued(folder, &params.signed_by(&key, &self.issuer)?, &key)
    }

    fn write_issued(&self, folder: &Path, certificate: &Certificate, key: &KeyPair) -> Result<()> {
        fs::create_dir_all(folder)?;
        fs::write(folder.join("tls.crt"), certificate.pem())?;
        fs::write(folder.join("tls.key"), key.serialize_pem())?;
        self.write(&folder.join("ca.crt"))
    }

    fn issue(&self, names: &[&str]) -> Result<(Certificate, KeyPair)> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let key = KeyPair::generate()?;
        Ok((CertificateParams::new(names)?.signed_by(&key, &self.issuer)?, key))
    }

    /// What a server with these names and addresses shows.
    pub(super) fn server(&self, names: &[&str]) -> Result<RustlsConfig> {
        let (certificate, key) = self.issue(names)?;
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut config =
            ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()?
                .with_no_client_auth()
                .with_single_cert(vec![certificate.der().clone()], key)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(RustlsConfig::from_config(Arc::new(config)))
    }
}
