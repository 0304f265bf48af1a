//! Which addresses a feed may be fetched from.
//!
//! Whoever may name a feed's URL could otherwise read what only this machine can reach: a cloud's metadata service, a
//! local daemon. The addresses that a name resolves to are judged at the moment of connecting, so that neither a
//! redirect nor a name server that answers differently the second time leads past.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Metadata services at addresses that are not link-local: Alibaba, Azure, Oracle; Amazon and Google over IPv6.
const METADATA: [IpAddr; 5] = [
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
];

/// How far a feed's URL may reach; private networks are within reach always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// Neither this machine nor the link, nor a metadata service.
    #[default]
    Network,
    /// This machine's loopback too.
    Loopback,
    /// Everything.
    Any,
}

/// A word that names no reach.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no reach for feeds: use network, loopback or any")]
pub struct UnknownReach(String);

/// An address that a feed is not fetched from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forbidden {
    /// The address.
    pub address: IpAddr,
    kind: Kind,
}

/// Why an address is out of reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Loopback,
    LinkLocal,
    Metadata,
    Unspecified,
    Multicast,
}

impl Reach {
    /// Whether a feed may be fetched from the address.
    pub fn check(self, address: IpAddr) -> Result<(), Forbidden> {
        match (self, Kind::of(address)) {
            (Self::Any, _) | (_, None) | (Self::Loopback, Some(Kind::Loopback)) => Ok(()),
            (_, Some(kind)) => Err(Forbidden { address, kind }),
        }
    }

    /// The word for it on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Loopback => "loopback",
            Self::Any => "any",
        }
    }
}

impl fmt::Display for Reach {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl FromStr for Reach {
    type Err = UnknownReach;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Network, Self::Loopback, Self::Any]
            .into_iter()
            .find(|reach| reach.as_str().eq_ignore_ascii_case(text))
            .ok_or_else(|| UnknownReach(text.to_owned()))
    }
}

impl Kind {
    fn of(address: IpAddr) -> Option<Self> {
        let address = carried(address);
        if METADATA.contains(&address) {
            return Some(Self::Metadata);
        }
        let (link_local, unspecified) = match address {
            // "This network" is this machine to many a stack; the broadcast address is the link's.
            IpAddr::V4(v4) => (v4.is_link_local() || v4.is_broadcast(), v4.octets().first() == Some(&0)),
            IpAddr::V6(v6) => (v6.is_unicast_link_local(), v6.is_unspecified()),
        };
        match () {
            () if link_local => Some(Self::LinkLocal),
            () if unspecified => Some(Self::Unspecified),
            () if address.is_loopback() => Some(Self::Loopback),
            () if address.is_multicast() => Some(Self::Multicast),
            () => None,
        }
    }
}

/// The IPv4 address that an IPv6 one leads to: mapped, compatible, by NAT64 (RFC 6052) or 6to4 (RFC 3056).
fn carried(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let joined = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    match v6.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => address,
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => joined(high, low).into(),
        _ => address,
    }
}

impl fmt::Display for Forbidden {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, reach) = match self.kind {
            Kind::Loopback => ("an address of this machine itself", Reach::Loopback),
            Kind::LinkLocal => ("a link-local address, where clouds keep their metadata", Reach::Any),
            Kind::Metadata => ("the address of a cloud's metadata", Reach::Any),
            Kind::Unspecified => ("no address of another machine", Reach::Any),
            Kind::Multicast => ("a multicast address", Reach::Any),
        };
        write!(
            formatter,
            "it leads to {}, {what}: feeds are not fetched from there; correct the URL, or allow it with \
             --feed-reach {reach}",
            self.address
        )
    }
}

impl std::error::Error for Forbidden {}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(reach: Reach, address: &str) -> bool {
        reach.check(address.parse().unwrap()).is_err()
    }

    #[test]
    fn what_only_this_machine_can_reach_is_refused_in_every_spelling() {
        for address in [
            "127.0.0.1",
            "127.9.9.9",
            "::1",
            "::ffff:127.0.0.1",
            "::7f00:1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "fe80::1",
            "febf::1",
            "fd00:ec2::254",
            "fd20:ce::254",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "0.0.0.0",
            "0.1.2.3",
            "::",
            "::ffff:0.0.0.0",
            "224.0.0.251",
            "ff02::fb",
            "255.255.255.255",
        ] {
            assert!(refused(Reach::Network, address), "{address}");
        }
    }

    #[test]
    fn networks_of_ones_own_and_of_others_are_within_reach() {
        for address in
            ["10.0.0.1", "192.168.1.1", "172.16.0.1", "100.64.0.1", "fd00::1", "192.0.2.1", "2001:db8::1"]
        {
            assert!(!refused(Reach::Network, address), "{address}");
        }
    }

    #[test]
    fn loopback_allowed_is_loopback_only() {
        assert!(!refused(Reach::Loopback, "127.0.0.1") && !refused(Reach::Loopback, "::ffff:127.0.0.1"));
        assert!(refused(Reach::Loopback, "169.254.169.254") && refused(Reach::Loopback, "0.0.0.0"));
        assert!(!refused(Reach::Any, "169.254.169.254"));
    }

    #[test]
    fn the_refusal_names_the_option_that_lifts_it() {
        let text = |address: &str| Reach::Network.check(address.parse().unwrap()).unwrap_err().to_string();
        assert!(text("::1").contains("--feed-reach loopback"));
        assert!(text("169.254.169.254").contains("--feed-reach any"));
    }

    #[test]
    fn a_reach_is_read_back_as_it_is_written() {
        for reach in [Reach::Network, Reach::Loopback, Reach::Any] {
            assert_eq!(reach.to_string().parse(), Ok(reach));
        }
        assert!("lan".parse::<Reach>().is_err());
    }
}
