//! Whether upstream answers at all: since when it gave no answer of use, and what was said instead.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Refusal;

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

/// Told of every request; read by who asks how things are.
#[derive(Debug, Default)]
pub struct Silence(Mutex<Option<Unanswered>>);

impl Silence {
    /// A request has ended: without an answer of use, or with one.
    pub(super) fn heard(&self, instead: Option<&Refusal>) {
        let last = Instant::now();
        let mut unanswered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (requests, since) =
            unanswered.as_ref().map_or((0, last), |before| (before.requests, before.since));
        *unanswered = instead.map(|refusal| Unanswered {
            requests: requests.saturating_add(1),
            since,
            last,
            instead: refusal.clone(),
        });
    }

    /// For how long there was no answer of use, and what was said to the last request instead; none where there was
    /// an answer, one request alone had none, or the last is a day ago.
    pub fn lasting(&self) -> Option<(Duration, Refusal)> {
        let unanswered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lasts = |unanswered: &&Unanswered| {
            unanswered.requests >= WORTH_A_WORD && unanswered.last.elapsed() < STALE
        };
        let unanswered = unanswered.as_ref().filter(lasts)?;
        Some((unanswered.since.elapsed(), unanswered.instead.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_begins_with_the_second_request_without_an_answer_and_ends_with_an_answer() {
        let silence = Silence::default();
        let lost = Refusal::new("no_answer", "cut");
        silence.heard(None);
        silence.heard(Some(&lost));
        assert_eq!(silence.lasting(), None);
        silence.heard(Some(&Refusal::new("http_502", "HTML")));
        silence.heard(Some(&lost));
        assert_eq!(silence.lasting().map(|(_, instead)| instead), Some(lost.clone()));
        silence.heard(None);
        assert_eq!(silence.lasting(), None);
        silence.heard(Some(&lost));
        assert_eq!(silence.lasting(), None);
    }
}
