//! Points in time as the store keeps them, in whole milliseconds and UTC.
//!
//! Must never read a clock. Time is passed in.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize, Serializer};

/// Milliseconds since the Unix epoch, shown as RFC 3339 in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

/// Milliseconds of a UTC day.
const DAY: i64 = 86_400_000;
/// The format in names of files, which can't have a colon.
const STAMP: &str = "%Y%m%dT%H%M%SZ";

impl Timestamp {
    /// From milliseconds since the Unix epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Reads the `Date` of an HTTP answer, which has whole seconds.
    pub fn from_http_date(text: &str) -> Option<Self> {
        let time = jiff::fmt::rfc2822::parse(text).ok()?;
        Some(Self(time.timestamp().as_millisecond()))
    }

    /// Reads a time of RFC 3339 or ISO 8601 with an offset.
    pub fn from_rfc3339(text: &str) -> Option<Self> {
        let time: jiff::Timestamp = text.parse().ok()?;
        Some(Self(time.as_millisecond()))
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Whether it can be shown, which ends at the years -9999 and 9999.
    pub fn is_in_range(self) -> bool {
        jiff::Timestamp::from_millisecond(self.0).is_ok()
    }

    /// This much later. Saturates at the end of time.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(millis(span)))
    }

    /// This much earlier. Saturates at the beginning of time.
    #[must_use]
    pub fn before(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(millis(span)))
    }

    /// The beginning of its UTC day.
    #[must_use]
    pub const fn start_of_day(self) -> Self {
        Self(self.0 - self.0.rem_euclid(DAY))
    }

    /// The beginning of the next UTC day.
    #[must_use]
    pub const fn next_day(self) -> Self {
        Self(self.start_of_day().0.saturating_add(DAY))
    }

    /// The time for names of files, in UTC and to the second.
    pub fn stamp(self) -> String {
        jiff::Timestamp::from_millisecond(self.0)
            .map_or_else(|_| self.0.to_string(), |time| time.strftime(STAMP).to_string())
    }

    /// The time of a [`stamp`](Self::stamp).
    pub fn from_stamp(text: &str) -> Option<Self> {
        let time = jiff::civil::DateTime::strptime(STAMP, text).ok()?;
        Some(Self(jiff::tz::TimeZone::UTC.to_timestamp(time).ok()?.as_millisecond()))
    }

    /// The time since `earlier`, or zero if `earlier` is later than this.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0).try_into().unwrap_or(0))
    }
}

/// A span in whole milliseconds, saturating.
pub fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

impl utoipa::PartialSchema for Timestamp {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .format(Some(utoipa::openapi::SchemaFormat::KnownFormat(utoipa::openapi::KnownFormat::DateTime)))
            .into()
    }
}

impl utoipa::ToSchema for Timestamp {}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(time) => write!(f, "{time:.3}"),
            Err(_) => write!(f, "{}", self.0),
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_shown_in_utc_with_milliseconds() {
        let time = Timestamp::from_millis(1_758_634_237_659);
        assert_eq!(time.to_string(), "2025-09-23T13:30:37.659Z");
    }

    #[test]
    fn a_stamp_is_read_again_to_the_second() {
        let stamp = Timestamp::from_millis(1_758_634_237_659).stamp();
        assert_eq!(stamp, "20250923T133037Z");
        assert_eq!(Timestamp::from_stamp(&stamp), Some(Timestamp::from_millis(1_758_634_237_000)));
        for other in ["", "20250923", "20251323T133037Z", "20250923T133037Z.part"] {
            assert_eq!(Timestamp::from_stamp(other), None);
        }
    }

    #[test]
    fn the_date_of_an_answer_is_read() {
        let time = Timestamp::from_http_date("Tue, 23 Sep 2025 13:30:37 GMT");
        assert_eq!(time, Some(Timestamp::from_millis(1_758_634_237_000)));
        for text in ["", "now", "Tue, 23 Sep 2025 25:30:37 GMT", "2025-09-23T13:30:37Z"] {
            assert_eq!(Timestamp::from_http_date(text), None, "{text}");
        }
    }

    #[test]
    fn days_begin_at_midnight_in_utc() {
        let time = Timestamp::from_millis(1_758_634_237_659);
        assert_eq!(time.start_of_day().to_string(), "2025-09-23T00:00:00.000Z");
        assert_eq!(time.next_day().to_string(), "2025-09-24T00:00:00.000Z");
        assert_eq!(time.start_of_day().start_of_day(), time.start_of_day());
    }

    #[test]
    fn the_end_of_time_is_no_overflow() {
        let end = Timestamp::from_millis(i64::MAX);
        assert_eq!(end.after(Duration::MAX), end);
        assert_eq!(Timestamp::from_millis(0).since(end), Duration::ZERO);
        assert!(!end.to_string().is_empty());
    }
}
