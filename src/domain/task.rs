//! Tasks: one upstream request each, and the facts that their state is made of.

use serde::Serialize;
use utoipa::ToSchema;

use super::id::{JobId, TaskId};
use super::job::UrlState;
use super::outcome::Reason;
use super::time::Timestamp;
use super::url::Platform;
use super::video::Video;
use super::words;

words! {
    /// Where a task stands; see [`weigh`](super::evidence::weigh) for what leads where.
    TaskState {
        /// Waiting for its turn.
        Queued = "queued",
        /// On its way: written to disk before it was sent.
        Submitting = "submitting",
        /// The answer was lost: it may have been charged, and is never resent by itself.
        Unconfirmed = "unconfirmed",
        /// Upstream gave a `taskId`.
        Accepted = "accepted",
        /// SUCCEEDED, or any of its videos, has been seen.
        Downloaded = "downloaded",
        /// Every URL's videos are indexed.
        Indexed = "indexed",
        /// Every URL has an outcome, some failed.
        Partial = "partial",
        /// Upstream said so, or no URL has an indexed video.
        Failed = "failed",
        /// Upstream refused the submit.
        Rejected = "rejected",
        /// Silent for longer than the deadline.
        Stalled = "stalled",
        /// Canceled before it was sent, or given up while unconfirmed.
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
    /// A fact about a task, set once for a task, a kind and a video, never taken back.
    FactKind {
        /// Upstream said that everything was downloaded.
        Succeeded = "succeeded",
        /// Upstream said that the task failed.
        Failed = "failed",
        /// It was canceled before it was sent, or given up while unconfirmed.
        Canceled = "canceled",
        /// Its list is complete: see [`list_is_complete`](super::evidence::polls::list_is_complete).
        ListComplete = "list_complete",
        /// Its polls are refused: see [`refusals_count`](super::evidence::polls::refusals_count).
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
    /// How one submit ended.
    SubmitOutcome {
        /// Upstream gave a `taskId`.
        Accepted = "accepted",
        /// Certainly not taken: it may be sent again.
        Deferred = "deferred",
        /// Refused for good.
        Rejected = "rejected",
        /// Nobody knows whether it arrived.
        Unknown = "unknown",
    }
}

words! {
    /// Who told us a task's `taskId`; a later one in this list overrules an earlier one.
    UpstreamIdSource {
        /// A poll that followed a hint and showed the task's URLs: a guess.
        Poll = "poll",
        /// The operator.
        Operator = "operator",
        /// The body of a callback that came with the task's own token.
        Callback = "callback",
        /// The answer to the submit.
        Submit = "submit",
    }
}

impl UpstreamIdSource {
    /// The sources that this one overrules.
    pub fn weaker(self) -> impl Iterator<Item = Self> {
        let all = Self::ALL.iter().copied();
        // An id from a callback's token and one from the answer to a submit may both be right: upstream may fold two
        // submits into one task.
        all.filter(move |other| *other < self && *other < Self::Callback)
    }
}

/// Why something failed: the upstream's code and words, or ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Failure {
    /// The upstream's code, or a word of ours.
    pub code: String,
    /// Words for people.
    pub message: String,
}

impl Failure {
    /// A failure with this code and these words.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into() }
    }
}

/// A task as clients see it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Task {
    /// Our id.
    pub id: TaskId,
    /// The first job that it serves; none for a task recovered from a callback.
    #[schema(required)]
    pub job_id: Option<JobId>,
    /// The jobs that it serves: the first 100.
    #[schema(max_items = 100)]
    pub jobs: Vec<JobId>,
    /// How many jobs it serves.
    #[schema(minimum = 0)]
    pub jobs_total: i64,
    /// Their `taskId`.
    #[schema(required)]
    pub upstream_id: Option<String>,
    /// Where it stands.
    pub state: TaskState,
    /// The platform of its URLs; none for a task recovered from a callback.
    #[schema(required)]
    pub platform: Option<Platform>,
    /// When it was committed.
    pub created_at: Timestamp,
    /// When its `taskId` was learned.
    #[schema(required)]
    pub accepted_at: Option<Timestamp>,
    /// When SUCCEEDED or a first video was seen.
    #[schema(required)]
    pub downloaded_at: Option<Timestamp>,
    /// When it settled; null again where news reopened it.
    #[schema(required)]
    pub settled_at: Option<Timestamp>,
    /// The task whose URLs this one sends again.
    #[schema(required)]
    pub retry_of: Option<TaskId>,
    /// The task that sends this one's URLs again.
    #[schema(required)]
    pub replaced_by: Option<TaskId>,
    /// Why it ended badly, or why it was not taken at the last attempt.
    #[schema(required)]
    pub error: Option<Reason>,
    /// Its URLs; only where one task is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub urls: Option<Vec<TaskUrl>>,
    /// Its videos; only where one task is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub videos: Option<Vec<Video>>,
}

/// One URL of a task.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct TaskUrl {
    /// As the user gave it.
    pub url: String,
    /// Where it stands.
    pub state: UrlState,
    /// The videos it yielded.
    pub video_ids: Vec<String>,
    /// Why it failed.
    #[schema(required)]
    pub error: Option<Reason>,
}

/// One URL of a job.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct JobUrl {
    /// As the user gave it.
    pub url: String,
    /// Where it stands.
    pub state: UrlState,
    /// The task that carries it.
    #[schema(required)]
    pub task_id: Option<TaskId>,
    /// The videos it yielded.
    pub video_ids: Vec<String>,
    /// Why it failed.
    #[schema(required)]
    pub error: Option<Reason>,
}
