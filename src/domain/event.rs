//! Events: the append-only log of committed changes.

use serde::Serialize;
use utoipa::ToSchema;

use super::id::{JobId, TaskId};
use super::time::Timestamp;
use super::words;

words! {
    /// The kind of change.
    EventKind {
        /// A job was stored.
        JobCreated = "job.created",
        /// A job's last URL ended.
        JobSettled = "job.settled",
        /// The URLs of a job that had not been sent were canceled.
        JobCanceled = "job.canceled",
        /// Failed URLs of a job are retried.
        JobRetried = "job.retried",
        /// News about a URL reopened a job that had settled.
        JobReopened = "job.reopened",
        /// A task waits for its turn.
        TaskQueued = "task.queued",
        /// A task is about to be sent.
        TaskSubmitting = "task.submitting",
        /// Upstream gave a `taskId`.
        TaskAccepted = "task.accepted",
        /// The answer to a submit was lost.
        TaskUnconfirmed = "task.unconfirmed",
        /// scrapehook saw SUCCEEDED or a first video of a task.
        TaskDownloaded = "task.downloaded",
        /// A task ended without an indexed video.
        TaskFailed = "task.failed",
        /// Upstream refused a task.
        TaskRejected = "task.rejected",
        /// A task had no news for too long.
        TaskStalled = "task.stalled",
        /// A task was canceled.
        TaskCanceled = "task.canceled",
        /// An operator asked for a poll.
        TaskRefreshed = "task.refreshed",
        /// Nothing more is expected of a task.
        TaskSettled = "task.settled",
        /// There is first news of a video.
        VideoIndexing = "video.indexing",
        /// A video is indexed.
        VideoIndexed = "video.indexed",
        /// A video failed.
        VideoFailed = "video.failed",
        /// A callback with a good token was not understood.
        CallbackUnrecognized = "callback.unrecognized",
        /// A callback without a good token was kept.
        CallbackHint = "callback.hint",
        /// Sending stopped.
        SendingPaused = "sending.paused",
        /// Sending continues.
        SendingResumed = "sending.resumed",
        /// The status has shown a problem for some seconds.
        ProblemOpened = "problem.opened",
        /// The status has not shown the problem for a minute.
        ProblemClosed = "problem.closed",
        /// scrapehook sends a subscriber no more webhooks.
        SubscriberDisabled = "subscriber.disabled",
    }
}

words! {
    /// The source of the news.
    Source {
        /// A callback.
        Callback = "callback",
        /// A poll.
        Poll = "poll",
        /// The answer to a submit, or its absence.
        Submit = "submit",
        /// A client of the API.
        Operator = "operator",
        /// Passing time, such as a deadline.
        Clock = "clock",
    }
}

/// A change of a job, a task, a video, a pause, a problem or a subscriber.
#[derive(Clone, Debug, Serialize, ToSchema, PartialEq, Eq)]
pub struct Event {
    /// Position in the event log. Grows with each event.
    pub seq: i64,
    /// The kind of change.
    pub kind: EventKind,
    /// The source of the news.
    pub source: Source,
    /// The job that the event is about.
    #[schema(required)]
    pub job_id: Option<JobId>,
    /// The task that the event is about.
    #[schema(required)]
    pub task_id: Option<TaskId>,
    /// The `taskId` of that task, if it was known.
    #[schema(required)]
    pub upstream_id: Option<String>,
    /// The video that the event is about.
    #[schema(required)]
    pub video_id: Option<String>,
    /// Time of the change.
    pub at: Timestamp,
    /// Message for people.
    #[schema(required)]
    pub message: Option<String>,
}
