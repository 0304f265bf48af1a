//! One block of pcapng -> a frame, or what it says of an interface.

use pcap_parser::traits::PcapNGPacketBlock;
use pcap_parser::{Block, InterfaceDescriptionBlock, OptionCode, parse_block_be, parse_block_le};

use super::{Frame, number};
use crate::pipeline::packet::Timestamp;

/// Interfaces that one section may describe.
const INTERFACES_MAX: usize = 65_536;
const INTERFACE_DESCRIPTION: u32 = 1;
/// Packet (obsolete), simple packet, enhanced packet.
const PACKET_BLOCKS: [u32; 3] = [2, 3, 6];

/// What pcapng says of an interface.
#[derive(Clone, Copy, Debug)]
pub(super) struct Interface {
    link: u16,
    /// `if_tsresol`: a power of ten, or of two where the top bit is set.
    resolution: u8,
    offset_seconds: i64,
}

/// Whether the block holds a packet.
pub(super) fn is_packet(bytes: &[u8], big_endian: bool) -> bool {
    PACKET_BLOCKS.contains(&number(bytes, 0, big_endian))
}

/// A frame out of a packet block of pcapng: enhanced, simple, or the obsolete one.
pub(super) fn frame<'b>(
    bytes: &'b [u8],
    big_endian: bool,
    interfaces: &[Interface],
    count: u64,
) -> Option<Frame<'b>> {
    let (index, ticks, data, cut) = match parse(bytes, big_endian)? {
        Block::EnhancedPacket(block) => {
            let ticks = u64::from(block.ts_high) << 32 | u64::from(block.ts_low);
            // The block borrows its data from `bytes`, but its accessor only from itself.
            let data = block.data.get(..block.caplen as usize)?;
            (block.if_id, ticks, data, block.caplen < block.origlen)
        }
        Block::SimplePacket(block) => {
            let data = block.data.get(..block.origlen as usize).unwrap_or(block.data);
            (0, 0, data, (block.data.len() as u64) < u64::from(block.orig_len()))
        }
        _ => obsolete_packet(bytes, big_endian)?,
    };
    let interface = interfaces.get(usize::try_from(index).ok()?).copied();
    let time = interface.map(|interface| interface.time(ticks)).unwrap_or_default();
    Some(Frame { number: count, time, link: interface.map(|interface| interface.link), bytes: data, cut })
}

/// The Packet Block that enhanced packets replaced: interface and drops share a word, the rest is alike.
fn obsolete_packet(bytes: &[u8], big_endian: bool) -> Option<(u32, u64, &[u8], bool)> {
    let word = |at| number(bytes, at, big_endian);
    let index = if big_endian { word(8) >> 16 } else { word(8) & 0xFFFF };
    let (captured, length) = (word(20), word(24));
    let data = bytes.get(28..bytes.len().checked_sub(4)?)?.get(..captured as usize)?;
    Some((index, u64::from(word(12)) << 32 | u64::from(word(16)), data, captured < length))
}

/// Takes in an interface description; other blocks are only checked by their length.
pub(super) fn describe(bytes: &[u8], big_endian: bool, interfaces: &mut Vec<Interface>) -> Option<()> {
    if number(bytes, 0, big_endian) != INTERFACE_DESCRIPTION {
        return Some(());
    }
    let Block::InterfaceDescription(block) = parse(bytes, big_endian)? else { return None };
    if interfaces.len() >= INTERFACES_MAX {
        return None;
    }
    interfaces.push(Interface::of(&block, big_endian));
    Some(())
}

fn parse(bytes: &[u8], big_endian: bool) -> Option<Block<'_>> {
    let parse = if big_endian { parse_block_be } else { parse_block_le };
    parse(bytes).ok().map(|(_, block)| block)
}

impl Interface {
    fn of(block: &InterfaceDescriptionBlock<'_>, big_endian: bool) -> Self {
        let option = block.options.iter().find(|option| option.code == OptionCode::IfTsoffset);
        let offset = option.and_then(|option| option.value().first_chunk::<8>()).map_or(0, |bytes| {
            if big_endian { i64::from_be_bytes(*bytes) } else { i64::from_le_bytes(*bytes) }
        });
        Self {
            link: u16::try_from(block.linktype.0).unwrap_or_default(),
            resolution: block.if_tsresol,
            offset_seconds: offset,
        }
    }

    /// Unix time of a count of ticks.
    fn time(self, ticks: u64) -> Timestamp {
        let nanoseconds = u128::from(ticks) * 1_000_000_000;
        let power = u32::from(self.resolution & 0x7F);
        let since = if self.resolution & 0x80 != 0 {
            nanoseconds >> power
        } else {
            10_u128.checked_pow(power).map_or(0, |units| nanoseconds / units)
        };
        let offset = i128::from(self.offset_seconds) * 1_000_000_000;
        let total = i128::try_from(since).unwrap_or(i128::MAX).saturating_add(offset);
        Timestamp(u64::try_from(total.max(0)).unwrap_or(u64::MAX))
    }
}
