//! What can be asked of the writer: each operation is applied whole or not at all.

use std::time::Duration;

use bytes::Bytes;

use super::polls::DuePoll;
use crate::domain::callback::Meaning;
use crate::domain::event::Source;
use crate::domain::id::{JobId, TaskId};
use crate::domain::job::{Job, JobOptions, JobState, JobTask, Progress};
use crate::domain::plan::PlannedTask;
use crate::domain::task::{Failure, TaskState};
use crate::domain::time::Timestamp;
use crate::domain::video::VideoState;

/// A callback with a good token.
#[derive(Clone, Debug)]
pub struct ReceivedCallback {
    /// The task that the token names.
    pub task: TaskId,
    /// When its last byte arrived.
    pub at: Timestamp,
    /// The body as it came.
    pub body: Bytes,
    /// SHA-256 of the body.
    pub body_hash: [u8; 32],
    /// What it means, where that is known.
    pub meaning: Option<Meaning>,
    /// The `taskId` it names.
    pub upstream_id: Option<String>,
}

/// A callback without a good token.
#[derive(Clone, Debug)]
pub struct ReceivedHint {
    /// When its last byte arrived.
    pub at: Timestamp,
    /// The body as it came.
    pub body: Bytes,
    /// SHA-256 of the body.
    pub body_hash: [u8; 32],
    /// The `taskId` it claims.
    pub upstream_id: Option<String>,
}

/// A job with its plan.
#[derive(Clone, Debug)]
pub struct NewJob {
    /// Its id.
    pub id: JobId,
    /// When it was asked for.
    pub at: Timestamp,
    /// The API key that asked for it.
    pub created_by: Option<String>,
    /// The settings of all its tasks.
    pub options: JobOptions,
    /// Its tasks, at least one, each with its id.
    pub tasks: Vec<(TaskId, PlannedTask)>,
}

impl NewJob {
    /// The job as it will stand when it is written.
    pub fn as_planned(&self) -> Job {
        let task = |(id, planned): &(TaskId, PlannedTask)| JobTask {
            id: *id,
            state: TaskState::Queued,
            platform: planned.platform.clone(),
            urls: i64::try_from(planned.urls.len()).unwrap_or(i64::MAX),
        };
        let tasks: Vec<JobTask> = self.tasks.iter().map(task).collect();
        let urls = tasks.iter().map(|task| task.urls).sum();
        Job {
            id: self.id,
            state: JobState::Running,
            created_at: self.at,
            settled_at: None,
            labels: self.options.labels.clone(),
            unique_id: self.options.unique_id.clone(),
            folder_id: self.options.folder_id,
            quality: self.options.quality,
            library: self.options.library,
            progress: Progress { urls, waiting: urls, ..Progress::default() },
            tasks: Some(tasks),
        }
    }
}

/// How a submit ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubmitEnd {
    /// Upstream gave this `taskId`.
    Accepted(String),
    /// Certainly not taken; may be sent again after this long.
    Deferred(Failure, Duration),
    /// Refused for good.
    Rejected(Failure),
    /// Nobody knows whether it arrived.
    Unknown(Failure),
}

/// One video in a poll's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolledVideo {
    /// The upstream's id.
    pub id: String,
    /// Where it stands.
    pub state: VideoState,
    /// The URL it came from, where the answer names it.
    pub url: Option<String>,
}

/// How a poll ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PollEnd {
    /// Upstream listed the task's videos so far.
    Listed {
        /// The videos.
        videos: Vec<PolledVideo>,
        /// Whether the answer has the shape that names their URLs.
        names_urls: bool,
    },
    /// Upstream refused to say.
    Refused,
    /// No answer of use; ask again after this long.
    Unanswered(Duration),
}

/// Whom a pause stops, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPause {
    /// `all`, or the one platform that is stopped.
    pub scope: String,
    /// The upstream's code, or a word of ours.
    pub failure: Failure,
}

impl Op {
    /// Whether it reads states that an operation before it may have changed: then it begins a batch.
    pub(super) const fn reads_states(&self) -> bool {
        matches!(self, Self::BeginSubmit { .. } | Self::Sweep { .. })
    }
}

/// One operation of the writer.
#[derive(Debug)]
pub(super) enum Op {
    Callback(ReceivedCallback),
    Hint(ReceivedHint),
    CreateJob(NewJob),
    BeginSubmit {
        task: TaskId,
        at: Timestamp,
    },
    EndSubmit {
        task: TaskId,
        at: Timestamp,
        end: SubmitEnd,
    },
    CloseOpenSubmits {
        at: Timestamp,
    },
    RecordPoll {
        poll: DuePoll,
        asked_at: Timestamp,
        at: Timestamp,
        end: PollEnd,
    },
    Pause {
        pause: NewPause,
        source: Source,
        at: Timestamp,
    },
    Resume {
        scope: String,
        source: Source,
        at: Timestamp,
    },
    /// Marks what was silent for too long.
    Sweep {
        at: Timestamp,
    },
    /// Changes nothing that anybody reads: proves that commits work.
    Prove {
        at: Timestamp,
    },
}
