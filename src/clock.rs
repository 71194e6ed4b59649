//! The only file that reads the clock. Everywhere else, time is passed in.

use crate::domain::time::Timestamp;

/// The current time of the machine's clock.
#[expect(clippy::disallowed_methods, reason = "the only place that reads the clock")]
pub fn now() -> Timestamp {
    Timestamp::from_millis(jiff::Timestamp::now().as_millisecond())
}
