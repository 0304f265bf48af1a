//! One request to a search engine (Elasticsearch, OpenSearch), and its answer: TLS, credentials, bounds. What an answer means is for
//! others to say.

// Who asks, and where the secret is.
mod credentials;

// Options of a command line.
#[cfg(feature = "args")]
mod args;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE};
use reqwest::{Client, RequestBuilder, Url};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use sha2::{Digest as _, Sha256};

#[cfg(feature = "args")]
pub use args::{OptionsError, SearchEngineArgs};
pub use credentials::{Credentials, CredentialsError, Secret};

use crate::obtain::client::{self, ClientError};

const JSON: &str = "application/json";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Search engines give a bulk request a minute themselves.
const TIMEOUT: Duration = Duration::from_secs(75);
/// An answer for ten thousand documents, each with an error of its own, is 5 MB.
const ANSWER_MAX: usize = 32 << 20;

/// How servers are reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Who asks.
    pub credentials: Credentials,
    /// More certificate authorities (PEM) than the compiled-in ones.
    pub authorities: Option<PathBuf>,
    /// Certificate (PEM) that is shown, and its key.
    pub certificate: Option<(PathBuf, PathBuf)>,
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// Certificate authorities, TLS.
    #[error("--search-ca: {0}")]
    Client(#[from] ClientError),
    /// The certificate that is shown, or its key.
    #[error("cannot use the client certificate {}: {reason}; give --search-certificate and --search-key the PEM files of one pair", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Body.
    pub body: Vec<u8>,
    /// The server says that it is Elasticsearch, as that does from 7.14 on.
    pub is_elasticsearch: bool,
}

/// No answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missed {
    /// Why, in one sentence without URL or secret.
    pub why: String,
    /// The server may have had the request.
    pub uncertain: bool,
    /// It answers with more than is taken.
    pub is_too_long: bool,
}

/// Asks servers. Authorities and certificate are read again where a server cannot be talked to, or refuses who asks: they are renewed
/// while a program runs.
#[derive(Clone, Debug)]
pub struct Asker {
    shared: Arc<Shared>,
    answer_max: usize,
}

#[derive(Debug)]
struct Shared {
    settings: Settings,
    user_agent: String,
    client: ArcSwap<Client>,
    /// Of the files that the client was made of.
    digest: Mutex<[u8; 32]>,
}

impl Asker {
    /// Sets up what is needed to ask; nothing is asked yet.
    ///
    /// # Errors
    ///
    /// Certificates or keys that cannot be used.
    pub fn new(settings: &Settings, user_agent: &str) -> Result<Self, SetupError> {
        // Before they are read: what is changed meanwhile is read once more.
        let digest = Mutex::new(settings.digest());
        let client = ArcSwap::from_pointee(client(settings, user_agent)?);
        let (settings, user_agent) = (settings.clone(), user_agent.to_owned());
        let shared = Arc::new(Shared { settings, user_agent, client, digest });
        Ok(Self { shared, answer_max: ANSWER_MAX })
    }

    /// Takes answers of so many bytes instead of 32 MiB.
    #[must_use]
    pub fn with_answers_up_to(self, answer_max: usize) -> Self {
        Self { answer_max, ..self }
    }

    /// Asks for something.
    pub async fn get(&self, url: Url) -> Result<Answer, Missed> {
        self.send(self.client().get(url)).await
    }

    /// Asks for a data stream to be there.
    pub async fn put(&self, url: Url) -> Result<Answer, Missed> {
        self.send(self.client().put(url)).await
    }

    /// Asks for what a body of JSON says to be there.
    pub async fn put_json(&self, url: Url, body: Vec<u8>) -> Result<Answer, Missed> {
        self.send(self.client().put(url).header(CONTENT_TYPE, JSON).body(body)).await
    }

    /// Sends a body of JSON.
    pub async fn post(&self, url: Url, body: Vec<u8>) -> Result<Answer, Missed> {
        self.send(self.client().post(url).header(CONTENT_TYPE, JSON).body(body)).await
    }

    /// Sends a body of NDJSON, packed by gzip.
    pub async fn post_packed(&self, url: Url, body: impl Into<reqwest::Body>) -> Result<Answer, Missed> {
        let request = self.client().post(url).header(CONTENT_TYPE, "application/x-ndjson");
        self.send(request.header(CONTENT_ENCODING, "gzip").body(body)).await
    }

    fn client(&self) -> Arc<Client> {
        self.shared.client.load_full()
    }

    async fn send(&self, request: RequestBuilder) -> Result<Answer, Missed> {
        let sent = self.send_once(request).await;
        let may_be_renewed = match &sent {
            Ok(answer) => matches!(answer.status, 401 | 403),
            Err(missed) => !missed.is_too_long,
        };
        if may_be_renewed {
            self.shared.look_again();
        }
        sent
    }

    async fn send_once(&self, request: RequestBuilder) -> Result<Answer, Missed> {
        let request =
            self.sign(request).map_err(|why| Missed { why, uncertain: false, is_too_long: false })?;
        let mut response = request.send().await.map_err(missed)?;
        let is_elasticsearch = response.headers().contains_key("x-elastic-product");
        let status = response.status().as_u16();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(missed)? {
            if body.len() + chunk.len() > self.answer_max {
                let why = format!("its answer has more than {} bytes", self.answer_max);
                return Err(Missed { why, uncertain: true, is_too_long: true });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, body, is_elasticsearch })
    }

    fn sign(&self, request: RequestBuilder) -> Result<RequestBuilder, String> {
        Ok(match &self.shared.settings.credentials {
            Credentials::None => request,
            Credentials::Basic { user, password } => request.basic_auth(user, Some(password.read()?)),
            Credentials::ApiKey(key) => request.header("authorization", format!("ApiKey {}", key.read()?)),
            Credentials::Bearer(token) => request.bearer_auth(token.read()?),
        })
    }
}

impl Shared {
    /// Makes a client of the files as they are now, where they are others than before. Files that cannot be used leave the one that there
    /// is: they may be in the middle of being written.
    fn look_again(&self) {
        let mut digest = self.digest.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.settings.digest();
        if *digest == now {
            return;
        }
        if let Ok(client) = client(&self.settings, &self.user_agent) {
            self.client.store(Arc::new(client));
            *digest = now;
        }
    }
}

impl Settings {
    /// Of the files that a client is made of.
    fn digest(&self) -> [u8; 32] {
        let (certificate, key) = self.certificate.clone().unzip();
        let mut digest = Sha256::new();
        for path in [&self.authorities, &certificate, &key].into_iter().flatten() {
            let bytes = std::fs::read(path).unwrap_or_default();
            digest.update((bytes.len() as u64).to_le_bytes());
            digest.update(bytes);
        }
        digest.finalize().into()
    }
}

fn client(settings: &Settings, user_agent: &str) -> Result<Client, SetupError> {
    let mut tls = client::tls(settings.authorities.as_deref())?;
    if let Some((certificate, key)) = &settings.certificate {
        let shown = certified(certificate, key, tls.crypto_provider())?;
        tls.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(shown));
    }
    let built = Client::builder()
        .tls_backend_preconfigured(tls)
        .user_agent(user_agent)
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build();
    built.map_err(|error| ClientError::Setup(error.without_url().to_string()).into())
}

fn certified(
    certificate: &Path,
    key: &Path,
    provider: &rustls::crypto::CryptoProvider,
) -> Result<CertifiedKey, SetupError> {
    let failed = |path: &Path, reason: String| SetupError::Certificate { path: path.to_owned(), reason };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| failed(certificate, error.to_string()))?;
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| failed(key, error.to_string()))?;
    CertifiedKey::from_der(chain, secret, provider).map_err(|error| failed(certificate, error.to_string()))
}

/// The error with its causes and without the URL.
fn missed(error: reqwest::Error) -> Missed {
    // Nothing was sent where no connection was made, or no request.
    let uncertain = !error.is_connect() && !error.is_builder();
    let why = format!("it does not answer ({})", client::causes(error));
    Missed { why, uncertain, is_too_long: false }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A certificate that signs itself.
    fn certificate() -> String {
        rcgen::generate_simple_self_signed(["a.example".to_owned()]).unwrap().cert.pem()
    }

    #[tokio::test]
    async fn authorities_are_read_again_where_nobody_answers_and_they_changed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.crt");
        fs::write(&path, certificate()).unwrap();
        let settings = Settings { authorities: Some(path.clone()), ..Settings::default() };
        let asker = Asker::new(&settings, "test").unwrap();
        // Nobody listens there.
        let ask = async || asker.get("https://127.0.0.1:1/".parse().unwrap()).await.unwrap_err();
        let first = asker.client();
        ask().await;
        assert!(Arc::ptr_eq(&first, &asker.client()), "nothing changed");
        fs::write(&path, "half of a file").unwrap();
        ask().await;
        assert!(Arc::ptr_eq(&first, &asker.client()), "that cannot be used");
        fs::write(&path, certificate()).unwrap();
        ask().await;
        let second = asker.client();
        assert!(!Arc::ptr_eq(&first, &second));
        ask().await;
        assert!(Arc::ptr_eq(&second, &asker.client()));
    }
}
