//! The wait before another try: pure arithmetic, no clock.

use std::time::Duration;

/// `first`, doubled for each failure after the first one, never more than `most`.
///
/// `failures` counts from one. Zero counts as one.
pub fn backoff(failures: u32, first: Duration, most: Duration) -> Duration {
    let doublings = failures.saturating_sub(1).min(31);
    first.saturating_mul(1 << doublings).min(most)
}

/// First wait after a submit that was certainly not taken, as upstream advises.
pub const SUBMIT_FIRST: Duration = Duration::from_secs(1);
/// Longest wait after a submit that was certainly not taken, as upstream advises.
pub const SUBMIT_MOST: Duration = Duration::from_secs(32);
/// Longest wait between two probes of a paused account.
pub const PROBE_MOST: Duration = Duration::from_secs(15 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_most() {
        let waits: Vec<u64> =
            (0..8).map(|failures| backoff(failures, SUBMIT_FIRST, SUBMIT_MOST).as_secs()).collect();
        assert_eq!(waits, [1, 1, 2, 4, 8, 16, 32, 32]);
        assert_eq!(backoff(u32::MAX, SUBMIT_FIRST, SUBMIT_MOST), SUBMIT_MOST);
    }
}
