//! Callbacks: the bodies that arrived, and their meaning.

use serde::Serialize;
use utoipa::ToSchema;

use super::id::TaskId;
use super::outcome::Failure;
use super::task::FactKind;
use super::time::Timestamp;

/// The meaning of a callback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// The task's download succeeded.
    Succeeded,
    /// The task failed.
    Failed(Failure),
    /// This video is indexed.
    VideoIndexed(String),
    /// This video failed.
    VideoFailed(String, Failure),
}

impl Meaning {
    /// Reads the statement of a body. Returns `None` if it is unknown.
    ///
    /// Only three statuses are facts. `FAILED` with a video id is about that video alone.
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

    /// The fact that it states.
    pub const fn kind(&self) -> FactKind {
        match self {
            Self::Succeeded => FactKind::Succeeded,
            Self::Failed(_) => FactKind::Failed,
            Self::VideoIndexed(_) => FactKind::VideoIndexed,
            Self::VideoFailed(..) => FactKind::VideoFailed,
        }
    }

    /// The video that it is about.
    pub fn video_id(&self) -> Option<&str> {
        match self {
            Self::Succeeded | Self::Failed(_) => None,
            Self::VideoIndexed(video) | Self::VideoFailed(video, _) => Some(video),
        }
    }

    /// The reason for the failure.
    pub const fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Succeeded | Self::VideoIndexed(_) => None,
            Self::Failed(failure) | Self::VideoFailed(_, failure) => Some(failure),
        }
    }
}

/// A callback that arrived for a task.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Callback {
    /// Its number in the list.
    pub id: i64,
    /// The task that its token names.
    pub task_id: TaskId,
    /// Time of the first delivery.
    pub first_received_at: Timestamp,
    /// Time of the last delivery.
    pub last_received_at: Timestamp,
    /// Number of deliveries.
    pub deliveries: i64,
    /// The fact that it states. Null if scrapehook does not understand it.
    #[schema(required)]
    pub understood: Option<String>,
    /// The body as it came. scrapehook masks its callback tokens as `[token]`, and shows bytes that are not UTF-8 as
    /// U+FFFD. Null once scrapehook has removed it, long after the task has settled.
    #[schema(required)]
    pub body: Option<String>,
}

/// A callback that arrived without a good token.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Hint {
    /// Its number in the list.
    pub id: i64,
    /// The `taskId` that it claims.
    #[schema(required)]
    pub upstream_id: Option<String>,
    /// Time of the first delivery.
    pub first_received_at: Timestamp,
    /// Time of the last delivery.
    pub last_received_at: Timestamp,
    /// Number of deliveries.
    pub deliveries: i64,
    /// The body as it came. scrapehook masks its callback tokens as `[token]`, and shows bytes that are not UTF-8 as
    /// U+FFFD.
    pub body: String,
}
