//! One span of a task's trace, whatever receives it. Must never hold a key, a token, a body or a URL.

use std::time::Duration;

use thiserror::Error;

use crate::domain::id::TaskId;
use crate::domain::time::Timestamp;

/// The reason why traces can't be exported, as a line that names the setting.
#[derive(Debug, Error)]
#[error("traces.endpoint: {0}")]
pub struct TracesError(pub(super) String);

/// The names of the spans of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanName {
    /// The task was made. This is the root of all other spans.
    Made,
    /// The task was sent to upstream.
    Submit,
    /// The task was polled.
    Poll,
    /// A callback for the task arrived.
    Callback,
    /// The time from the start of the task until it settled.
    Lifetime,
}

impl SpanName {
    /// The name that collectors show.
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
    /// The task to whose trace it belongs.
    pub task: TaskId,
    /// The name of the span.
    pub name: SpanName,
    /// The time at which it began.
    pub began: Timestamp,
    /// Its duration.
    pub took: Duration,
    /// Its attributes: names, with scrapehook's words, ids or upstream's codes.
    pub attributes: Vec<(&'static str, String)>,
    /// Whether it failed.
    pub has_failed: bool,
}
