//! Bodies that arrived, as they are handed to the writer.

use bytes::Bytes;

use crate::domain::callback::Meaning;
use crate::domain::id::TaskId;
use crate::domain::job::Quality;
use crate::domain::time::Timestamp;

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
    /// The hash of the destination to which the task was sent, if the token has it.
    pub destination: Option<[u8; 8]>,
    /// The quality that the task was sent in, if the token has it.
    pub quality: Option<Quality>,
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
