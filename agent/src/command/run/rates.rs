//! Rates over the last minute from counters that only grow.

use std::{collections::VecDeque, time::Duration};

use namewarden_protocol::endpoint::Rates;

/// How far back rates look.
const WINDOW: Duration = Duration::from_secs(60);

/// The counters that rates are made of, at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sample {
    /// Since the start of the agent.
    pub at: Duration,
    /// DNS packets captured so far.
    pub packets: u64,
    /// Messages screened so far.
    pub messages: u64,
    /// Findings so far.
    pub findings: u64,
}

/// Samples of the last minute, oldest first.
#[derive(Debug, Default)]
pub struct RateWindow {
    samples: VecDeque<Sample>,
}

impl RateWindow {
    /// Takes a sample; those older than the window go, but for the newest of them.
    pub fn sample(&mut self, sample: Sample) {
        let horizon = sample.at.saturating_sub(WINDOW);
        while self.samples.get(1).is_some_and(|second| second.at <= horizon) {
            self.samples.pop_front();
        }
        self.samples.push_back(sample);
    }

    /// Rates from the oldest sample kept to `now`.
    pub fn rates(&self, now: Sample) -> Rates {
        let oldest = self.samples.front().copied().unwrap_or_default();
        let seconds = now.at.saturating_sub(oldest.at).as_secs_f64();
        let per_second = |new: u64, old: u64| {
            #[expect(clippy::cast_precision_loss, reason = "a rate is shown with two digits")]
            let grown = new.saturating_sub(old) as f64;
            if seconds > 0.0 { grown / seconds } else { 0.0 }
        };
        Rates {
            window_seconds: seconds,
            packets: per_second(now.packets, oldest.packets),
            messages: per_second(now.messages, oldest.messages),
            findings: per_second(now.findings, oldest.findings),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mk_sample(seconds: u64, packets: u64) -> Sample {
        Sample { at: Duration::from_secs(seconds), packets, ..Default::default() }
    }

    #[test]
    fn a_rate_is_growth_by_time() {
        let mut window = RateWindow::default();
        window.sample(mk_sample(0, 0));
        assert!((window.rates(mk_sample(10, 50)).packets - 5.0).abs() < 1e-9);
    }

    #[test]
    fn samples_beyond_a_minute_are_forgotten() {
        let mut window = RateWindow::default();
        for second in (0..=200).step_by(5) {
            window.sample(mk_sample(second, if second < 100 { 0 } else { (second - 100) * 7 }));
        }
        let rates = window.rates(mk_sample(200, 700));
        assert!((rates.packets - 7.0).abs() < 1e-9, "{rates:?}");
        assert!((rates.window_seconds - 60.0).abs() < 1e-9, "{rates:?}");
    }
}
