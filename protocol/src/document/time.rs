//! Nanoseconds since the epoch, written as RFC 3339 in UTC with all nine digits, so that text sorts as time does.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Nanoseconds since the Unix epoch; `2026-11-22T15:31:14.123456789Z` in a document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub u64);

impl fmt::Display for Time {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_nanosecond(i128::from(self.0)) {
            Ok(time) => write!(formatter, "{time:.9}"),
            // u64 nanoseconds end in 2554, within what the calendar holds.
            Err(_) => Err(fmt::Error),
        }
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
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
    use super::Time;

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
