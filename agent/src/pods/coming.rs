//! How the pods that are there come: one by one in the watch, or in a list where the API server does not tell of them so.

use std::time::Duration;

use kube::runtime::watcher::{Error, Event, Result};
use tokio::time::{Instant, sleep_until};

/// How long nothing may come before all of them are told: an API server that says nothing for longer does not say when they are.
const SILENCE: Duration = Duration::from_secs(20);

/// They come one by one until the API server shows that it cannot.
#[derive(Debug)]
pub struct Coming {
    is_one_by_one: bool,
    /// Until when the next one is waited for, while not all are told.
    silent_at: Option<Instant>,
}

impl Coming {
    /// One by one, until something shows that this does not work.
    pub fn one_by_one() -> Self {
        Self { is_one_by_one: true, silent_at: None }
    }

    /// Takes note of an event at `now`; whether it shows that pods have to be listed from now on.
    pub fn must_list<K>(&mut self, event: &Result<Event<K>>, now: Instant) -> bool {
        if !self.is_one_by_one {
            return false;
        }
        let must_list = match event {
            // All anew, and it was not said that all were told.
            Ok(Event::Init) => self.silent_at.is_some(),
            Ok(_) => false,
            Err(error) => is_not_understood(error),
        };
        let goes_on = matches!(event, Ok(Event::Init | Event::InitApply(_))) && !must_list;
        self.silent_at = goes_on.then(|| now + SILENCE);
        self.is_one_by_one = !must_list;
        must_list
    }

    /// Waits until nothing came for too long: pods have to be listed from now on.
    pub async fn silence(&mut self) {
        match self.silent_at {
            Some(at) => sleep_until(at).await,
            None => std::future::pending().await,
        }
        *self = Self { is_one_by_one: false, silent_at: None };
    }
}

/// Whether an API server refuses the question itself: it is too old, or has it switched off.
fn is_not_understood(error: &Error) -> bool {
    matches!(error, Error::WatchStartFailed(kube::Error::Api(status)) if matches!(status.code, 400 | 422))
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use kube::core::Status;

    use super::*;

    fn refused(code: u16) -> Result<Event<()>> {
        Err(Error::WatchStartFailed(kube::Error::Api(Box::new(Status { code, ..Status::default() }))))
    }

    #[test]
    fn pods_are_listed_where_the_question_is_refused_and_not_for_another_reason() {
        let now = Instant::now();
        for code in [401, 403, 410, 429, 500] {
            assert!(!Coming::one_by_one().must_list(&refused(code), now), "{code}");
        }
        for code in [400, 422] {
            let mut coming = Coming::one_by_one();
            assert!(coming.must_list(&refused(code), now), "{code}");
            assert!(!coming.must_list(&refused(code), now), "they are listed already");
        }
    }

    #[test]
    fn pods_are_listed_where_the_end_of_them_is_not_told() {
        let (now, mut coming) = (Instant::now(), Coming::one_by_one());
        for event in [Event::Init, Event::InitApply(()), Event::InitDone, Event::Apply(()), Event::Init] {
            assert!(!coming.must_list(&Ok(event), now));
        }
        // A connection that broke off meanwhile says nothing of the API server.
        assert!(!coming.must_list(&refused(500), now));
        assert!(!coming.must_list(&Ok(Event::<()>::Init), now));
        assert!(coming.must_list(&Ok(Event::<()>::Init), now));
    }

    #[tokio::test]
    async fn pods_are_listed_where_nothing_comes_any_more() {
        let mut coming = Coming::one_by_one();
        assert!(coming.silence().now_or_never().is_none(), "nothing is waited for");
        coming.must_list(&Ok(Event::<()>::Init), Instant::now());
        assert!(coming.silence().now_or_never().is_none(), "its time is not up");
        coming.must_list(&Ok(Event::InitApply(())), Instant::now() - SILENCE);
        coming.silence().await;
        assert!(!coming.must_list(&refused(422), Instant::now()), "they are listed already");
    }
}
