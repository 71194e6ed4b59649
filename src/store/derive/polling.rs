//! When a task is polled next. Must never ask twice at once for one piece of news.

use std::time::Duration;

use crate::domain::evidence::polls::{Settled, polls_after_settling};
use crate::domain::retry::backoff;
use crate::domain::task::TaskState;
use crate::domain::time::{Timestamp, millis};
use crate::store::batch::changes::Touch;
use crate::store::batch::loaded::LoadedTask;
use crate::store::policy::Policy;

/// The longest wait between two polls in vain of a task that has not settled, in first waits.
const POLL_GROWTH: u32 = 8;

impl Policy {
    /// No task that has not settled waits longer than this for its next poll, unless upstream itself asked for more.
    #[must_use]
    pub fn longest_poll_wait(&self) -> Duration {
        (self.poll_after * POLL_GROWTH).max(self.settle_after)
    }
}

/// What the evidence of a task leaves to polls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Open {
    /// A poll could give a URL its end now.
    pub(crate) could_settle: bool,
    /// Only a complete list shows whose the videos are, or which posts the task has. Until then a new job could pay for
    /// them again.
    pub(crate) needs_complete_list: bool,
}

/// When the task is polled next; `None` if nothing more is to be learned.
///
/// At once if a poll could settle the task, if somebody asked for one, or if the last news of a settled task came after
/// its last poll, because upstream may list more than callbacks told. But only once for each piece of news: a poll in
/// vain is repeated after a wait that doubles, whatever upstream answered.
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

/// Whether somebody asked for a poll that has not been answered.
const fn is_wanted(stored: &LoadedTask) -> bool {
    stored.poll_wanted > stored.polled_news
}

/// When to ask again although nothing happened since the last poll; `None` if that is over.
///
/// A poll that somebody asked for is tried until the wait has grown to the deadline.
fn next_in_vain(stored: &LoadedTask, state: TaskState, open: Open, at: i64, policy: Policy) -> Option<i64> {
    let is_settled = state.is_settled();
    let growth = policy.poll_after * POLL_GROWTH;
    let most = if is_settled { growth.max(policy.deadline) } else { growth };
    let wait = backoff(stored.polls_in_vain + 1, policy.poll_after, most);
    // If the clock was set back, the poll must not wait for the old time.
    let last = stored.polled_at.map_or(stored.news_at, |polled| polled.max(stored.news_at)).min(at);
    let next = last.saturating_add(millis(wait));
    // The second of the two polls that prove that a list is complete. If it was in vain, the wait counts.
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

/// Until when a settled task is polled as before, and when for the last time.
///
/// If upstream has not said since the deadline what there is, a stalled task is polled for `reconcile.deadline` more.
/// So is one that needs a complete list: its last poll brought news, and two more have to bring none.
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
