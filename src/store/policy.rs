//! The part of the configuration that the store needs. Must never hold a setting that only other parts need.

use std::time::Duration;

/// The part of the configuration that the store needs.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// The silence after which a task is polled.
    pub poll_after: Duration,
    /// The most URLs of one task.
    pub urls_per_task: usize,
    /// The time until the first probe of a paused account.
    pub probe_after: Duration,
    /// The least time between the two polls that prove that there are no more videos.
    pub settle_after: Duration,
    /// The silence after which jobs stop waiting for a task.
    pub deadline: Duration,
    /// The least time between two polls of a task because of hints.
    pub hint_interval: Duration,
}
