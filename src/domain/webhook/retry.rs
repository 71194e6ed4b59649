//! When a failed delivery is tried again, and when no more: pure arithmetic, no clock.

use std::time::Duration;

use crate::domain::retry::backoff;
use crate::domain::time::Timestamp;

/// Longest wait between two attempts. Also the longest `Retry-After` that is honoured.
pub const LONGEST_WAIT: Duration = Duration::from_hours(12);
/// The part of a wait that jitter may add or take away.
const SPREAD: f64 = 0.2;

/// The settings of retries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retries {
    /// The wait after the first attempt. It doubles with each further one.
    pub first_retry: Duration,
    /// The time after the first attempt at which a delivery is dead.
    pub give_up_after: Duration,
}

/// The history of a delivery whose newest attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failures {
    /// The time of the first attempt.
    pub first_attempt: Timestamp,
    /// The number of attempts, all failed.
    pub attempts: u32,
    /// The time at which the newest one failed.
    pub failed_at: Timestamp,
    /// The `Retry-After` of its answer.
    pub retry_after: Option<Duration>,
}

impl Retries {
    /// The wait after so many failed attempts, with `jitter` from 0 up to 1. Half of it changes nothing.
    pub fn wait(&self, attempts: u32, jitter: f64) -> Duration {
        let wait = backoff(attempts, self.first_retry, LONGEST_WAIT);
        let factor = 1.0 + SPREAD * (2.0 * jitter.clamp(0.0, 1.0) - 1.0);
        Duration::try_from_secs_f64(wait.as_secs_f64() * factor).unwrap_or(wait).min(LONGEST_WAIT)
    }

    /// Whether so much time has passed since the first attempt that a delivery is dead.
    pub fn is_over(&self, first_attempt: Timestamp, now: Timestamp) -> bool {
        now >= first_attempt.after(self.give_up_after)
    }

    /// The time of the next attempt. `None` if the delivery is dead.
    ///
    /// The last attempt is made when the time is over and not after it, unless the receiver asks for a longer wait.
    pub fn next_attempt(&self, failures: &Failures, jitter: f64) -> Option<Timestamp> {
        if self.is_over(failures.first_attempt, failures.failed_at) {
            return None;
        }
        let end = failures.first_attempt.after(self.give_up_after);
        let next = failures.failed_at.after(self.wait(failures.attempts, jitter)).min(end);
        let asked = failures.retry_after.unwrap_or_default().min(LONGEST_WAIT);
        Some(next.max(failures.failed_at.after(asked)))
    }
}

/// Reads a `Retry-After`, which is a number of seconds or a date. A date in the past is no wait.
pub fn retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // Only a number that is too large does not parse.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    Timestamp::from_http_date(text).map(|date| date.since(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RETRIES: Retries =
        Retries { first_retry: Duration::from_secs(5), give_up_after: Duration::from_hours(72) };
    const FIRST: Timestamp = Timestamp::from_millis(1_758_634_237_000);

    fn failed(attempts: u32, after: Duration, retry_after: Option<Duration>) -> Failures {
        Failures { first_attempt: FIRST, attempts, failed_at: FIRST.after(after), retry_after }
    }

    #[test]
    fn waits_double_from_seconds_to_hours() {
        let waits: Vec<u64> = (1..=16).map(|attempts| RETRIES.wait(attempts, 0.5).as_secs()).collect();
        let doubled = [5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 5120, 10240, 20480, 40960];
        assert_eq!(waits[..14], doubled);
        assert_eq!(waits[14..], [43_200; 2]);
        assert_eq!(RETRIES.wait(u32::MAX, 0.5), LONGEST_WAIT);
    }

    #[test]
    fn jitter_changes_a_wait_by_a_fifth() {
        assert_eq!(RETRIES.wait(1, 0.0), Duration::from_secs(4));
        assert_eq!(RETRIES.wait(1, 0.25), Duration::from_millis(4_500));
        assert_eq!(RETRIES.wait(1, 1.0), Duration::from_secs(6));
        assert_eq!(RETRIES.wait(99, 0.0), LONGEST_WAIT * 4 / 5);
        assert_eq!(RETRIES.wait(99, 1.0), LONGEST_WAIT);
        for odd in [-3.0, 7.0, f64::NAN, f64::INFINITY] {
            let wait = RETRIES.wait(1, odd);
            assert!(wait >= Duration::from_secs(4) && wait <= Duration::from_secs(6), "{odd}");
        }
    }

    #[test]
    fn no_setting_overflows() {
        let extreme = Retries { first_retry: Duration::MAX, give_up_after: Duration::MAX };
        assert_eq!(extreme.wait(7, 1.0), LONGEST_WAIT);
        assert!(!extreme.is_over(FIRST, FIRST));
        let none = Retries { first_retry: Duration::ZERO, give_up_after: Duration::ZERO };
        assert_eq!(none.wait(7, 1.0), Duration::ZERO);
        assert!(none.is_over(FIRST, FIRST));
    }

    #[test]
    fn a_receiver_is_given_the_time_that_it_asks_for() {
        let next = |asked| RETRIES.next_attempt(&failed(1, Duration::ZERO, Some(asked)), 0.5);
        let minute = Duration::from_secs(60);
        assert_eq!(next(minute), Some(FIRST.after(minute)));
        assert_eq!(next(Duration::from_secs(1)), Some(FIRST.after(RETRIES.first_retry)), "never sooner");
        assert_eq!(next(Duration::MAX), Some(FIRST.after(LONGEST_WAIT)), "never longer than half a day");
    }

    #[test]
    fn the_last_attempt_is_made_when_the_time_is_over() {
        let hours = Duration::from_hours;
        let next = |after, asked| RETRIES.next_attempt(&failed(20, after, asked), 0.5);
        assert_eq!(next(hours(59), None), Some(FIRST.after(hours(71))));
        assert_eq!(next(hours(70), None), Some(FIRST.after(hours(72))));
        assert_eq!(next(hours(70), Some(hours(5))), Some(FIRST.after(hours(75))));
        assert_eq!(next(hours(72), None), None);
        assert_eq!(next(hours(75), Some(hours(1))), None);
    }

    #[test]
    fn all_attempts_fall_into_three_days() {
        let mut history = failed(1, Duration::ZERO, None);
        while let Some(next) = RETRIES.next_attempt(&history, 0.5) {
            assert!(next > history.failed_at);
            history = Failures { attempts: history.attempts + 1, failed_at: next, ..history };
        }
        assert_eq!(history.failed_at, FIRST.after(RETRIES.give_up_after));
        assert_eq!(history.attempts, 20);
    }

    #[test]
    fn a_wait_is_seconds_or_a_date() {
        let seconds = |text| retry_after(text, FIRST).map(|wait| wait.as_secs());
        for (text, expected) in [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            ("99999999999999999999999", Some(u64::MAX)),
            ("Tue, 23 Sep 2025 13:32:37 GMT", Some(120)),
            ("Tue, 23 Sep 2025 13:00:00 GMT", Some(0)),
            ("", None),
            ("-1", None),
            ("+5", None),
            ("1.5", None),
            ("soon", None),
        ] {
            assert_eq!(seconds(text), expected, "{text}");
        }
    }
}
