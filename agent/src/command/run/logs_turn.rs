//! Which of a node's agents logs DNS: two that overlap would log and count each exchange twice. The one that comes waits until
//! the one before it has detached. Alerts wait for nobody: within one hour the same fact has the same `_id`, and is one document.

use std::{
    fs::{File, TryLockError},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Release},
    },
    thread,
    time::Duration,
};

use super::clock;

/// Held by the one that logs, in the folder that agents share.
const LOCK: &str = "dns_logs.lock";

/// How long what the agent before this one saw may still come out of the ring. From then on nothing is left to it, whatever a clock
/// that was set back says.
const SETTLED: Duration = if cfg!(test) { Duration::from_millis(50) } else { Duration::from_secs(10) };

/// This agent's turn.
#[derive(Clone, Debug)]
pub struct LogsTurn {
    since: Arc<AtomicU64>,
    lock: Arc<Mutex<Option<File>>>,
}

impl LogsTurn {
    /// It comes now, or as soon as nobody else has it; at once where no folder is shared, or it cannot be used.
    pub fn take(shared: Option<&Path>) -> Self {
        let turn = Self { since: Arc::new(AtomicU64::new(u64::MAX)), lock: Arc::default() };
        let path = shared.map(|shared| shared.join(LOCK));
        let file = path.as_deref().and_then(|path| File::create(path).ok());
        match file.as_ref().map(File::try_lock) {
            Some(Err(TryLockError::WouldBlock)) => turn.wait(path.unwrap_or_default()),
            _ => turn.begin(file, 0),
        }
        turn
    }

    fn begin(&self, file: Option<File>, since: u64) {
        *self.lock.lock().unwrap_or_else(PoisonError::into_inner) = file;
        self.since.store(since, Release);
    }

    fn wait(&self, path: PathBuf) {
        tracing::info!("another agent of this node logs DNS until it ends; this one alerts already");
        let turn = self.clone();
        let waiting = thread::Builder::new().name("logs-turn".to_owned()).spawn(move || {
            let file = File::create(path).and_then(|file| file.lock().map(|()| file));
            // What was seen before, the other one has seen as well.
            turn.begin(file.ok(), clock::now().0);
            tracing::info!("the agent before this one has ended: this one logs DNS from now on");
            thread::sleep(SETTLED);
            turn.since.store(0, Release);
        });
        if waiting.is_err() {
            self.begin(None, 0);
        }
    }

    /// When it came, in nanoseconds since the epoch; the largest number until then.
    pub fn since(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.since)
    }

    /// Gives it to whoever waits.
    pub fn release(&self) {
        self.lock.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering::Acquire;
    use std::time::Instant;

    use super::*;

    fn since(turn: &LogsTurn) -> u64 {
        turn.since().load(Acquire)
    }

    #[test]
    fn the_turn_goes_to_the_one_that_waits() {
        let shared = tempfile::tempdir().unwrap();
        let first = LogsTurn::take(Some(shared.path()));
        let second = LogsTurn::take(Some(shared.path()));
        assert_eq!((since(&first), since(&second)), (0, u64::MAX));
        let before = clock::now().0;
        first.release();
        let deadline = Instant::now() + Duration::from_secs(10);
        while since(&second) == u64::MAX {
            assert!(Instant::now() < deadline, "the turn does not come");
            thread::yield_now();
        }
        assert!(since(&second) >= before);
        // A clock set back from now on leaves nothing to an agent that has gone.
        let deadline = Instant::now() + SETTLED + Duration::from_secs(10);
        while since(&second) != 0 {
            assert!(Instant::now() < deadline, "messages are left to an agent that has gone");
            thread::yield_now();
        }
    }

    #[test]
    fn who_shares_nothing_does_not_wait() {
        let none = Path::new("/proc/none");
        assert!([None, Some(none)].into_iter().all(|shared| since(&LogsTurn::take(shared)) == 0));
    }
}
