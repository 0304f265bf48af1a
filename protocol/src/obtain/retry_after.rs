//! How long a server asks to be left alone (`Retry-After`, RFC 9110 section 10.2.3): seconds, or a date.

use std::time::{Duration, SystemTime};

use reqwest::header::{HeaderMap, RETRY_AFTER};

/// A server that asks for more is asked again after this: a typing error there must not silence a feed.
pub const RETRY_AFTER_MAX: Duration = Duration::from_hours(24);

/// The wait that the headers ask for, bounded; `None` where they say nothing that is understood.
pub(super) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty() {
        // What exceeds 64 bits is a long time too.
        let seconds = text.parse().unwrap_or(u64::MAX);
        return Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(now).unwrap_or_default().min(RETRY_AFTER_MAX))
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    fn wait(text: &str) -> Option<u64> {
        // Sun, 06 Nov 1994 08:49:37 GMT
        let now = UNIX_EPOCH + Duration::from_secs(784_111_777);
        let headers = HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]);
        retry_after(&headers, now).map(|wait| wait.as_secs())
    }

    #[test]
    fn seconds_and_each_kind_of_date_are_understood() {
        assert_eq!(wait("120"), Some(120));
        assert_eq!(wait("Sun, 06 Nov 1994 08:50:37 GMT"), Some(60));
        assert_eq!(wait("Sunday, 06-Nov-94 08:50:37 GMT"), Some(60));
        assert_eq!(wait("Sun Nov  6 08:50:37 1994"), Some(60));
    }

    #[test]
    fn a_date_that_is_over_is_no_wait() {
        assert_eq!(wait("Sun, 06 Nov 1994 08:00:00 GMT"), Some(0));
    }

    #[test]
    fn no_wait_is_longer_than_a_day() {
        let day = RETRY_AFTER_MAX.as_secs();
        assert_eq!((wait("86401"), wait("99999999999999999999999")), (Some(day), Some(day)));
        assert_eq!(wait("Sat, 06 Nov 2094 08:49:37 GMT"), Some(day));
    }

    #[test]
    fn nonsense_says_nothing() {
        for text in ["", "soon", "-5", "1.5", "12 minutes"] {
            assert_eq!(wait(text), None, "{text}");
        }
    }
}
