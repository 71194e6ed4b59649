//! Outages: whether upstream answers at all, the time since which it gave no usable answer, and the last reason. Must
//! never count a refusal as an outage.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::answer::Refusal;

/// The number of requests without an answer from which an outage is reported.
const WORTH_A_WORD: u32 = 2;
/// The time after which an outage is forgotten if there was nothing to send or poll since.
const STALE: Duration = Duration::from_secs(86_400);

#[derive(Clone, Debug)]
struct Unanswered {
    /// The number of requests in a row.
    requests: u32,
    since: Instant,
    /// The end of the last of them.
    last: Instant,
    /// The reason for the missing answer to the last one.
    instead: Refusal,
}

impl Unanswered {
    fn is_fresh(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.last) < STALE
    }
}

/// The results of the requests since the start.
#[derive(Debug, Default)]
struct Shown {
    /// Whether any of them had an answer of use.
    was_answered: bool,
    /// The last ones, if they had none.
    unanswered: Option<Unanswered>,
}

/// The record of the last requests. Every request updates it, and the status reads it.
#[derive(Debug, Default)]
pub struct Outage(Mutex<Shown>);

impl Outage {
    /// Records the end of a request, without or with a usable answer.
    pub(super) fn heard(&self, instead: Option<&Refusal>) {
        self.heard_at(Instant::now(), instead);
    }

    fn heard_at(&self, now: Instant, instead: Option<&Refusal>) {
        let mut shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shown.was_answered |= instead.is_none();
        let before = shown.unanswered.as_ref().filter(|before| before.is_fresh(now));
        let (requests, since) = before.map_or((0, now), |before| (before.requests, before.since));
        shown.unanswered = instead.map(|refusal| Unanswered {
            requests: requests.saturating_add(1),
            since,
            last: now,
            instead: refusal.clone(),
        });
    }

    /// The duration of the outage and its last reason. None if there was an answer, if only one request had none, or
    /// if the last was a day ago.
    pub fn lasting(&self) -> Option<(Duration, Refusal)> {
        self.lasting_at(Instant::now())
    }

    /// Whether there was an answer of use since the start.
    pub fn was_answered(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).was_answered
    }

    fn lasting_at(&self, now: Instant) -> Option<(Duration, Refusal)> {
        let shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let unanswered = shown.unanswered.as_ref().filter(|unanswered| unanswered.is_fresh(now))?;
        let is_news = unanswered.requests >= WORTH_A_WORD;
        is_news.then(|| (now.saturating_duration_since(unanswered.since), unanswered.instead.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_begins_with_the_second_request_without_an_answer_and_ends_with_an_answer() {
        let outage = Outage::default();
        let lost = Refusal::new("no_answer", "cut");
        assert!(!outage.was_answered());
        outage.heard(None);
        outage.heard(Some(&lost));
        assert_eq!(outage.lasting(), None);
        assert!(outage.was_answered());
        outage.heard(Some(&Refusal::new("http_502", "HTML")));
        outage.heard(Some(&lost));
        assert_eq!(outage.lasting().map(|(_, instead)| instead), Some(lost.clone()));
        outage.heard(None);
        assert_eq!(outage.lasting(), None);
        outage.heard(Some(&lost));
        assert_eq!(outage.lasting(), None);
    }

    #[test]
    fn what_is_not_asked_again_for_a_day_is_forgotten() {
        let outage = Outage::default();
        let lost = Refusal::new("no_answer", "cut");
        let began = Instant::now();
        let later = |seconds| began + Duration::from_secs(seconds);
        outage.heard_at(began, Some(&lost));
        outage.heard_at(later(60), Some(&lost));
        let lasts = |seconds| outage.lasting_at(later(seconds)).map(|(lasts, _)| lasts.as_secs());
        assert_eq!((lasts(60 + 86_399), lasts(60 + 86_400)), (Some(60 + 86_399), None));
        // The next request without an answer counts as the first again, and the time begins with it.
        outage.heard_at(later(100_000), Some(&lost));
        assert_eq!(lasts(100_000), None);
        outage.heard_at(later(100_001), Some(&lost));
        assert_eq!(lasts(100_010), Some(10));
    }
}
