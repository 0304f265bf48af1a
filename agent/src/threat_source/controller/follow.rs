//! Asking again and again: a question is always open, a failure waits a little longer each time, a report goes back
//! every minute and after each new set.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use namewarden_protocol::endpoint::controller::AgentReport;
use namewarden_protocol::endpoint::ports::ResolverPorts;
use namewarden_protocol::threat_set::ThreatSet;
use tokio::sync::watch;
use tokio::time::sleep;

use super::{Answer, Contact, Controller, Missed};

/// How long a question is held open at most.
pub(super) const WAIT: Duration = Duration::from_secs(55);
const REST_LEAST: Duration = Duration::from_secs(1);
const REST_MOST: Duration = Duration::from_secs(60);
const REPORT_EVERY: Duration = Duration::from_secs(60);
/// An answer that says nothing new and comes so soon was not held back: the next question is not asked at once.
const SOON: Duration = Duration::from_secs(5);
/// The longest that a controller may ask to be left alone.
const RETRY_MOST: Duration = Duration::from_mins(5);

/// What an agent that follows its controller knows of it.
#[derive(Debug)]
pub struct Following {
    place: String,
    contact: Mutex<Contact>,
    set: watch::Sender<Option<Arc<ThreatSet>>>,
    ports: watch::Sender<ResolverPorts>,
}

impl Following {
    /// Ports that resolvers listen on, as the controller tells them; what was known at the start counts as news.
    pub fn ports(&self) -> watch::Receiver<ResolverPorts> {
        let mut ports = self.ports.subscribe();
        ports.mark_changed();
        ports
    }

    /// Whether the ports that the controller told are news.
    fn told(&self, ports: ResolverPorts) -> bool {
        self.ports.send_if_modified(|known| {
            let is_news = *known != ports;
            *known = ports;
            is_news
        })
    }

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

    /// The set is offered to the agent before anything says that it came.
    fn took(&self, set: Arc<ThreatSet>, delta: bool, published: SystemTime) {
        self.note(|contact| contact.published = Some((set.id(), published)));
        self.set.send_replace(Some(set));
        self.answered();
        self.note(|contact| if delta { contact.deltas += 1 } else { contact.full += 1 });
    }

    /// Counted each time, told once for each reason.
    fn missed(&self, missed: &Missed) {
        let text = missed.to_string();
        self.note(|contact| {
            contact.failures += 1;
            if contact.problem.as_ref() != Some(&text) {
                let rest = if self.set.borrow().is_some() {
                    "the set in use stays"
                } else {
                    "it has given no set yet"
                };
                tracing::warn!("{text}; {rest}");
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
        let published = kept.as_ref().map(|set| set.id()).zip(controller.kept_published());
        let following = Following {
            place: controller.place().to_owned(),
            contact: Mutex::new(Contact { published, ..Contact::default() }),
            set: watch::Sender::new(kept),
            ports: watch::Sender::new(controller.kept_ports()),
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

/// How long to wait before the next question; grows while nothing comes of questions. Sans-IO.
#[derive(Debug, PartialEq, Eq)]
struct Rest(Duration);

impl Rest {
    /// Nothing new after so long; `None`: ask at once, for the controller held the question open.
    fn after_nothing_new(&mut self, took: Duration, retry_after: Option<Duration>) -> Option<Duration> {
        if retry_after.is_none() && took >= SOON {
            self.0 = REST_LEAST;
            return None;
        }
        Some(self.grow(retry_after))
    }

    /// A set: however fast a controller changes its mind, this agent does so about once a second.
    fn after_a_set(&mut self) -> Duration {
        self.0 = REST_LEAST;
        REST_LEAST / 2
    }

    /// A failure.
    fn after_a_miss(&mut self, retry_after: Option<Duration>) -> Duration {
        self.grow(retry_after)
    }

    fn grow(&mut self, retry_after: Option<Duration>) -> Duration {
        let rest = self.0.max(retry_after.unwrap_or_default().min(RETRY_MOST));
        self.0 = (self.0 * 2).min(REST_MOST);
        rest
    }
}

async fn take_sets(controller: &Controller, following: &Following) -> std::convert::Infallible {
    let mut rest = Rest(REST_LEAST);
    // A base that a change did not fit is not offered again.
    let mut whole = false;
    loop {
        let base = if whole { None } else { following.set.borrow().clone() };
        let ports = following.ports.borrow().clone();
        let asked = Instant::now();
        let answer = match controller.ask(base, &ports, WAIT).await {
            Ok((answer, told)) => {
                if let Some(ports) = told.filter(|told| following.told(told.clone())) {
                    controller.keep_ports(&ports);
                }
                Ok(answer)
            }
            Err(missed) => Err(missed),
        };
        let pause = match answer {
            Ok(Answer::Unchanged { retry_after }) => {
                following.answered();
                whole = false;
                rest.after_nothing_new(asked.elapsed(), retry_after)
            }
            Ok(Answer::Set { set, delta, published }) => {
                following.took(set, delta, published);
                whole = false;
                Some(rest.after_a_set())
            }
            Err(missed) => {
                following.missed(&missed);
                if matches!(missed, Missed::Transport(_)) {
                    controller.renew();
                }
                whole = !whole && matches!(missed, Missed::Apply(_) | Missed::Open(_));
                Some(rest.after_a_miss(missed.retry_after()))
            }
        };
        if let Some(pause) = pause {
            sleep(jittered(pause)).await;
        }
    }
}

async fn send_reports(
    controller: &Controller,
    following: &Following,
    report: impl Fn() -> AgentReport,
) -> std::convert::Infallible {
    let mut sets = following.set.subscribe();
    let mut told = None;
    loop {
        // What the set leads to (a swap, a merge with feeds of this agent's own) is done a moment later.
        sleep(jittered(REST_LEAST)).await;
        match controller.report(&report()).await {
            Ok(()) => following.note(|contact| contact.reports += 1),
            // A controller that does not answer is told of by whoever asks for sets.
            Err(missed) => {
                following.note(|contact| contact.failures += 1);
                if told.as_ref() != Some(&missed.to_string()) && !matches!(missed, Missed::Transport(_)) {
                    tracing::warn!("a report was not taken: {missed}");
                    told = Some(missed.to_string());
                }
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    const HELD: Duration = Duration::from_secs(55);
    const AT_ONCE: Duration = Duration::from_millis(1);

    #[test]
    fn a_question_that_was_held_open_is_asked_again_at_once() {
        let mut rest = Rest(REST_MOST);
        assert_eq!(rest.after_nothing_new(HELD, None), None);
        assert_eq!(rest, Rest(REST_LEAST));
    }

    #[test]
    fn answers_that_come_at_once_are_asked_for_less_and_less() {
        let mut rest = Rest(REST_LEAST);
        let pauses: Vec<_> = (0..9).filter_map(|_| rest.after_nothing_new(AT_ONCE, None)).collect();
        assert_eq!(pauses.first(), Some(&REST_LEAST));
        assert_eq!(pauses.last(), Some(&REST_MOST));
        assert!(pauses.is_sorted() && pauses.len() == 9);
    }

    #[test]
    fn the_controller_may_ask_for_more_within_bounds() {
        let asked = Some(Duration::from_secs(30));
        assert_eq!(Rest(REST_LEAST).after_nothing_new(HELD, asked), asked);
        assert_eq!(Rest(REST_LEAST).after_a_miss(Some(Duration::MAX)), RETRY_MOST);
        assert_eq!(Rest(REST_MOST).after_a_miss(asked), REST_MOST);
    }

    #[test]
    fn sets_are_taken_about_once_a_second_at_most() {
        assert_eq!(Rest(REST_MOST).after_a_set(), REST_LEAST / 2);
    }

    #[test]
    fn many_agents_do_not_come_at_once() {
        let spans: Vec<_> = (0..100).map(|_| jittered(HELD)).collect();
        assert!(spans.iter().all(|span| *span >= HELD / 2 && *span <= HELD * 3 / 2));
        assert!(spans.iter().any(|span| span != &spans[0]));
    }
}
