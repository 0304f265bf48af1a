//! Host names of URLs -> addresses that a feed may be fetched from.
//!
//! The system's own resolver is asked (getaddrinfo), in a thread that may block. In the static binary that is musl's:
//! it reads /etc/hosts and /etc/resolv.conf and speaks DNS itself, without glibc's NSS modules.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::{fmt, io};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::address::Reach;

/// Resolves names, and lets through only what is within reach.
#[derive(Clone, Debug)]
pub(super) struct Resolver {
    reach: Reach,
    /// Names whose addresses are given, as in a hosts file.
    hosts: Arc<[(String, IpAddr)]>,
}

/// A host name without an address.
#[derive(Debug)]
pub(super) struct Unresolved {
    name: String,
    error: Option<io::Error>,
}

impl Resolver {
    pub(super) fn new(reach: Reach, hosts: &[(String, IpAddr)]) -> Self {
        Self { reach, hosts: hosts.into() }
    }

    async fn addresses(&self, name: &str) -> Result<Vec<SocketAddr>, Unresolved> {
        let given = self.hosts.iter().filter(|(host, _)| host.eq_ignore_ascii_case(name));
        let given: Vec<_> = given.map(|(_, address)| SocketAddr::new(*address, 0)).collect();
        if !given.is_empty() {
            return Ok(given);
        }
        let unresolved = |error| Unresolved { name: name.to_owned(), error };
        let found: Vec<_> =
            tokio::net::lookup_host((name, 0)).await.map_err(|error| unresolved(Some(error)))?.collect();
        if found.is_empty() { Err(unresolved(None)) } else { Ok(found) }
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = self.clone();
        Box::pin(async move {
            let found = resolver.addresses(name.as_str()).await?;
            let mut refused = None;
            let within: Vec<_> = found
                .into_iter()
                .filter(|found| match resolver.reach.check(found.ip()) {
                    Ok(()) => true,
                    Err(forbidden) => {
                        refused = Some(forbidden);
                        false
                    }
                })
                .collect();
            match refused {
                Some(forbidden) if within.is_empty() => Err(forbidden.into()),
                _ => Ok(Box::new(within.into_iter()) as Addrs),
            }
        })
    }
}

impl fmt::Display for Unresolved {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "the host name {} has no address", self.name)?;
        if let Some(error) = &self.error {
            write!(formatter, " ({error})")?;
        }
        formatter.write_str("; correct the URL, or see to this machine's name servers")
    }
}

impl std::error::Error for Unresolved {}
