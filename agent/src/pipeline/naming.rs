//! Alerts of pods that have no names yet wait a moment for them: a packet may come before its pod's object does.
//!
//! An alert waits [`WAIT`] at most, then goes out by UID. Time is an argument; nothing is lost: what finds no room goes out
//! at once.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::attribute::pod::Pods;
use super::packet::Timestamp;
use super::roll_up::Alert;

/// How long an alert waits for its pod's names.
pub const WAIT: Duration = Duration::from_millis(300);
/// Alerts that wait at one time.
const WAITING_MAX: usize = 1024;

/// Alerts by whether they had to wait: `waited = named + unnamed`, and those that wait still.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NamingCounts {
    /// Alerts that had to wait.
    pub waited: u64,
    /// Of these, those whose names came.
    pub named: u64,
    /// Of these, those that went out by UID.
    pub unnamed: u64,
}

/// The stage.
#[derive(Debug)]
pub struct Naming {
    pods: Arc<dyn Pods>,
    waiting: VecDeque<(Timestamp, Alert)>,
    counts: NamingCounts,
}

impl Naming {
    /// A stage that waits for what `pods` may learn.
    pub fn new(pods: Arc<dyn Pods>) -> Self {
        Self { pods, waiting: VecDeque::new(), counts: NamingCounts::default() }
    }

    /// Counted so far.
    pub fn counts(&self) -> NamingCounts {
        self.counts
    }

    /// Takes an alert in; hands it out at once where nothing is to be waited for.
    pub fn alert(&mut self, alert: Alert, now: Timestamp, each: &mut impl FnMut(Alert)) {
        if !self.is_nameless(&alert) || self.waiting.len() >= WAITING_MAX {
            return each(alert);
        }
        self.counts.waited += 1;
        self.waiting.push_back((now, alert));
    }

    /// Hands out the alerts whose names came, and those that waited long enough.
    pub fn poll(&mut self, now: Timestamp, each: &mut impl FnMut(Alert)) {
        for _ in 0..self.waiting.len() {
            let Some((since, alert)) = self.waiting.pop_front() else { break };
            let is_named = !self.is_nameless(&alert);
            // A clock that stepped back keeps nobody waiting.
            let is_over = now < since || now.0 - since.0 >= nanoseconds(WAIT);
            if is_named || is_over {
                self.count(is_named);
                each(alert);
            } else {
                self.waiting.push_back((since, alert));
            }
        }
    }

    /// Hands out whatever waits.
    pub fn finish(&mut self, each: &mut impl FnMut(Alert)) {
        while let Some((_, alert)) = self.waiting.pop_front() {
            let is_named = !self.is_nameless(&alert);
            self.count(is_named);
            each(alert);
        }
    }

    fn is_nameless(&self, alert: &Alert) -> bool {
        let uid = alert.exchange.attributed.workload.pod_uid.as_deref();
        self.pods.is_asked() && uid.is_some_and(|uid| self.pods.pod(uid).is_none())
    }

    fn count(&mut self, is_named: bool) {
        self.counts.named += u64::from(is_named);
        self.counts.unnamed += u64::from(!is_named);
    }
}

fn nanoseconds(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::pipeline::attribute::pod::Pod;
    use crate::pipeline::compose::tests::{alert, answered, evil};
    use crate::pipeline::exchange::samples::at;
    use crate::pipeline::roll_up::Saying;

    /// Pods that become known while a test runs.
    #[derive(Debug, Default)]
    struct Known(Mutex<Option<Arc<Pod>>>);

    impl Pods for Known {
        fn pod(&self, _: &str) -> Option<Arc<Pod>> {
            self.0.lock().unwrap().clone()
        }

        fn is_asked(&self) -> bool {
            true
        }
    }

    fn first() -> Alert {
        alert(Saying::First, answered(), evil())
    }

    #[test]
    fn an_alert_goes_out_when_its_names_come() {
        let pods = Arc::new(Known::default());
        let mut naming = Naming::new(pods.clone());
        let mut out = 0;
        naming.alert(first(), at(0), &mut |_| out += 1);
        naming.poll(at(100), &mut |_| out += 1);
        assert_eq!(out, 0);
        *pods.0.lock().unwrap() = Some(Arc::default());
        naming.poll(at(200), &mut |_| out += 1);
        naming.alert(first(), at(201), &mut |_| out += 1);
        assert_eq!((out, naming.counts()), (2, NamingCounts { waited: 1, named: 1, unnamed: 0 }));
    }

    #[test]
    fn an_alert_waits_no_longer_than_it_may_whatever_the_clock_does() {
        for late in [at(300), Timestamp(at(0).0 - 1)] {
            let mut naming = Naming::new(Arc::new(Known::default()));
            let mut out = 0;
            naming.alert(first(), at(0), &mut |_| out += 1);
            naming.poll(late, &mut |_| out += 1);
            assert_eq!((out, naming.counts().unnamed), (1, 1));
        }
    }

    #[test]
    fn what_finds_no_room_goes_out_at_once_and_the_end_hands_out_all() {
        let mut naming = Naming::new(Arc::new(Known::default()));
        let mut out = 0;
        for _ in 0..=WAITING_MAX {
            naming.alert(first(), at(0), &mut |_| out += 1);
        }
        assert_eq!(out, 1);
        naming.finish(&mut |_| out += 1);
        assert_eq!(out, WAITING_MAX + 1);
    }
}
