//! Durations as Go writes them (`24h`, `1h30m`, `1.5h`), the form of a pull's period.

use std::fmt::Write as _;
use std::time::Duration;

/// The shortest period that a feed may be pulled in.
pub const PERIOD_MIN: Duration = Duration::from_mins(5);

/// The longest: a century is a slip of the pen.
const PERIOD_MAX: Duration = Duration::from_hours(24 * 365 * 100);

const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Why a text is no period.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeriodError {
    /// No duration.
    #[error("`{0}` is no duration: write hours, minutes and seconds as in 24h or 1h30m")]
    Syntax(String),
    /// Shorter than allowed.
    #[error("the period {0} is too short: at least 5m")]
    TooShort(String),
    /// Longer than makes sense.
    #[error("the period {0} is longer than a hundred years")]
    TooLong(String),
}

/// The period of a pull: a duration of five minutes or more.
pub fn parse_period(text: &str) -> Result<Duration, PeriodError> {
    match parse(text) {
        None => Err(PeriodError::Syntax(text.to_owned())),
        Some(period) if period < PERIOD_MIN => Err(PeriodError::TooShort(text.to_owned())),
        Some(period) if period > PERIOD_MAX => Err(PeriodError::TooLong(text.to_owned())),
        Some(period) => Ok(period),
    }
}

/// A period as people write it: hours, minutes and seconds, those that are there.
pub fn period_text(period: Duration) -> String {
    let seconds = period.as_secs();
    let mut text = String::new();
    for (count, unit) in [(seconds / 3600, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s")] {
        if count > 0 {
            let _ = write!(text, "{count}{unit}");
        }
    }
    text
}

/// One number with its unit after the other.
fn parse(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(end);
        let end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let (_, nanoseconds) = UNITS.into_iter().find(|(name, _)| *name == unit)?;
        total = total.checked_add(scale(number, nanoseconds)?)?;
        rest = after;
    }
    (!text.is_empty()).then_some(total)
}

/// A decimal number of a unit; digits beyond a nanosecond are dropped.
fn scale(number: &str, unit: u64) -> Option<Duration> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let digits = |text: &str| if text.is_empty() { Some(0) } else { text.parse::<u64>().ok() };
    let mut nanoseconds = digits(whole)?.checked_mul(unit)?;
    let fraction = fraction.get(..fraction.len().min(9))?;
    let scale = 10_u64.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let part = u128::from(digits(fraction)?) * u128::from(unit) / u128::from(scale);
    nanoseconds = nanoseconds.checked_add(u64::try_from(part).ok()?)?;
    Some(Duration::from_nanos(nanoseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_is_written_as_it_may_be_read() {
        for (text, seconds) in [("1h", 3600), ("1h30m", 5400), ("5m", 300), ("24h", 86400), ("5m1s", 301)] {
            assert_eq!(period_text(Duration::from_secs(seconds)), text);
            assert_eq!(parse_period(text), Ok(Duration::from_secs(seconds)));
        }
    }

    #[test]
    fn durations_are_read_as_go_reads_them() {
        let minutes = |count| Ok(Duration::from_mins(count));
        assert_eq!(parse_period("24h"), minutes(24 * 60));
        assert_eq!(parse_period("1h30m"), minutes(90));
        assert_eq!(parse_period("1.5h"), minutes(90));
        assert_eq!(parse_period("5m"), minutes(5));
        assert_eq!(parse_period(".5h"), minutes(30));
        assert_eq!(parse_period("300s"), minutes(5));
        assert_eq!(parse_period("300000ms"), minutes(5));
        assert_eq!(parse_period("5m1µs"), Ok(Duration::from_mins(5) + Duration::from_micros(1)));
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in ["", "5", "m", "5 m", "1d", "5m5", ".h", "1h-5m", "99999999999999999999h", "1.2.3h"] {
            assert_eq!(parse_period(text), Err(PeriodError::Syntax(text.to_owned())), "{text}");
        }
    }

    #[test]
    fn a_period_is_five_minutes_or_more() {
        for text in ["4m59s", "0h", "299999ms"] {
            assert_eq!(parse_period(text), Err(PeriodError::TooShort(text.to_owned())), "{text}");
        }
        assert_eq!(parse_period("2000000h"), Err(PeriodError::TooLong("2000000h".to_owned())));
    }
}
