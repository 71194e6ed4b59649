//! What the operations of a batch gather for its end: facts, touched tasks, events.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use crate::domain::event::{EventKind, Source};
use crate::domain::id::{JobId, TaskId};
use crate::domain::outcome::{Failure, Reason, UrlOutcome, UrlState};
use crate::domain::task::FactKind;
use crate::domain::time::Timestamp;
use crate::store::batch::received::ReceivedCallback;

/// A task that something happened to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Touch {
    /// When it happened.
    pub(crate) at: Timestamp,
    /// Where it came from.
    pub(crate) source: Source,
}

/// What the operations of a batch have gathered for its end.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// Callbacks, which are kept together after all operations of the batch.
    pub(crate) callbacks: Vec<Arc<ReceivedCallback>>,
    pub(crate) facts: Vec<NewFact>,
    /// Those of them that were new.
    pub(crate) set: Vec<(TaskId, FactKind, Source)>,
    /// What polls of this batch have listed.
    pub(crate) listed: Vec<Listed>,
    pub(crate) rows: Rows,
    pub(crate) touched: BTreeMap<TaskId, Touch>,
    /// Whether more or other posts or tasks can be sent than before.
    pub(crate) changes_queue: bool,
    /// Whether a worker has something to do although no task was touched.
    pub(crate) wakes_workers: bool,
    /// Tasks whose rows were changed by SQL alone: the working set must load them again.
    pub(crate) stale: BTreeSet<TaskId>,
    /// Jobs whose counts have changed, and what changed them last: their states are stored at the end.
    pub(crate) jobs: BTreeMap<JobId, Touch>,
    /// Whether something was left for the next commits.
    pub(crate) has_due: bool,
    pub(crate) events: Vec<NewEvent>,
    /// Tasks whose submit was refused, and which were taken all the same.
    pub(crate) refuted: Vec<(TaskId, Touch)>,
    /// Tasks that turned out to be other ones.
    pub(crate) taken_in: BTreeMap<TaskId, TaskId>,
    /// What an operator's decision adds to the event that follows from it.
    pub(crate) words: BTreeMap<TaskId, String>,
}

impl Changes {
    /// Notes that a task's rows were changed, and that its state has to be derived again.
    pub(crate) fn touch(&mut self, task: TaskId, at: Timestamp, source: Source) {
        self.stale.insert(task);
        self.note(task, at, source);
    }

    /// Notes that a task's state has to be derived again. The working set has the change already.
    pub(crate) fn note(&mut self, task: TaskId, at: Timestamp, source: Source) {
        self.touched.entry(task).or_insert(Touch { at, source });
    }
}

/// Rows that wait for the end of the batch, each a JSON array in the order of its table's statement.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    pub(crate) callbacks: Vec<Value>,
    pub(crate) facts: Vec<Value>,
    pub(crate) videos: Vec<Value>,
    pub(crate) tasks: Vec<Value>,
}

/// A fact that waits for its commit.
#[derive(Clone, Debug)]
pub(crate) struct NewFact {
    pub(crate) task: TaskId,
    pub(crate) kind: FactKind,
    /// Empty if it is about the task.
    pub(crate) video: String,
    pub(crate) at: Timestamp,
    pub(crate) source: Source,
    pub(crate) failure: Option<Failure>,
}

/// The entries of a poll's answer.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    pub(crate) task: TaskId,
    /// When upstream was asked.
    pub(crate) asked_at: Timestamp,
    /// Whether every entry could be read.
    pub(crate) is_whole: bool,
    pub(crate) entries: Vec<ListedEntry>,
}

/// One entry of a poll's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ListedEntry {
    /// Upstream's id of the video, if it has one.
    pub(crate) video: Option<String>,
    /// As listed.
    pub(crate) url: Option<String>,
    /// Its canonical form, if it is a URL.
    pub(crate) canonical: Option<String>,
    pub(crate) state: crate::domain::video::VideoState,
}

/// An event that waits for its commit; job and `taskId` are filled in from its task.
#[derive(Clone, Debug)]
pub(crate) struct NewEvent {
    pub(crate) kind: EventKind,
    pub(crate) source: Source,
    pub(crate) job: Option<JobId>,
    pub(crate) task: Option<TaskId>,
    pub(crate) video: Option<String>,
    pub(crate) at: Timestamp,
    pub(crate) message: Option<String>,
    /// Which post its video belongs to: see the column.
    pub(crate) post: Option<i64>,
}

impl NewEvent {
    /// The task of its video serves one job alone, which sees every event of it.
    pub(crate) const OF_ONE_JOB: i64 = -1;
    /// Nobody knows yet which post its video belongs to.
    pub(crate) const OF_NOBODY: i64 = 0;

    /// An event about nothing in particular.
    pub(crate) fn new(kind: EventKind, source: Source, at: Timestamp) -> Self {
        Self { kind, source, job: None, task: None, video: None, at, message: None, post: None }
    }
}

/// The number of a round.
pub(crate) type Round = i64;

/// A round whose outcome has changed.
#[derive(Clone, Debug)]
pub(crate) struct RoundChange {
    pub(crate) round: Round,
    pub(crate) old: UrlState,
    /// Whether it had ended because it was canceled.
    pub(crate) was_canceled: bool,
    pub(crate) new: UrlOutcome,
    pub(crate) touch: Touch,
}

/// The code of a URL that was canceled.
pub(crate) const CANCELED: &str = "canceled";

/// Whether a URL has failed because it was canceled.
pub(crate) fn is_canceled(outcome: &UrlOutcome) -> bool {
    code(outcome).is_some_and(|code| code == CANCELED)
}

/// The code of a URL that has failed.
pub(crate) fn code(outcome: &UrlOutcome) -> Option<&str> {
    outcome.reason.as_ref().map(|reason: &Reason| reason.failure.code.as_str())
}
