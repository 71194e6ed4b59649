//! Logs, metrics and traces. Logs go to standard error, readable on a terminal and as JSON elsewhere.
//!
//! Must never hold a key, a token or a body.

mod labels;
mod metrics;
#[cfg(feature = "traces")]
mod otlp;
mod snapshot;
mod span;
mod text;
mod traces;
mod webhooks;

use std::io::IsTerminal;

pub use metrics::Metrics;
pub use snapshot::{Copies, Kept, Snapshot, Waiting};
pub use span::{Span, SpanName, TracesError};
pub use text::MEDIA_TYPE;
pub use traces::Traces;
pub use webhooks::KeptWebhooks;

use tracing::{Level, Metadata};
use tracing_subscriber::filter::{Targets, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt, reload};

/// Changes the log level, with directives in the form of `RUST_LOG` that the configuration has checked.
pub type SetLevel = Box<dyn Fn(&str) + Send>;

/// Whether a line may be logged at all. Below `info`, the exporter of traces logs bodies of the collector's answers.
fn is_ours_to_tell(of: &Metadata<'_>) -> bool {
    *of.level() <= Level::INFO || !of.target().starts_with("opentelemetry")
}

/// Parses the targets and levels of directives. They were checked before, so none is left out.
fn targets(directives: &str) -> Targets {
    directives.parse().unwrap_or_default()
}

/// Starts the log with these checked directives, and returns the function that changes the level later.
pub fn start(level: &str) -> SetLevel {
    let (filter_layer, handle) = reload::Layer::new(targets(level));
    let lines = fmt::layer().with_writer(std::io::stderr);
    // The reader of the log may go away. Reporting that on the same stream would panic in the middle of a submit.
    let lines = lines.log_internal_errors(false);
    let lines = if std::io::stderr().is_terminal() {
        lines.with_target(false).boxed()
    } else {
        lines.json().flatten_event(true).with_current_span(true).with_span_list(false).boxed()
    };
    let lines = lines.with_filter(filter_fn(is_ours_to_tell));
    tracing_subscriber::registry().with(filter_layer).with(lines).init();
    Box::new(move |level| {
        // This fails only if the log is gone.
        let _ = handle.reload(targets(level));
    })
}
