//! Values of a fixed number of bytes <-> one packed column for each byte.
//!
//! Bytes of equal weight stand together: the random ones are stored as they are, the nearly constant ones shrink to
//! almost nothing. Packing and unpacking work through small buffers, whatever the number of values.

use std::io::{self, Read as _, Write as _};

use zstd::stream::read::Decoder;
use zstd::stream::write::Encoder;

use super::refusal::ApplyError;

/// Level at which columns are packed: higher ones gain under a percent.
const LEVEL: i32 = 3;
/// How far back a column refers, as a power of two: more gains nothing and would be the reader's memory.
const WINDOW_LOG: u32 = 17;
/// Values that are packed or unpacked at once.
const BATCH: usize = 4096;

/// Packs values of `N` bytes.
pub struct Packer<const N: usize> {
    columns: [Column; N],
}

struct Column {
    waiting: Vec<u8>,
    encoder: Encoder<'static, Vec<u8>>,
}

impl Column {
    fn new() -> io::Result<Self> {
        Ok(Self { waiting: Vec::with_capacity(BATCH), encoder: encoder()? })
    }

    #[inline]
    fn push(&mut self, byte: u8) -> io::Result<()> {
        self.waiting.push(byte);
        if self.waiting.len() == BATCH { self.drain() } else { Ok(()) }
    }

    fn drain(&mut self) -> io::Result<()> {
        self.encoder.write_all(&self.waiting)?;
        self.waiting.clear();
        Ok(())
    }

    fn finish(mut self) -> io::Result<Vec<u8>> {
        self.drain()?;
        self.encoder.finish()
    }
}

fn encoder() -> io::Result<Encoder<'static, Vec<u8>>> {
    let mut encoder = Encoder::new(Vec::new(), LEVEL)?;
    encoder.window_log(WINDOW_LOG)?;
    Ok(encoder)
}

impl<const N: usize> Packer<N> {
    pub fn new() -> io::Result<Self> {
        let mut columns = Vec::with_capacity(N);
        for _ in 0..N {
            columns.push(Column::new()?);
        }
        let columns = columns.try_into().map_err(|_| io::ErrorKind::OutOfMemory)?;
        Ok(Self { columns })
    }

    #[inline]
    pub fn push(&mut self, value: [u8; N]) -> io::Result<()> {
        self.columns.iter_mut().zip(value).try_for_each(|(column, byte)| column.push(byte))
    }

    /// Appends the columns, each behind its length.
    pub fn finish(self, to: &mut Vec<u8>) -> io::Result<()> {
        for column in self.columns {
            put_frame(&column.finish()?, to)?;
        }
        Ok(())
    }
}

/// Appends bytes packed as one frame behind its length.
pub fn pack(bytes: &[u8], to: &mut Vec<u8>) -> io::Result<()> {
    let mut encoder = encoder()?;
    encoder.write_all(bytes)?;
    put_frame(&encoder.finish()?, to)
}

fn put_frame(frame: &[u8], to: &mut Vec<u8>) -> io::Result<()> {
    let length = u32::try_from(frame.len()).map_err(|_| io::ErrorKind::FileTooLarge)?;
    to.extend_from_slice(&length.to_le_bytes());
    to.extend_from_slice(frame);
    Ok(())
}

/// Unpacks values of `N` bytes. What it reads may be anything.
pub struct Unpacker<'a, const N: usize> {
    columns: [Decoder<'static, &'a [u8]>; N],
    batch: [Vec<u8>; N],
    /// Position in the batch.
    at: usize,
    what: &'static str,
}

impl<'a, const N: usize> Unpacker<'a, N> {
    /// Takes the columns off the front of `bytes`; `what` is their name in errors.
    pub fn take(bytes: &mut &'a [u8], what: &'static str) -> Result<Self, ApplyError> {
        let mut columns = Vec::with_capacity(N);
        for _ in 0..N {
            columns.push(decoder(take_frame(bytes, what)?).map_err(|_| ApplyError::Damaged(what))?);
        }
        let columns = columns.try_into().map_err(|_| ApplyError::Damaged(what))?;
        Ok(Self { columns, batch: std::array::from_fn(|_| Vec::with_capacity(BATCH)), at: 0, what })
    }

    /// The next value; an error where there is none.
    #[inline]
    pub fn next(&mut self) -> Result<[u8; N], ApplyError> {
        if self.batch.first().is_some_and(|column| self.at == column.len()) {
            self.fill()?;
        }
        let mut value = [0; N];
        for (byte, column) in value.iter_mut().zip(&self.batch) {
            *byte = *column.get(self.at).ok_or(ApplyError::Damaged(self.what))?;
        }
        self.at += 1;
        Ok(value)
    }

    /// Makes sure that nothing is left.
    pub fn end(mut self) -> Result<(), ApplyError> {
        let rest = self.batch.iter().any(|column| column.len() != self.at);
        self.fill()?;
        if rest || self.batch.iter().any(|column| !column.is_empty()) {
            return Err(ApplyError::Damaged(self.what));
        }
        Ok(())
    }

    #[cold]
    fn fill(&mut self) -> Result<(), ApplyError> {
        self.at = 0;
        for (batch, column) in self.batch.iter_mut().zip(&mut self.columns) {
            batch.clear();
            column.take(BATCH as u64).read_to_end(batch).map_err(|_| ApplyError::Damaged(self.what))?;
        }
        Ok(())
    }
}

/// Takes a frame off the front of `bytes` and unpacks it, `most` bytes at most.
pub fn unpack(bytes: &mut &[u8], most: u64, what: &'static str) -> Result<Vec<u8>, ApplyError> {
    let mut decoder = decoder(take_frame(bytes, what)?).map_err(|_| ApplyError::Damaged(what))?;
    let mut unpacked = Vec::new();
    let bounded = &mut (&mut decoder).take(most.saturating_add(1));
    bounded.read_to_end(&mut unpacked).map_err(|_| ApplyError::Damaged(what))?;
    if unpacked.len() as u64 > most {
        return Err(ApplyError::Count { what, found: unpacked.len() as u64, most });
    }
    Ok(unpacked)
}

fn decoder(frame: &[u8]) -> io::Result<Decoder<'static, &[u8]>> {
    let mut decoder = Decoder::with_buffer(frame)?;
    decoder.window_log_max(WINDOW_LOG)?;
    Ok(decoder)
}

fn take_frame<'a>(bytes: &mut &'a [u8], what: &'static str) -> Result<&'a [u8], ApplyError> {
    let (length, rest) = bytes.split_first_chunk().ok_or(ApplyError::Damaged(what))?;
    let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
    let (frame, rest) = rest.split_at_checked(length).ok_or(ApplyError::Damaged(what))?;
    *bytes = rest;
    Ok(frame)
}
