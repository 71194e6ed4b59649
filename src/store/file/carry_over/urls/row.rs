//! One URL of a task of an older version: its fate, its outcome and its standing.
//!
//! Must never derive a state again. A state from an older version stays until there is news.

use serde_json::{Value, json};

use crate::domain::outcome::{Reason, UrlOutcome, UrlState};
use crate::domain::task::TaskState;
use crate::store::column::{self, row};
use crate::store::file::carry_over::rounds::Key;

/// Failures that are never proven.
pub(in crate::store::file::carry_over) const DOUBTS: [&str; 4] =
    ["no_video", "unattributed", "stalled", "unconfirmed"];

/// The standings of attempts for new wants (see `attempts.standing`).
const ENDED: i64 = 0;
const UNCONFIRMED: i64 = 1;
const ON_ITS_WAY: i64 = 2;
const KNOWN: i64 = 3;
const TASK_WAITS: i64 = 4;

/// The fate of a task URL in the new tables.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// The URL was sent, or has ended.
    Stays,
    /// The task was sent but not taken, and is sent again.
    Bound,
    /// The task was queued, and nobody wants it any more.
    Canceled,
    /// The task was never sent, so the post waits on its own.
    Waits,
    /// The task was never sent, and other URLs of it wait. This one does not, because nobody wants it.
    Left,
}

row! {
    pub(super) struct UrlRow {
        task: i64,
        task_id: String,
        is_recovered: bool,
        position: i64,
        pub(super) url: String,
        pub(super) canonical: String,
        state: String,
        error_code: Option<String>,
        error_message: Option<String>,
        task_state: String,
        pub(super) created_at: i64,
        destination: Option<i64>,
        pub(super) quality: Option<i64>,
        pub(super) platform: Option<String>,
        /// Whether upstream has taken the task.
        is_taken: bool,
        /// Whether the task has other URLs.
        is_shared: bool,
        is_submitted: bool,
        /// Whether a poll has listed a video for it.
        is_listed: bool,
        is_task_wanted: bool,
        is_wanted: bool,
        /// The job of the first want, or else the one that the task was planned for.
        pub(super) job: Option<i64>,
    }
}

impl UrlRow {
    pub(super) const fn key(&self) -> Key {
        (self.task, self.position)
    }

    /// The destination of the post.
    pub(super) fn destination(&self) -> Result<i64, sqlx::Error> {
        let words = if self.is_recovered { "it has URLs but no job" } else { "no such job" };
        self.destination.ok_or_else(|| column::unreadable(("tasks", "job_id", &self.task_id), words))
    }

    fn state(&self) -> Result<UrlState, sqlx::Error> {
        column::parsed(("task_urls", "state", &self.task_id), &self.state)
    }

    fn task_state(&self) -> Result<TaskState, sqlx::Error> {
        column::parsed(("tasks", "state", &self.task_id), &self.task_state)
    }

    pub(super) fn fate(&self) -> Result<Fate, sqlx::Error> {
        Ok(match (self.task_state()?, self.is_submitted) {
            (TaskState::Queued, _) if !self.is_task_wanted => Fate::Canceled,
            (TaskState::Queued, false) if self.is_wanted => Fate::Waits,
            (TaskState::Queued, false) => Fate::Left,
            (TaskState::Queued, true) if self.is_wanted => Fate::Bound,
            (TaskState::Queued, true) => Fate::Canceled,
            _ => Fate::Stays,
        })
    }

    /// Its outcome in its task. None if it is no attempt.
    pub(super) fn outcome(&self, fate: Fate) -> Result<Option<UrlOutcome>, sqlx::Error> {
        Ok(match fate {
            Fate::Stays => Some(self.stored_outcome()?),
            Fate::Bound => Some(UrlOutcome::of(UrlState::Waiting)),
            Fate::Canceled => {
                Some(UrlOutcome::failed(Reason::proven("canceled", "canceled before it was sent")))
            }
            Fate::Waits | Fate::Left => None,
        })
    }

    fn stored_outcome(&self) -> Result<UrlOutcome, sqlx::Error> {
        let state = self.state()?;
        if state != UrlState::Failed {
            return Ok(UrlOutcome::of(state));
        }
        let code = self.error_code.clone().unwrap_or_else(|| "failed".to_owned());
        let message = self.error_message.clone().unwrap_or_default();
        let is_doubt = DOUBTS.contains(&code.as_str()) || (code == "task_failed" && self.is_shared);
        let reason = if is_doubt { Reason::doubt(code, message) } else { Reason::proven(code, message) };
        Ok(UrlOutcome::failed(reason))
    }

    /// Its standing for new wants.
    pub(super) fn standing(&self, fate: Fate) -> Result<i64, sqlx::Error> {
        match fate {
            Fate::Bound => return Ok(TASK_WAITS),
            Fate::Canceled | Fate::Left | Fate::Waits => return Ok(ENDED),
            Fate::Stays => {}
        }
        let (state, task) = (self.state()?, self.task_state()?);
        let is_open = task == TaskState::Submitting || (self.is_taken && !task.is_settled());
        Ok(match state {
            UrlState::Indexed if self.is_listed || task == TaskState::Indexed => KNOWN,
            _ if task == TaskState::Unconfirmed => UNCONFIRMED,
            // A failed URL is not on its way, even if its task is.
            UrlState::Failed => ENDED,
            _ if is_open => ON_ITS_WAY,
            _ => ENDED,
        })
    }

    /// Its row in `attempts`.
    pub(super) fn attempt(&self, round: i64, outcome: &UrlOutcome, standing: i64) -> Value {
        let is_attributed = self.is_listed || outcome.state != UrlState::Indexed;
        json!([
            self.task,
            self.position,
            round,
            outcome.state.number(),
            standing,
            i64::from(is_attributed),
            outcome.reason.as_ref().map(|reason| &reason.failure.code),
            outcome.reason.as_ref().map(|reason| &reason.failure.message),
            outcome.reason.as_ref().map(|reason| i64::from(reason.certain)),
        ])
    }
}
