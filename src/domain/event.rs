//! Events: the append-only log of what was committed.

use serde::Serialize;
use utoipa::ToSchema;

use super::id::{JobId, TaskId};
use super::time::Timestamp;
use super::words;

words! {
    /// What changed.
    EventKind {
        /// A job was taken.
        JobCreated = "job.created",
        /// A job's last URL got its outcome.
        JobSettled = "job.settled",
        /// What was not sent of a job was canceled.
        JobCanceled = "job.canceled",
        /// Failed URLs of a job are tried again.
        JobRetried = "job.retried",
        /// News about a URL reopened a job that had settled.
        JobReopened = "job.reopened",
        /// A task waits for its turn.
        TaskQueued = "task.queued",
        /// A task is about to be sent.
        TaskSubmitting = "task.submitting",
        /// Upstream gave a `taskId`.
        TaskAccepted = "task.accepted",
        /// The answer was lost.
        TaskUnconfirmed = "task.unconfirmed",
        /// SUCCEEDED, or a first video, was seen.
        TaskDownloaded = "task.downloaded",
        /// It ended without an indexed video.
        TaskFailed = "task.failed",
        /// Upstream refused it.
        TaskRejected = "task.rejected",
        /// It was silent for too long.
        TaskStalled = "task.stalled",
        /// It was canceled.
        TaskCanceled = "task.canceled",
        /// An operator asked for a poll.
        TaskRefreshed = "task.refreshed",
        /// Nothing more is expected of it.
        TaskSettled = "task.settled",
        /// A video was first heard of.
        VideoIndexing = "video.indexing",
        /// A video is indexed.
        VideoIndexed = "video.indexed",
        /// A video failed.
        VideoFailed = "video.failed",
        /// A callback with a good token that nobody understands.
        CallbackUnrecognized = "callback.unrecognized",
        /// A callback without a good token.
        CallbackHint = "callback.hint",
        /// Sending stopped.
        SendingPaused = "sending.paused",
        /// Sending goes on.
        SendingResumed = "sending.resumed",
    }
}

words! {
    /// Where the news came from.
    Source {
        /// A callback.
        Callback = "callback",
        /// A poll.
        Poll = "poll",
        /// The answer to a submit, or its absence.
        Submit = "submit",
        /// A client of the API.
        Operator = "operator",
        /// Time that went by.
        Clock = "clock",
    }
}

/// An event as clients see it.
#[derive(Clone, Debug, Serialize, ToSchema, PartialEq, Eq)]
pub struct Event {
    /// Its place in the log; ever growing.
    pub seq: i64,
    /// What changed.
    pub kind: EventKind,
    /// Where the news came from.
    pub source: Source,
    /// The job it is about.
    #[schema(required)]
    pub job_id: Option<JobId>,
    /// The task it is about.
    #[schema(required)]
    pub task_id: Option<TaskId>,
    /// That task's `taskId`, where it was known.
    #[schema(required)]
    pub upstream_id: Option<String>,
    /// The video it is about.
    #[schema(required)]
    pub video_id: Option<String>,
    /// When it happened.
    pub at: Timestamp,
    /// Words for people.
    #[schema(required)]
    pub message: Option<String>,
}
