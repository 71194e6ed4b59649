//! Whether upstream answers at all: since when it gave no answer of use, and what was said instead.

use std::time::{Duration, Instant};

use super::Refusal;
use crate::config::Live;

/// One request without an answer is no news.
const WORTH_A_WORD: u32 = 2;

#[derive(Clone, Debug)]
struct Unanswered {
    /// How many requests in a row.
    requests: u32,
    since: Instant,
    /// What was said instead of an answer to the last one.
    instead: Refusal,
}

/// Told of every request; read by who asks how things are.
#[derive(Debug, Default)]
pub struct Silence(Live<Option<Unanswered>>);

impl Silence {
    /// A request has ended: without an answer of use, or with one.
    pub(super) fn heard(&self, instead: Option<&Refusal>) {
        let before = self.0.get();
        let (requests, since) = match before.as_ref() {
            Some(before) => (before.requests, before.since),
            None if instead.is_none() => return,
            None => (0, Instant::now()),
        };
        self.0.replace(instead.map(|refusal| Unanswered {
            requests: requests.saturating_add(1),
            since,
            instead: refusal.clone(),
        }));
    }

    /// For how long there was no answer of use, and what was said to the last request instead; none where there was
    /// an answer, or one request alone had none.
    pub fn lasting(&self) -> Option<(Duration, Refusal)> {
        let unanswered = self.0.get();
        let unanswered =
            unanswered.as_ref().as_ref().filter(|unanswered| unanswered.requests >= WORTH_A_WORD)?;
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
