//! The values that one request for metrics gathers, for metrics that are not counted as they happen. Must never hold
//! an id.

use std::time::Duration;

use super::webhooks::KeptWebhooks;

/// The values from the database.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    /// The number of tasks in each state.
    pub tasks: Vec<(String, i64)>,
    /// Scopes, and whether sending is paused there.
    pub paused: Vec<(String, bool)>,
    /// The waiting URLs and requests.
    pub waiting: Waiting,
    /// The number of stored hints.
    pub hints: i64,
    /// The webhooks.
    pub webhooks: KeptWebhooks,
    /// The time of the last callback in seconds since the Unix epoch, or 0 if there was none. None if there is no
    /// public URL.
    pub last_callback: Option<f64>,
}

/// The waiting URLs and requests.
#[derive(Clone, Copy, Debug, Default)]
pub struct Waiting {
    /// The number of URLs.
    pub urls: usize,
    /// The number of requests that send them.
    pub requests: usize,
    /// The wait of the oldest of them.
    pub oldest: Duration,
}

/// The state of scheduled copies.
#[derive(Clone, Copy, Debug)]
pub struct Copies {
    /// The time of the last copy in seconds since the Unix epoch, or 0 if there was none.
    pub last: f64,
    /// The time between two copies.
    pub every: Duration,
}

/// The present state.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The values from the database. None if it can't be read, so metrics that depend on it are left out.
    pub kept: Option<Kept>,
    /// The operations and the hints that wait for their commit.
    pub queued: (usize, usize),
    /// The wait of the oldest of them.
    pub oldest: Duration,
    /// The time between two requests to upstream, as learned so far.
    pub interval: Duration,
    /// None if no copies are scheduled.
    pub copies: Option<Copies>,
    /// The bytes of the database, of its log, and free on their disk.
    pub bytes: [Option<u64>; 3],
}
