//! A thread that attaches to new children of the cgroup root as they appear, and hands on what the kernel half logs.
//!
//! It sleeps until something happens. Ending it drops the hooks, which detaches them.

use std::{io, os::fd::OwnedFd, sync::Arc, thread::JoinHandle};

use aya_log::EbpfLogger;
use inotify::{EventMask, Inotify, WatchMask};
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};

use super::{error::KernelError, hooks::Hooks};

/// Room for a few dozen events; more are read in the next turn.
const EVENTS_BYTES: usize = 8 << 10;

/// Hands on the kernel half's log.
pub type Logger = EbpfLogger<ToTracing>;

/// The watching thread; dropping it ends the thread and detaches every hook.
pub struct Watch {
    stop: Arc<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Watches first, then looks once more: no child falls between.
    pub fn start(mut hooks: Hooks, logger: Option<Logger>) -> Result<Self, KernelError> {
        let failed = |reason| KernelError::Machine { what: "starting to watch the cgroup root", reason };
        let unwatched = |reason| KernelError::Watch { reason };
        let inotify = Inotify::init().map_err(unwatched)?;
        let mask = WatchMask::CREATE | WatchMask::DELETE | WatchMask::ONLYDIR;
        inotify.watches().add(hooks.root(), mask).map_err(unwatched)?;
        hooks.rescan()?;
        let stop = Arc::new(eventfd(0, EventfdFlags::CLOEXEC).map_err(|errno| failed(errno.into()))?);
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("cgroup-watch".to_owned())
            .spawn(move || run(hooks, inotify, logger, &stopped))
            .map_err(failed)?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let told = rustix::io::write(&*self.stop, &1_u64.to_ne_bytes());
        if let (Ok(_), Some(thread)) = (told, self.thread.take()) {
            // A thread that panicked has dropped its hooks, too.
            let _ = thread.join();
        }
    }
}

fn run(mut hooks: Hooks, mut inotify: Inotify, mut logger: Option<Logger>, stop: &OwnedFd) {
    let mut buffer = [0_u8; EVENTS_BYTES];
    loop {
        let mut waiting = vec![PollFd::new(stop, PollFlags::IN), PollFd::new(&inotify, PollFlags::IN)];
        if let Some(logger) = &logger {
            waiting.push(PollFd::new(logger, PollFlags::IN));
        }
        match poll(&mut waiting, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => {
                tracing::error!(%error, "watching the cgroup root ended; new first-level cgroups are attributed at the root");
                return wait_for(stop, &hooks);
            }
        }
        if waiting.first().is_some_and(|stop| !stop.revents().is_empty()) {
            return;
        }
        drop(waiting);
        follow(&mut hooks, &mut inotify, &mut buffer);
        if let Some(logger) = &mut logger {
            logger.flush();
        }
    }
}

/// Keeps the hooks until the end.
fn wait_for(stop: &OwnedFd, _hooks: &Hooks) {
    while rustix::io::read(stop, &mut [0_u8; 8]) == Err(rustix::io::Errno::INTR) {}
}

fn follow(hooks: &mut Hooks, inotify: &mut Inotify, buffer: &mut [u8]) {
    let events = match inotify.read_events(buffer) {
        Ok(events) => events,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
        Err(error) => {
            tracing::warn!(%error, "reading the events of the cgroup root failed");
            return;
        }
    };
    for event in events {
        let outcome = match event.name {
            _ if event.mask.contains(EventMask::Q_OVERFLOW) => hooks.rescan(),
            Some(name) if event.mask.contains(EventMask::CREATE | EventMask::ISDIR) => {
                hooks.child_appeared(name)
            }
            Some(name) if event.mask.contains(EventMask::DELETE | EventMask::ISDIR) => {
                hooks.child_vanished(name);
                Ok(())
            }
            _ => Ok(()),
        };
        if let Err(error) = outcome {
            tracing::warn!(%error, "a new cgroup is attributed at the root only");
        }
    }
}

/// What the kernel half logs, as events of this process.
pub struct ToTracing;

impl log::Log for ToTracing {
    fn enabled(&self, _metadata: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        match record.level() {
            log::Level::Error => tracing::error!(target: "namewarden_ebpf", "{}", record.args()),
            log::Level::Warn => tracing::warn!(target: "namewarden_ebpf", "{}", record.args()),
            _ => tracing::info!(target: "namewarden_ebpf", "{}", record.args()),
        }
    }

    fn flush(&self) {}
}
