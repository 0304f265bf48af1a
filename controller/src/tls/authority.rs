//! The deployment's own certificate authority: made at the first start, kept in the state folder.
//!
//! `tls/ca.key` never leaves the folder; `tls/ca.crt` is what agents and browsers are given. The server's own key and
//! certificate live in memory only and are made anew at each start and each month.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose,
};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject as _},
};

use super::{TlsError, file_error, server_config};

const DAY: Duration = Duration::from_hours(24);
/// A clock behind ours still accepts a new certificate.
const BACKDATED: Duration = Duration::from_hours(24);
const AUTHORITY_LASTS: Duration = Duration::from_hours(24 * 3650);
const SERVER_LASTS: Duration = Duration::from_hours(24 * 90);
const RENEWED_AFTER: Duration = Duration::from_hours(24 * 30);
/// These are always in the certificate.
const OWN_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// A certificate authority and the names that it signs for.
#[derive(Debug)]
pub struct Authority {
    certificate_path: PathBuf,
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
    names: Vec<String>,
}

impl Authority {
    /// Opens the authority of a state folder; makes one where there is none.
    ///
    /// # Errors
    /// The folder cannot be written, a file is broken, or a name cannot stand in a certificate.
    pub fn open(state: &Path, names: &[String]) -> Result<Self, TlsError> {
        let folder = state.join("tls");
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(file_error(&folder))?;
        let key = open_key(&folder.join("ca.key"))?;
        let certificate_path = folder.join("ca.crt");
        let certificate = open_certificate(&certificate_path, &key)?;
        let names = OWN_NAMES.iter().map(|&own| own.to_owned()).chain(names.iter().cloned()).collect();
        let issuer = Issuer::new(subject(), key);
        let authority = Self { certificate_path, certificate, issuer, names };
        authority.check_names()?;
        Ok(authority)
    }

    /// What clients need to trust the server.
    pub fn certificate_path(&self) -> &Path {
        &self.certificate_path
    }

    /// A new key and certificate for the server.
    pub(super) fn issue(&self, now: SystemTime) -> Result<ServerConfig, TlsError> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(self.names.clone())?;
        params.distinguished_name = common_name("namewarden-controller");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        valid(&mut params, now, SERVER_LASTS);
        let certificate = params.signed_by(&key, &self.issuer)?;
        let chain = vec![certificate.der().clone(), self.certificate.clone()];
        server_config(chain, private(&key))
    }

    /// Whether the server's certificate is to be replaced; a clock that was set back counts too.
    pub(super) fn is_due(issued: SystemTime, now: SystemTime) -> bool {
        now.duration_since(issued)
            .map_or_else(|back| back.duration() > BACKDATED / 2, |age| age >= RENEWED_AFTER)
    }

    fn check_names(&self) -> Result<(), TlsError> {
        for name in &self.names {
            let is_ip = name.parse::<std::net::IpAddr>().is_ok();
            if !is_ip && rustls::pki_types::DnsName::try_from(name.trim_start_matches("*.")).is_err() {
                return Err(TlsError::Name { name: name.clone() });
            }
        }
        Ok(())
    }
}

fn open_key(path: &Path) -> Result<KeyPair, TlsError> {
    match fs::read_to_string(path) {
        Ok(text) => KeyPair::from_pem(&text).map_err(|error| {
            let remedy = "restore it, or delete the folder to begin with a new authority that agents must be given anew";
            TlsError::Wrong { path: path.display().to_string(), reason: format!("{error}; {remedy}") }
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let key = KeyPair::generate()?;
            write_whole(path, &key.serialize_pem(), 0o600)?;
            Ok(key)
        }
        Err(error) => Err(file_error(path)(error)),
    }
}

fn open_certificate(path: &Path, key: &KeyPair) -> Result<CertificateDer<'static>, TlsError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut params = subject();
            valid(&mut params, SystemTime::now(), AUTHORITY_LASTS);
            let text = params.self_signed(key)?.pem();
            write_whole(path, &text, 0o644)?;
            text
        }
        Err(error) => return Err(file_error(path)(error)),
    };
    let wrong = |why: String| TlsError::Wrong {
        path: path.display().to_string(),
        reason: format!("{why}; delete it and it is made anew from ca.key"),
    };
    let certificate =
        CertificateDer::from_pem_slice(text.as_bytes()).map_err(|error| wrong(error.to_string()))?;
    // Whoever serves with a pair is told whether it is one.
    server_config(vec![certificate.clone()], private(key))
        .map_err(|_| wrong("it is not of ca.key".to_owned()))?;
    Ok(certificate)
}

fn private(key: &KeyPair) -> PrivateKeyDer<'static> {
    PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()))
}

/// Who the authority is: the same at every start, for it names the issuer of every certificate.
fn subject() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = common_name("Namewarden");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn common_name(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names
}

fn valid(params: &mut CertificateParams, now: SystemTime, lasts: Duration) {
    let since_epoch = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    // Whole days at the start: the certificate says nothing of when the controller started.
    let start = since_epoch.saturating_sub(BACKDATED).as_secs() / DAY.as_secs() * DAY.as_secs();
    params.not_before = rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(start);
    params.not_after = rcgen::date_time_ymd(1970, 1, 1) + since_epoch + lasts;
}

/// Written beside and renamed: a crash leaves no half of it.
fn write_whole(path: &Path, text: &str, mode: u32) -> Result<(), TlsError> {
    let beside = path.with_extension("new");
    let write = || {
        let mut file =
            fs::OpenOptions::new().create(true).truncate(true).write(true).mode(mode).open(&beside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, path)
    };
    write().map_err(file_error(path))
}
