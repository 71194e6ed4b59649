//! What a simulator remembers of its run, for tests to look at. Holds values only.

use crate::upstream::wire::{NoticeBody, SubmitBody};

/// A request that reached one of the submit routes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submitted {
    /// The task that it became, if it was accepted, also if the answer was a refusal all the same.
    pub task_id: Option<String>,
    /// Whether it was for the public library.
    pub public: bool,
    /// The body, empty where it couldn't be read.
    pub body: SubmitBody,
    /// The outcome's code: `0000` if it was accepted, that of a refusal, charged or not, or `503` where the
    /// infrastructure answered.
    pub code: String,
}

/// A callback that was sent, whether it arrived or not.
#[derive(Clone, Debug)]
pub struct SentCallback {
    /// Its task.
    pub task_id: String,
    /// Its status.
    pub status: String,
    /// Its body.
    pub body: NoticeBody,
    /// The HTTP status that came back, `None` if no answer came.
    pub answer: Option<u16>,
}

/// A task that no answer to a submit named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherTask {
    /// The task.
    pub task_id: String,
    /// The fault that made it, as on the command line.
    pub fault: &'static str,
    /// Its URLs.
    pub urls: Vec<String>,
}
