//! Ports that the cluster's resolvers listen on besides 53, as the controller tells them and agents tell back what they know.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// Header of `/v1/threat-set`, both ways: of an answer what the controller knows, of a request what the caller knows.
pub const PORTS_HEADER: &str = "namewarden-resolver-ports";
/// Ports that are told at most, whatever pods name.
pub const RESOLVER_PORTS_MAX: usize = 8;

/// Captured without being told.
const DNS: u16 = 53;
/// HTTPS, and DNS over TLS and QUIC: nothing there can be read.
const ENCRYPTED: [u16; 2] = [443, 853];
/// The header's text where there are none.
const NONE: &str = "none";
/// A header of more bytes is no list of ports.
const TEXT_MAX: usize = 64;

/// Ports besides 53, at most [`RESOLVER_PORTS_MAX`], each of which may carry DNS that can be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResolverPorts(BTreeSet<u16>);

impl ResolverPorts {
    /// Whether a port is one to be told of.
    pub fn takes(port: u16) -> bool {
        port != 0 && port != DNS && !ENCRYPTED.contains(&port)
    }

    /// Each of them, the smallest first.
    pub fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        self.0.iter().copied()
    }
}

impl FromIterator<u16> for ResolverPorts {
    /// Those that may carry DNS, the first ones where there are too many.
    fn from_iter<I: IntoIterator<Item = u16>>(ports: I) -> Self {
        let mut kept = BTreeSet::new();
        for port in ports.into_iter().filter(|port| Self::takes(*port)) {
            if kept.len() < RESOLVER_PORTS_MAX || kept.contains(&port) {
                kept.insert(port);
            }
        }
        Self(kept)
    }
}

impl fmt::Display for ResolverPorts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return formatter.write_str(NONE);
        }
        for (place, port) in self.0.iter().enumerate() {
            write!(formatter, "{}{port}", if place == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

/// The text is no list of such ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no list of resolvers' ports")]
pub struct NoPorts;

impl FromStr for ResolverPorts {
    type Err = NoPorts;

    /// Reads what [`fmt::Display`] writes, and nothing else: a list that is too long or holds another port is no list.
    fn from_str(text: &str) -> Result<Self, NoPorts> {
        if text == NONE {
            return Ok(Self::default());
        }
        if text.len() > TEXT_MAX {
            return Err(NoPorts);
        }
        let read = |part: &str| part.parse().ok().filter(|port| Self::takes(*port)).ok_or(NoPorts);
        let ports = text.split(',').map(read).collect::<Result<BTreeSet<u16>, _>>()?;
        if ports.len() > RESOLVER_PORTS_MAX { Err(NoPorts) } else { Ok(Self(ports)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for text in ["none", "1053", "1053,5353,8053"] {
            assert_eq!(text.parse::<ResolverPorts>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_list_of_such_ports_is_refused() {
        let nine: Vec<String> = (1..=9).map(|port| port.to_string()).collect();
        let long = "1,".repeat(100) + "1";
        for text in ["", ",", "53", "0", "853", "443", "1053,53", "65536", "-1", "a", &nine.join(","), &long]
        {
            assert_eq!(text.parse::<ResolverPorts>(), Err(NoPorts), "{text}");
        }
    }

    #[test]
    fn the_first_eight_are_taken_and_none_that_cannot_be_read() {
        let ports: ResolverPorts = [53, 443, 853, 0, 9, 8, 7, 6, 5, 4, 3, 2, 1, 9].into_iter().collect();
        assert_eq!(ports.iter().collect::<Vec<_>>(), (2..=9).collect::<Vec<_>>());
    }
}
