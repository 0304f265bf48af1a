//! How another controller is reached: which certificate it must show, and under which name.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use reqwest::{Client, Url, redirect::Policy};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};

const CONNECT_PATIENCE: Duration = Duration::from_secs(5);

/// Reaches controllers. The authorities are read again whenever one is reached: a certificate and its authority are renewed while
/// controllers run.
#[derive(Debug)]
pub struct Peers {
    authorities: PathBuf,
    /// The name that every controller's certificate carries; else the address that it gives is in it.
    name: Option<String>,
    state: Mutex<Trust>,
}

#[derive(Debug)]
struct Trust {
    /// The authorities' file as it was read.
    pem: Vec<u8>,
    tls: ClientConfig,
    last: Option<Peer>,
}

/// One controller.
#[derive(Clone, Debug)]
pub struct Peer {
    given: Url,
    /// Talks to it; has no time limit for a whole request.
    pub client: Client,
    /// Where it is, by the name that its certificate carries.
    pub base: Url,
}

/// Why no controller can be reached.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// The authorities' file.
    #[error("{path}: {reason}; give the certificate authority that signed the controllers' certificate")]
    Authorities {
        /// The file.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// TLS or HTTP cannot be set up.
    #[error("cannot prepare requests to other controllers: {0}")]
    Setup(String),
    /// Its address is none.
    #[error("{0} is no https address of a controller")]
    Address(Url),
}

impl Peers {
    /// Controllers whose certificate one of `authorities` (a file of PEM) signed, for `name` where it is given.
    ///
    /// # Errors
    /// The file holds no certificates.
    pub fn new(authorities: &Path, name: Option<String>) -> Result<Self, PeerError> {
        let pem = std::fs::read(authorities).map_err(|error| PeerError::Authorities {
            path: authorities.display().to_string(),
            reason: error.to_string(),
        })?;
        let tls = trusting(authorities, &pem)?;
        let state = Mutex::new(Trust { pem, tls, last: None });
        Ok(Self { authorities: authorities.to_owned(), name, state })
    }

    /// A controller by the address that it gives.
    ///
    /// # Errors
    /// The address is none.
    pub fn reach(&self, given: &Url) -> Result<Peer, PeerError> {
        let mut trust = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.read_again(&mut trust);
        if let Some(peer) = trust.last.as_ref().filter(|peer| peer.given == *given) {
            return Ok(peer.clone());
        }
        let peer = self.prepare(given, &trust.tls)?;
        trust.last = Some(peer.clone());
        Ok(peer)
    }

    /// A file that is away, or in the middle of being written, leaves what was read.
    fn read_again(&self, trust: &mut Trust) {
        let read = std::fs::read(&self.authorities).ok().filter(|pem| *pem != trust.pem);
        let tls = read.as_ref().and_then(|pem| trusting(&self.authorities, pem).ok());
        if let Some((pem, tls)) = read.zip(tls) {
            *trust = Trust { pem, tls, last: None };
        }
    }

    fn prepare(&self, given: &Url, tls: &ClientConfig) -> Result<Peer, PeerError> {
        let address = || PeerError::Address(given.clone());
        let (host, port) = given.host_str().zip(given.port_or_known_default()).ok_or_else(address)?;
        if given.scheme() != "https" {
            return Err(address());
        }
        let mut base = given.clone();
        let mut client = Client::builder()
            .tls_backend_preconfigured(tls.clone())
            .user_agent(concat!("namewarden-controller/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_PATIENCE)
            .redirect(Policy::none())
            .no_proxy();
        if let (Some(name), Ok(ip)) = (&self.name, host.trim_matches(['[', ']']).parse()) {
            base.set_host(Some(name)).map_err(|_| address())?;
            client = client.resolve(name, SocketAddr::new(ip, port));
        }
        let client = client.build().map_err(|error| PeerError::Setup(error.to_string()))?;
        Ok(Peer { given: given.clone(), client, base })
    }
}

/// TLS that trusts the authorities in `pem`, which were read at `path`.
fn trusting(path: &Path, pem: &[u8]) -> Result<ClientConfig, PeerError> {
    let wrong = |reason: String| PeerError::Authorities { path: path.display().to_string(), reason };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
        roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(wrong("it holds no certificate".to_owned()));
    }
    let tls = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| PeerError::Setup(error.to_string()))?;
    Ok(tls.with_root_certificates(roots).with_no_client_auth())
}

/// Why a request failed: the cause behind all others, for what is above it only says where it happened.
pub fn why(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    if error.is_timeout() { "it is silent".to_owned() } else { cause.to_string() }
}
