//! Evidence about one task, and its findings about the task and each of its URLs.
//!
//! The same evidence proves the same, in any order and at any time. Must never take missing evidence for proof. Only a
//! complete list shows that something is missing.

mod join;
#[cfg(test)]
mod laws;
mod matching;
pub mod polls;
mod task_state;
#[cfg(test)]
mod tests;
mod weigh;

pub use self::weigh::weigh;
use super::outcome::{Failure, Reason, UrlOutcome};
use super::task::TaskState;
use super::url::CanonicalUrl;
use super::video::VideoState;

/// The progress of a task's submit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Submission {
    /// No submit that upstream could have taken was sent.
    Unsent,
    /// An attempt is on its way.
    InFlight,
    /// Upstream took it.
    Accepted,
    /// The last attempt was certainly not taken, and another one follows.
    Deferred(Option<Failure>),
    /// Upstream refused it for good. It is a doubt if sending ended before upstream could decide about this post alone.
    Rejected(Reason),
    /// It is unknown whether the last attempt was taken.
    Unknown(Option<Failure>),
}

/// A video that upstream has named, or an entry of its list that has no video id. Such an entry counts like a video.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Upstream's id of the video. Of the entries without an id, there is one for each URL.
    pub video_id: Option<String>,
    /// Its state from all facts: indexed over failed over indexing.
    pub state: VideoState,
    /// The reason why it failed.
    pub failure: Option<Failure>,
    /// All URLs that it was listed with. Empty if it was listed without one, or with text that is not a URL.
    pub urls: Vec<CanonicalUrl>,
    /// Whether a poll has listed it, with or without a URL.
    pub is_listed: bool,
}

/// The evidence about a task. All of it is facts, set once and never taken back, except `is_stalled`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// Its URLs, each once. Empty for a task recovered from a callback, until a poll lists some.
    pub urls: Vec<CanonicalUrl>,
    /// The progress of its submit.
    pub submission: Submission,
    /// Whether its `taskId` is known. Then upstream took it, whatever the answer to the submit was.
    pub has_upstream_id: bool,
    /// Upstream said SUCCEEDED.
    pub succeeded: bool,
    /// Upstream said FAILED about the task itself.
    pub failed: Option<Failure>,
    /// It was canceled before it was sent, or given up while it was unconfirmed.
    pub canceled: bool,
    /// See [`polls::list_is_complete`]. Without SUCCEEDED it proves nothing.
    pub list_is_complete: bool,
    /// See [`polls::refusals_count`].
    pub polls_are_refused: bool,
    /// There was no news for `reconcile.deadline`. News takes it back.
    pub is_stalled: bool,
    /// Videos and entries that upstream has named, in any order.
    pub entries: Vec<Entry>,
}

/// The findings about a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Findings {
    /// The task's state.
    pub state: TaskState,
    /// The reason for its failure, or for the failure of its last submit.
    pub error: Option<Reason>,
    /// The findings about each URL, in the order of the evidence.
    pub urls: Vec<UrlFindings>,
    /// The videos that no poll has listed yet would give an open URL its end, so a poll can settle it now.
    pub wants_poll: bool,
}

/// The findings about one URL of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UrlFindings {
    /// Its state, and the reason for its failure.
    pub outcome: UrlOutcome,
    /// Positions of its entries in the evidence, ordered by video id.
    pub entries: Vec<usize>,
    /// False if upstream has not said that these entries are of this URL.
    pub attributed: bool,
    /// Whether a new job for this post is `known`: it is indexed, and that cannot be another URL's video.
    pub makes_known: bool,
}

impl Evidence {
    /// Whether only a complete list can decide about a joined failure, because its video may be another URL's.
    const fn has_several_urls(&self) -> bool {
        self.urls.len() > 1
    }

    const fn has_complete_list(&self) -> bool {
        self.succeeded && self.list_is_complete
    }

    /// Whether SUCCEEDED or any of its videos has been seen.
    const fn is_downloaded(&self) -> bool {
        self.succeeded || !self.entries.is_empty()
    }
}
