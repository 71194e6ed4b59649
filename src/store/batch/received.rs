//! Received bodies, in the form that the writer gets.

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
    /// The time at which its last byte arrived.
    pub at: Timestamp,
    /// The body as received.
    pub body: Bytes,
    /// SHA-256 of the body.
    pub body_hash: [u8; 32],
    /// Its meaning, if it is known.
    pub meaning: Option<Meaning>,
    /// The `taskId` it names.
    pub upstream_id: Option<String>,
    /// The hash of the destination to which the task was sent, if the token has it.
    pub destination: Option<[u8; 8]>,
    /// The quality that the task was sent in, if the token has it.
    pub quality: Option<Quality>,
}

/// A callback without a token that counts because the configuration accepts it.
#[derive(Clone, Debug)]
pub struct AcceptedCallback {
    /// The `taskId` that it names, which identifies its task.
    pub upstream_id: String,
    /// The id of the task that is made if none has this `taskId`.
    pub new: TaskId,
    /// The time at which its last byte arrived.
    pub at: Timestamp,
    /// The body as received.
    pub body: Bytes,
    /// SHA-256 of the body.
    pub body_hash: [u8; 32],
    /// Its meaning, if it is known.
    pub meaning: Option<Meaning>,
}

/// A callback without a good token.
#[derive(Clone, Debug)]
pub struct ReceivedHint {
    /// The time at which its last byte arrived.
    pub at: Timestamp,
    /// The body as received.
    pub body: Bytes,
    /// SHA-256 of the body.
    pub body_hash: [u8; 32],
    /// The `taskId` it claims.
    pub upstream_id: Option<String>,
}
