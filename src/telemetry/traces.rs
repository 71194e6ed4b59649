//! Traces: one for each task, from its start to its last callback, for a collector that speaks OTLP.
//!
//! The id of a trace is that of its task. So a callback that comes after a restart, days later, is part of the trace,
//! and nothing has to be stored for it. Must never hold a key, a token, a body or a URL.

#[cfg(not(feature = "traces"))]
use self::absent::Collector;
#[cfg(feature = "traces")]
use super::otlp::Collector;
use super::span::{Span, TracesError};

/// The target of spans. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Traces(Option<Collector>);

impl Traces {
    /// Creates traces to the collector at this URL (OTLP over HTTP), without `/v1/traces`. Without a URL, nothing is
    /// traced.
    ///
    /// # Errors
    /// This binary can't export traces, or not to this URL.
    pub fn to(endpoint: Option<&str>) -> Result<Self, TracesError> {
        endpoint.map(Collector::at).transpose().map(Self)
    }

    /// Whether traces are exported.
    pub const fn are_wanted(&self) -> bool {
        self.0.is_some()
    }

    /// Records a span without waiting. If the collector takes none for a long time, spans are dropped.
    pub fn record(&self, span: Span) {
        if let Some(collector) = &self.0 {
            collector.take(span);
        }
    }

    /// Sends the remaining spans, and blocks the thread for at most five seconds.
    pub fn flush(&self) {
        if let Some(collector) = &self.0 {
            collector.flush();
        }
    }
}

/// The empty exporter of a binary that was built without the feature.
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
