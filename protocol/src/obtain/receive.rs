//! A response's body -> the draft: unpacked, bounded in size, and never slower than is patient.
//!
//! Unpacking is done here and not by the client, because only who sees both sides can tell a list that packs well from
//! a few bytes that would fill a disk.

use std::io::{self, Write};
use std::time::Duration;

use flate2::write::MultiGzDecoder;
use reqwest::Response;
use reqwest::header::CONTENT_ENCODING;
use tokio::time::{Instant, timeout};

use super::failure::{FetchError, broken};

/// Up to here packing is not looked at, in bytes: a short list of equal lines may pack as well as a bomb.
const UNSUSPICIOUS_BYTES: u64 = 16 << 20;
/// Beyond, bytes that one packed byte may stand for. Lists of names pack 3 to 10 times, nothing real 50 times.
const RATIO_MAX: u64 = 100;

/// How slow a server may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Until there is a connection, TLS included.
    pub connect: Duration,
    /// Until the answer begins.
    pub answer: Duration,
    /// The stretch of time over which the speed of a body is measured.
    pub stretch: Duration,
    /// The least bytes of a body in such a stretch, as they are sent.
    pub stretch_bytes: u64,
    /// Until the whole feed is there, redirects included.
    pub total: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            answer: Duration::from_mins(1),
            stretch: Duration::from_secs(30),
            stretch_bytes: 30 * 1024,
            total: Duration::from_mins(10),
        }
    }
}

/// Writes the body as it comes in.
pub(super) async fn receive(
    mut response: Response,
    pace: &Pace,
    bytes_max: u64,
    draft: &mut impl Write,
) -> Result<(), FetchError> {
    let mut body = Body::new(&response, bytes_max, draft)?;
    let mut stretch = Stretch::new(pace);
    loop {
        match timeout(stretch.left(), response.chunk()).await {
            Ok(Ok(Some(chunk))) => {
                stretch.bytes += chunk.len() as u64;
                body.take(&chunk)?;
            }
            Ok(Ok(None)) => return body.finish(),
            Ok(Err(error)) => return Err(broken(&error)),
            // Nothing came until the end of the stretch, which is judged now.
            Err(_) => {}
        }
        stretch.judge()?;
    }
}

/// The speed of the body, measured again and again.
struct Stretch<'p> {
    pace: &'p Pace,
    since: Instant,
    bytes: u64,
}

impl<'p> Stretch<'p> {
    fn new(pace: &'p Pace) -> Self {
        Self { pace, since: Instant::now(), bytes: 0 }
    }

    fn left(&self) -> Duration {
        self.pace.stretch.saturating_sub(self.since.elapsed())
    }

    fn judge(&mut self) -> Result<(), FetchError> {
        if !self.left().is_zero() {
            return Ok(());
        }
        if self.bytes < self.pace.stretch_bytes {
            return Err(FetchError::TooSlow { bytes: self.bytes, time: self.pace.stretch });
        }
        *self = Self::new(self.pace);
        Ok(())
    }
}

/// A body on its way into the draft.
enum Body<'d, W: Write> {
    Plain(Bounded<'d, W>),
    Gzip(Box<MultiGzDecoder<Bounded<'d, W>>>),
}

impl<'d, W: Write> Body<'d, W> {
    fn new(response: &Response, bytes_max: u64, draft: &'d mut W) -> Result<Self, FetchError> {
        let bounded = Bounded { draft, written: 0, bytes_max, received: 0, stop: None };
        let mut packings = response.headers().get_all(CONTENT_ENCODING).iter();
        let packing = packings.next().map(|value| value.to_str().unwrap_or("?").trim());
        match packing.filter(|word| !word.is_empty() && !word.eq_ignore_ascii_case("identity")) {
            None if packings.next().is_none() => Ok(Self::Plain(bounded)),
            Some(word) if is_gzip(word) && packings.next().is_none() => {
                Ok(Self::Gzip(Box::new(MultiGzDecoder::new(bounded))))
            }
            word => Err(FetchError::Packing(word.unwrap_or("several").chars().take(40).collect())),
        }
    }

    fn take(&mut self, chunk: &[u8]) -> Result<(), FetchError> {
        let wrote = match self {
            Self::Plain(draft) => {
                draft.received += chunk.len() as u64;
                draft.write_all(chunk)
            }
            Self::Gzip(decoder) => {
                decoder.get_mut().received += chunk.len() as u64;
                decoder.write_all(chunk)
            }
        };
        wrote.map_err(|error| self.why(&error))
    }

    /// The body has ended; packed data that has not is a transfer that broke off.
    fn finish(mut self) -> Result<(), FetchError> {
        let ended = match &mut self {
            Self::Plain(draft) => draft.flush(),
            Self::Gzip(decoder) => decoder.try_finish(),
        };
        ended.map_err(|error| self.why(&error))
    }

    /// The draft's own reason to stop, else the packed data is damaged.
    fn why(&mut self, error: &io::Error) -> FetchError {
        let draft = match self {
            Self::Plain(draft) => draft,
            Self::Gzip(decoder) => decoder.get_mut(),
        };
        draft
            .stop
            .take()
            .unwrap_or_else(|| FetchError::Broken(format!("its gzip data is damaged or ends early: {error}")))
    }
}

fn is_gzip(word: &str) -> bool {
    word.eq_ignore_ascii_case("gzip") || word.eq_ignore_ascii_case("x-gzip")
}

/// The draft, which takes no more than it should.
struct Bounded<'d, W: Write> {
    draft: &'d mut W,
    written: u64,
    bytes_max: u64,
    /// Bytes of the body as they were sent.
    received: u64,
    /// Why nothing more is written.
    stop: Option<FetchError>,
}

impl<W: Write> Bounded<'_, W> {
    /// Whether so many bytes more are too many.
    fn refuse(&self, more: usize) -> Option<FetchError> {
        let bytes = self.written.saturating_add(more as u64);
        if bytes > self.bytes_max {
            Some(FetchError::TooLarge { bytes_max: self.bytes_max })
        } else if bytes > UNSUSPICIOUS_BYTES.max(self.received.saturating_mul(RATIO_MAX)) {
            Some(FetchError::Bomb { ratio_max: RATIO_MAX })
        } else {
            None
        }
    }

    fn stopped(&mut self, reason: FetchError) -> io::Error {
        self.stop.get_or_insert(reason);
        io::ErrorKind::Other.into()
    }
}

impl<W: Write> Write for Bounded<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(reason) = self.refuse(bytes.len()) {
            return Err(self.stopped(reason));
        }
        match self.draft.write(bytes) {
            Ok(written) => {
                self.written += written as u64;
                Ok(written)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => Err(self.stopped(FetchError::Write(error))),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.draft.flush().map_err(|error| self.stopped(FetchError::Write(error)))
    }
}
