//! Asking again and again: a question is always open, a failure waits a little longer each time, a report goes back
//! every minute and after each new set.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use namewarden_protocol::endpoint::controller::AgentReport;
use namewarden_protocol::threat_set::ThreatSet;
use tokio::sync::watch;
use tokio::time::sleep;

use super::{Answer, Contact, Controller, Missed};

/// How long a question is held open at most.
const WAIT: Duration = Duration::from_secs(55);
const REST_LEAST: Duration = Duration::from_secs(1);
const REST_MOST: Duration = Duration::from_secs(60);
const REPORT_EVERY: Duration = Duration::from_secs(60);

/// What an agent that follows its controller knows of it.
#[derive(Debug)]
pub struct Following {
    place: String,
    contact: Mutex<Contact>,
    set: watch::Sender<Option<Arc<ThreatSet>>>,
}

impl Following {
    /// Where the controller is, without credentials.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// What became of the controller so far.
    pub fn contact(&self) -> Contact {
        self.contact.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, change: impl FnOnce(&mut Contact)) {
        change(&mut self.contact.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn answered(&self) {
        self.note(|contact| {
            contact.answered = Some(Instant::now());
            if contact.problem.take().is_some() {
                tracing::info!("the controller answers again");
            }
        });
    }

    /// Counted each time, told once for each reason.
    fn missed(&self, missed: &Missed) {
        let text = missed.to_string();
        self.note(|contact| {
            contact.failures += 1;
            if contact.problem.as_ref() != Some(&text) {
                tracing::warn!("{text}; the set in use stays");
                contact.problem = Some(text);
            }
        });
    }
}

/// An agent that is about to follow its controller.
#[derive(Debug)]
pub struct Follower {
    controller: Controller,
    following: Arc<Following>,
}

impl Follower {
    /// Nothing is asked yet; `kept` is the set of an earlier run.
    pub fn new(controller: Controller, kept: Option<Arc<ThreatSet>>) -> Self {
        let following = Following {
            place: controller.place().to_owned(),
            contact: Mutex::default(),
            set: watch::Sender::new(kept),
        };
        Self { controller, following: Arc::new(following) }
    }

    /// What is known of the controller, as it changes.
    pub fn following(&self) -> Arc<Following> {
        Arc::clone(&self.following)
    }

    /// Follows the controller until the runtime ends; `report` is what it is told. The sets as they come.
    pub fn follow(
        self,
        report: impl Fn() -> AgentReport + Send + Sync + 'static,
    ) -> watch::Receiver<Option<Arc<ThreatSet>>> {
        let sets = self.following.set.subscribe();
        let Self { controller, following } = self;
        tokio::spawn(async move {
            tokio::join!(take_sets(&controller, &following), send_reports(&controller, &following, report))
        });
        sets
    }
}

async fn take_sets(controller: &Controller, following: &Following) -> std::convert::Infallible {
    let mut rest = REST_LEAST;
    // A base that a change did not fit is not offered again.
    let mut whole = false;
    loop {
        let base = if whole { None } else { following.set.borrow().clone() };
        match controller.ask(base, WAIT).await {
            Ok(Answer::Unchanged) => following.answered(),
            Ok(Answer::Set { set, delta }) => {
                following.answered();
                following.note(|contact| if delta { contact.deltas += 1 } else { contact.full += 1 });
                following.set.send_replace(Some(set));
            }
            Err(missed) => {
                following.missed(&missed);
                whole = !whole && matches!(missed, Missed::Apply(_) | Missed::Open(_));
                sleep(jittered(rest)).await;
                rest = (rest * 2).min(REST_MOST);
                continue;
            }
        }
        (whole, rest) = (false, REST_LEAST);
    }
}

async fn send_reports(
    controller: &Controller,
    following: &Following,
    report: impl Fn() -> AgentReport,
) -> std::convert::Infallible {
    let mut sets = following.set.subscribe();
    loop {
        // What the set leads to (a swap, a merge with feeds of this agent's own) is done a moment later.
        sleep(jittered(REST_LEAST)).await;
        match controller.report(&report()).await {
            Ok(()) => following.note(|contact| contact.reports += 1),
            // A controller that does not answer is told of by whoever asks for sets.
            Err(missed) => tracing::debug!("the report was not taken: {missed}"),
        }
        let _ = tokio::time::timeout(jittered(REPORT_EVERY), sets.changed()).await;
    }
}

/// Between half and one and a half: many agents shall not come at once.
fn jittered(span: Duration) -> Duration {
    let mut random = [0; 2];
    let _ = rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::NONBLOCK);
    span / 2 + span.mul_f64(f64::from(u16::from_ne_bytes(random)) / f64::from(u16::MAX))
}
