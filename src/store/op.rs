//! What can be asked of the writer: each operation is applied whole or not at all.

use std::time::Duration;

use bytes::Bytes;

use super::due::Front;
use super::polls::DuePoll;
use super::quarantine::Found;
use super::retention::Pass;
use crate::domain::callback::Meaning;
use crate::domain::event::Source;
use crate::domain::id::{JobId, TaskId};
use crate::domain::job::{Job, JobOptions};
use crate::domain::task::Failure;
use crate::domain::time::Timestamp;
use crate::domain::url::PostUrl;
use crate::domain::video::VideoState;

/// A callback with a good token.
#[derive(Clone, Debug)]
pub struct ReceivedCallback {
    /// The task that the token names.
    pub task: TaskId,
    /// When its last byte arrived.
    pub at: Timestamp,
    /// The body as it came.
    pub body: Bytes,
    /// SHA-256 of the body.
    pub body_hash: [u8; 32],
    /// What it means, where that is known.
    pub meaning: Option<Meaning>,
    /// The `taskId` it names.
    pub upstream_id: Option<String>,
}

/// A callback without a good token.
#[derive(Clone, Debug)]
pub struct ReceivedHint {
    /// When its last byte arrived.
    pub at: Timestamp,
    /// The body as it came.
    pub body: Bytes,
    /// SHA-256 of the body.
    pub body_hash: [u8; 32],
    /// The `taskId` it claims.
    pub upstream_id: Option<String>,
}

/// A callback without a token that counts all the same, because the operator said so.
#[derive(Clone, Debug)]
pub struct AcceptedCallback {
    /// The `taskId` it names, which says what task it is for.
    pub upstream_id: String,
    /// The task that is made where none has this `taskId`.
    pub new: TaskId,
    /// When its last byte arrived.
    pub at: Timestamp,
    /// The body as it came.
    pub body: Bytes,
    /// SHA-256 of the body.
    pub body_hash: [u8; 32],
    /// What it means, where that is known.
    pub meaning: Option<Meaning>,
}

/// A job with its plan.
#[derive(Clone, Debug)]
pub struct NewJob {
    /// Its id.
    pub id: JobId,
    /// When it was asked for.
    pub at: Timestamp,
    /// The API key that asked for it.
    pub created_by: Option<String>,
    /// The settings of all its tasks.
    pub options: JobOptions,
    /// Its URLs, folded, at least one.
    pub urls: Vec<PostUrl>,
    /// Whether to send also what is known or on its way.
    pub force: bool,
    /// What makes sure that it is made once, however often it is asked for.
    pub idempotency: Option<IdempotencyKey>,
}

/// A client's own word for a request, under which it is done once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// The API key's name; empty in keyless mode.
    pub caller: String,
    /// The word.
    pub key: String,
    /// SHA-256 of the request.
    pub request: [u8; 32],
}

/// What became of a job that was asked for.
#[derive(Clone, Debug)]
pub enum CreatedJob {
    /// It was made.
    New(Job),
    /// The same request came before: the job that it made, as it is now.
    Again(Job),
    /// Another request came with its key before; nothing was made.
    OtherRequest,
}

/// How a submit ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubmitEnd {
    /// Upstream gave this `taskId`.
    Accepted(String),
    /// Certainly not taken; may be sent again after this long.
    Deferred(Failure, Duration),
    /// Refused for good.
    Rejected(Failure),
    /// Nobody knows whether it arrived.
    Unknown(Failure),
}

/// One video in a poll's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolledVideo {
    /// The upstream's id.
    pub id: String,
    /// Where it stands.
    pub state: VideoState,
    /// The URL it came from, where the answer names it.
    pub url: Option<String>,
}

/// How a poll ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PollEnd {
    /// Upstream listed the task's videos so far.
    Listed {
        /// The videos.
        videos: Vec<PolledVideo>,
        /// Whether the answer has the shape that names their URLs.
        names_urls: bool,
        /// Whether every entry could be read: one that could not may be one more video.
        is_whole: bool,
    },
    /// Upstream refused to say.
    Refused,
    /// No answer of use; ask again after this long.
    Unanswered(Duration),
}

/// What an operator decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Poll this task before all others.
    Refresh(TaskId),
    /// This `taskId` is the unconfirmed task's.
    Adopt(TaskId, String),
    /// Send what `task` left without an indexed video again, as the task `new`.
    Retry {
        /// The old task.
        task: TaskId,
        /// The id of the new one.
        new: TaskId,
    },
    /// Don't send this task, or no longer wait for an unconfirmed one.
    Cancel(TaskId),
    /// Send nothing more of this job.
    CancelJob(JobId),
    /// Send nothing more at all.
    Pause,
    /// Lift every pause, whatever its reason.
    Resume,
}

/// Whom a pause stops, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPause {
    /// `all`, or the one platform that is stopped.
    pub scope: String,
    /// The upstream's code, or a word of ours.
    pub failure: Failure,
}

/// What an operation did.
#[derive(Clone, Debug)]
pub(super) enum Effect {
    /// It took effect.
    Done,
    /// It did not: things are no longer as whoever asked for it thought.
    Nothing,
    /// What became of a job.
    Job(Box<CreatedJob>),
    /// How far a pass has come.
    Pruned(Pass),
}

impl Effect {
    /// Whether it took effect.
    pub(super) const fn of(took_effect: bool) -> Self {
        if took_effect { Self::Done } else { Self::Nothing }
    }
}

impl Op {
    /// Whether who asks for it waits for what its commit leaves to the next ones, and finds all of it done.
    pub(super) const fn is_done_whole(&self) -> bool {
        matches!(
            self,
            Self::Decide {
                decision: Decision::Cancel(_) | Decision::CancelJob(_) | Decision::Retry { .. },
                ..
            }
        )
    }

    /// Whether it reads states that an operation before it may have changed: then it begins a batch.
    pub(super) const fn reads_states(&self) -> bool {
        matches!(
            self,
            Self::BeginSubmit { .. }
                | Self::Sweep { .. }
                | Self::ClockSetForward { .. }
                | Self::ClockSetBack { .. }
                | Self::CreateJob(_)
                | Self::Decide { .. }
                | Self::Looked { .. }
                | Self::Continue(_)
        )
    }
}

/// One operation of the writer.
#[derive(Debug)]
pub(super) enum Op {
    Callback(ReceivedCallback),
    Hint(ReceivedHint),
    Accept(AcceptedCallback),
    Looked {
        upstream_id: String,
        found: Found,
        at: Timestamp,
    },
    CreateJob(NewJob),
    BeginSubmit {
        task: TaskId,
        at: Timestamp,
    },
    EndSubmit {
        task: TaskId,
        at: Timestamp,
        end: SubmitEnd,
    },
    CloseOpenSubmits {
        at: Timestamp,
    },
    RecordPoll {
        poll: DuePoll,
        asked_at: Timestamp,
        at: Timestamp,
        end: PollEnd,
    },
    Pause {
        pause: NewPause,
        source: Source,
        at: Timestamp,
    },
    Resume {
        scope: String,
        source: Source,
        at: Timestamp,
    },
    Decide {
        decision: Decision,
        /// The API key's name.
        by: Option<String>,
        at: Timestamp,
    },
    /// Marks at most so many silent tasks, without the first ones, which can't be read.
    Sweep {
        at: Timestamp,
        skip: i64,
        most: i64,
    },
    /// Removes what settled before this time, a step of a pass.
    Prune {
        before: Timestamp,
        pass: Pass,
    },
    /// Moves the beginnings of silences along with a clock that was set.
    ClockSetForward {
        by: Duration,
        at: Timestamp,
    },
    ClockSetBack {
        at: Timestamp,
    },
    /// Does a part of what earlier commits have left: see [`due`](super::due).
    Continue(Front),
    /// Changes nothing that anybody reads: proves that commits work.
    Prove {
        at: Timestamp,
    },
}
