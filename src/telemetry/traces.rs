//! Traces: one for each task, from when it was made to its last callback, for a collector that speaks OTLP.
//!
//! The id of a trace is that of its task. So a callback that comes after a restart, days later, is part of it, and
//! nothing has to be remembered. Must never hold a key, a token, a body or a URL.

#[cfg(not(feature = "traces"))]
use self::absent::Collector;
#[cfg(feature = "traces")]
use super::otlp::Collector;
use super::span::{Span, TracesError};

/// Where spans go; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Traces(Option<Collector>);

impl Traces {
    /// To the collector whose OTLP over HTTP is at this URL, without `/v1/traces`; nowhere without one.
    ///
    /// # Errors
    /// This binary can't, or not to there.
    pub fn to(endpoint: Option<&str>) -> Result<Self, TracesError> {
        endpoint.map(Collector::at).transpose().map(Self)
    }

    /// Whether they go anywhere.
    pub const fn are_wanted(&self) -> bool {
        self.0.is_some()
    }

    /// Hands a span over, without waiting: where the collector takes none for long, spans are dropped.
    pub fn record(&self, span: Span) {
        if let Some(collector) = &self.0 {
            collector.take(span);
        }
    }

    /// Sends what is left, for at most five seconds; the thread waits for it.
    pub fn flush(&self) {
        if let Some(collector) = &self.0 {
            collector.flush();
        }
    }
}

/// What a binary has that was built without the feature: nothing.
#[cfg(not(feature = "traces"))]
mod absent {
    use super::{Span, TracesError};

    #[derive(Clone, Copy, Debug)]
    pub(super) enum Collector {}

    impl Collector {
        pub(super) fn at(_: &str) -> Result<Self, TracesError> {
            Err(TracesError("this binary can't export traces. Build it with `--features traces`".to_owned()))
        }

        pub(super) fn take(self, _: Span) {
            match self {}
        }

        pub(super) fn flush(self) {
            match self {}
        }
    }
}
