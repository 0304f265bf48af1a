//! One request to a search engine of several, JSON in and JSON out.

use namewarden_protocol::search_engine::{Answer, Asker, Missed, Settings, SetupError};
use reqwest::Url;
use serde_json::Value;

use crate::feed::push::DOCUMENT_BYTES_MAX;

/// Of a server's own words this much is repeated, in characters.
const REASON_MAX: usize = 400;

/// Which product answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Product {
    /// Elasticsearch.
    Elasticsearch,
    /// OpenSearch.
    OpenSearch,
}

/// A server as it introduces itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Which product.
    pub product: Product,
    /// Its version; empty where it does not say.
    pub version: String,
}

/// Why something could not be done.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// No server was reached.
    #[error("the search engine at {location} cannot be reached: {why}")]
    Away {
        /// Where, without credentials.
        location: String,
        /// Why.
        why: String,
        /// A server is there and cannot answer now: in a moment it may.
        is_up: bool,
    },
    /// An answer is longer than any that is taken.
    #[error("the search engine at {location} answers with too much: {why}")]
    TooLong {
        /// Where, without credentials.
        location: String,
        /// How much.
        why: String,
    },
    /// The credentials are not good, or not good enough.
    #[error(
        "the search engine does not let us {what} (HTTP {status}): {reason}; docs/reference/search-engines.md has the rights \
         that are needed"
    )]
    Forbidden {
        /// What was to be done.
        what: String,
        /// 401 or 403.
        status: u16,
        /// The server's words.
        reason: String,
    },
    /// It refused.
    #[error("the search engine does not {what} (HTTP {status}): {reason}")]
    Refused {
        /// What was to be done.
        what: String,
        /// HTTP status.
        status: u16,
        /// The server's words.
        reason: String,
    },
    /// Something else answers there.
    #[error(
        "what answers at {location} is neither Elasticsearch 8 or later nor OpenSearch 2 or later: {found}"
    )]
    Foreign {
        /// Where, without credentials.
        location: String,
        /// What it says.
        found: String,
    },
}

/// An answer with any status.
#[derive(Clone, Debug)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Body; null where it is no JSON.
    pub body: Value,
    /// The server says that it is Elasticsearch.
    pub is_elasticsearch: bool,
}

impl Reply {
    fn of(answer: &Answer) -> Self {
        let body = serde_json::from_slice(&answer.body).unwrap_or_default();
        Self { status: answer.status, body, is_elasticsearch: answer.is_elasticsearch }
    }

    /// Whether it is what was asked for.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The server has no such request: a part of it is not installed.
    pub fn is_unknown_request(&self) -> bool {
        matches!(self.status, 400 | 404 | 405 | 410 | 501)
            && self.body.to_string().contains("no handler found")
    }

    /// The server's words, cut to a sentence.
    pub fn reason(&self) -> String {
        let deepest =
            ["/error/caused_by/caused_by/reason", "/error/caused_by/reason", "/error/reason", "/error"];
        let found = deepest.iter().find_map(|path| self.body.pointer(path)?.as_str());
        let text = found.map_or_else(|| self.body.to_string(), str::to_owned);
        text.chars().filter(|character| !character.is_control()).take(REASON_MAX).collect()
    }

    /// Itself where it is a success.
    ///
    /// # Errors
    ///
    /// Any other status, with what was to be done (`make the index template x`).
    pub fn or_refused(self, what: &str) -> Result<Self, EngineError> {
        let (status, what) = (self.status, what.to_owned());
        match status {
            200..300 => Ok(self),
            401 | 403 => Err(EngineError::Forbidden { what, status, reason: self.reason() }),
            _ => Err(EngineError::Refused { what, status, reason: self.reason() }),
        }
    }
}

/// Servers of one search engine.
#[derive(Clone, Debug)]
pub struct Engine {
    asker: Asker,
    servers: Vec<Url>,
}

impl Engine {
    /// Nothing is asked yet.
    ///
    /// # Errors
    ///
    /// Certificates that cannot be used.
    pub fn new(servers: Vec<Url>, settings: &Settings) -> Result<Self, SetupError> {
        let asker = Asker::new(settings, concat!("namewarden-controller/", env!("CARGO_PKG_VERSION")))?;
        // A pushed document, and what stands around it.
        let asker = asker.with_answers_up_to(DOCUMENT_BYTES_MAX + (1 << 20));
        Ok(Self { asker, servers })
    }

    /// Takes answers of so many bytes.
    #[cfg(test)]
    #[must_use]
    pub fn with_answers_up_to(self, bytes: usize) -> Self {
        Self { asker: self.asker.with_answers_up_to(bytes), ..self }
    }

    /// Where it is, without credentials.
    pub fn location(&self) -> String {
        self.servers.iter().map(shown).collect::<Vec<_>>().join(", ")
    }

    /// The source of a document, as it came; `None` where there is none.
    ///
    /// # Errors
    ///
    /// No server answers, or it refuses.
    pub async fn source(&self, index: &str, id: &str) -> Result<Option<Vec<u8>>, EngineError> {
        let path = format!("/{index}/_source/{}", urlencoded(id));
        let answer = self.answer(&path, |url| self.asker.get(url)).await?;
        match answer.status {
            404 => Ok(None),
            200 => Ok(Some(answer.body)),
            _ => Reply::of(&answer).or_refused("show a pushed document").map(|_| None),
        }
    }

    /// Asks for something.
    ///
    /// # Errors
    ///
    /// No server answers.
    pub async fn get(&self, path: &str) -> Result<Reply, EngineError> {
        self.ask(path, |url| self.asker.get(url)).await
    }

    /// Writes something under a name: doing it twice does no harm.
    ///
    /// # Errors
    ///
    /// No server answers.
    pub async fn put(&self, path: &str, body: &Value) -> Result<Reply, EngineError> {
        self.ask(path, |url| self.asker.put_json(url, body.to_string().into_bytes())).await
    }

    /// Asks with a body.
    ///
    /// # Errors
    ///
    /// No server answers.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Reply, EngineError> {
        self.ask(path, |url| self.asker.post(url, body.to_string().into_bytes())).await
    }

    /// Sends lines of JSON (`_bulk`).
    ///
    /// # Errors
    ///
    /// No server answers.
    pub async fn post_lines(&self, path: &str, lines: &[u8]) -> Result<Reply, EngineError> {
        self.ask(path, |url| self.asker.post(url, lines.to_vec())).await
    }

    /// Which server it is.
    ///
    /// # Errors
    ///
    /// No server answers, or something else does.
    pub async fn server(&self) -> Result<Server, EngineError> {
        let reply = self.get("/").await?;
        // Builds of Elasticsearch without this page, and gateways that keep it to themselves, say in each answer what they are.
        if reply.is_elasticsearch && !reply.is_success() && !matches!(reply.status, 401 | 403) {
            return Ok(Server { product: Product::Elasticsearch, version: String::new() });
        }
        let reply = reply.or_refused("say what it is")?;
        let version = reply.body.pointer("/version/number").and_then(Value::as_str).unwrap_or_default();
        let major: u32 = version.split('.').next().unwrap_or_default().parse().unwrap_or_default();
        let distribution = reply.body.pointer("/version/distribution").and_then(Value::as_str);
        let (product, least) = match distribution {
            Some("opensearch") => (Product::OpenSearch, 2),
            _ => (Product::Elasticsearch, 8),
        };
        if major < least {
            let found = reply.body.to_string().chars().take(REASON_MAX).collect();
            return Err(EngineError::Foreign { location: self.location(), found });
        }
        Ok(Server { product, version: version.to_owned() })
    }

    async fn ask<F>(&self, path: &str, request: impl Fn(Url) -> F) -> Result<Reply, EngineError>
    where
        F: Future<Output = Result<Answer, Missed>>,
    {
        self.answer(path, request).await.map(|answer| Reply::of(&answer))
    }

    /// The first server that answers is taken.
    async fn answer<F>(&self, path: &str, request: impl Fn(Url) -> F) -> Result<Answer, EngineError>
    where
        F: Future<Output = Result<Answer, Missed>>,
    {
        let (mut why, mut is_up) = ("no URL was given".to_owned(), false);
        for server in &self.servers {
            let url = format!("{}{path}", server.as_str().trim_end_matches('/'));
            let url = url.parse().map_err(|_| EngineError::Away {
                location: shown(server),
                why: "its URL cannot be used".to_owned(),
                is_up: false,
            })?;
            match request(url).await {
                Ok(answer) if answer.status != 502 && answer.status != 503 => return Ok(answer),
                Ok(answer) => {
                    (why, is_up) = (
                        format!("it answers HTTP {} ({})", answer.status, Reply::of(&answer).reason()),
                        true,
                    );
                }
                Err(Missed { why, is_too_long: true, .. }) => {
                    return Err(EngineError::TooLong { location: shown(server), why });
                }
                Err(missed) => why = missed.why,
            }
        }
        Err(EngineError::Away { location: self.location(), why, is_up })
    }
}

/// As one segment of a path.
pub fn urlencoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// Without what may be secret.
fn shown(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!(
        "{}://{}{port}{}",
        url.scheme(),
        url.host_str().unwrap_or_default(),
        url.path().trim_end_matches('/')
    )
}
