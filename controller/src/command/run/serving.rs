//! What is served, put together from the settings: certificate, access, site, listeners; and the copying of a follower.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use namewarden_protocol::listening;
use tokio::net::TcpSocket;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::access::{Access, Htpasswd, KubernetesAccess, TokenFile};
use crate::context::Context;
use crate::feed::Source;
use crate::feed::copy::Shelf;
use crate::look_back;
use crate::replication::{self, Follower, Peers};
use crate::settings::{Certificate, RunSettings, ServeSettings, StoreSettings};
use crate::store::{Store, engine::EngineStore, sqlite::SqliteStore};
use crate::tls::{self, Authority, Pair, Tls};
use crate::web::{self, Opening, Parts, Site};

/// Connections that wait to be accepted: all agents come back at once after a restart.
const BACKLOG: u32 = 4096;

/// Between two questions for how much there is in a search engine.
const MEASURE: Duration = Duration::from_secs(60);

/// What serves until it is told to end.
pub struct Serving {
    site: Arc<Site>,
    tls: Tls,
    listener: TcpListener,
    /// The metrics' listener is served from the start.
    metrics: Option<JoinHandle<io::Result<()>>>,
    follower: Option<Follower>,
    engine: Option<Arc<EngineStore>>,
    /// Becomes true when it is to end.
    pub shutdown: watch::Sender<bool>,
}

impl Serving {
    /// Takes certificate, credentials, ports and store, or says in one sentence why it cannot. While the store is opened, which may
    /// take minutes, the metrics' listener says so.
    pub async fn open(context: &Context, shelf: Arc<Shelf>) -> anyhow::Result<Self> {
        let settings = &context.settings.serve;
        let access = access(context, settings)?;
        access.check_listen(settings.listen).map_err(anyhow::Error::msg)?;
        let tls = certificate(&context.settings.state_dir, settings)?;
        let listener = listen(settings.listen)
            .with_context(|| format!("cannot listen on --listen {}", settings.listen))?;
        let (shutdown, ending) = watch::channel(false);
        let opening = Opening::default();
        let metrics = settings.metrics_listen.map(|address| metrics(address, &opening, &ending));
        let metrics = metrics.transpose()?;
        let peers = peers(settings)?;
        let follower = peers.clone().map(|peers| follower(context, shelf.clone(), peers));
        let settings = context.settings.clone();
        let opened = tokio::task::spawn_blocking(move || documents(&settings)).await;
        let Documents { store, engine } = opened.context("the opening of the store was ended")??;
        let site = Site::new(Parts {
            access,
            publisher: context.publisher.clone(),
            pushes: context.pushes.clone(),
            feeds: context.feeds.clone(),
            shelf,
            leadership: context.leadership.clone(),
            resolver_ports: context.resolver_ports.clone(),
            peers,
            store,
            keeps_documents: context.settings.store.is_some(),
            cluster: context.settings.cluster_name.clone(),
            shutdown: ending,
        });
        // Nobody else fills it.
        let _ = opening.set(Arc::clone(&site));
        Ok(Self { site, tls, listener, metrics, follower, engine, shutdown })
    }

    /// What looking back needs, where it is wanted and there is something to look at.
    pub fn looking_back(&self, context: &Context) -> Option<look_back::Parts> {
        let span = context.settings.look_back;
        let store = self.site.store.clone().filter(|_| !span.is_zero())?;
        Some(look_back::Parts {
            store,
            publisher: context.publisher.clone(),
            leadership: context.leadership.clone(),
            feeds: context.feeds.clone(),
            folder: context.settings.state_dir.join("look-back"),
            cluster: context.settings.cluster_name.clone(),
            span,
            again: look_back::AGAIN,
            counts: Arc::clone(&self.site.looked_back),
        })
    }

    /// Serves, keeps the certificate, copies from the leader.
    pub async fn run(self) -> anyhow::Result<()> {
        let address = self.listener.local_addr()?;
        tracing::info!("serving on https://{address}");
        if let Some(path) = self.tls.authority() {
            tracing::info!("clients trust it with --ca {}", path.display());
        }
        let config = self.tls.config();
        let mut aside = tokio::task::JoinSet::new();
        aside.spawn(self.tls.keep());
        if let Some(follower) = self.follower {
            aside.spawn(follower.run());
        }
        if let Some(engine) = self.engine {
            aside.spawn(measure(engine));
        }
        let served = web::serve(self.site, self.listener, config);
        match self.metrics {
            Some(metrics) => {
                let metrics = async { metrics.await.unwrap_or_else(|error| Err(io::Error::other(error))) };
                tokio::try_join!(served, metrics).map(|_| ())
            }
            None => served.await,
        }
        .context("cannot serve any more")
    }
}

fn access(context: &Context, settings: &ServeSettings) -> anyhow::Result<Access> {
    let access = match (&context.source, &settings.token_file) {
        (Source::Kubernetes(source), _) => Access::kubernetes(KubernetesAccess {
            client: source.client(),
            group: source.group().to_string(),
            audience: settings.audience.clone(),
            agents: settings.agents.iter().map(|account| account.within(source.namespace())).collect(),
            controllers: vec![settings.controllers.within(source.namespace())],
        }),
        (Source::Manifests(_), Some(path)) => Access::token_file(TokenFile::open(path)?),
        (Source::Manifests(_), None) => Access::loopback(),
    };
    match &settings.htpasswd_file {
        Some(path) => Ok(access.with_users(Htpasswd::open(path)?)),
        None => Ok(access),
    }
}

/// Begins to serve metrics.
fn metrics(
    address: SocketAddr,
    opening: &Opening,
    ending: &watch::Receiver<bool>,
) -> anyhow::Result<JoinHandle<io::Result<()>>> {
    let listener = listen(address).with_context(|| format!("cannot listen on --metrics-listen {address}"))?;
    tracing::info!("metrics are on http://{}/metrics", listener.local_addr()?);
    Ok(tokio::spawn(web::serve_metrics(Arc::clone(opening), listener, ending.clone())))
}

/// Where documents are looked for.
#[derive(Default)]
struct Documents {
    store: Option<Arc<dyn Store>>,
    /// The search engine that they are in.
    engine: Option<Arc<EngineStore>>,
}

/// A folder where one is named, else the search engine. Blocks, for minutes where files are brought to a new form.
fn documents(settings: &RunSettings) -> anyhow::Result<Documents> {
    if let Some(StoreSettings { folder, limits }) = &settings.store {
        let store = SqliteStore::open(folder, *limits).context("cannot keep documents")?;
        let documents: Vec<_> = store
            .reading()
            .into_iter()
            .map(|(stream, reading)| format!("{} {stream}", reading.documents))
            .collect();
        tracing::info!("documents are kept in {}: {} now", folder.display(), documents.join(", "));
        return Ok(Documents { store: Some(Arc::new(store)), engine: None });
    }
    let Some(search) = &settings.search else { return Ok(Documents::default()) };
    tracing::info!("documents are looked for in the search engine at {}", search.engine.location());
    let engine = Arc::new(EngineStore::new(search.engine.clone()));
    Ok(Documents { store: Some(engine.clone()), engine: Some(engine) })
}

/// Has it asked again and again how much there is; what it cannot tell stays as it was.
async fn measure(engine: Arc<EngineStore>) {
    loop {
        if let Err(error) = engine.measure().await {
            tracing::debug!("it is not known how many documents there are: {error}");
        }
        tokio::time::sleep(MEASURE).await;
    }
}

fn certificate(state: &Path, settings: &ServeSettings) -> anyhow::Result<Tls> {
    let source = match &settings.certificate {
        Certificate::Files { certificate, key } => tls::Source::Files(Pair::new(certificate, key)),
        Certificate::Own { names } => tls::Source::Authority(Box::new(Authority::open(state, names)?)),
    };
    Ok(Tls::open(source)?)
}

fn peers(settings: &ServeSettings) -> anyhow::Result<Option<Arc<Peers>>> {
    let Some(authorities) = &settings.peer_ca else {
        if settings.peer_name.is_some() || settings.peer_token_file.is_some() {
            bail!(
                "--peer-name and --peer-token-file need --peer-ca: other controllers are reached over TLS only"
            );
        }
        return Ok(None);
    };
    Ok(Some(Arc::new(Peers::new(authorities, settings.peer_name.clone())?)))
}

fn follower(context: &Context, shelf: Arc<Shelf>, peers: Arc<Peers>) -> Follower {
    let settings = replication::Settings {
        peers,
        name: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        token: context.settings.serve.peer_token_file.clone(),
        shelf,
        publisher: context.publisher.clone(),
        pushes: context.pushes.clone(),
    };
    Follower::new(settings, context.leadership.watch())
}

fn listen(asked: SocketAddr) -> std::io::Result<TcpListener> {
    let address = listening::address(asked);
    let socket = if address.is_ipv6() { TcpSocket::new_v6()? } else { TcpSocket::new_v4()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)?.into_std()
}
