//! The owner of a `taskId`, by the evidence of several sources. The id in a hint can belong to an unconfirmed task.
//!
//! Must never take a fact back. A wrong guess moves the polls to the right id, and changes nothing else.

use std::collections::BTreeSet;
use std::time::Duration;

use super::task::UpstreamIdSource;
use super::time::Timestamp;

/// The consequences if another source names another `taskId` for a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ruling {
    /// The new one is the task's id from now on.
    pub replaces: bool,
    /// Both are polled. Two ids that came with the task's own answer or token both belong to it, because upstream has
    /// made two tasks of it.
    pub polls_both: bool,
}

/// Rules between the id that a task has and another one. The ranks are the order of [`UpstreamIdSource`].
pub fn rule(held: UpstreamIdSource, new: UpstreamIdSource) -> Ruling {
    let is_proof = |source| source >= UpstreamIdSource::Callback;
    Ruling { replaces: new > held, polls_both: is_proof(held) && is_proof(new) }
}

/// A video may be this much older than its submit, because clocks differ.
const GRACE: Duration = Duration::from_secs(60);

/// Upstream's list for the `taskId` of a hint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Canonical forms of the URLs that it lists.
    pub urls: BTreeSet<String>,
    /// Whether the list has more: an entry without a URL, or a URL or a time that can't be read. It could be a URL
    /// that is not the task's, or an older video.
    pub is_doubtful: bool,
    /// Creation time of the oldest video. Videos without one do not count.
    pub oldest: Option<Timestamp>,
    /// Whether a task has this id already. A task that was made only for callbacks and asks for itself does not count.
    pub is_held: bool,
}

/// An unconfirmed task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnconfirmedTask {
    /// Canonical forms of its URLs.
    pub urls: BTreeSet<String>,
    /// Start of its last attempt.
    pub begun_at: Timestamp,
    /// Whether the answer is about the folder to which it was sent.
    pub is_here: bool,
}

impl UnconfirmedTask {
    /// Whether the answer could be about this task, now or once upstream lists more.
    fn fits(&self, answer: &Answer) -> bool {
        let is_older = |oldest: Timestamp| oldest.after(GRACE) < self.begun_at;
        answer.urls.is_subset(&self.urls) && !answer.oldest.is_some_and(is_older)
    }

    /// Whether the answer lists every URL of this task.
    fn is_covered(&self, answer: &Answer) -> bool {
        !self.urls.is_empty() && self.urls.is_subset(&answer.urls)
    }
}

/// The position of the task to which the id belongs. Returns none in any doubt.
///
/// The answer has to cover all of the task's URLs and no other, no listed video may be older than the task's last
/// attempt, no task may have the id, and no other unconfirmed task may fit. A task that needs more than is listed fits,
/// because upstream may list the rest later. So does a task of another folder, because upstream may ignore the folder.
pub fn owner_of(answer: &Answer, unconfirmed: &[UnconfirmedTask]) -> Option<usize> {
    let mut fitting = unconfirmed.iter().enumerate().filter(|(_, task)| task.fits(answer));
    let (position, task) = fitting.next()?;
    let is_sure = fitting.next().is_none() && !answer.is_held && !answer.is_doubtful;
    (is_sure && task.is_here && task.is_covered(answer)).then_some(position)
}

#[cfg(test)]
mod tests {
    use super::*;

    use UpstreamIdSource::{Callback, Operator, Poll, Submit};

    #[test]
    fn a_higher_source_replaces_a_lower_one() {
        let ranks = [Poll, Operator, Callback, Submit];
        for (held_rank, &held) in ranks.iter().enumerate() {
            for (new_rank, &new) in ranks.iter().enumerate() {
                let expected =
                    Ruling { replaces: new_rank > held_rank, polls_both: held_rank >= 2 && new_rank >= 2 };
                assert_eq!(rule(held, new), expected, "{held} {new}");
            }
        }
    }

    fn set(urls: &[&str]) -> BTreeSet<String> {
        urls.iter().map(|&url| url.to_owned()).collect()
    }

    const BEGUN: i64 = 1_000_000;

    fn task(urls: &[&str]) -> UnconfirmedTask {
        UnconfirmedTask { urls: set(urls), begun_at: Timestamp::from_millis(BEGUN), is_here: true }
    }

    fn answer(urls: &[&str]) -> Answer {
        Answer { urls: set(urls), is_doubtful: false, oldest: None, is_held: false }
    }

    #[test]
    fn an_answer_that_covers_a_task_and_nothing_else_is_about_it() {
        let tasks = [task(&["c"]), task(&["a", "b"])];
        assert_eq!(owner_of(&answer(&["a", "b"]), &tasks), Some(1));
        assert_eq!(owner_of(&answer(&["a"]), &tasks), None, "a URL is missing");
        assert_eq!(owner_of(&answer(&["a", "b", "d"]), &tasks), None, "a URL is beyond");
        assert_eq!(owner_of(&answer(&["a", "b"]), &[]), None);
        assert_eq!(owner_of(&answer(&[]), &[task(&["a"])]), None);
        assert_eq!(owner_of(&answer(&[]), &[task(&[])]), None);
    }

    #[test]
    fn any_doubt_leaves_it_open() {
        let tasks = [task(&["a"])];
        assert_eq!(owner_of(&Answer { is_held: true, ..answer(&["a"]) }, &tasks), None);
        assert_eq!(owner_of(&Answer { is_doubtful: true, ..answer(&["a"]) }, &tasks), None);
        assert_eq!(owner_of(&answer(&["a"]), &[UnconfirmedTask { is_here: false, ..task(&["a"]) }]), None);
    }

    #[test]
    fn no_other_unconfirmed_task_may_fit() {
        let elsewhere = UnconfirmedTask { is_here: false, ..task(&["a"]) };
        for other in [task(&["a"]), task(&["a", "b"]), elsewhere] {
            for tasks in [[task(&["a"]), other.clone()], [other, task(&["a"])]] {
                assert_eq!(owner_of(&answer(&["a"]), &tasks), None, "{tasks:?}");
            }
        }
        let later = UnconfirmedTask { begun_at: Timestamp::from_millis(BEGUN + 60_001), ..task(&["a"]) };
        let oldest = Some(Timestamp::from_millis(BEGUN));
        assert_eq!(owner_of(&Answer { oldest, ..answer(&["a"]) }, &[later, task(&["a"])]), Some(1));
    }

    #[test]
    fn a_video_older_than_the_submit_is_of_another_task() {
        for (oldest, owner) in [(BEGUN - 60_001, None), (BEGUN - 60_000, Some(0)), (BEGUN + 1, Some(0))] {
            let oldest = Some(Timestamp::from_millis(oldest));
            assert_eq!(owner_of(&Answer { oldest, ..answer(&["a"]) }, &[task(&["a"])]), owner);
        }
    }
}
