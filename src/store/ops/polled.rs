//! Polls that have ended, as they are handed to the writer.

use std::time::Duration;

use crate::domain::time::Timestamp;
use crate::domain::video::VideoState;
use crate::store::read::due::DuePoll;

/// One entry in a poll's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolledEntry {
    /// The upstream's id of the video, if it has one.
    pub id: Option<String>,
    /// Where it stands.
    pub state: VideoState,
    /// The URL it came from, if the answer names it.
    pub url: Option<String>,
}

/// How a poll ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PollEnd {
    /// Upstream listed the task's videos so far.
    Listed {
        /// The entries.
        entries: Vec<PolledEntry>,
        /// Whether every entry could be read: one that could not may be one more video.
        is_whole: bool,
        /// When the oldest of the videos was made, as far as upstream says so.
        earliest: Option<Timestamp>,
    },
    /// Upstream refused to say.
    Refused,
    /// No answer of use; ask again after this long.
    Unanswered(Duration),
}

/// A poll that has ended.
#[derive(Clone, Debug)]
pub struct EndedPoll {
    /// As [`Readers::next_poll`](crate::store::read::Readers::next_poll) gave it.
    pub poll: DuePoll,
    /// When upstream was asked.
    pub asked_at: Timestamp,
    /// When the answer, or the lack of one, was clear.
    pub at: Timestamp,
    /// How it ended.
    pub end: PollEnd,
}
