//! The pipeline thread: ring -> pipeline -> sink, until told to stop; then what is left, to the last record.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use super::clock;
use crate::{
    kernel::{Attached, KernelError},
    pipeline::{Pipeline, PipelineCounts, attribute::Machine, capture::Ring, sink::Sink},
};

/// The kernel half wakes rarely; a record waits this long at most.
const WAIT: Duration = Duration::from_millis(20);
/// Records of one batch: between batches documents go out and counters are shown.
const BATCH: usize = 8192;

/// How long the last documents wait for room in the sink's queue, all together.
const LAST_ROOM: Duration = Duration::from_secs(5);

/// What the pipeline thread shows to the others.
#[derive(Debug)]
pub struct Shown {
    started: Instant,
    counts: Mutex<PipelineCounts>,
    /// Milliseconds since `started` at the last turn.
    beat: AtomicU64,
    stop: AtomicBool,
    failed: AtomicBool,
}

impl Shown {
    /// Nothing counted yet.
    pub fn new() -> Self {
        Self {
            started: Instant::now(),
            counts: Mutex::new(PipelineCounts::default()),
            beat: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            failed: AtomicBool::new(false),
        }
    }

    /// What every stage counted until the last turn.
    pub fn counts(&self) -> PipelineCounts {
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Time since the start.
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// Time since the last turn.
    pub fn silence(&self) -> Duration {
        self.uptime().saturating_sub(Duration::from_millis(self.beat.load(Ordering::Relaxed)))
    }

    /// Asks the thread to take what is left and end.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Release);
    }

    /// Whether the thread ended by itself: nothing is captured any more.
    pub fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    fn turned(&self, counts: &PipelineCounts) {
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner) = *counts;
        self.beat.store(u64::try_from(self.uptime().as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }
}

impl Default for Shown {
    fn default() -> Self {
        Self::new()
    }
}

/// All that the pipeline thread owns.
pub struct Turning<M> {
    /// The reading end of the ring buffer.
    pub ring: Ring,
    /// Every stage.
    pub pipeline: Pipeline<M>,
    /// Where documents go.
    pub sink: Arc<Sink>,
    /// To mute streams that are not DNS.
    pub attached: Arc<Attached>,
    /// What the others see.
    pub shown: Arc<Shown>,
}

impl<M: Machine> Turning<M> {
    /// Turns until told to stop, then until the ring is empty, and hands out everything that waits.
    pub fn run(mut self) -> Result<(), KernelError> {
        let ended = self.until_stopped();
        self.shown.failed.store(ended.is_err(), Ordering::Release);
        let sink = Arc::clone(&self.sink);
        let until = Instant::now() + LAST_ROOM;
        self.pipeline.finish(clock::now(), &mut |document| sink.write_until(document, until));
        self.shown.turned(&self.pipeline.counts());
        ended
    }

    fn until_stopped(&mut self) -> Result<(), KernelError> {
        loop {
            let stopping = self.shown.is_stopping();
            if !stopping {
                self.ring.wait(WAIT)?;
            }
            let drained = self.turn();
            if stopping && drained == 0 {
                return Ok(());
            }
        }
    }

    fn turn(&mut self) -> usize {
        let Self { ring, pipeline, sink, attached, shown } = self;
        let clock = clock::wall_offset();
        let drained = ring.drain(BATCH, |record| pipeline.record(record, clock));
        pipeline.poll(clock::now(), &mut |document| sink.write(document));
        for socket in pipeline.not_dns() {
            // A stream that cannot be muted costs time, nothing else.
            if let Err(error) = attached.mute(socket) {
                tracing::debug!(%error, "cannot mute a stream");
            }
        }
        shown.turned(&pipeline.counts());
        drained
    }
}
