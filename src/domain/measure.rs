//! What is counted for each minute, and the figures that follow for a window of time. No IO, no clock.

use std::time::Duration;

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::time::Timestamp;
use crate::domain::words;

/// Milliseconds of a minute.
const MINUTE: i64 = 60_000;
/// Buckets of delays for each doubling: a delay is exact to 6 %.
const PER_DOUBLING: u64 = 8;
/// The number of the first bucket.
const FIRST_BUCKET: i64 = 16;

words! {
    /// The time that figures cover.
    Window {
        /// The last hour, by the minute.
        Hour = "1h",
        /// The last day, by the quarter of an hour.
        Day = "24h",
    }
}

impl Window {
    /// Its spans, and the minutes of each.
    pub const fn spans(self) -> (u32, u32) {
        match self {
            Self::Hour => (60, 1),
            Self::Day => (96, 15),
        }
    }

    /// Its first and its last minute, if its last span contains `now`.
    pub fn minutes(self, now: Timestamp) -> (i64, i64) {
        let (spans, minutes) = (i64::from(self.spans().0), i64::from(self.spans().1));
        let last = minute(now).div_euclid(minutes);
        ((last + 1 - spans) * minutes, (last + 1) * minutes - 1)
    }
}

/// Something that is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Callbacks with a good token, duplicates included.
    Callbacks,
    /// URLs in submits, those of refused ones included.
    UrlsSent,
    /// Indexed URLs, with the delay since their task was accepted. None if that time is not known.
    UrlsIndexed(Option<Duration>),
}

impl Measure {
    /// Its number in the store. All delays of a bucket have the same one.
    pub fn number(self) -> i64 {
        match self {
            Self::Callbacks => 0,
            Self::UrlsSent => 1,
            Self::UrlsIndexed(None) => 2,
            Self::UrlsIndexed(Some(delay)) => FIRST_BUCKET + bucket(delay),
        }
    }

    /// Reads its number. The delay is the middle of its bucket.
    pub fn from_number(number: i64) -> Option<Self> {
        match number {
            0 => Some(Self::Callbacks),
            1 => Some(Self::UrlsSent),
            2 => Some(Self::UrlsIndexed(None)),
            _ => middle(number - FIRST_BUCKET).map(|delay| Self::UrlsIndexed(Some(delay))),
        }
    }
}

/// The minute of a time, since the epoch.
pub const fn minute(at: Timestamp) -> i64 {
    at.as_millis().div_euclid(MINUTE)
}

/// The bucket of a delay: tenths of a second below 1.6 s, then eight for each doubling.
fn bucket(delay: Duration) -> i64 {
    let tenths = u64::try_from(delay.as_millis() / 100).unwrap_or(u64::MAX);
    if tenths < 2 * PER_DOUBLING {
        return i64::try_from(tenths).unwrap_or_default();
    }
    let shift = tenths.ilog2() - PER_DOUBLING.ilog2();
    let within = (tenths >> shift) - PER_DOUBLING;
    i64::try_from(u64::from(shift + 1) * PER_DOUBLING + within).unwrap_or(i64::MAX)
}

fn middle(bucket: i64) -> Option<Duration> {
    let bucket = u64::try_from(bucket).ok()?;
    let (first, width) = match bucket / PER_DOUBLING {
        0 | 1 => (bucket, 1),
        doubling => {
            let shift = u32::try_from(doubling - 1).ok()?;
            let width = 1_u64.checked_shl(shift)?;
            ((PER_DOUBLING + bucket % PER_DOUBLING).checked_mul(width)?, width)
        }
    };
    Some(Duration::from_millis(first.checked_mul(100)?.checked_add(width.checked_mul(50)?)?))
}

/// The counts of a minute, as the store has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// The minute, since the epoch.
    pub minute: i64,
    /// What was counted.
    pub measure: Measure,
    /// How many.
    pub count: u64,
}

/// The figures of a span of time.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Figures {
    /// Beginning of the span.
    pub at: Timestamp,
    /// Callbacks with a good token, duplicates included.
    pub callbacks: u64,
    /// URLs sent, those of refused requests included.
    pub urls_sent: u64,
    /// URLs whose video was indexed.
    pub urls_indexed: u64,
    /// Half of these URLs took at most this many seconds from the acceptance of their request, exact to 6 %. Null
    /// without any.
    #[schema(required)]
    pub median_seconds: Option<f64>,
    /// 95 of 100 took at most this many seconds.
    #[schema(required)]
    pub p95_seconds: Option<f64>,
}

/// The figures of each span of a window, oldest first. The newest one contains `now`. Spans begin at multiples of their
/// length. `counted` is in the order of its minutes.
pub fn figures(counted: &[Counted], now: Timestamp, window: Window) -> Vec<Figures> {
    let length = i64::from(window.spans().1);
    let (first, last) = window.minutes(now);
    let mut rest = counted.iter().skip_while(|one| one.minute < first).peekable();
    let mut all = Vec::new();
    let mut begin = first;
    while begin <= last {
        let end = begin + length;
        all.push(of_span(begin, std::iter::from_fn(|| rest.next_if(|one| one.minute < end))));
        begin = end;
    }
    all
}

fn of_span<'a>(first: i64, counted: impl Iterator<Item = &'a Counted>) -> Figures {
    let at = Timestamp::from_millis(first * MINUTE);
    let mut figures =
        Figures { at, callbacks: 0, urls_sent: 0, urls_indexed: 0, median_seconds: None, p95_seconds: None };
    let mut delays = Vec::new();
    for one in counted {
        match one.measure {
            Measure::Callbacks => figures.callbacks += one.count,
            Measure::UrlsSent => figures.urls_sent += one.count,
            Measure::UrlsIndexed(delay) => {
                figures.urls_indexed += one.count;
                delays.extend(delay.map(|delay| (delay, one.count)));
            }
        }
    }
    delays.sort_unstable();
    figures.median_seconds = percentile(&delays, 50);
    figures.p95_seconds = percentile(&delays, 95);
    figures
}

/// The seconds that `percent` of the delays do not exceed.
fn percentile(sorted: &[(Duration, u64)], percent: u64) -> Option<f64> {
    let all: u64 = sorted.iter().map(|(_, count)| count).sum();
    let mut rest = (all * percent).div_ceil(100);
    for (delay, count) in sorted {
        if *count >= rest {
            return Some(delay.as_secs_f64());
        }
        rest -= count;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_is_stored_within_six_percent_or_a_tenth_of_a_second() {
        let mut millis = 0_u64;
        while millis < 30 * 24 * 3_600_000 {
            let delay = Duration::from_millis(millis);
            let Some(Measure::UrlsIndexed(Some(read))) =
                Measure::from_number(Measure::UrlsIndexed(Some(delay)).number())
            else {
                panic!("{millis}");
            };
            let off = delay.abs_diff(read);
            assert!(
                off <= delay.mul_f64(0.0626).max(Duration::from_millis(50)),
                "{delay:?} is read as {read:?}"
            );
            millis += millis / 37 + 1;
        }
    }

    #[test]
    fn every_measure_has_a_number_of_its_own_and_unknown_numbers_are_nothing() {
        for (measure, number) in
            [(Measure::Callbacks, 0), (Measure::UrlsSent, 1), (Measure::UrlsIndexed(None), 2)]
        {
            assert_eq!((measure.number(), Measure::from_number(number)), (number, Some(measure)));
        }
        assert_eq!(Measure::UrlsIndexed(Some(Duration::ZERO)).number(), FIRST_BUCKET);
        for number in [-1, 3, FIRST_BUCKET - 1, i64::MAX] {
            assert_eq!(Measure::from_number(number), None, "{number}");
        }
        let longest = Measure::UrlsIndexed(Some(Duration::MAX)).number();
        assert!(longest > FIRST_BUCKET, "{longest}");
    }

    fn counted(minute: i64, measure: Measure, count: u64) -> Counted {
        Counted { minute, measure, count }
    }

    #[test]
    fn spans_begin_at_multiples_of_their_length_and_the_last_one_contains_now() {
        let now = Timestamp::from_millis(100 * 15 * MINUTE + 14 * MINUTE);
        let all = [
            counted(98 * 15 - 1, Measure::Callbacks, 1),
            counted(98 * 15, Measure::Callbacks, 2),
            counted(100 * 15 - 1, Measure::UrlsSent, 4),
            counted(100 * 15, Measure::UrlsSent, 8),
            counted(100 * 15 + 14, Measure::UrlsSent, 16),
        ];
        let figures = figures(&all, now, Window::Day);
        let at: Vec<i64> = figures.iter().map(|one| one.at.as_millis() / MINUTE / 15).collect();
        assert_eq!(at, (5..=100).collect::<Vec<_>>());
        let counts: Vec<(u64, u64)> = figures.iter().map(|one| (one.callbacks, one.urls_sent)).collect();
        assert_eq!(counts[92..], [(1, 0), (2, 0), (0, 4), (0, 24)]);
        assert_eq!(counts[..92], [(0, 0); 92]);
    }

    #[test]
    fn percentiles_are_those_of_all_delays_of_the_span() {
        let delay = |seconds| Measure::UrlsIndexed(Some(Duration::from_secs(seconds)));
        let all = [
            counted(7, delay(100), 1),
            counted(7, delay(1), 50),
            counted(7, delay(10), 49),
            counted(7, Measure::UrlsIndexed(None), 5),
        ];
        let figures = figures(&all, Timestamp::from_millis(7 * MINUTE), Window::Hour);
        let figures = figures.last().unwrap();
        assert_eq!(figures.urls_indexed, 105);
        let near = |found: Option<f64>, wanted: f64| (found.unwrap() / wanted - 1.0).abs() < 0.07;
        assert!(near(figures.median_seconds, 1.0) && near(figures.p95_seconds, 10.0), "{figures:?}");
        let nothing = super::figures(&[], Timestamp::from_millis(0), Window::Hour);
        assert_eq!(nothing.len(), 60);
        assert_eq!((nothing[0].median_seconds, nothing[0].urls_indexed), (None, 0));
    }
}
