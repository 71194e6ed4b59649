//! Tasks, each of which is one request to upstream, and the facts that their states come from.

use serde::Serialize;
use utoipa::ToSchema;

use super::id::{JobId, TaskId};
use super::outcome::{Reason, UrlState};
use super::time::Timestamp;
use super::url::Platform;
use super::video::Video;
use super::words;

words! {
    /// The state of a task. [`weigh`](super::evidence::weigh) derives it.
    TaskState {
        /// It waits for its turn.
        Queued = "queued",
        /// It is on its way. It was written to disk before it was sent.
        Submitting = "submitting",
        /// The answer was lost. It may have been charged, and is never sent again automatically.
        Unconfirmed = "unconfirmed",
        /// Upstream gave a `taskId`.
        Accepted = "accepted",
        /// scrapehook has seen SUCCEEDED or any of its videos.
        Downloaded = "downloaded",
        /// Every URL is indexed.
        Indexed = "indexed",
        /// Every URL has ended, and some have failed.
        Partial = "partial",
        /// Upstream said that it failed, or no URL has an indexed video.
        Failed = "failed",
        /// Upstream refused the submit.
        Rejected = "rejected",
        /// It had no news for longer than the deadline.
        Stalled = "stalled",
        /// It was canceled before it was sent, or given up while unconfirmed.
        Canceled = "canceled",
    }
}

impl TaskState {
    /// Whether nothing more is expected.
    pub const fn is_settled(self) -> bool {
        match self {
            Self::Queued | Self::Submitting | Self::Unconfirmed | Self::Accepted | Self::Downloaded => false,
            Self::Indexed
            | Self::Partial
            | Self::Failed
            | Self::Rejected
            | Self::Stalled
            | Self::Canceled => true,
        }
    }
}

words! {
    /// A fact about a task. It is set once for a task, a kind and a video, and never taken back.
    FactKind {
        /// Upstream said that everything was downloaded.
        Succeeded = "succeeded",
        /// Upstream said that the task failed.
        Failed = "failed",
        /// It was canceled before it was sent, or given up while unconfirmed.
        Canceled = "canceled",
        /// Its list is complete, see [`list_is_complete`](super::evidence::polls::list_is_complete).
        ListComplete = "list_complete",
        /// Its polls are refused, see [`refusals_count`](super::evidence::polls::refusals_count).
        PollsRefused = "polls_refused",
        /// A video of the task exists.
        VideoSeen = "video_seen",
        /// A video of the task is indexed.
        VideoIndexed = "video_indexed",
        /// A video of the task failed.
        VideoFailed = "video_failed",
    }
}

words! {
    /// The result of one submit.
    SubmitOutcome {
        /// Upstream gave a `taskId`.
        Accepted = "accepted",
        /// It was certainly not taken, and may be sent again.
        Deferred = "deferred",
        /// Upstream refused it for good.
        Rejected = "rejected",
        /// Nobody knows whether it arrived.
        Unknown = "unknown",
    }
}

words! {
    /// The source of a task's `taskId`. A later one in this list overrules an earlier one.
    UpstreamIdSource {
        /// A poll that followed a hint and listed the task's URLs. This is a guess.
        Poll = "poll",
        /// The operator.
        Operator = "operator",
        /// The body of a callback with the task's own token.
        Callback = "callback",
        /// The answer to the submit.
        Submit = "submit",
    }
}

impl UpstreamIdSource {
    /// The sources that this one overrules.
    pub fn weaker(self) -> impl Iterator<Item = Self> {
        let all = Self::ALL.iter().copied();
        // An id from a callback's token and one from the answer to a submit can both be right, because upstream can
        // fold two submits into one task.
        all.filter(move |other| *other < self && *other < Self::Callback)
    }
}

/// A task.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Task {
    /// scrapehook's id.
    pub id: TaskId,
    /// The first job that it serves. Null if the task was recovered from a callback.
    #[schema(required)]
    pub job_id: Option<JobId>,
    /// The first 100 jobs that it serves.
    #[schema(max_items = 100)]
    pub jobs: Vec<JobId>,
    /// Number of jobs that it serves.
    #[schema(minimum = 0)]
    pub jobs_total: i64,
    /// The `taskId` from the memories.ai API. Null if unknown.
    #[schema(required)]
    pub upstream_id: Option<String>,
    /// Its state.
    pub state: TaskState,
    /// The platform of its URLs. Null if the task was recovered from a callback.
    #[schema(required)]
    pub platform: Option<Platform>,
    /// Time when it was stored.
    pub created_at: Timestamp,
    /// Time when scrapehook learned the `taskId`.
    #[schema(required)]
    pub accepted_at: Option<Timestamp>,
    /// Time when scrapehook first saw `SUCCEEDED` or a video of the task.
    #[schema(required)]
    pub downloaded_at: Option<Timestamp>,
    /// Time when it settled. Null until then, and again if news reopens it.
    #[schema(required)]
    pub settled_at: Option<Timestamp>,
    /// The task whose URLs this one sends again.
    #[schema(required)]
    pub retry_of: Option<TaskId>,
    /// The task that sends the URLs of this one again.
    #[schema(required)]
    pub replaced_by: Option<TaskId>,
    /// The reason for its failure, or for the failure of its last submit.
    #[schema(required)]
    pub error: Option<Reason>,
    /// Its URLs. Only in the answer for a single task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub urls: Option<Vec<TaskUrl>>,
    /// Its videos. Only in the answer for a single task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub videos: Option<Vec<Video>>,
}

/// One URL of a task.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct TaskUrl {
    /// The URL as the client gave it.
    pub url: String,
    /// Its state.
    pub state: UrlState,
    /// Ids of its videos.
    pub video_ids: Vec<String>,
    /// The reason why it failed.
    #[schema(required)]
    pub error: Option<Reason>,
}

/// One URL of a job.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct JobUrl {
    /// The URL as the client gave it.
    pub url: String,
    /// Its platform.
    pub platform: Platform,
    /// Its state.
    pub state: UrlState,
    /// The task that carries it.
    #[schema(required)]
    pub task_id: Option<TaskId>,
    /// Time when the memories.ai API took that task.
    #[schema(required)]
    pub accepted_at: Option<Timestamp>,
    /// Ids of its videos.
    pub video_ids: Vec<String>,
    /// Time when the last of its videos was indexed.
    #[schema(required)]
    pub indexed_at: Option<Timestamp>,
    /// The reason why it failed.
    #[schema(required)]
    pub error: Option<Reason>,
}
