//! Many agents as a controller sees them: each with a connection of its own waits for the next set, again and again.
//!
//! `many_agents URL CA TOKEN_FILE COUNT` (`-` where no token is needed): says how long it took until all of them had each set, and how many bytes.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use namewarden_protocol::{endpoint::controller::entity_tag, threat_set::wire};
use reqwest::{Certificate, Client, StatusCode, header};

/// A set as it spreads.
struct Spread {
    first: Instant,
    agents: usize,
    bytes: u64,
    deltas: usize,
}

type Sets = Arc<Mutex<BTreeMap<String, Spread>>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [url, authority, token, count] = arguments.as_slice() else {
        bail!("usage: many_agents URL CA TOKEN_FILE COUNT");
    };
    let authority = Certificate::from_pem(&std::fs::read(authority)?)?;
    let token = if Path::new(token).is_file() { std::fs::read_to_string(token)? } else { String::new() };
    let count: usize = count.parse().context("COUNT is a number")?;
    let sets = Sets::default();
    for _ in 0..count {
        let client = Client::builder().tls_certs_only([authority.clone()]).no_proxy().build()?;
        tokio::spawn(agent(
            client,
            format!("{url}/v1/threat-set?wait=60"),
            token.trim().to_owned(),
            count,
            sets.clone(),
        ));
    }
    std::future::pending().await
}

async fn agent(client: Client, url: String, token: String, count: usize, sets: Sets) {
    let mut tag = None;
    loop {
        let mut request = client.get(&url);
        if !token.is_empty() {
            request = request.bearer_auth(&token);
        }
        if let Some(tag) = &tag {
            request = request.header(header::IF_NONE_MATCH, tag);
        }
        match request.send().await {
            Ok(response) if response.status() == StatusCode::OK => {
                match response.bytes().await.map(note(count, &sets)) {
                    Ok(Some(now)) => tag = Some(now),
                    _ => pause().await,
                }
            }
            Ok(response) if response.status() == StatusCode::NOT_MODIFIED => {}
            Ok(_) | Err(_) => pause().await,
        }
    }
}

async fn pause() {
    tokio::time::sleep(Duration::from_millis(500)).await;
}

/// Notes a set that an agent got; says so when all have it.
fn note(count: usize, sets: &Sets) -> impl Fn(bytes::Bytes) -> Option<String> {
    move |bytes| {
        let announced = wire::announced(&bytes).ok()?;
        let tag = entity_tag(announced.id);
        let mut sets = sets.lock().ok()?;
        let spread = sets.entry(tag.clone()).or_insert(Spread {
            first: Instant::now(),
            agents: 0,
            bytes: 0,
            deltas: 0,
        });
        spread.agents += 1;
        spread.bytes += bytes.len() as u64;
        spread.deltas += usize::from(matches!(announced.kind, wire::Kind::Delta { .. }));
        if spread.agents == count {
            let Spread { first, bytes, deltas, .. } = spread;
            println!(
                "set {}: {count} agents have it {:?} after the first; {bytes} bytes, {deltas} changes",
                announced.id,
                first.elapsed()
            );
        }
        Some(tag)
    }
}
