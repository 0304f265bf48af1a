//! Blocks and records of a capture file -> frames with number, time and link type.
//!
//! The bytes of one record or block are gathered here, within a bound and only as far as the file really has them; what
//! they mean is pcap-parser's.

use std::io::Read;

use pcap_parser::nom::IResult;
use pcap_parser::{
    LegacyPcapBlock, PcapError, parse_pcap_frame, parse_pcap_frame_be, parse_pcap_frame_modified,
    parse_pcap_header,
};

use super::ReplayError;
use crate::pipeline::packet::Timestamp;
use block::Interface;

// One block of pcapng.
mod block;

/// The largest record or block that is read; capture tools write frames of 256 KiB at most.
const RECORD_MAX: usize = 4 << 20;
const READ_SIZE: usize = 64 << 10;
const PCAP_HEADER: usize = 24;
const SECTION_HEADER: [u8; 4] = [0x0A, 0x0D, 0x0D, 0x0A];
const BYTE_ORDER: u32 = 0x1A2B_3C4D;

/// One frame of the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame<'f> {
    /// From 1, counting every packet of the file.
    pub(super) number: u64,
    pub(super) time: Timestamp,
    /// `LINKTYPE_*` of the tcpdump registry; none where the file does not say.
    pub(super) link: Option<u16>,
    pub(super) bytes: &'f [u8],
    /// The capture kept only the start of it.
    pub(super) cut: bool,
}

type ParseRecord = for<'i> fn(&'i [u8]) -> IResult<&'i [u8], LegacyPcapBlock<'i>, PcapError<&'i [u8]>>;

/// What the file's first bytes say of the rest.
#[derive(Clone, Debug)]
enum Format {
    Pcap { parse: ParseRecord, header: usize, big_endian: bool, nanoseconds: bool, link: u16 },
    Pcapng { big_endian: bool, interfaces: Vec<Interface> },
}

/// A capture file as far as it has been read.
pub(super) struct CaptureFile<R> {
    reader: R,
    buffer: Vec<u8>,
    /// Bytes of the buffer that are done with.
    done: usize,
    /// Offset in the file of the record at hand.
    offset: u64,
    format: Format,
    frames: u64,
    cut_short: bool,
}

impl<R: Read> CaptureFile<R> {
    /// Reads as much as tells the format.
    pub(super) fn open(reader: R) -> Result<Self, ReplayError> {
        let format = Format::Pcapng { big_endian: false, interfaces: Vec::new() };
        let mut file =
            Self { reader, buffer: Vec::new(), done: 0, offset: 0, format, frames: 0, cut_short: false };
        if file.fill(SECTION_HEADER.len())? && file.at_hand(SECTION_HEADER.len()) == SECTION_HEADER {
            return Ok(file);
        }
        if !file.fill(PCAP_HEADER)? {
            return Err(ReplayError::NotACapture);
        }
        let (_, header) =
            parse_pcap_header(file.at_hand(PCAP_HEADER)).map_err(|_| ReplayError::NotACapture)?;
        let parse: ParseRecord = match (header.is_modified_format(), header.is_bigendian()) {
            (true, _) => parse_pcap_frame_modified,
            (false, true) => parse_pcap_frame_be,
            (false, false) => parse_pcap_frame,
        };
        file.format = Format::Pcap {
            parse,
            header: if header.is_modified_format() { 24 } else { 16 },
            big_endian: header.is_bigendian(),
            nanoseconds: header.is_nanosecond_precision(),
            // The upper bits say how long the frame check sequence is.
            link: u16::try_from(header.network.0 & 0xFFFF).unwrap_or_default(),
        };
        file.advance(PCAP_HEADER);
        Ok(file)
    }

    /// The next frame; nothing at the end of the file.
    pub(super) fn next_frame(&mut self) -> Result<Option<Frame<'_>>, ReplayError> {
        match self.format {
            Format::Pcap { .. } => self.next_record(),
            Format::Pcapng { .. } => self.next_packet_block(),
        }
    }

    /// Whether the file ended inside a record.
    pub(super) fn cut_short(&self) -> bool {
        self.cut_short
    }

    fn next_record(&mut self) -> Result<Option<Frame<'_>>, ReplayError> {
        let Format::Pcap { parse, header, big_endian, nanoseconds, link } = self.format else {
            return Ok(None);
        };
        if !self.whole(header)? {
            return Ok(None);
        }
        let captured = number(self.at_hand(header), 8, big_endian);
        let length = self.bounded(header as u64 + u64::from(captured))?;
        if !self.whole(length)? {
            return Ok(None);
        }
        self.frames += 1;
        let (number, offset) = (self.frames, self.offset);
        self.advance(length);
        let bytes = self.buffer.get(self.done - length..self.done).unwrap_or_default();
        let (_, record) = parse(bytes).map_err(|_| ReplayError::Damaged { offset })?;
        let fraction = u64::from(record.ts_usec) * if nanoseconds { 1 } else { 1000 };
        let time = Timestamp(u64::from(record.ts_sec) * 1_000_000_000 + fraction);
        let cut = record.caplen < record.origlen;
        Ok(Some(Frame { number, time, link: Some(link), bytes: record.data, cut }))
    }

    fn next_packet_block(&mut self) -> Result<Option<Frame<'_>>, ReplayError> {
        let Some(length) = self.seek_packet()? else { return Ok(None) };
        let offset = self.offset;
        self.frames += 1;
        self.advance(length);
        let Format::Pcapng { big_endian, interfaces } = &self.format else { return Ok(None) };
        let bytes = self.buffer.get(self.done - length..self.done).unwrap_or_default();
        let frame = block::frame(bytes, *big_endian, interfaces, self.frames);
        frame.ok_or(ReplayError::Damaged { offset }).map(Some)
    }

    /// Takes in all blocks before the next packet; gathers that one and says how long it is.
    fn seek_packet(&mut self) -> Result<Option<usize>, ReplayError> {
        while let Some(length) = self.next_block()? {
            let Format::Pcapng { big_endian, interfaces } = &mut self.format else { break };
            let bytes = self.buffer.get(self.done..self.done + length).unwrap_or_default();
            if block::is_packet(bytes, *big_endian) {
                return Ok(Some(length));
            }
            let offset = self.offset;
            block::describe(bytes, *big_endian, interfaces).ok_or(ReplayError::Damaged { offset })?;
            self.advance(length);
        }
        Ok(None)
    }

    /// Gathers the next block and says how long it is. A section header sets the byte order from there on.
    fn next_block(&mut self) -> Result<Option<usize>, ReplayError> {
        if !self.whole(12)? {
            return Ok(None);
        }
        let head = self.at_hand(12);
        let section = head.starts_with(&SECTION_HEADER);
        let order = number(head, 8, true);
        if let Format::Pcapng { big_endian, interfaces } = &mut self.format
            && section
        {
            *big_endian = match order {
                BYTE_ORDER => true,
                _ if order == BYTE_ORDER.swap_bytes() => false,
                _ => return Err(ReplayError::Damaged { offset: self.offset }),
            };
            interfaces.clear();
        }
        let Format::Pcapng { big_endian, .. } = self.format else { return Ok(None) };
        let length = self.bounded(u64::from(number(self.at_hand(12), 4, big_endian)))?;
        if length < 12 || !length.is_multiple_of(4) {
            return Err(ReplayError::Damaged { offset: self.offset });
        }
        Ok(self.whole(length)?.then_some(length))
    }

    fn bounded(&self, length: u64) -> Result<usize, ReplayError> {
        let limit = RECORD_MAX as u64;
        let too_large = ReplayError::TooLarge { offset: self.offset, length, limit };
        usize::try_from(length).ok().filter(|length| *length <= RECORD_MAX).ok_or(too_large)
    }

    /// Gathers so many bytes; when the file ends inside them, notes that.
    fn whole(&mut self, length: usize) -> Result<bool, ReplayError> {
        let whole = self.fill(length)?;
        self.cut_short |= !whole && self.buffer.len() > self.done;
        Ok(whole)
    }

    /// Reads until so many bytes are at hand; false when the file ends before. The buffer grows with what is there,
    /// not with what a length claims.
    fn fill(&mut self, length: usize) -> Result<bool, ReplayError> {
        if self.buffer.len() - self.done >= length {
            return Ok(true);
        }
        self.buffer.drain(..self.done);
        self.done = 0;
        while self.buffer.len() < length {
            let had = self.buffer.len();
            self.buffer.resize(had + READ_SIZE, 0);
            let read = self.reader.read(self.buffer.get_mut(had..).unwrap_or_default());
            self.buffer.truncate(had + *read.as_ref().unwrap_or(&0));
            match read {
                Ok(0) => return Ok(false),
                Err(error) if error.kind() != std::io::ErrorKind::Interrupted => return Err(error.into()),
                _ => {}
            }
        }
        Ok(true)
    }

    fn at_hand(&self, length: usize) -> &[u8] {
        self.buffer.get(self.done..self.done + length).unwrap_or_default()
    }

    fn advance(&mut self, length: usize) {
        self.done += length;
        self.offset += length as u64;
    }
}

/// A 32-bit number of the file; 0 beyond the bytes.
fn number(bytes: &[u8], at: usize, big_endian: bool) -> u32 {
    let Some(Ok(bytes)) = bytes.get(at..at + 4).map(<[u8; 4]>::try_from) else { return 0 };
    if big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
}
