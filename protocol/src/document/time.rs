//! Nanoseconds since the epoch, written as RFC 3339 in UTC with all nine digits, so that text sorts as time does.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Nanoseconds since the Unix epoch; `2026-11-22T15:31:14.123456789Z` in a document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub u64);

/// Bytes of it as a text.
const TEXT: usize = 30;

impl Time {
    /// As it is written; every document holds several, so no formatter is asked.
    fn text(self) -> [u8; TEXT] {
        let (seconds, nanoseconds) = (self.0 / 1_000_000_000, self.0 % 1_000_000_000);
        let (day, second) = (seconds / 86_400, seconds % 86_400);
        let (year, month, day) = date(day);
        let mut text = *b"0000-00-00T00:00:00.000000000Z";
        let parts = [
            (0..4, year),
            (5..7, month),
            (8..10, day),
            (11..13, second / 3600),
            (14..16, second / 60 % 60),
            (17..19, second % 60),
            (20..29, nanoseconds),
        ];
        for (place, mut number) in parts {
            for digit in text.get_mut(place).unwrap_or_default().iter_mut().rev() {
                *digit = b'0' + u8::try_from(number % 10).unwrap_or_default();
                number /= 10;
            }
        }
        text
    }
}

/// Year, month and day of a day since 1970: Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`. Years
/// begin in March there, so that a leap day is the last one; eras are of 400 years.
fn date(day: u64) -> (u64, u64, u64) {
    let day = day + 719_468;
    let (era, day) = (day / 146_097, day % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + next, month, day)
}

impl fmt::Display for Time {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(std::str::from_utf8(&self.text()).unwrap_or_default())
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(std::str::from_utf8(&self.text()).unwrap_or_default())
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        let time: jiff::Timestamp = text.parse().map_err(de::Error::custom)?;
        u64::try_from(time.as_nanosecond()).map(Self).map_err(|_| de::Error::custom("time before 1970"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Time;

    proptest! {
        #[test]
        fn any_time_is_written_as_the_calendar_has_it(nanoseconds: u64, day in 0_u64..213_000) {
            for nanoseconds in [nanoseconds, day * 86_400_000_000_000, day * 86_400_000_000_000 + 86_399_999_999_999] {
                let expected = jiff::Timestamp::from_nanosecond(i128::from(nanoseconds)).unwrap();
                prop_assert_eq!(Time(nanoseconds).to_string(), format!("{expected:.9}"));
            }
        }
    }

    #[test]
    fn all_nine_digits_are_written() {
        assert_eq!(Time(1_795_361_474_120_000_000).to_string(), "2026-11-22T15:31:14.120000000Z");
    }

    #[test]
    fn what_was_written_is_read_back() {
        let time = Time(1_795_361_474_123_456_789);
        let text = serde_json::to_string(&time).unwrap();
        assert_eq!(serde_json::from_str::<Time>(&text).unwrap(), time);
    }

    #[test]
    fn the_largest_time_is_written() {
        assert_eq!(Time(u64::MAX).to_string(), "2554-07-21T23:34:33.709551615Z");
    }
}
