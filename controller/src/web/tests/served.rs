//! A site that is served on a port of its own, with everything it needs in a folder of its own.

use std::{net::TcpListener, sync::Arc, time::SystemTime};

use namewarden_protocol::{
    endpoint::ports::ResolverPorts,
    entry::{Entry, Scope, Verdict},
    threat_set::{Builder, FeedInfo, SetId, SetKey, ThreatSet, wire},
};
use reqwest::{Client, RequestBuilder, Response, Url};
use serde_json::Value;
use tokio::{sync::watch, task::JoinHandle};

use crate::{
    access::{Access, TokenFile},
    feed::{Feeds, Pushes, copy::Shelf, reconcile::FeedOverview, resource::GlobalThreatFeedStatus, status},
    leader::Leadership,
    publish::Publisher,
    replication::Peers,
    store::{Store, sqlite::SqliteStore},
    tls::{Authority, Source, Tls},
    web::{Parts, Site, serve},
};

/// The token of every site.
pub const TOKEN: &str = "0123456789abcdef";
/// The alias of every site's cluster.
pub const ALIAS: &str = "tigera_secure_ee_threatfeeds_domainnameset.cluster.";
/// The key of every set.
pub const KEY: SetKey = SetKey([7; 16]);

/// A site and what talks to it.
pub struct Served {
    /// Its parts.
    pub site: Arc<Site>,
    /// Trusts its certificate.
    pub client: Client,
    /// Where it is.
    pub url: Url,
    /// Ends it.
    pub shutdown: watch::Sender<bool>,
    /// Its state.
    pub folder: tempfile::TempDir,
    /// The server.
    pub server: JoinHandle<std::io::Result<()>>,
}

/// What a site may be given.
#[derive(Default)]
pub struct With {
    /// Else a token file with [`TOKEN`].
    pub access: Option<Access>,
    /// Else it leads alone.
    pub leadership: Option<Leadership>,
    /// How it reaches others.
    pub peers: Option<Arc<Peers>>,
    /// It keeps documents.
    pub keeps: bool,
    /// It knows resolvers.
    pub resolver_ports: Option<watch::Receiver<Option<ResolverPorts>>>,
}

/// A site with a token file.
pub fn start() -> Served {
    start_with(With::default())
}

/// A site as it is wanted.
pub fn start_with(with: With) -> Served {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path();
    std::fs::write(state.join("token"), TOKEN).unwrap();
    let authority = Authority::open(state, &[]).unwrap();
    let certificate = std::fs::read(authority.certificate_path()).unwrap();
    let tls = Tls::open(Source::Authority(Box::new(authority))).unwrap();
    let (shutdown, ending) = watch::channel(false);
    let store = with.keeps.then(|| -> Arc<dyn Store> {
        Arc::new(SqliteStore::open(&state.join("store"), crate::store::tests::EVERYTHING).unwrap())
    });
    let site = Site::new(Parts {
        access: with
            .access
            .unwrap_or_else(|| Access::token_file(TokenFile::open(&state.join("token")).unwrap())),
        publisher: Publisher::open(state, Some(KEY)).unwrap(),
        pushes: Pushes::open(&state.join("pushes")).unwrap(),
        feeds: Feeds::detached(vec![overview("pulled", true), overview("pushed", false), unusable()]),
        shelf: Arc::new(Shelf::open(state).unwrap()),
        leadership: with.leadership.unwrap_or_else(Leadership::alone),
        resolver_ports: with.resolver_ports.unwrap_or_else(|| watch::channel(None).1),
        peers: with.peers,
        store,
        keeps_documents: true,
        cluster: "cluster".to_owned(),
        shutdown: ending,
    });
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = Url::parse(&format!("https://localhost:{}", listener.local_addr().unwrap().port())).unwrap();
    let server = tokio::spawn(serve(site.clone(), listener, tls.config()));
    Served { site, client: client(&certificate), url, shutdown, folder, server }
}

/// A client that trusts one authority.
pub fn client(authority: &[u8]) -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let certificate = reqwest::Certificate::from_pem(authority).unwrap();
    Client::builder().tls_certs_only([certificate]).no_proxy().no_gzip().build().unwrap()
}

fn overview(name: &str, is_pulled: bool) -> FeedOverview {
    FeedOverview {
        name: name.to_owned(),
        mode: "Enabled".to_owned(),
        content: "DomainNameSet".to_owned(),
        description: String::new(),
        is_pulled,
        location: "push".to_owned(),
        severity: 75,
        status: GlobalThreatFeedStatus::default(),
    }
}

fn unusable() -> FeedOverview {
    FeedOverview::unusable(
        "unusable",
        &status::unusable("unknown field spec.x".to_owned(), status::Now::read()),
    )
}

/// A set of some names.
pub fn set(number: u64, names: &[&str]) -> ThreatSet {
    let mut builder = Builder::new(KEY, 1, number).without_lines();
    let info =
        FeedInfo { name: "feed".into(), description: "".into(), severity: 75, techniques: Arc::new([]) };
    let feed = builder.feed(info).unwrap();
    for name in names {
        let entry = Entry { name, scope: Scope::Both, verdict: Verdict::Listed, line: 1 };
        builder.add(feed, &entry);
    }
    builder.build().unwrap()
}

impl Served {
    /// A request with the token.
    pub fn ask(&self, method: &str, path: &str) -> RequestBuilder {
        self.ask_bare(method, path).bearer_auth(TOKEN)
    }

    /// A request without credentials.
    pub fn ask_bare(&self, method: &str, path: &str) -> RequestBuilder {
        let url = format!("{}{}", self.url.as_str().trim_end_matches('/'), path);
        self.client.request(method.parse().unwrap(), url)
    }

    /// A push in JSON.
    pub fn push(&self, method: &str, path: &str, body: &str) -> RequestBuilder {
        self.ask(method, path).header("content-type", "application/json").body(body.to_owned())
    }

    /// Publishes a set.
    pub fn publish(&self, set: &ThreatSet) -> SetId {
        let bytes = wire::full(set).unwrap();
        self.site.publisher.adopt(&bytes, SystemTime::now()).unwrap().id
    }
}

/// Status and JSON of an answer.
pub async fn answer(request: RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

/// JSON of an answer.
pub async fn json(response: Response) -> Value {
    serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
}

/// A header of an answer.
pub fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}
