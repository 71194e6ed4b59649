//! The queue's rules: priorities and their order. Must never read a clock or the store.

use std::time::Duration;

use super::time::Timestamp;
use super::words;

words! {
    /// Urgency among the jobs of the same API key.
    Priority {
        /// Before all others of its key.
        High = "high",
        /// The default.
        Normal = "normal",
        /// After all others of its key.
        Low = "low",
    }
}

impl Priority {
    /// Its number in the store. The lowest number is the most urgent.
    pub const fn number(self) -> i64 {
        match self {
            Self::High => 0,
            Self::Normal => 1,
            Self::Low => 2,
        }
    }

    /// The priority with this number.
    pub fn from_number(number: i64) -> Option<Self> {
        Self::ALL.iter().copied().find(|priority| priority.number() == number)
    }
}

/// A priority that could have been served for this long and was not is next, once.
pub const STARVED_AFTER: Duration = Duration::from_secs(600);

/// A priority of one API key that has waiting URLs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Class {
    /// The priority.
    pub priority: Priority,
    /// Time since which it could have been served and was not. Paused time does not count.
    pub since: Timestamp,
}

/// The order in which the priorities of a key are served: first the starved ones, longest first, then by priority.
pub fn order(mut classes: Vec<Class>, now: Timestamp) -> Vec<Priority> {
    let starved_since = |class: &Class| {
        let is_starved = class.since.after(STARVED_AFTER) <= now;
        (!is_starved, is_starved.then_some(class.since), class.priority)
    };
    classes.sort_by_key(starved_since);
    classes.into_iter().map(|class| class.priority).collect()
}

/// The number of requests of `size` before the `place`-th of some URLs, counted from 0. The URLs of jobs take turns by
/// requests.
pub const fn turn(place: i64, size: usize) -> i64 {
    place / if size == 0 { 1 } else { size as i64 }
}

#[cfg(test)]
mod tests {
    use super::Priority::{High, Low, Normal};
    use super::*;

    fn ordered(since: [i64; 3], now: i64) -> Vec<Priority> {
        let minute = |minutes: i64| Timestamp::from_millis(minutes * 60_000);
        let classes = [Low, High, Normal].into_iter().map(|priority| Class {
            priority,
            since: minute(since[usize::try_from(priority.number()).unwrap()]),
        });
        order(classes.collect(), minute(now))
    }

    #[test]
    fn the_most_urgent_is_first_unless_another_has_starved() {
        assert_eq!(ordered([5, 0, 0], 9), [High, Normal, Low]);
        assert_eq!(ordered([5, 1, 0], 10), [Low, High, Normal]);
        assert_eq!(ordered([5, 0, 1], 11), [Normal, Low, High]);
        assert_eq!(ordered([0, 0, 0], 10), [High, Normal, Low]);
    }

    #[test]
    fn a_priority_is_its_number() {
        for priority in Priority::ALL {
            assert_eq!(Priority::from_number(priority.number()), Some(*priority));
        }
        assert_eq!(Priority::from_number(3), None);
    }

    #[test]
    fn a_turn_is_a_request() {
        assert_eq!([0, 49, 50, 99, 100].map(|place| turn(place, 50)), [0, 0, 1, 1, 2]);
        assert_eq!(turn(3, 0), 3);
    }
}
