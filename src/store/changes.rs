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
pub(super) struct Touch {
    /// When it happened.
    pub(super) at: Timestamp,
    /// Where it came from.
    pub(super) source: Source,
}

/// What the operations of a batch have gathered for its end.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) facts: Vec<NewFact>,
    /// Those of them that were new.
    pub(super) set: Vec<(FactKind, Source)>,
    /// Tasks that a poll listed in the shape that names URLs, when it was asked, and whether all of it was read.
    pub(super) listed: Vec<(TaskId, Timestamp, bool)>,
    pub(super) rows: Rows,
    pub(super) touched: BTreeMap<TaskId, Touch>,
    /// Whether a worker has something to do although no task was touched.
    pub(super) wakes_workers: bool,
    /// Tasks whose rows were changed by SQL alone: the working set must load them anew.
    pub(super) stale: BTreeSet<TaskId>,
    /// Jobs whose counts have changed, and what changed them last: their states are stored at the end.
    pub(super) jobs: BTreeMap<JobId, Touch>,
    /// Whether something was left for the next commits.
    pub(super) has_due: bool,
    pub(super) events: Vec<NewEvent>,
    /// Tasks that turned out to be other ones.
    pub(super) taken_in: BTreeMap<TaskId, TaskId>,
    /// What an operator's decision adds to the event that follows from it.
    pub(super) words: BTreeMap<TaskId, String>,
}

impl Changes {
    /// Notes that a task's rows were changed, and that it has to be derived anew.
    pub(super) fn touch(&mut self, task: TaskId, at: Timestamp, source: Source) {
        self.stale.insert(task);
        self.note(task, at, source);
    }

    /// Notes that a task has to be derived anew; what changed is in the working set already.
    pub(super) fn note(&mut self, task: TaskId, at: Timestamp, source: Source) {
        self.touched.entry(task).or_insert(Touch { at, source });
    }
}

/// Rows that wait for the end of the batch, each a JSON array in the order of its table's statement.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) callbacks: Vec<Value>,
    pub(super) facts: Vec<Value>,
    pub(super) videos: Vec<Value>,
    pub(super) tasks: Vec<Value>,
}

/// A fact that waits for its commit.
#[derive(Clone, Debug)]
pub(super) struct NewFact {
    pub(super) task: TaskId,
    pub(super) kind: FactKind,
    /// Empty where it is about the task.
    pub(super) video: String,
    pub(super) at: Timestamp,
    pub(super) source: Source,
    pub(super) failure: Option<Failure>,
}

/// An event that waits for its commit; job and `taskId` are filled in from its task.
#[derive(Clone, Debug)]
pub(super) struct NewEvent {
    pub(super) kind: EventKind,
    pub(super) source: Source,
    pub(super) job: Option<JobId>,
    pub(super) task: Option<TaskId>,
    pub(super) video: Option<String>,
    pub(super) at: Timestamp,
    pub(super) message: Option<String>,
}

impl NewEvent {
    /// An event about nothing in particular.
    pub(super) fn new(kind: EventKind, source: Source, at: Timestamp) -> Self {
        Self { kind, source, job: None, task: None, video: None, at, message: None }
    }
}

/// A task URL whose state or error has changed.
#[derive(Clone, Debug)]
pub(super) struct UrlChange {
    pub(super) task: TaskId,
    pub(super) position: i64,
    pub(super) old: UrlState,
    pub(super) new: UrlState,
    /// The code of its failure, now and before.
    pub(super) code: Option<String>,
    pub(super) old_code: Option<String>,
    pub(super) message: Option<String>,
}

impl UrlChange {
    /// The code of a URL that was canceled.
    pub(super) const CANCELED: &'static str = "canceled";

    /// The change as JSON: task, position, old state, new state, change of "canceled", code, message.
    pub(super) fn row(&self) -> Value {
        let is_canceled = |code: &Option<String>| i64::from(code.as_deref() == Some(Self::CANCELED));
        let canceled = is_canceled(&self.code) - is_canceled(&self.old_code);
        json!([self.task, self.position, self.old, self.new, canceled, self.code, self.message])
    }
}
