//! One span of a task's trace, whoever takes it. Must never hold a key, a token, a body or a URL.

use std::time::Duration;

use thiserror::Error;

use crate::domain::id::TaskId;
use crate::domain::time::Timestamp;

/// Why traces can't be exported; a line that names the setting.
#[derive(Debug, Error)]
#[error("traces.endpoint: {0}")]
pub struct TracesError(pub(super) String);

/// The names of the spans of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanName {
    /// It was made: the root, which all others hang on.
    Made,
    /// It was sent to upstream.
    Submit,
    /// Upstream was asked about it.
    Poll,
    /// A callback came for it.
    Callback,
    /// From when it was made until it settled.
    Lifetime,
}

impl SpanName {
    /// The name as collectors see it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Made => "task",
            Self::Submit => "submit",
            Self::Poll => "poll",
            Self::Callback => "callback",
            Self::Lifetime => "lifetime",
        }
    }
}

/// One span of a task's trace.
#[derive(Clone, Debug)]
pub struct Span {
    /// Whose trace it is part of.
    pub task: TaskId,
    /// What happened.
    pub name: SpanName,
    /// When it began.
    pub began: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// What is known of it: names, and words of ours, ids or upstream's codes.
    pub attributes: Vec<(&'static str, String)>,
    /// Whether it went wrong.
    pub has_failed: bool,
}
