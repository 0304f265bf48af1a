//! Where a server listens: on every address of IPv6, which takes IPv4 as well, also where the kernel has no IPv6 at all.

use std::net::{Ipv4Addr, SocketAddr};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType, socket};

/// What is listened on when `asked` is asked for: `0.0.0.0` in place of `[::]` where the kernel was started without IPv6
/// (`ipv6.disable=1`), and `asked` otherwise.
pub fn address(asked: SocketAddr) -> SocketAddr {
    chosen(asked, || {
        matches!(socket(AddressFamily::INET6, SocketType::STREAM, None), Err(Errno::AFNOSUPPORT))
    })
}

fn chosen(asked: SocketAddr, lacks_ipv6: impl FnOnce() -> bool) -> SocketAddr {
    match asked {
        SocketAddr::V6(every) if every.ip().is_unspecified() && lacks_ipv6() => {
            SocketAddr::from((Ipv4Addr::UNSPECIFIED, every.port()))
        }
        asked => asked,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(address: &str) -> SocketAddr {
        address.parse().unwrap()
    }

    #[test]
    fn without_ipv6_every_address_is_that_of_ipv4() {
        assert_eq!(chosen(parsed("[::]:9091"), || true), parsed("0.0.0.0:9091"));
    }

    #[test]
    fn what_is_to_be_had_is_not_changed() {
        assert_eq!(chosen(parsed("[::]:9091"), || false), parsed("[::]:9091"));
        assert_eq!(chosen(parsed("[::1]:9091"), || true), parsed("[::1]:9091"));
        assert_eq!(chosen(parsed("127.0.0.1:9091"), || true), parsed("127.0.0.1:9091"));
    }
}
