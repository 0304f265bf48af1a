//! Where resources come from, and who leads: a folder and nobody else, or an API server and its Lease.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, anyhow, bail};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use namewarden_protocol::threat_set::SetKey;

use crate::feed::copy::{hex, write_whole};
use crate::feed::source::kubernetes::{Kubernetes, served_group};
use crate::feed::source::manifests::Manifests;
use crate::feed::{Group, Source};
use crate::leader::{Election, Leadership, Member};
use crate::publish::Publisher;
use crate::settings::{RunSettings, SourceSettings};
use namewarden_protocol::api_server;

/// A source that can be asked.
pub struct Connected {
    /// The source.
    pub source: Source,
    /// The hash key, where a Secret holds it.
    pub key: Option<SetKey>,
}

/// Opens the folder, or reaches the API server and learns which group it serves.
pub async fn connect(settings: &RunSettings) -> anyhow::Result<Connected> {
    let (kubeconfig, namespace, group, key_secret) = match &settings.source {
        SourceSettings::Manifests(folder) => {
            return Ok(Connected { source: Source::Manifests(Manifests::open(folder)?), key: None });
        }
        SourceSettings::Kubernetes { kubeconfig, namespace, group, key_secret, .. } => {
            (kubeconfig, namespace, group, key_secret)
        }
    };
    let config = api_server::config(kubeconfig.as_deref()).await;
    let config = config
        .map_err(|error| anyhow!("{error}; name one with --kubeconfig, or a folder with --manifests"))?;
    let namespace = namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
    let client = Client::try_from(config).context("cannot set up the client of the API server")?;
    let key = match key_secret {
        Some(name) => Some(key(&client, &namespace, name).await?),
        None => None,
    };
    let group = match group {
        Some(group) => *group,
        None => choose_group(&client, &settings.state_dir).await?,
    };
    tracing::info!(group = %group, namespace, "feeds come from the API server");
    Ok(Connected { source: Source::Kubernetes(Box::new(Kubernetes::new(client, group, &namespace))), key })
}

/// The election, where there is one to take part in.
pub fn leadership(
    settings: &RunSettings,
    source: &Source,
    publisher: &Publisher,
) -> anyhow::Result<(Option<Election>, Leadership)> {
    let (Source::Kubernetes(kubernetes), SourceSettings::Kubernetes { lease, .. }) =
        (source, &settings.source)
    else {
        return Ok((None, Leadership::alone()));
    };
    // A pod's name may come again; a number drawn now does not.
    let SetKey(random) = SetKey::random().context("cannot draw random numbers")?;
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let identity = format!("{host}_{}", hex(random.get(..4).unwrap_or_default()));
    let place = (kubernetes.namespace(), lease.as_str());
    let member = Member {
        identity,
        url: settings.serve.advertise_url.clone(),
        has_peers: settings.serve.peer_ca.is_some(),
    };
    let (election, leadership) = Election::new(kubernetes.client(), place, member, publisher.clone());
    Ok((Some(election), leadership))
}

/// Takes part in the election, for ever; without one there is nothing to do.
pub async fn take_part(election: &mut Option<Election>) {
    match election {
        Some(election) => election.run().await,
        None => std::future::pending().await,
    }
}

/// The group that was chosen once, else the one that is served; the choice is written down.
async fn choose_group(client: &Client, state: &Path) -> anyhow::Result<Group> {
    let path = state.join("group");
    let recorded = fs::read_to_string(&path).ok().and_then(|text| text.trim().parse().ok());
    let group = served_group(client, recorded).await;
    if recorded.is_none() {
        write_whole(&path, group.name().as_bytes())
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(group)
}

/// The hash key of the deployment.
async fn key(client: &Client, namespace: &str, name: &str) -> anyhow::Result<SetKey> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let secret = secrets
        .get_opt(name)
        .await
        .map_err(|error| anyhow!("cannot read the Secret {namespace}/{name}: {}", api_server::why(&error)))?
        .with_context(|| {
            format!("there is no Secret {namespace}/{name}; create it, or leave --key-secret out")
        })?;
    let value = secret.data.and_then(|mut data| data.remove("key")).map(|value| value.0).unwrap_or_default();
    match parse_key(&value) {
        Some(key) => Ok(key),
        // What it holds is not shown: it may be most of a key.
        None => bail!("key `key` of the Secret {namespace}/{name} is not 32 hexadecimal digits"),
    }
}

fn parse_key(value: &[u8]) -> Option<SetKey> {
    let text = std::str::from_utf8(value).ok()?.trim();
    if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    Some(SetKey(u128::from_str_radix(text, 16).ok()?.to_be_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_32_hexadecimal_digits() {
        let key = parse_key(b"000102030405060708090a0B0c0d0e0f\n").unwrap();
        assert_eq!(key.0, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
        for bad in ["", "00", "+0102030405060708090a0b0c0d0e0f", "000102030405060708090a0b0c0d0e0g"] {
            assert!(parse_key(bad.as_bytes()).is_none(), "{bad}");
        }
    }
}
