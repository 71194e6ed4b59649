//! The time of the next poll of a task. Must never poll twice at once for the same news.

use std::time::Duration;

use crate::domain::evidence::polls::{Settled, polls_after_settling};
use crate::domain::retry::backoff;
use crate::domain::task::TaskState;
use crate::domain::time::{Timestamp, millis};
use crate::store::batch::changes::Touch;
use crate::store::batch::loaded::LoadedTask;
use crate::store::policy::Policy;

/// The longest wait between two polls in vain of a task that has not settled, as a multiple of the first wait.
const POLL_GROWTH: u32 = 8;

impl Policy {
    /// The longest time that a task which has not settled waits for its next poll, unless upstream asked for a longer
    /// wait.
    #[must_use]
    pub fn longest_poll_wait(&self) -> Duration {
        (self.poll_after * POLL_GROWTH).max(self.settle_after)
    }
}

/// The open questions in the evidence of a task that polls can answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Open {
    /// Whether a poll could end a URL now.
    pub(crate) could_settle: bool,
    /// Whether a complete list is needed to know which URLs the videos belong to, or which posts the task has. Until
    /// then, a new job could pay for them again.
    pub(crate) needs_complete_list: bool,
}

/// The time of the next poll of a task. `None` if polls can bring nothing more.
///
/// The poll is due at once if it could settle the task, if somebody requested it, or if the last news of
/// a settled task came after its last poll, because upstream may list more than callbacks reported. This happens only
/// once for the same news. A poll in vain is repeated after a wait that doubles, whatever upstream answered.
pub(crate) fn next_poll_at(
    stored: &LoadedTask,
    state: TaskState,
    open: Open,
    touch: Touch,
    policy: Policy,
) -> Option<i64> {
    if !stored.evidence.has_upstream_id {
        return None;
    }
    let at = touch.at.as_millis();
    let is_fresh = stored.news > stored.asked_news;
    let is_wanted = is_wanted(stored);
    if is_fresh && is_wanted && stored.poll_not_before < 0 {
        return Some(0);
    }
    let is_polled = stored.polled_news >= stored.news;
    let is_stalled = state == TaskState::Stalled;
    let is_due = is_wanted || (!is_polled && !is_stalled && (open.could_settle || state.is_settled()));
    let next = if is_fresh && is_due { at } else { next_in_vain(stored, state, open, at, policy)? };
    Some(next.max(stored.poll_not_before))
}

/// Whether a requested poll has not been answered yet.
const fn is_wanted(stored: &LoadedTask) -> bool {
    stored.poll_wanted > stored.polled_news
}

/// The time of the next poll if there was no news since the last one. `None` if there are no more such polls.
///
/// A requested poll is repeated until the wait has grown to the deadline.
fn next_in_vain(stored: &LoadedTask, state: TaskState, open: Open, at: i64, policy: Policy) -> Option<i64> {
    let is_settled = state.is_settled();
    let growth = policy.poll_after * POLL_GROWTH;
    let most = if is_settled { growth.max(policy.deadline) } else { growth };
    let wait = backoff(stored.polls_in_vain + 1, policy.poll_after, most);
    // If the clock was set back, the poll must not wait for the old time.
    let last = stored.polled_at.map_or(stored.news_at, |polled| polled.max(stored.news_at)).min(at);
    let next = last.saturating_add(millis(wait));
    // This is the second of the two polls that prove a list complete. If it was in vain, the usual wait applies.
    let settle = stored.quiet_since.map(|since| since.saturating_add(millis(policy.settle_after)));
    let next = settle.filter(|settle| *settle > last).map_or(next, |settle| settle.min(next));
    if !is_settled {
        return Some(next);
    }
    let (until, end) = after_settling(stored, state, open, at, policy);
    if stored.polled_at.is_none_or(|polled| polled < end) {
        return Some(if next < until { next } else { end });
    }
    (is_wanted(stored) && wait < most).then_some(next)
}

/// The time until which a settled task is polled as before, and the time of its last poll.
///
/// A stalled task is polled for another `reconcile.deadline` if upstream has not listed its videos since the
/// deadline. So is a task that needs a complete list, because its last poll brought news, and two more without news
/// have to follow.
fn after_settling(stored: &LoadedTask, state: TaskState, open: Open, at: i64, policy: Policy) -> (i64, i64) {
    let settled = Settled {
        settled_at: Timestamp::from_millis(stored.settled_at.unwrap_or(at)),
        news_at: Timestamp::from_millis(stored.news_at),
        all_ended: stored.evidence.all_ended(),
    };
    let polls = polls_after_settling(&settled, policy.settle_after, policy.deadline);
    let deadline = stored.news_at.saturating_add(millis(policy.deadline));
    let is_unheard =
        state == TaskState::Stalled && stored.answered_at.is_none_or(|answered| answered < deadline);
    let needs_more = open.needs_complete_list && !stored.evidence.list_is_complete;
    let more = if is_unheard || needs_more { policy.deadline } else { Duration::ZERO };
    let until = polls.until.max(settled.settled_at.after(more));
    (until.as_millis(), until.after(policy.settle_after).as_millis())
}
