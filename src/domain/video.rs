//! Videos: what upstream made of a post.

use serde::Serialize;
use utoipa::ToSchema;

use super::id::{JobId, TaskId};
use super::task::Failure;
use super::time::Timestamp;
use super::words;

words! {
    /// Where a video stands; where facts disagree, the later word in this list holds.
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
    /// Whether upstream is done with it.
    pub const fn is_ended(self) -> bool {
        !matches!(self, Self::Indexing)
    }

    /// The number that stands for it in the store.
    pub const fn number(self) -> i64 {
        match self {
            Self::Indexing => 0,
            Self::Failed => 1,
            Self::Indexed => 2,
        }
    }

    /// The state that this number stands for.
    pub fn from_number(number: i64) -> Option<Self> {
        Self::ALL.iter().copied().find(|state| state.number() == number)
    }
}

/// A video as clients see it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Video {
    /// The upstream's id.
    pub id: String,
    /// The first task that brought it.
    pub task_id: TaskId,
    /// That task's job; none for a task recovered from a callback.
    #[schema(required)]
    pub job_id: Option<JobId>,
    /// Every task that brought it, oldest first.
    pub tasks: Vec<TaskId>,
    /// The post it came from, as submitted; null until a poll named it.
    #[schema(required)]
    pub url: Option<String>,
    /// Whether upstream has named its post. `false` if it has not, or names one that is not in its task. Then the video
    /// is taken for one of the task's URLs that have no other video, because their numbers fit.
    pub attributed: bool,
    /// Where it stands.
    pub state: VideoState,
    /// When it was first heard of.
    pub first_seen_at: Timestamp,
    /// When it was first heard to be indexed.
    #[schema(required)]
    pub indexed_at: Option<Timestamp>,
    /// Why it failed.
    #[schema(required)]
    pub error: Option<Failure>,
}
