//! The state of a task, and the state of a URL without an end (rule 5).
//!
//! Must never end a task that upstream has taken, except by upstream's own words and the deadline.

use super::{Evidence, Submission};
use crate::domain::outcome::{Reason, UrlOutcome, UrlState};
use crate::domain::task::TaskState;

/// The state of a task as derived from its evidence.
pub(super) struct DerivedState {
    pub(super) state: TaskState,
    pub(super) error: Option<Reason>,
    /// The state of its URLs without an end. It has no meaning if all have one.
    pub(super) open: UrlOutcome,
}

impl DerivedState {
    /// `ends` has the end of each URL that has one.
    pub(super) fn of(evidence: &Evidence, ends: &[Option<UrlOutcome>]) -> Self {
        let taken = |state, open| if evidence.is_stalled { stalled() } else { on_its_way(state, open) };
        if evidence.is_downloaded() {
            let ends: Option<Vec<&UrlOutcome>> = ends.iter().map(Option::as_ref).collect();
            return match ends.filter(|ends| !ends.is_empty()) {
                Some(ends) => ended(&ends),
                None => taken(TaskState::Downloaded, UrlState::Downloaded),
            };
        }
        if let Some(failure) = &evidence.failed {
            // Upstream's own word about the task. Its meaning for one of several URLs is another question.
            return failed(TaskState::Failed, Reason::proven("task_failed", &*failure.message));
        }
        if evidence.has_upstream_id {
            return taken(TaskState::Accepted, UrlState::Sent);
        }
        match &evidence.submission {
            Submission::Accepted => taken(TaskState::Accepted, UrlState::Sent),
            Submission::Rejected(reason) => failed(TaskState::Rejected, reason.clone()),
            Submission::InFlight => on_its_way(TaskState::Submitting, UrlState::Sent),
            Submission::Unknown(_) if evidence.canceled => Self {
                open: unconfirmed(),
                ..failed(TaskState::Canceled, Reason::doubt("canceled", "given up while it was unconfirmed"))
            },
            Submission::Unknown(failure) => {
                let error = failure.clone().map(|failure| Reason { failure, certain: false });
                // Its jobs stop waiting. The task does not change. Only a callback, a poll or an operator can tell.
                let sent = UrlOutcome::of(UrlState::Sent);
                let open = if evidence.is_stalled { unconfirmed() } else { sent };
                Self { state: TaskState::Unconfirmed, error, open }
            }
            Submission::Unsent | Submission::Deferred(_) if evidence.canceled => {
                failed(TaskState::Canceled, Reason::proven("canceled", "canceled before it was sent"))
            }
            Submission::Unsent => on_its_way(TaskState::Queued, UrlState::Waiting),
            Submission::Deferred(failure) => {
                let error = failure.clone().map(|failure| Reason { failure, certain: true });
                Self { error, ..on_its_way(TaskState::Queued, UrlState::Waiting) }
            }
        }
    }
}

const fn on_its_way(state: TaskState, open: UrlState) -> DerivedState {
    DerivedState { state, error: None, open: UrlOutcome::of(open) }
}

fn failed(state: TaskState, reason: Reason) -> DerivedState {
    DerivedState { state, error: Some(reason.clone()), open: UrlOutcome::failed(reason) }
}

fn stalled() -> DerivedState {
    failed(
        TaskState::Stalled,
        Reason::doubt("stalled", "the memories.ai API has sent no news of it for too long"),
    )
}

fn unconfirmed() -> UrlOutcome {
    UrlOutcome::failed(Reason::doubt(
        "unconfirmed",
        "no answer and no callback, so memories.ai may have charged for it. Look in your account there, then adopt \
         or retry",
    ))
}

/// Every URL has its end. If several have failed, the task shows a proven failure if there is one.
fn ended(ends: &[&UrlOutcome]) -> DerivedState {
    let indexed = ends.iter().filter(|end| end.state == UrlState::Indexed).count();
    let reasons = ends.iter().filter_map(|end| end.reason.as_ref());
    let place =
        |reason: &&Reason| (!reason.certain, reason.failure.code.clone(), reason.failure.message.clone());
    let error = reasons.min_by_key(place).cloned();
    let state = match indexed {
        0 => TaskState::Failed,
        all if all == ends.len() => TaskState::Indexed,
        _ => TaskState::Partial,
    };
    DerivedState { state, error, open: UrlOutcome::of(UrlState::Downloaded) }
}
