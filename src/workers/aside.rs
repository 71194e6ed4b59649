//! Tasks put aside: their stored records can't be read, and they must not keep others from their turn.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::domain::id::TaskId;
use crate::domain::retry::backoff;

/// The first wait of a task that is put aside; it doubles each time.
const FIRST: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_secs(3_600);

/// The tasks that are put aside, in memory alone: the next start tries all of them.
#[derive(Debug, Default)]
pub(super) struct Aside {
    tasks: HashMap<TaskId, Failures>,
}

#[derive(Debug)]
struct Failures {
    count: u32,
    until: Instant,
}

impl Aside {
    /// Puts a task aside, each time for longer.
    pub(super) fn put(&mut self, task: TaskId, now: Instant) {
        let count = self.tasks.get(&task).map_or(1, |failures| failures.count.saturating_add(1));
        let wait = backoff(count, FIRST, LONGEST);
        tracing::error!(%task, ?wait, "a stored record of this task can't be used: the task is put aside");
        self.tasks.insert(task, Failures { count, until: now + wait });
    }

    /// Forgets a task that could be used.
    pub(super) fn take_back(&mut self, task: TaskId) {
        self.tasks.remove(&task);
    }

    /// The tasks whose wait is not over.
    pub(super) fn tasks(&self, now: Instant) -> Vec<TaskId> {
        let waits = self.tasks.iter().filter(|(_, failures)| failures.until > now);
        waits.map(|(task, _)| *task).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Timestamp;

    #[test]
    fn each_failure_doubles_the_wait_up_to_an_hour() {
        let (mut aside, task) = (Aside::default(), TaskId::new(Timestamp::from_millis(7)));
        let mut now = Instant::now();
        for seconds in [10, 20, 40, 80, 160, 320, 640, 1_280, 2_560, 3_600, 3_600] {
            aside.put(task, now);
            assert_eq!(aside.tasks(now + Duration::from_secs(seconds - 1)), [task], "{seconds}");
            now += Duration::from_secs(seconds);
            assert!(aside.tasks(now).is_empty(), "{seconds}");
        }
        aside.take_back(task);
        aside.put(task, now);
        assert!(aside.tasks(now + FIRST).is_empty(), "it begins with the first wait again");
    }
}
