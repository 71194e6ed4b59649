//! Rounds: the outcome of a post from the moment it enters the queue until its last task has ended.
//!
//! Must never look at another round. News about an attempt changes only the wants of its own round.

use super::outcome::{Reason, UrlOutcome, UrlState};

/// The outcome of a round, the best of its tasks: indexed, on its way, in the queue, else the end of the last.
///
/// `waits` tells whether the post is in the queue and no task has it. `tasks` has the outcome of its URL in each task
/// of the round, in the order in which the tasks were formed. A round that no longer waits and never had a task was
/// canceled, because nobody wants it any longer.
pub fn round_outcome(waits: bool, tasks: &[UrlOutcome]) -> UrlOutcome {
    let best = |state| tasks.iter().find(|task| task.state == state);
    let on_its_way = [UrlState::Indexed, UrlState::Downloaded, UrlState::Sent].into_iter().find_map(best);
    if let Some(outcome) = on_its_way {
        return outcome.clone();
    }
    if waits || best(UrlState::Waiting).is_some() {
        return UrlOutcome::of(UrlState::Waiting);
    }
    tasks.last().cloned().unwrap_or_else(canceled)
}

/// The end of a URL that was canceled before it was sent.
pub(super) fn canceled() -> UrlOutcome {
    UrlOutcome::failed(Reason::proven("canceled", "canceled before it was sent"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcomes() -> Vec<UrlOutcome> {
        let states = [UrlState::Waiting, UrlState::Sent, UrlState::Downloaded, UrlState::Indexed];
        let ends = [Reason::proven("0001", "no"), Reason::doubt("stalled", "no news")];
        states.map(UrlOutcome::of).into_iter().chain(ends.map(UrlOutcome::failed)).collect()
    }

    /// Every row of at most three tasks.
    fn rows() -> Vec<Vec<UrlOutcome>> {
        let mut rows = vec![vec![]];
        let mut from = 0;
        for _ in 0..3 {
            let until = rows.len();
            for at in from..until {
                for outcome in outcomes() {
                    let longer = rows[at].iter().cloned().chain([outcome]).collect();
                    rows.push(longer);
                }
            }
            from = until;
        }
        rows
    }

    #[test]
    fn the_best_of_the_tasks_holds_else_the_end_of_the_last() {
        let rank = |state: UrlState| match state {
            UrlState::Failed => 0,
            UrlState::Waiting => 1,
            UrlState::Sent => 2,
            UrlState::Downloaded => 3,
            UrlState::Indexed => 4,
            UrlState::Known => panic!("no task knows a post"),
        };
        assert_eq!(rows().len(), 1 + 6 + 36 + 216);
        for (row, waits) in rows().into_iter().flat_map(|row| [(row.clone(), false), (row, true)]) {
            let outcome = round_outcome(waits, &row);
            let best = row.iter().map(|task| rank(task.state)).max().unwrap_or(0);
            assert_eq!(rank(outcome.state), best.max(u8::from(waits)), "{row:?} {waits}");
            match row.last() {
                Some(last) if outcome.state == UrlState::Failed => assert_eq!(outcome, *last, "{row:?}"),
                _ => assert_eq!(outcome.reason.is_some(), outcome.state == UrlState::Failed),
            }
        }
    }

    #[test]
    fn a_round_that_everybody_has_left_was_canceled() {
        assert_eq!(
            round_outcome(false, &[]).reason.unwrap(),
            Reason::proven("canceled", "canceled before it was sent")
        );
        assert_eq!(round_outcome(true, &[]), UrlOutcome::of(UrlState::Waiting));
    }
}
