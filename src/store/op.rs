//! What can be asked of the writer: each operation is applied whole or not at all.

use std::time::Duration;

use bytes::Bytes;

use crate::domain::callback::Meaning;
use crate::domain::event::Source;
use crate::domain::id::{JobId, TaskId};
use crate::domain::job::JobOptions;
use crate::domain::plan::PlannedTask;
use crate::domain::task::Failure;
use crate::domain::time::Timestamp;
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
    /// Its tasks, at least one.
    pub tasks: Vec<PlannedTask>,
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
    Listed(Vec<PolledVideo>),
    /// Upstream refused to say.
    Refused,
    /// No answer of use; ask again after this long.
    Unanswered(Duration),
}

/// Whom a pause stops, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPause {
    /// `all`, or the one platform that is stopped.
    pub scope: String,
    /// The upstream's code, or a word of ours.
    pub failure: Failure,
    /// When one queued task is tried.
    pub probe_at: Timestamp,
}

/// One operation of the writer.
#[derive(Debug)]
pub(super) enum Op {
    Callback(ReceivedCallback),
    Hint(ReceivedHint),
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
        task: TaskId,
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
    /// Changes nothing that anybody reads: proves that commits work.
    Prove {
        at: Timestamp,
    },
}
