//! What the store has to know of the configuration.

use std::time::Duration;

/// What the store has to know of the configuration.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// How long a task may be silent before it is polled.
    pub poll_after: Duration,
    /// Most URLs of one task.
    pub urls_per_task: usize,
    /// First probe of a paused account.
    pub probe_after: Duration,
    /// How far apart two polls must be that prove that there are no more videos.
    pub settle_after: Duration,
    /// How long a task may be silent before its job stops waiting for it.
    pub deadline: Duration,
    /// A hint has its task polled at most once in this time.
    pub hint_interval: Duration,
}
