//! One attempt to deliver a webhook: what is sent, and what came of it.

use std::time::Duration;

use bytes::Bytes;

use crate::domain::time::Timestamp;
use crate::domain::webhook::secret::Secret;
use crate::domain::webhook::target::Target;

/// A webhook for one receiver.
pub struct Message<'a> {
    /// The id of the delivery, the same in each attempt.
    pub id: &'a str,
    /// The time of this attempt.
    pub attempted_at: Timestamp,
    /// The receiver.
    pub target: &'a Target,
    /// The secrets that sign it: one, or two during a rotation. Without any there is no signature.
    pub secrets: &'a [Secret],
    /// The type of the body, such as `application/json`.
    pub content_type: &'a str,
    /// Further headers that the receiver's format needs.
    pub headers: &'a [(&'static str, &'static str)],
    /// The body, signed and sent as it is.
    pub body: Bytes,
}

/// The result of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// The receiver has taken it.
    Delivered {
        /// The status of the answer, from 200 to 299.
        status: u16,
    },
    /// The receiver has not taken it, as far as is known.
    Failed {
        /// The status of the answer, if there was one.
        status: Option<u16>,
        /// The reason, in words for the operator. It shows no secret.
        reason: String,
        /// The wait that the receiver asks for.
        retry_after: Option<Duration>,
    },
    /// The receiver wants no more webhooks (410).
    Gone,
}

impl Attempt {
    /// A failure without an answer.
    pub(super) const fn unanswered(reason: String) -> Self {
        Self::Failed { status: None, reason, retry_after: None }
    }
}
