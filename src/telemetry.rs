//! Logs: readable on a terminal, JSON elsewhere, on standard error. Must never hold a key, a token or a body.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Starts logging; `RUST_LOG` chooses what, by default everything from `info` on.
pub fn start(default: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Whoever reads the log may go away. To say so on the same stream would panic, in the middle of a submit.
    let builder = builder.log_internal_errors(false);
    if std::io::stderr().is_terminal() {
        builder.with_target(false).init();
    } else {
        builder.json().flatten_event(true).with_current_span(false).with_span_list(false).init();
    }
}
