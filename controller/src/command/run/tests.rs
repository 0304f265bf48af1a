//! What is answered while the store is being opened.

use std::net::TcpListener;
use std::time::Duration;

use clap::Parser as _;

use super::*;
use crate::args::{CommandArgs, ControllerArgs};

/// A file of the store that is there and that nobody else may use until it is dropped.
fn held(store: &Path) -> rusqlite::Connection {
    fs::create_dir_all(store).unwrap();
    let held = rusqlite::Connection::open(store.join("alerts.db")).unwrap();
    held.busy_timeout(Duration::from_secs(10)).unwrap();
    held.execute_batch("BEGIN EXCLUSIVE").unwrap();
    held
}

/// Settings of a controller that keeps documents, all of it in one folder, with metrics on this port.
fn settings(folder: &Path, metrics: u16) -> RunSettings {
    let manifests = folder.join("manifests");
    fs::create_dir_all(&manifests).unwrap();
    let at = |name: &str| folder.join(name).display().to_string();
    let metrics = format!("127.0.0.1:{metrics}");
    let line = ["namewarden-controller", "run", "--manifests", &at("manifests"), "--state-dir", &at("state")];
    let more = ["--listen", "127.0.0.1:0", "--metrics-listen", &metrics, "--store", &at("store")];
    let arguments = ControllerArgs::try_parse_from(line.into_iter().chain(more)).unwrap();
    let CommandArgs::Run(run) = arguments.command else { panic!("another command") };
    RunSettings::new(&run).unwrap()
}

async fn answer(port: u16, path: &str) -> Option<(u16, String)> {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let response = client.get(format!("http://127.0.0.1:{port}{path}")).send().await.ok()?;
    Some((response.status().as_u16(), response.text().await.ok()?))
}

async fn becomes(port: u16, path: &str, expected: impl Fn(u16, &str) -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    loop {
        let answered = answer(port, path).await;
        if answered.as_ref().is_some_and(|(status, text)| expected(*status, text)) {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "{path}: {answered:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn while_the_store_is_opened_the_controller_is_alive_and_not_ready_and_ends_when_it_is_told() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let settings = settings(folder.path(), port);
    let fetcher = Arc::new(Fetcher::new(&settings.fetching).unwrap());
    fs::create_dir_all(&settings.state_dir).unwrap();
    let store = folder.path().join("store");

    let holding = held(&store);
    let running = tokio::spawn(serve(settings.clone(), Arc::clone(&fetcher)));
    becomes(port, "/healthz", |status, text| (status, text) == (200, "alive\n")).await;
    let opening = |status, text: &str| (status, text) == (503, "the store is being opened\n");
    becomes(port, "/readyz", opening).await;
    becomes(port, "/metrics", opening).await;
    drop(holding);
    becomes(port, "/readyz", |status, text| !opening(status, text)).await;
    running.abort();
    let _ = running.await;

    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let settings = self::settings(folder.path(), port);
    let store = folder.path().join("held");
    let holding = held(&store);
    let mut keeping = settings.store.unwrap();
    keeping.folder = store;
    let running = tokio::spawn(serve(RunSettings { store: Some(keeping), ..settings }, fetcher));
    becomes(port, "/readyz", opening).await;
    rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TERM).unwrap();
    running.await.unwrap().unwrap();
    drop(holding);
}
