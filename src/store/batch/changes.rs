//! What the operations of a batch gather for its end: facts, touched tasks, events.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::domain::event::{EventKind, Source};
use crate::domain::id::{JobId, TaskId};
use crate::domain::job::UrlState;
use crate::domain::task::{FactKind, Failure};
use crate::domain::time::Timestamp;

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
    pub(crate) facts: Vec<NewFact>,
    /// Those of them that were new.
    pub(crate) set: Vec<(FactKind, Source)>,
    /// Tasks that a poll listed in the shape that names URLs, when it was asked, and whether all of it was read.
    pub(crate) listed: Vec<(TaskId, Timestamp, bool)>,
    pub(crate) rows: Rows,
    pub(crate) touched: BTreeMap<TaskId, Touch>,
    /// Whether a worker has something to do although no task was touched.
    pub(crate) wakes_workers: bool,
    /// Tasks whose rows were changed by SQL alone: the working set must load them anew.
    pub(crate) stale: BTreeSet<TaskId>,
    /// Jobs whose counts have changed, and what changed them last: their states are stored at the end.
    pub(crate) jobs: BTreeMap<JobId, Touch>,
    /// Whether something was left for the next commits.
    pub(crate) has_due: bool,
    pub(crate) events: Vec<NewEvent>,
    /// Tasks that turned out to be other ones.
    pub(crate) taken_in: BTreeMap<TaskId, TaskId>,
    /// What an operator's decision adds to the event that follows from it.
    pub(crate) words: BTreeMap<TaskId, String>,
}

impl Changes {
    /// Notes that a task's rows were changed, and that it has to be derived anew.
    pub(crate) fn touch(&mut self, task: TaskId, at: Timestamp, source: Source) {
        self.stale.insert(task);
        self.note(task, at, source);
    }

    /// Notes that a task has to be derived anew; what changed is in the working set already.
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
    /// Empty where it is about the task.
    pub(crate) video: String,
    pub(crate) at: Timestamp,
    pub(crate) source: Source,
    pub(crate) failure: Option<Failure>,
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
}

impl NewEvent {
    /// An event about nothing in particular.
    pub(crate) fn new(kind: EventKind, source: Source, at: Timestamp) -> Self {
        Self { kind, source, job: None, task: None, video: None, at, message: None }
    }
}

/// A task URL whose state or error has changed.
#[derive(Clone, Debug)]
pub(crate) struct UrlChange {
    pub(crate) task: TaskId,
    pub(crate) position: i64,
    pub(crate) old: UrlState,
    pub(crate) new: UrlState,
    /// The code of its failure, now and before.
    pub(crate) code: Option<String>,
    pub(crate) old_code: Option<String>,
    pub(crate) message: Option<String>,
}

impl UrlChange {
    /// The code of a URL that was canceled.
    pub(crate) const CANCELED: &'static str = "canceled";

    /// The change as JSON: task, position, old state, new state, change of "canceled", code, message.
    pub(crate) fn row(&self) -> Value {
        let is_canceled = |code: &Option<String>| i64::from(code.as_deref() == Some(Self::CANCELED));
        let canceled = is_canceled(&self.code) - is_canceled(&self.old_code);
        json!([self.task, self.position, self.old, self.new, canceled, self.code, self.message])
    }

    /// Whether a URL has failed in a way that proves that what was sent is of no use. Not if it may have been charged
    /// and may still come, and not if nobody knows which of a task's URLs it is.
    pub(crate) fn is_lost(&self) -> bool {
        // Given up after it may have been sent: an operator's word. Nobody pays twice for it without asking, whatever
        // else becomes known.
        let is_given_up = self.old_code.as_deref() == Some(Self::CANCELED)
            || (self.code.as_deref() == Some(Self::CANCELED) && self.old != UrlState::Waiting);
        let is_in_doubt = matches!(self.code.as_deref(), Some("unconfirmed" | "unattributed"));
        self.new == UrlState::Failed && !is_given_up && !is_in_doubt
    }
}
