//! Who is served, and how, as used.

use std::{net::SocketAddr, path::PathBuf};

use anyhow::bail;

use crate::args::ServeArgs;

/// Who is served, and how.
#[derive(Clone, Debug)]
pub struct ServeSettings {
    /// Where, over TLS.
    pub listen: SocketAddr,
    /// Where metrics are served, without TLS.
    pub metrics_listen: Option<SocketAddr>,
    /// Whose certificate.
    pub certificate: Certificate,
    /// The token's file.
    pub token_file: Option<PathBuf>,
    /// Users who may push.
    pub htpasswd_file: Option<PathBuf>,
    /// Audience of agents' and controllers' tokens.
    pub audience: String,
    /// Service accounts of agents.
    pub agents: Vec<Account>,
    /// Service account of controllers.
    pub controllers: Account,
    /// Where other controllers reach this one.
    pub advertise_url: Option<reqwest::Url>,
    /// Authorities of the other controllers.
    pub peer_ca: Option<PathBuf>,
    /// Name in every controller's certificate.
    pub peer_name: Option<String>,
    /// The token for the leader.
    pub peer_token_file: Option<PathBuf>,
}

/// Whose certificate is served with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Certificate {
    /// The operator's files.
    Files {
        /// The chain.
        certificate: PathBuf,
        /// Its key.
        key: PathBuf,
    },
    /// By an authority of the controller's own.
    Own {
        /// What it is good for, besides localhost.
        names: Vec<String>,
    },
}

/// A service account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// `None`: the controller's own namespace.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
}

impl ServeSettings {
    /// Validates the options.
    pub fn new(arguments: &ServeArgs) -> anyhow::Result<Self> {
        // Taken apart whole: an option that nothing uses does not compile.
        let ServeArgs {
            listen,
            metrics_listen,
            tls_cert,
            tls_key,
            tls_name,
            token_file,
            htpasswd_file,
            audience,
            agent_service_account,
            controller_service_account,
            advertise_url,
            peer_ca,
            peer_name,
            peer_token_file,
        } = arguments;
        let certificate = match (tls_cert, tls_key) {
            (Some(certificate), Some(key)) => {
                Certificate::Files { certificate: certificate.clone(), key: key.clone() }
            }
            _ => {
                Certificate::Own { names: tls_name.iter().filter(|name| !name.is_empty()).cloned().collect() }
            }
        };
        if audience.is_empty() {
            bail!("--audience must name an audience: without one any token of the cluster would do");
        }
        let beside =
            tls_cert.as_ref().map(|path| path.with_file_name("ca.crt")).filter(|path| path.is_file());
        Ok(Self {
            listen: *listen,
            metrics_listen: *metrics_listen,
            certificate,
            token_file: token_file.clone(),
            htpasswd_file: htpasswd_file.clone(),
            audience: audience.clone(),
            agents: agent_service_account
                .iter()
                .map(|text| Account::parse(text))
                .collect::<Result<_, _>>()?,
            controllers: Account::parse(controller_service_account)?,
            advertise_url: advertise_url.clone(),
            peer_ca: peer_ca.clone().or(beside),
            peer_name: peer_name.clone(),
            peer_token_file: peer_token_file.clone(),
        })
    }
}

impl Account {
    fn parse(text: &str) -> anyhow::Result<Self> {
        let (namespace, name) =
            text.split_once('/').map_or((None, text), |(namespace, name)| (Some(namespace), name));
        if name.is_empty()
            || name.contains(['/', ':'])
            || namespace.is_some_and(|one| one.is_empty() || one.contains(':'))
        {
            bail!("{text:?} is no service account; give NAME or NAMESPACE/NAME");
        }
        Ok(Self { namespace: namespace.map(str::to_owned), name: name.to_owned() })
    }

    /// Namespace and name.
    pub fn within(&self, namespace: &str) -> (String, String) {
        (self.namespace.clone().unwrap_or_else(|| namespace.to_owned()), self.name.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_account_is_of_the_controllers_namespace_unless_it_names_one() {
        let within = |text: &str| Account::parse(text).unwrap().within("here");
        assert_eq!(within("agent"), ("here".to_owned(), "agent".to_owned()));
        assert_eq!(within("there/agent"), ("there".to_owned(), "agent".to_owned()));
        for text in ["", "/", "a/", "/a", "a/b/c", "system:a", "a:b/c"] {
            assert!(Account::parse(text).is_err(), "{text}");
        }
    }
}
