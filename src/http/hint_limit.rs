//! The limit of hints from strangers: 100 hints and 1 MiB a second, with bursts of 200 hints and 2 MiB.
//!
//! Callbacks with a good token are facts and are not limited. Must never read a clock.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const HINTS_PER_SECOND: u64 = 100;
const HINTS_AT_ONCE: u64 = 200;
const BYTES_PER_SECOND: u64 = 1024 * 1024;
const BYTES_AT_ONCE: u64 = 2 * 1024 * 1024;
/// Least time between two log lines about refused hints, so that too many hints do not fill the log.
const QUIET: Duration = Duration::from_secs(60);

const NANOS: i128 = 1_000_000_000;

/// A token bucket. A request that is larger than the whole bucket can overdraw it.
#[derive(Debug)]
struct Bucket {
    per_second: u64,
    most: u64,
    /// Its content, in billionths.
    level: i128,
    /// Time when it was filled last.
    at: Instant,
}

impl Bucket {
    fn full(per_second: u64, most: u64, now: Instant) -> Self {
        Self { per_second, most, level: i128::from(most) * NANOS, at: now }
    }

    fn fill(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.at);
        let nanos = i128::try_from(elapsed.as_nanos()).unwrap_or(i128::MAX / NANOS);
        let filled = self.level.saturating_add(nanos.saturating_mul(self.per_second.into()));
        self.level = filled.min(i128::from(self.most) * NANOS);
        self.at = self.at.max(now);
    }

    /// Time until `more` can be taken. Returns none if it can be taken now. `before` has been taken for the same
    /// request, and a request that is larger than the bucket may take all of it.
    fn lacks(&self, before: u64, more: u64) -> Option<Duration> {
        let whole = before.saturating_add(more).min(self.most);
        let missing = (i128::from(whole) - i128::from(before)) * NANOS - self.level;
        let nanos = (missing > 0).then(|| (missing - 1) / i128::from(self.per_second) + 1)?;
        Some(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }

    fn take(&mut self, amount: u64) {
        self.level -= i128::from(amount) * NANOS;
    }
}

/// A refused hint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooMany {
    /// Time until it may be sent again.
    pub(super) retry_after: Duration,
    /// Whether it is the first refused one for a while.
    is_first: bool,
}

#[derive(Debug)]
struct Buckets {
    hints: Bucket,
    bytes: Bucket,
    refused_at: Option<Instant>,
}

impl Buckets {
    fn full(now: Instant) -> Self {
        Self {
            hints: Bucket::full(HINTS_PER_SECOND, HINTS_AT_ONCE, now),
            bytes: Bucket::full(BYTES_PER_SECOND, BYTES_AT_ONCE, now),
            refused_at: None,
        }
    }

    /// Takes these numbers of hints and bytes, or nothing. `before` bytes have been taken for the same hint.
    fn take(&mut self, now: Instant, hints: u64, before: u64, bytes: u64) -> Result<(), TooMany> {
        self.hints.fill(now);
        self.bytes.fill(now);
        let lacks = self.hints.lacks(0, hints).max(self.bytes.lacks(before, bytes));
        if let Some(retry_after) = lacks {
            let is_first = self.refused_at.is_none_or(|at| now.saturating_duration_since(at) >= QUIET);
            self.refused_at = Some(now);
            return Err(TooMany { retry_after, is_first });
        }
        self.hints.take(hints);
        self.bytes.take(bytes);
        Ok(())
    }
}

/// The limit that all hints share.
#[derive(Debug)]
pub(super) struct HintLimit(Mutex<Buckets>);

impl HintLimit {
    pub(super) fn new(now: Instant) -> Self {
        Self(Mutex::new(Buckets::full(now)))
    }

    /// A hint that has just begun to arrive.
    pub(super) const fn begin(&self) -> Admission<'_> {
        Admission { limit: self, taken: None }
    }
}

/// One hint on its way in.
#[derive(Debug)]
pub(super) struct Admission<'a> {
    limit: &'a HintLimit,
    /// Bytes taken so far. None before the hint itself is taken.
    taken: Option<u64>,
}

impl Admission<'_> {
    /// Takes more bytes of the hint. The first call also takes the hint itself.
    pub(super) fn take(&mut self, now: Instant, bytes: u64) -> Result<(), TooMany> {
        let (hints, before) = self.taken.map_or((1, 0), |before| (0, before));
        let mut buckets = self.limit.0.lock().unwrap_or_else(PoisonError::into_inner);
        buckets.take(now, hints, before, bytes).inspect_err(|too_many| {
            if too_many.is_first {
                tracing::warn!(
                    "more callbacks without a good token arrive than {HINTS_PER_SECOND} or {BYTES_PER_SECOND} bytes a \
                     second. The rest is answered 503"
                );
            }
        })?;
        self.taken = Some(before.saturating_add(bytes));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: u64 = 1024;

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// The number of hints of this size that can be taken at this time.
    fn taken(limit: &HintLimit, now: Instant, bytes: u64) -> usize {
        (0..10_000).take_while(|_| limit.begin().take(now, bytes).is_ok()).count()
    }

    #[test]
    fn a_burst_of_200_is_taken_and_then_100_a_second() {
        let start = Instant::now();
        let limit = HintLimit::new(start);
        assert_eq!(taken(&limit, start, 10), 200);
        let refused = limit.begin().take(start, 10).unwrap_err();
        assert_eq!((refused.retry_after, refused.is_first), (millis(10), false));
        assert_eq!(taken(&limit, start + millis(9), 10), 0);
        assert_eq!(taken(&limit, start + millis(10), 10), 1);
        assert_eq!(taken(&limit, start + millis(1_010), 10), 100);
        assert_eq!(taken(&limit, start + millis(60_000), 10), 200, "no more than that is saved up");
        assert_eq!(taken(&limit, start, 10), 0, "a time that has passed fills nothing");
    }

    #[test]
    fn a_burst_of_2_mib_is_taken_and_then_1_mib_a_second() {
        let start = Instant::now();
        let limit = HintLimit::new(start);
        assert_eq!(taken(&limit, start, 64 * KIB), 32);
        let refused = limit.begin().take(start, 64 * KIB).unwrap_err();
        assert_eq!(refused.retry_after, Duration::from_micros(62_500));
        assert_eq!(taken(&limit, start + millis(1_000), 64 * KIB), 16);
        assert_eq!(taken(&limit, start + millis(1_000), 0), 200 - 16, "a refused hint costs nothing");
    }

    #[test]
    fn a_body_without_a_length_is_counted_as_it_arrives() {
        let start = Instant::now();
        let limit = HintLimit::new(start);
        let (mut one, mut other) = (limit.begin(), limit.begin());
        one.take(start, 0).unwrap();
        one.take(start, 1_536 * KIB).unwrap();
        other.take(start, 512 * KIB).unwrap();
        assert_eq!(one.take(start, 1).unwrap_err().retry_after, Duration::from_nanos(954));
        one.take(start + millis(500), 512 * KIB).unwrap();
        assert_eq!(taken(&limit, start + millis(500), 0), 198 + 2);
    }

    #[test]
    fn a_body_larger_than_the_bucket_waits_until_it_is_full() {
        let start = Instant::now();
        let limit = HintLimit::new(start);
        limit.begin().take(start, 8 * 1024 * KIB).unwrap();
        let refused = limit.begin().take(start, 8 * 1024 * KIB).unwrap_err();
        assert_eq!(refused.retry_after, Duration::from_secs(8), "six are owed, and two are wanted");
        limit.begin().take(start + Duration::from_secs(8), 8 * 1024 * KIB).unwrap();
        // The same in pieces.
        let mut pieces = HintLimit::new(start);
        {
            let mut large = pieces.begin();
            for _ in 0..128 {
                large.take(start, 64 * KIB).unwrap();
            }
        }
        assert!(pieces.begin().take(start, 1).is_err());
        pieces = HintLimit::new(start);
        pieces.begin().take(start, 1).unwrap();
        let mut large = pieces.begin();
        let parts = (0..128).take_while(|_| large.take(start, 64 * KIB).is_ok()).count();
        assert_eq!(parts, 31, "the bucket was not full");
    }

    #[test]
    fn the_log_hears_of_it_once_a_minute() {
        let start = Instant::now();
        let mut buckets = Buckets::full(start);
        let first = |buckets: &mut Buckets, seconds| {
            let now = start + Duration::from_secs(seconds);
            loop {
                if let Err(too_many) = buckets.take(now, 1, 0, 0) {
                    return too_many.is_first;
                }
            }
        };
        assert!(first(&mut buckets, 0));
        assert!(!first(&mut buckets, 0));
        assert!(!first(&mut buckets, 59));
        assert!(!first(&mut buckets, 118), "they have not stopped coming");
        assert!(first(&mut buckets, 178));
    }
}
