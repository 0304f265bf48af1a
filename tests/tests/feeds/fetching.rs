//! What all tests start from: a fetcher that may reach this machine's servers, and one fetch as a test sees it.

use anyhow::Result;
use namewarden_protocol::obtain::{
    address::Reach,
    client::{Proxy, Settings},
    copy::Origin,
    failure::FetchError,
    fetch::{Fetched, Fetcher},
    request::{Request, RequestHeader},
};
use reqwest::Url;

/// Larger than any list here.
pub const BYTES_MAX: u64 = 64 << 20;

/// Settings for servers on the loopback device, whatever proxy the environment names.
pub fn settings() -> Settings {
    Settings { reach: Reach::Loopback, proxy: Proxy::Direct, ..Settings::default() }
}

/// One fetch.
#[derive(Clone, Debug)]
pub struct Fetch {
    url: Url,
    headers: Vec<RequestHeader>,
    known: Option<Origin>,
    bytes_max: u64,
}

/// What came of it.
#[derive(Debug)]
pub struct Came {
    /// Whether there is a body, and its version.
    pub fetched: Fetched,
    /// The body.
    pub body: String,
}

impl Fetch {
    pub fn new(url: &str) -> Result<Self> {
        Ok(Self { url: url.parse()?, headers: Vec::new(), known: None, bytes_max: BYTES_MAX })
    }

    pub fn header(mut self, name: &str, value: &str, secret: bool) -> Result<Self> {
        self.headers.push(RequestHeader::new(name, value, secret)?);
        Ok(self)
    }

    pub fn known(mut self, origin: Origin) -> Self {
        self.known = Some(origin);
        self
    }

    pub fn bytes_max(mut self, bytes_max: u64) -> Self {
        self.bytes_max = bytes_max;
        self
    }

    /// Fetches with these settings.
    pub fn with(&self, settings: &Settings) -> Result<Result<Came, FetchError>> {
        let fetcher = Fetcher::new(settings)?;
        let request = Request {
            url: &self.url,
            headers: &self.headers,
            known: self.known.as_ref(),
            bytes_max: self.bytes_max,
        };
        let mut draft = Vec::new();
        let came = fetcher.fetch(&request, &mut draft);
        Ok(came.map(|fetched| Came { fetched, body: String::from_utf8_lossy(&draft).into_owned() }))
    }

    pub fn body(&self) -> Result<String> {
        Ok(self.with(&settings())??.body)
    }

    /// The error that it ends with.
    pub fn error(&self) -> Result<FetchError> {
        self.error_with(&settings())
    }

    pub fn error_with(&self, settings: &Settings) -> Result<FetchError> {
        match self.with(settings)? {
            Ok(came) => anyhow::bail!("it was fetched: {came:?}"),
            Err(error) => Ok(error),
        }
    }
}
