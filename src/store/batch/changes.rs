//! The changes that the operations of a batch gather for its end: facts, touched tasks, events.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use crate::domain::event::{EventKind, Source};
use crate::domain::id::{JobId, TaskId};
use crate::domain::measure::{self, Measure};
use crate::domain::outcome::{Failure, Reason, UrlOutcome, UrlState};
use crate::domain::task::FactKind;
use crate::domain::time::Timestamp;
use crate::store::batch::received::ReceivedCallback;

/// The time and the source of a change.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Touch {
    /// When it happened.
    pub(crate) at: Timestamp,
    /// Where it came from.
    pub(crate) source: Source,
}

/// The changes that the operations of a batch have gathered for its end.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// Callbacks, which are stored together after all operations of the batch.
    pub(crate) callbacks: Vec<Arc<ReceivedCallback>>,
    pub(crate) facts: Vec<NewFact>,
    /// The facts that were new.
    pub(crate) set: Vec<(TaskId, FactKind, Source)>,
    /// The entries that polls of this batch have listed.
    pub(crate) listed: Vec<Listed>,
    pub(crate) rows: Rows,
    pub(crate) touched: BTreeMap<TaskId, Touch>,
    /// Whether more or other posts or tasks can be sent than before.
    pub(crate) changes_queue: bool,
    /// Whether a worker has something to do although no task was touched.
    pub(crate) wakes_workers: bool,
    /// Tasks whose rows were changed by SQL alone, so the working set must load them again.
    pub(crate) stale: BTreeSet<TaskId>,
    /// Jobs whose counts have changed, with the last cause. Their states are stored at the end.
    pub(crate) jobs: BTreeMap<JobId, Touch>,
    /// Whether work was left for the next commits.
    pub(crate) has_due: bool,
    pub(crate) events: Vec<NewEvent>,
    /// Tasks that upstream took although it had refused their submit.
    pub(crate) refuted: Vec<(TaskId, Touch)>,
    /// Tasks that turned out to be another one, with that other task.
    pub(crate) taken_in: BTreeMap<TaskId, TaskId>,
    /// What is counted for a minute, by the minute and the number of the measure.
    pub(crate) counted: BTreeMap<(i64, i64), u64>,
    /// The words that an operator's decision adds to the event that follows from it.
    pub(crate) words: BTreeMap<TaskId, String>,
}

impl Changes {
    /// Records that a task's rows were changed, and that its state must be derived again.
    pub(crate) fn touch(&mut self, task: TaskId, at: Timestamp, source: Source) {
        self.stale.insert(task);
        self.note(task, at, source);
    }

    /// Counts something for its minute.
    pub(crate) fn count(&mut self, at: Timestamp, measure: Measure, count: u64) {
        *self.counted.entry((measure::minute(at), measure.number())).or_default() += count;
    }

    /// Records that a task's state must be derived again. The working set has the change already.
    pub(crate) fn note(&mut self, task: TaskId, at: Timestamp, source: Source) {
        self.touched.entry(task).or_insert(Touch { at, source });
    }
}

/// Rows to write at the end of the batch, each a JSON array in the order of its table's statement.
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
    /// Empty if the fact is about the task.
    pub(crate) video: String,
    pub(crate) at: Timestamp,
    pub(crate) source: Source,
    pub(crate) failure: Option<Failure>,
}

/// The entries of a poll's answer.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    pub(crate) task: TaskId,
    /// The time of the question.
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

/// An event that waits for its commit. Its job and `taskId` are filled in from its task.
#[derive(Clone, Debug)]
pub(crate) struct NewEvent {
    pub(crate) kind: EventKind,
    pub(crate) source: Source,
    pub(crate) job: Option<JobId>,
    pub(crate) task: Option<TaskId>,
    pub(crate) video: Option<String>,
    pub(crate) at: Timestamp,
    pub(crate) message: Option<String>,
    /// The post of its video (see the column).
    pub(crate) post: Option<i64>,
}

impl NewEvent {
    /// The task of the video serves one job alone, which sees every event of the task.
    pub(crate) const OF_ONE_JOB: i64 = -1;
    /// The post of the video is not known yet.
    pub(crate) const OF_NOBODY: i64 = 0;

    /// Creates an event without a subject.
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
    /// Whether its former end was a cancel.
    pub(crate) was_canceled: bool,
    pub(crate) new: UrlOutcome,
    pub(crate) touch: Touch,
}

/// The code of a canceled URL.
pub(crate) const CANCELED: &str = "canceled";

/// Whether a URL has failed because it was canceled.
pub(crate) fn is_canceled(outcome: &UrlOutcome) -> bool {
    code(outcome).is_some_and(|code| code == CANCELED)
}

/// The code of a failed URL.
pub(crate) fn code(outcome: &UrlOutcome) -> Option<&str> {
    outcome.reason.as_ref().map(|reason: &Reason| reason.failure.code.as_str())
}
