//! Tasks and lines that are put aside because their stored records can't be read. They must never keep others from
//! their turn.

use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::Hash;
use std::time::{Duration, Instant};

use crate::domain::retry::backoff;

/// The first wait of a task that is put aside. It doubles each time.
const FIRST: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_secs(3_600);

/// The subjects that are put aside. They are kept in memory alone, so the next start tries all of them.
#[derive(Debug)]
pub(super) struct Aside<T> {
    waiting: HashMap<T, Failures>,
}

impl<T> Default for Aside<T> {
    fn default() -> Self {
        Self { waiting: HashMap::new() }
    }
}

#[derive(Debug)]
struct Failures {
    count: u32,
    until: Instant,
}

impl<T: Copy + Debug + Eq + Hash> Aside<T> {
    /// Puts a subject aside, for longer each time.
    pub(super) fn put(&mut self, what: T, now: Instant) {
        let count = self.waiting.get(&what).map_or(1, |failures| failures.count.saturating_add(1));
        let wait = backoff(count, FIRST, LONGEST);
        tracing::error!(?what, ?wait, "could not use a stored record, so it is put aside");
        self.waiting.insert(what, Failures { count, until: now + wait });
    }

    /// Removes a subject that could be used.
    pub(super) fn take_back(&mut self, what: T) {
        self.waiting.remove(&what);
    }

    /// Returns all subjects whose wait is not over.
    pub(super) fn those_that_wait(&self, now: Instant) -> Vec<T> {
        let waits = self.waiting.iter().filter(|(_, failures)| failures.until > now);
        waits.map(|(what, _)| *what).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::TaskId;
    use crate::domain::time::Timestamp;

    #[test]
    fn each_failure_doubles_the_wait_up_to_an_hour() {
        let (mut aside, task) = (Aside::default(), TaskId::new(Timestamp::from_millis(7)));
        let mut now = Instant::now();
        for seconds in [10, 20, 40, 80, 160, 320, 640, 1_280, 2_560, 3_600, 3_600] {
            aside.put(task, now);
            assert_eq!(aside.those_that_wait(now + Duration::from_secs(seconds - 1)), [task], "{seconds}");
            now += Duration::from_secs(seconds);
            assert!(aside.those_that_wait(now).is_empty(), "{seconds}");
        }
        aside.take_back(task);
        aside.put(task, now);
        assert!(aside.those_that_wait(now + FIRST).is_empty(), "it begins with the first wait again");
    }
}
