//! Rules about polls: when a list is complete, when refused polls count, and how long a settled task is polled. Must
//! never read a clock.

use std::time::Duration;

use crate::domain::time::Timestamp;

/// A poll that was answered with the whole list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WholeAnswer {
    /// Time of the poll.
    pub asked_at: Timestamp,
    /// Whether it brought news: an entry or a URL that no whole answer had listed before, even if a callback had named
    /// it, or an unknown state. So a list that a callback has overtaken is not taken for a complete one.
    pub brought_news: bool,
}

/// Whether a task's list is complete. Everything known must have ended
/// ([`Evidence::all_ended`](super::Evidence::all_ended)), and two whole answers after SUCCEEDED, at
/// least `settle_after` apart, must have brought no news. Once complete, a list stays complete.
///
/// `answers` are in the order of the polls. The answers up to the last one with news may be left out, and so may those
/// between the first and the last without news. The result is the same.
///
/// An empty list is a whole answer like any other. A refused poll is not, and neither is an incomplete list.
pub fn list_is_complete(
    succeeded_at: Option<Timestamp>,
    answers: &[WholeAnswer],
    all_ended: bool,
    settle_after: Duration,
) -> bool {
    let Some(succeeded_at) = succeeded_at.filter(|_| all_ended) else { return false };
    let since_news = answers.rsplit(|answer| answer.brought_news).next().unwrap_or_default();
    let mut quiet = since_news.iter().filter(|answer| answer.asked_at >= succeeded_at);
    let (Some(first), Some(last)) = (quiet.next(), quiet.next_back()) else { return false };
    last.asked_at.since(first.asked_at) >= settle_after
}

/// The polls of a task that were refused in a row, up to the last poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusals {
    /// Their number.
    pub count: u32,
    /// Time of the first one.
    pub first_at: Timestamp,
    /// Time of the last one.
    pub last_at: Timestamp,
}

/// Number of refusals in a row that are needed.
const REFUSALS: u32 = 3;

/// Whether refused polls let videos be joined that no poll has listed. This takes three in a row, over at least
/// `settle_after`. It stays so, whatever later polls bring. It never makes a list complete.
pub fn refusals_count(refusals: &Refusals, settle_after: Duration) -> bool {
    refusals.count >= REFUSALS && refusals.last_at.since(refusals.first_at) >= settle_after
}

/// A task that has settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    /// Time when it settled.
    pub settled_at: Timestamp,
    /// Time of the last news.
    pub news_at: Timestamp,
    /// Whether all known videos have ended.
    pub all_ended: bool,
}

/// The times until which a settled task is polled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PollsAfterSettling {
    /// It is polled as before until then. If this is before now, it is not.
    pub until: Timestamp,
    /// Time of the last poll. A poll at that time or later makes it unnecessary.
    pub last_at: Timestamp,
}

/// A settled task is polled until all known videos have ended, or `deadline` has passed since the last news, and once
/// more `settle_after` later. News moves both times.
pub fn polls_after_settling(
    settled: &Settled,
    settle_after: Duration,
    deadline: Duration,
) -> PollsAfterSettling {
    let wait = if settled.all_ended { Duration::ZERO } else { deadline };
    let until = settled.settled_at.max(settled.news_at.after(wait));
    PollsAfterSettling { until, last_at: until.after(settle_after) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTLE: Duration = Duration::from_millis(10);

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn is_complete(succeeded_at: i64, answers: &[(i64, bool)], all_ended: bool) -> bool {
        let answers: Vec<_> = answers
            .iter()
            .map(|&(asked_at, brought_news)| WholeAnswer { asked_at: at(asked_at), brought_news })
            .collect();
        list_is_complete(Some(at(succeeded_at)), &answers, all_ended, SETTLE)
    }

    #[test]
    fn two_quiet_answers_far_enough_apart_make_a_list_complete() {
        assert!(is_complete(5, &[(5, false), (15, false)], true));
        assert!(is_complete(5, &[(6, true), (7, false), (12, false), (17, false)], true));
        assert!(!is_complete(5, &[(5, false), (14, false)], true), "too soon");
        assert!(!is_complete(5, &[(4, false), (15, false)], true), "the first was asked before SUCCEEDED");
        assert!(!is_complete(5, &[(5, false), (15, false)], false), "a video is on its way");
        assert!(!is_complete(5, &[(5, true), (15, false)], true), "the first brought news");
        assert!(!is_complete(5, &[(5, false), (9, true), (15, false)], true), "one between brought news");
        assert!(!is_complete(5, &[(5, false), (15, false), (16, true)], true), "the last brought news");
        assert!(!is_complete(5, &[(5, false), (40, true), (49, false)], true));
        assert!(!is_complete(5, &[(5, false)], true) && !is_complete(5, &[], true));
        let quiet = [5, 15].map(|millis| WholeAnswer { asked_at: at(millis), brought_news: false });
        assert!(!list_is_complete(None, &quiet, true, SETTLE), "no SUCCEEDED");
        assert!(!list_is_complete(Some(at(5)), &quiet[..1], true, Duration::ZERO), "one answer is not two");
        assert!(list_is_complete(Some(at(5)), &quiet, true, Duration::ZERO));
    }

    #[test]
    fn answers_that_a_store_need_not_keep_change_nothing() {
        for news in 0..1_u32 << 4 {
            let answers = [(0, 0), (4, 1), (10, 2), (13, 3)].map(|(time, bit)| (time, news >> bit & 1 == 1));
            for succeeded_at in 0..15 {
                let after = answers.iter().copied().filter(|(time, _)| *time >= succeeded_at);
                let quiet: Vec<_> = after.rev().take_while(|(_, brought_news)| !brought_news).collect();
                let kept = match quiet.as_slice() {
                    [last, .., first] => vec![*first, *last],
                    few => few.to_vec(),
                };
                let whole = is_complete(succeeded_at, &answers, true);
                assert_eq!(is_complete(succeeded_at, &kept, true), whole, "{answers:?} {succeeded_at}");
            }
        }
    }

    #[test]
    fn three_refused_polls_over_long_enough_count() {
        let count =
            |count, last| refusals_count(&Refusals { count, first_at: at(5), last_at: at(last) }, SETTLE);
        assert!(count(3, 15) && count(4, 16));
        assert!(!count(2, 15) && !count(3, 14));
    }

    #[test]
    fn a_settled_task_is_polled_until_its_videos_have_ended_and_once_more() {
        let deadline = Duration::from_millis(100);
        let polls = |settled, news, all_ended| {
            let settled = Settled { settled_at: at(settled), news_at: at(news), all_ended };
            let polls = polls_after_settling(&settled, SETTLE, deadline);
            (polls.until.as_millis(), polls.last_at.as_millis())
        };
        assert_eq!(polls(5, 5, true), (5, 15));
        assert_eq!(polls(5, 3, true), (5, 15), "it settled by the clock");
        assert_eq!(polls(5, 8, true), (8, 18), "a later video has ended");
        assert_eq!(polls(5, 8, false), (108, 118), "a later video has not");
        assert_eq!(polls(200, 8, false), (200, 210), "it stalled");
    }
}
