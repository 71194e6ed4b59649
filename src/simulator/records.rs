//! Records of a simulator's run, for tests. Holds only values, and must never decide anything.

use crate::upstream::wire::{NoticeBody, SubmitBody};

/// A request that reached one of the submit routes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submitted {
    /// The id of the task if the submit was accepted, even if the answer was a refusal.
    pub task_id: Option<String>,
    /// Whether it was for the public library.
    pub public: bool,
    /// The body. Empty if it couldn't be read.
    pub body: SubmitBody,
    /// The code of the result: `0000` if it was accepted, that of a refusal, charged or not, or `503` if the
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
    /// The HTTP status of the answer. `None` if there was no answer.
    pub answer: Option<u16>,
}

/// A task that no answer to a submit named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherTask {
    /// The task.
    pub task_id: String,
    /// The fault that made it, by its name on the command line.
    pub fault: &'static str,
    /// Its URLs.
    pub urls: Vec<String>,
}
