//! Spool -> servers: batches are taken as they fill, several are on their way at once, each is sent until all of its
//! documents are settled.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::io;
use std::sync::{Arc, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::Semaphore;
use tokio::time::{sleep, sleep_until, timeout};

use super::Shared;
use super::body;
use super::endpoints::{Pick, delay};
use super::judge::Outcome;
use super::lane::{Lane, Tried};
use crate::pipeline::sink::spool::{Batch, Fate, Item, Kind};

/// Batches of one lane on their way at most.
const ON_THE_WAY: usize = 4;
/// A batch of this many bytes is not waited with.
const BATCH_FULL: u64 = 1 << 20;
/// A batch has no more bytes, unless one document has.
const BATCH_MAX: usize = 2 << 20;
/// Documents wait for others no longer.
const LINGER: Duration = Duration::from_millis(700);
/// How often what is too old is looked for, and DNS logs are brought to the disk itself.
const TURN: Duration = Duration::from_secs(1);

/// Starts the thread; it ends when it is told to stop.
pub fn start(shared: Arc<Shared>) -> io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    thread::Builder::new().name("sender".to_owned()).spawn(move || {
        runtime.block_on(async {
            for lane in &shared.lanes {
                tokio::spawn(send_all(Arc::clone(lane), Arc::clone(&shared)));
            }
            tokio::spawn(turn(Arc::clone(&shared)));
            shared.stop.notified().await;
        });
        runtime.shutdown_background();
    })
}

/// What has to be done now and then.
async fn turn(shared: Arc<Shared>) {
    loop {
        sleep(TURN).await;
        let file = {
            let mut spool = shared.spool();
            spool.expire(SystemTime::now());
            spool.to_synchronise(Kind::Logs)
        };
        if let Some(file) = file {
            // DNS logs of the last second may be lost with the machine, and with nothing less.
            drop(tokio::task::spawn_blocking(move || file.sync_data()).await);
        }
    }
}

async fn send_all(lane: Arc<Lane>, shared: Arc<Shared>) {
    let places = Arc::new(Semaphore::new(ON_THE_WAY));
    loop {
        // Never closed.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let batch = next_batch(&lane, &shared, &places).await;
        let (lane, shared) = (Arc::clone(&lane), Arc::clone(&shared));
        tokio::spawn(async move {
            deliver(&lane, &shared, batch).await;
            drop(place);
            // What waited for company may go now.
            lane.filled.notify_one();
        });
    }
}

/// The next batch: at once where it is full, or where it is alerts and none are on their way; else after a while.
async fn next_batch(lane: &Lane, shared: &Shared, places: &Semaphore) -> Batch {
    let mut since = None;
    loop {
        let (documents, bytes) = shared.spool().unread(lane.kind);
        let is_idle = places.available_permits() == ON_THE_WAY - 1;
        let waited = since.is_some_and(|since: Instant| since.elapsed() >= LINGER);
        let is_due = bytes >= BATCH_FULL || waited || (is_idle && lane.kind == Kind::Alerts);
        if documents > 0 && is_due {
            let batch = shared.spool().next_batch(lane.kind, BATCH_MAX);
            match batch {
                Some(batch) => return batch,
                // What could not be read was counted.
                None => continue,
            }
        }
        if documents == 0 {
            since = None;
            lane.filled.notified().await;
        } else {
            let since = *since.get_or_insert_with(Instant::now);
            let left = LINGER.saturating_sub(since.elapsed());
            // Either way it is looked at again.
            drop(timeout(left, lane.filled.notified()).await);
        }
    }
}

/// Sends a batch until every document of it is settled.
async fn deliver(lane: &Lane, shared: &Shared, batch: Batch) {
    let mut parts = vec![batch.items.clone()];
    let mut failures = 0;
    while let Some(items) = parts.pop() {
        let server = server(lane).await;
        match lane.attempt(&shared.asker, server, &batch, &items).await {
            Tried::Items(outcomes) => {
                let again = settle(lane, shared, server, &batch, &items, outcomes);
                if !again.is_empty() {
                    failures += 1;
                    lane.repeats(again.len() as u64);
                    parts.push(again);
                    sleep(delay(failures, chance())).await;
                }
            }
            Tried::Divide { status, reason } => {
                lane.answered(server);
                match items.as_slice() {
                    [item] => {
                        refuse(lane, shared, &batch, item, status, &reason);
                        shared.spool().settle(lane.kind, [(item.sequence, Fate::Refused)]);
                        shared.settled.notify_all();
                    }
                    _ => parts.extend(halves(items)),
                }
                lane.splits();
            }
            Tried::Failed { why, uncertain } => {
                lane.failed(server, &why, chance());
                lane.repeats(items.len() as u64);
                let mark = |mut item: Item| {
                    item.uncertain |= uncertain;
                    item
                };
                parts.push(items.into_iter().map(mark).collect());
            }
        }
    }
}

/// A server that may be asked, as soon as there is one.
async fn server(lane: &Lane) -> usize {
    loop {
        let changed = lane.changed.notified();
        match lane.pick(Instant::now()) {
            Pick::Now(server) => return server,
            Pick::Later(at) => {
                tokio::select! {
                    () = sleep_until(at.into()) => (),
                    () = changed => (),
                }
            }
            // Whoever tries may be cut off without a word.
            Pick::Trying => drop(timeout(TURN, changed).await),
        }
    }
}

/// Settles what is settled, and returns what is to be sent again.
fn settle(
    lane: &Lane,
    shared: &Shared,
    server: usize,
    batch: &Batch,
    items: &[Item],
    outcomes: Vec<Outcome>,
) -> Vec<Item> {
    let (mut fates, mut again, mut why) = (Vec::with_capacity(items.len()), Vec::new(), None);
    for (item, outcome) in items.iter().zip(outcomes) {
        match outcome {
            Outcome::Settled(fate) => fates.push((item.sequence, fate)),
            Outcome::Refused { status, reason } => {
                refuse(lane, shared, batch, item, status, &reason);
                fates.push((item.sequence, Fate::Refused));
            }
            Outcome::Again { uncertain, reason } => {
                again.push(Item { uncertain: item.uncertain || uncertain, ..item.clone() });
                why.get_or_insert(reason);
            }
        }
    }
    match why {
        Some(why) if fates.is_empty() => {
            lane.failed(server, &format!("it takes no document now ({why})"), chance());
        }
        _ => lane.answered(server),
    }
    shared.spool().settle(lane.kind, fates);
    shared.settled.notify_all();
    again
}

/// The second half and the first, which is sent next.
fn halves(mut items: Vec<Item>) -> [Vec<Item>; 2] {
    let second = items.split_off(items.len() / 2);
    [second, items]
}

fn refuse(lane: &Lane, shared: &Shared, batch: &Batch, item: &Item, status: u16, reason: &str) {
    let mut letters = shared.letters.lock().unwrap_or_else(PoisonError::into_inner);
    letters.keep(&lane.stream, status, reason, body::document(batch, item));
}

/// A number from 0 to 1, other for every call and agent.
fn chance() -> f64 {
    let random = RandomState::new().build_hasher().finish();
    f64::from(u32::try_from(random >> 32).unwrap_or_default()) / f64::from(u32::MAX)
}
