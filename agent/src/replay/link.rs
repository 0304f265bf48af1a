//! Link header and tags -> where the IP packet is.
//!
//! Link types by their number in the tcpdump registry (`LINKTYPE_*`); in files some carry the number of an operating
//! system's `DLT_*` instead.

use etherparse::{EtherType, ether_type};

use super::Skipped;

const NULL: u16 = 0;
const ETHERNET: u16 = 1;
const DLT_RAW: u16 = 12;
const DLT_RAW_OPENBSD: u16 = 14;
const RAW: u16 = 101;
const LOOP: u16 = 108;
const LINUX_SLL: u16 = 113;
const IPV4: u16 = 228;
const IPV6: u16 = 229;
const LINUX_SLL2: u16 = 276;

/// Tags that a frame may carry one inside the other.
const TAGS_MAX: usize = 8;

/// The IP packet of a frame.
pub(super) fn payload(link: Option<u16>, frame: &[u8]) -> Result<&[u8], Skipped> {
    let inside = match link.ok_or(Skipped::UnknownLink)? {
        ETHERNET => ether(frame, 12, 14),
        LINUX_SLL => ether(frame, 14, 16),
        LINUX_SLL2 => ether(frame, 0, 20),
        RAW | DLT_RAW | DLT_RAW_OPENBSD | IPV4 | IPV6 => ip(frame),
        // Four bytes say the address family, by the capturing system's numbers and byte order; the version says it too.
        NULL | LOOP => frame.get(4..).and_then(ip),
        _ => return Err(Skipped::UnknownLink),
    };
    inside.ok_or(Skipped::NotIp)
}

/// What follows a protocol field of two bytes at `field` and, at `from`, any VLAN tags (802.1Q, 802.1ad, and what was
/// used before it).
fn ether(frame: &[u8], field: usize, from: usize) -> Option<&[u8]> {
    let (mut field, mut from) = (field, from);
    for _ in 0..=TAGS_MAX {
        let kind = EtherType(u16::from_be_bytes(frame.get(field..field + 2)?.try_into().ok()?));
        match kind {
            ether_type::IPV4 | ether_type::IPV6 => return frame.get(from..).and_then(ip),
            ether_type::VLAN_TAGGED_FRAME
            | ether_type::PROVIDER_BRIDGING
            | ether_type::VLAN_DOUBLE_TAGGED_FRAME => {
                (field, from) = (from + 2, from + 4);
            }
            _ => return None,
        }
    }
    None
}

fn ip(bytes: &[u8]) -> Option<&[u8]> {
    matches!(bytes.first()? >> 4, 4 | 6).then_some(bytes)
}
