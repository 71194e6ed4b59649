//! Videos: the results of upstream for a post.

use serde::Serialize;
use utoipa::ToSchema;

use super::id::{JobId, TaskId};
use super::outcome::Failure;
use super::time::Timestamp;
use super::words;

words! {
    /// The state of a video. If facts disagree, the later state in this list holds.
    VideoState {
        /// It exists.
        Indexing = "indexing",
        /// Upstream could not index it.
        Failed = "failed",
        /// It can be used.
        Indexed = "indexed",
    }
}

impl VideoState {
    /// Whether upstream has finished with it.
    pub const fn is_ended(self) -> bool {
        !matches!(self, Self::Indexing)
    }

    /// Its number in the store.
    pub const fn number(self) -> i64 {
        match self {
            Self::Indexing => 0,
            Self::Failed => 1,
            Self::Indexed => 2,
        }
    }

    /// The state with this number.
    pub fn from_number(number: i64) -> Option<Self> {
        Self::ALL.iter().copied().find(|state| state.number() == number)
    }
}

/// A video.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Video {
    /// Its id in the memories.ai API.
    pub id: String,
    /// The first task that it was found for.
    pub task_id: TaskId,
    /// The first job of that task. Null if the task was recovered from a callback.
    #[schema(required)]
    pub job_id: Option<JobId>,
    /// All tasks that it was found for, oldest first.
    pub tasks: Vec<TaskId>,
    /// URL of its post, as the client gave it. Null until a poll has named it.
    #[schema(required)]
    pub url: Option<String>,
    /// Whether the memories.ai API has named its post. `false` if it has not, or names one that is not in the task.
    /// scrapehook then assigns the video to one of the task's URLs that have no other video, because there are as many
    /// such videos as such URLs.
    pub attributed: bool,
    /// Its state.
    pub state: VideoState,
    /// Time of the first news about it.
    pub first_seen_at: Timestamp,
    /// Time of the first news that it is indexed.
    #[schema(required)]
    pub indexed_at: Option<Timestamp>,
    /// The reason why it failed.
    #[schema(required)]
    pub error: Option<Failure>,
}
