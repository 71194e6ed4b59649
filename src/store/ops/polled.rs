//! Ended polls, in the form that the writer receives. Must never decide what they prove.

use std::time::Duration;

use crate::domain::time::Timestamp;
use crate::domain::video::VideoState;
use crate::store::read::due::DuePoll;

/// One entry in a poll's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolledEntry {
    /// Upstream's id of the video, if it has one.
    pub id: Option<String>,
    /// Its state.
    pub state: VideoState,
    /// The URL of the video, if the answer names it.
    pub url: Option<String>,
}

/// How a poll ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PollEnd {
    /// Upstream listed the task's videos so far.
    Listed {
        /// The entries.
        entries: Vec<PolledEntry>,
        /// Whether every entry could be read. An unreadable one may be one more video.
        is_whole: bool,
        /// The creation time of the oldest video, if upstream reports it.
        earliest: Option<Timestamp>,
    },
    /// Upstream refused to answer.
    Refused,
    /// There was no usable answer. The next poll may follow after this wait.
    Unanswered(Duration),
}

/// A poll that has ended.
#[derive(Clone, Debug)]
pub struct EndedPoll {
    /// The poll as [`Readers::next_poll`](crate::store::read::Readers::next_poll) gave it.
    pub poll: DuePoll,
    /// The time of the question.
    pub asked_at: Timestamp,
    /// The time of the answer, or of its failure.
    pub at: Timestamp,
    /// The end of the poll.
    pub end: PollEnd,
}
