//! Callbacks: bodies that arrived, and what they mean.

use serde::Serialize;
use utoipa::ToSchema;

use super::id::TaskId;
use super::task::{FactKind, Failure};
use super::time::Timestamp;

/// What a callback meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// The task's download ended well.
    Succeeded,
    /// The task failed.
    Failed(Failure),
    /// This video is indexed.
    VideoIndexed(String),
    /// This video failed.
    VideoFailed(String, Failure),
}

impl Meaning {
    /// Reads the statement of a body; `None` if it is unknown.
    ///
    /// Exactly three statuses are facts. `FAILED` beside a video id is about that video alone.
    pub fn read(status: Option<&str>, video_id: Option<&str>, message: Option<&str>) -> Option<Self> {
        let words = || message.unwrap_or("the memories.ai API gave no reason").to_owned();
        match (status?, video_id) {
            ("SUCCEEDED", _) => Some(Self::Succeeded),
            ("INDEXING_SUCCEEDED", Some(video)) => Some(Self::VideoIndexed(video.to_owned())),
            ("FAILED", None) => Some(Self::Failed(Failure::new("task_failed", words()))),
            ("FAILED", Some(video)) => {
                Some(Self::VideoFailed(video.to_owned(), Failure::new("video_failed", words())))
            }
            _ => None,
        }
    }

    /// The fact it states.
    pub const fn kind(&self) -> FactKind {
        match self {
            Self::Succeeded => FactKind::Succeeded,
            Self::Failed(_) => FactKind::Failed,
            Self::VideoIndexed(_) => FactKind::VideoIndexed,
            Self::VideoFailed(..) => FactKind::VideoFailed,
        }
    }

    /// The video it is about.
    pub fn video_id(&self) -> Option<&str> {
        match self {
            Self::Succeeded | Self::Failed(_) => None,
            Self::VideoIndexed(video) | Self::VideoFailed(video, _) => Some(video),
        }
    }

    /// The reason of a failure.
    pub const fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Succeeded | Self::VideoIndexed(_) => None,
            Self::Failed(failure) | Self::VideoFailed(_, failure) => Some(failure),
        }
    }
}

/// A callback as clients see it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Callback {
    /// Its number.
    pub id: i64,
    /// The task its token named.
    pub task_id: TaskId,
    /// When it was first received.
    pub first_received_at: Timestamp,
    /// When it was last received.
    pub last_received_at: Timestamp,
    /// How often it was received.
    pub deliveries: i64,
    /// The fact it stated, or null.
    #[schema(required)]
    pub understood: Option<String>,
    /// The body as it came, with callback tokens of ours masked as `[token]`; bytes that are not UTF-8 are shown as
    /// U+FFFD. Null once it was removed, long after the task has settled.
    #[schema(required)]
    pub body: Option<String>,
}

/// A callback that arrived without a good token.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Hint {
    /// Its number.
    pub id: i64,
    /// The `taskId` it claims.
    #[schema(required)]
    pub upstream_id: Option<String>,
    /// When it was first received.
    pub first_received_at: Timestamp,
    /// When it was last received.
    pub last_received_at: Timestamp,
    /// How often it was received.
    pub deliveries: i64,
    /// The body as it came, with callback tokens of ours masked as `[token]`; bytes that are not UTF-8 are shown as
    /// U+FFFD.
    pub body: String,
}
