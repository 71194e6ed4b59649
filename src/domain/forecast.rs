//! Forecasts: the request that sends each waiting post, and its time. Must never read a clock. Time is passed in.

use std::time::Duration;

use serde::Serialize;
use utoipa::ToSchema;

use super::time::{Timestamp, millis};

/// A request that the queue needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Number of its URLs.
    pub urls: usize,
    /// Earliest time, for a task whose next attempt comes later.
    pub not_before: Option<Timestamp>,
}

/// The pace of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Now.
    pub now: Timestamp,
    /// Time between two submits.
    pub interval: Duration,
    /// Number of URLs that the day's budget still allows, and that it allows each day. None without a limit.
    pub budget: Option<(u64, u64)>,
}

/// The place of some posts in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Requests before the first of them is sent.
    pub ahead: usize,
    /// Requests until the last of them has been sent.
    pub left: usize,
    /// Whether one of them waits for the end of a pause.
    pub is_paused: bool,
}

impl Share {
    /// Both together.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self {
            ahead: self.ahead.min(other.ahead),
            left: self.left.max(other.left),
            is_paused: self.is_paused || other.is_paused,
        }
    }
}

/// Place of a job's waiting URLs in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct JobQueue {
    /// Requests that go out before its first waiting URL.
    pub requests_ahead: usize,
    /// Requests until its last waiting URL has been sent.
    pub requests_left: usize,
    /// Estimated time when its last waiting URL has been sent. Null while anything that the job waits for is paused.
    #[schema(required)]
    pub sent_by: Option<Timestamp>,
}

/// The requests that the queue needs, in their order, and the request of each post.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forecast {
    requests: Vec<Expected>,
    /// Sorted by post, each with its request.
    posts: Vec<(i64, usize)>,
    /// From this request on, everything waits for the end of a pause.
    paused_from: usize,
}

impl Forecast {
    /// A forecast of these requests, and of each post with its request.
    pub fn new(requests: Vec<Expected>, mut posts: Vec<(i64, usize)>, paused_from: usize) -> Self {
        posts.sort_unstable();
        Self { requests, posts, paused_from }
    }

    /// Number of requests that send all waiting posts.
    pub fn requests(&self) -> usize {
        self.requests.len()
    }

    /// Whether anything waits for the end of a pause.
    pub fn is_paused(&self) -> bool {
        self.paused_from < self.requests.len()
    }

    /// The place of these posts. Returns none if none of them waits. Leaves out posts that do not wait.
    pub fn share(&self, posts: impl IntoIterator<Item = i64>) -> Option<Share> {
        let requests = posts.into_iter().filter_map(|post| {
            let place = self.posts.binary_search_by_key(&post, |&(post, _)| post).ok()?;
            self.posts.get(place).map(|&(_, request)| request)
        });
        let share =
            |request| Share { ahead: request, left: request + 1, is_paused: request >= self.paused_from };
        requests.map(share).reduce(Share::with)
    }

    /// Number of these posts in the requests of this forecast.
    pub fn has(&self, posts: &[i64]) -> usize {
        let waits = |post: &&i64| self.posts.binary_search_by_key(*post, |&(post, _)| post).is_ok();
        posts.iter().filter(waits).count()
    }

    /// The end of the queue, for waiting posts that were not read.
    pub fn end(&self) -> Share {
        let last = self.requests.len().saturating_sub(1);
        Share { ahead: last, left: last + 1, is_paused: self.is_paused() }
    }

    /// The time when each request has been sent. A request that exceeds the day's budget ends on the next day.
    pub fn times(&self, pace: Pace) -> Times {
        let interval = millis(pace.interval);
        let mut at = pace.now;
        let mut left = pace.budget.map_or(u64::MAX, |(left, _)| left);
        let each_day = pace.budget.map_or(u64::MAX, |(_, each_day)| each_day.max(1));
        let time = |expected: &Expected| {
            at = expected.not_before.map_or(at, |not_before| at.max(not_before));
            at = Timestamp::from_millis(at.as_millis().saturating_add(interval));
            let mut urls = expected.urls as u64;
            while urls > left {
                urls -= left;
                left = each_day;
                at = Timestamp::from_millis(at.next_day().as_millis().saturating_add(interval));
            }
            left -= urls;
            at
        };
        Times(self.requests.iter().map(time).collect())
    }
}

/// The time when each request of a forecast has been sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Times(Vec<Timestamp>);

impl Times {
    /// The time when this many requests have been sent. None if there are fewer, or if it is beyond the year 9999.
    pub fn after(&self, requests: usize) -> Option<Timestamp> {
        let at = self.0.get(requests.checked_sub(1)?).copied()?;
        at.is_in_range().then_some(at)
    }

    /// The estimate for a job with this share. `is_stopped`: a pause stops everything.
    pub fn job(&self, share: Share, is_stopped: bool) -> JobQueue {
        JobQueue {
            requests_ahead: share.ahead,
            requests_left: share.left,
            sent_by: self.after(share.left).filter(|_| !is_stopped && !share.is_paused),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000;

    fn forecast(urls: &[usize], posts: &[(i64, usize)], paused_from: usize) -> Forecast {
        let requests = urls.iter().map(|&urls| Expected { urls, not_before: None });
        Forecast::new(requests.collect(), posts.to_vec(), paused_from)
    }

    fn times(forecast: &Forecast, now: i64, budget: Option<(u64, u64)>) -> Vec<i64> {
        let (now, interval) = (Timestamp::from_millis(now), Duration::from_secs(1));
        let times = forecast.times(Pace { now, interval, budget });
        (1..=forecast.requests()).map(|count| times.after(count).unwrap().as_millis()).collect()
    }

    #[test]
    fn a_share_reaches_from_its_first_request_to_its_last() {
        let forecast = forecast(&[50, 50, 1], &[(9, 2), (4, 0), (7, 1)], 2);
        let share = |posts: &[i64]| forecast.share(posts.iter().copied());
        assert_eq!(share(&[7, 4, 5]), Some(Share { ahead: 0, left: 2, is_paused: false }));
        assert_eq!(share(&[9, 7]), Some(Share { ahead: 1, left: 3, is_paused: true }));
        assert_eq!(share(&[5]), None);
        assert_eq!(forecast.end(), Share { ahead: 2, left: 3, is_paused: true });
    }

    #[test]
    fn requests_follow_each_other_and_wait_for_their_tasks() {
        let mut late = forecast(&[1, 1, 1], &[], 3);
        assert_eq!(times(&late, 500, None), [1_500, 2_500, 3_500]);
        late.requests[1].not_before = Some(Timestamp::from_millis(9_000));
        assert_eq!(times(&late, 500, None), [1_500, 10_000, 11_000]);
    }

    #[test]
    fn what_the_day_has_no_room_for_is_sent_from_midnight_on() {
        let forecast = forecast(&[50, 50, 50], &[], 3);
        let at = |budget| times(&forecast, 0, Some(budget));
        assert_eq!(at((150, 100)), [1_000, 2_000, 3_000]);
        assert_eq!(at((50, 100)), [1_000, DAY + 1_000, DAY + 2_000]);
        assert_eq!(at((0, 50)), [DAY + 1_000, 2 * DAY + 1_000, 3 * DAY + 1_000]);
        // The first 20 of the second request leave today.
        assert_eq!(at((70, 60)), [1_000, DAY + 1_000, 2 * DAY + 1_000]);
        assert_eq!(at((0, 20)), [3 * DAY + 1_000, 5 * DAY + 1_000, 8 * DAY + 1_000]);
    }

    #[test]
    fn a_pause_leaves_no_time() {
        let forecast = forecast(&[1, 1], &[(1, 0), (2, 1)], 1);
        let now = Timestamp::from_millis(0);
        let times = forecast.times(Pace { now, interval: Duration::from_secs(1), budget: None });
        let sent_by = |post, is_stopped| times.job(forecast.share([post]).unwrap(), is_stopped).sent_by;
        assert_eq!(sent_by(1, false), Some(Timestamp::from_millis(1_000)));
        assert_eq!((sent_by(1, true), sent_by(2, false)), (None, None));
        assert_eq!(times.after(0), None);
    }
}
