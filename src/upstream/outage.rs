//! Whether upstream answers at all: since when it gave no answer of use, and what was said instead.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::answer::Refusal;

/// One request without an answer is no news.
const WORTH_A_WORD: u32 = 2;
/// Nor is what was not asked again for so long, because there was nothing to ask.
const STALE: Duration = Duration::from_secs(86_400);

#[derive(Clone, Debug)]
struct Unanswered {
    /// How many requests in a row.
    requests: u32,
    since: Instant,
    /// When the last of them ended.
    last: Instant,
    /// What was said instead of an answer to the last one.
    instead: Refusal,
}

impl Unanswered {
    fn is_fresh(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.last) < STALE
    }
}

/// What the requests since the start have shown.
#[derive(Debug, Default)]
struct Shown {
    /// Whether any of them had an answer of use.
    was_answered: bool,
    /// The last ones, if they had none.
    unanswered: Option<Unanswered>,
}

/// Told of every request; read by who asks how things are.
#[derive(Debug, Default)]
pub struct Outage(Mutex<Shown>);

impl Outage {
    /// A request has ended: without an answer of use, or with one.
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

    /// For how long there was no answer of use, and what was said to the last request instead; none where there was
    /// an answer, one request alone had none, or the last is a day ago.
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
        // The next one without an answer is the first again, and its time counts from there.
        outage.heard_at(later(100_000), Some(&lost));
        assert_eq!(lasts(100_000), None);
        outage.heard_at(later(100_001), Some(&lost));
        assert_eq!(lasts(100_010), Some(10));
    }
}
