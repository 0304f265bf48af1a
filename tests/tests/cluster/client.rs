//! Requests with a token: what the tests ask the API server and the controllers, without a program for each.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use serde_json::Value;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Somebody who asks one server.
#[derive(Debug)]
pub struct Client {
    runtime: tokio::runtime::Runtime,
    https: reqwest::Client,
    url: String,
    token: String,
}

/// An answer, whatever its status.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    /// The `ETag`; empty where there is none.
    pub tag: String,
    pub body: Vec<u8>,
}

impl Client {
    /// Asks the server at `url`, whose certificate `authority` signed, with `token`.
    pub fn new(url: &str, authority: &Path, token: &str) -> Result<Self> {
        // Another test of this process may have done it already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let authority = reqwest::Certificate::from_pem(&fs::read(authority)?)?;
        let https = reqwest::Client::builder()
            .tls_certs_only([authority])
            .timeout(PATIENCE)
            .no_proxy()
            .no_gzip()
            .http1_only()
            .build()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { runtime, https, url: url.to_owned(), token: token.to_owned() })
    }

    /// What is at `path`.
    pub fn get(&self, path: &str) -> Result<Reply> {
        self.ask(Method::GET, path, None)
    }

    /// The JSON at `path`; `None` where there is nothing.
    pub fn find(&self, path: &str) -> Result<Option<Value>> {
        let reply = self.get(path)?;
        if reply.status == 404 { Ok(None) } else { reply.json().map(Some) }
    }

    /// Sends JSON; its answer's, where it is a success.
    pub fn send(&self, method: Method, path: &str, body: &Value) -> Result<Value> {
        self.ask(method, path, Some(body))?.json()
    }

    /// Any request.
    pub fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Reply> {
        let kind = if method == Method::PATCH { "application/merge-patch+json" } else { "application/json" };
        let mut request = self.https.request(method, format!("{}{path}", self.url)).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.header("content-type", kind).body(body.to_string());
        }
        self.runtime.block_on(async {
            let response = request.send().await.with_context(|| format!("no answer to {path}"))?;
            let tag = response.headers().get("etag").and_then(|tag| tag.to_str().ok());
            let (status, tag) = (response.status().as_u16(), tag.unwrap_or_default().to_owned());
            Ok(Reply { status, tag, body: response.bytes().await?.into() })
        })
    }
}

impl Reply {
    /// Its text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Its JSON, where it is a success.
    pub fn json(&self) -> Result<Value> {
        ensure!(self.status < 300, "{}: {}", self.status, self.text());
        serde_json::from_slice(&self.body).with_context(|| self.text())
    }
}
