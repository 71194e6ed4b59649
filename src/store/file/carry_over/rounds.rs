//! The round of each task URL. Must never give one round to two posts.

use std::collections::HashMap;

/// A task URL: the number of the task, and the URL's position in it.
pub(super) type Key = (i64, i64);

/// The round of each task URL.
pub(super) struct Rounds {
    /// The number of task URLs.
    pub(super) urls: usize,
    /// A number above the position of any URL in its task.
    stride: i64,
    /// The task URLs that share the round of another one.
    shared: HashMap<Key, i64>,
}

impl Rounds {
    pub(super) fn new(stride: i64) -> Self {
        Self { urls: 0, stride, shared: HashMap::new() }
    }

    /// The round of a task URL. Rounds are numbered by task and place, because that is the order of the queue.
    pub(super) fn of(&self, key: Key) -> i64 {
        self.shared.get(&key).copied().unwrap_or_else(|| self.own(key))
    }

    /// The round of a task URL that shares none.
    pub(super) const fn own(&self, key: Key) -> i64 {
        let (task, position) = key;
        task * self.stride + position
    }

    /// Lets a task URL share the round of another one.
    pub(super) fn share(&mut self, key: Key, round: i64) {
        self.shared.insert(key, round);
    }
}
