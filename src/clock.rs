//! The one place that reads the clock; everywhere else time is passed in.

use crate::domain::time::Timestamp;

/// The time of now, by the machine's clock.
#[expect(clippy::disallowed_methods, reason = "the only place that reads the clock")]
pub fn now() -> Timestamp {
    Timestamp::from_millis(jiff::Timestamp::now().as_millisecond())
}
