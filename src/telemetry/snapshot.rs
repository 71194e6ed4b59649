//! What a look at the metrics gathers, for all that is not counted as it happens.

use std::time::Duration;

/// What the database knows at the moment of a look.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    /// How many tasks are in each state.
    pub tasks: Vec<(String, i64)>,
    /// Scopes, and whether sending is paused there.
    pub paused: Vec<(String, bool)>,
    /// What waits to be sent.
    pub waiting: Waiting,
    /// Hints that are kept.
    pub hints: i64,
    /// When the last callback came, in seconds since the Unix epoch, 0 for never; none where none are asked for.
    pub last_callback: Option<f64>,
}

/// What waits to be sent.
#[derive(Clone, Copy, Debug, Default)]
pub struct Waiting {
    /// URLs.
    pub urls: usize,
    /// Requests that send them.
    pub requests: usize,
    /// How long the oldest of them has waited.
    pub oldest: Duration,
}

/// How scheduled copies go.
#[derive(Clone, Copy, Debug)]
pub struct Copies {
    /// When the last one was made, in seconds since the Unix epoch, 0 for never.
    pub last: f64,
    /// Between two of them.
    pub every: Duration,
}

/// How things are at the moment of a look.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// None where the database can't be read: then nothing is shown that only it knows.
    pub kept: Option<Kept>,
    /// Operations that wait for their commit, and hints that do.
    pub queued: (usize, usize),
    /// How long the oldest of them has waited.
    pub oldest: Duration,
    /// Between two requests to upstream, as learned so far.
    pub interval: Duration,
    /// None where no copies are made by themselves.
    pub copies: Option<Copies>,
    /// Bytes of the database, of its log, and free beside them.
    pub bytes: [Option<u64>; 3],
}
