//! The one place that turns facts into states.
//!
//! Facts are set once and never taken back, and these functions look at nothing else: so the order in
//! which facts arrive can't change the end.

use super::job::{JobState, Progress, UrlState};
use super::task::{Failure, SubmitOutcome, TaskState};
use super::video::VideoState;

/// What is known of a task's submits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Submission {
    /// Nothing that could have been taken was sent.
    Unsent,
    /// A submit is on its way.
    InFlight,
    /// The last submit ended like this.
    Ended(SubmitOutcome, Option<Failure>),
}

/// A video as far as its task's state is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VideoFacts {
    /// Folded from all facts about the video.
    pub state: VideoState,
    /// Why it failed.
    pub failure: Option<Failure>,
    /// The positions of the URLs that polls named for it.
    pub urls: Vec<usize>,
}

/// Everything that is known of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskFacts {
    /// How many URLs it carries; none for a task recovered from a callback.
    pub urls: usize,
    /// What became of its submits.
    pub submission: Submission,
    /// Whether its `taskId` is known.
    pub has_upstream_id: bool,
    /// Upstream said SUCCEEDED.
    pub succeeded: bool,
    /// Upstream said FAILED.
    pub failed: Option<Failure>,
    /// It was canceled.
    pub canceled: bool,
    /// Polls are refused or name no URLs: counting has to decide, unless one named some.
    pub unnamed: bool,
    /// A poll answered in the shape that names URLs: it alone joins videos to them.
    pub named: bool,
    /// Polls far enough apart listed no more videos.
    pub exhausted: bool,
    /// Nothing was learned of it for longer than the deadline. News takes this back: it is no fact.
    pub stalled: bool,
    /// Its videos.
    pub videos: Vec<VideoFacts>,
}

/// What follows from the facts of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Derived {
    /// The task's state.
    pub state: TaskState,
    /// Why it ended badly, or why it was not taken at the last attempt.
    pub error: Option<Failure>,
    /// Each URL's state, by position.
    pub urls: Vec<(UrlState, Option<Failure>)>,
}

/// A task's state and its URLs' states.
///
/// Where facts disagree, a task believes SUCCEEDED or any video over FAILED over rejected over canceled.
pub fn derive(facts: &TaskFacts) -> Derived {
    let mut outcomes = vec![None; facts.urls];
    let mut pending = false;
    let mut by_url: Vec<Vec<&VideoFacts>> = vec![Vec::new(); facts.urls];
    for video in &facts.videos {
        pending |= !video.state.is_ended();
        for &url in video.urls.iter().filter(|&&url| url < facts.urls) {
            by_url[url].push(video);
        }
    }
    for (outcome, videos) in outcomes.iter_mut().zip(&by_url) {
        *outcome = url_outcome(videos);
    }
    if facts.unnamed && !facts.named && !pending {
        count(facts, &mut outcomes);
    }

    if facts.exhausted && facts.succeeded && !pending {
        for outcome in outcomes.iter_mut().filter(|outcome| outcome.is_none()) {
            let failure = Failure::new("no_video", "upstream made no video of it");
            *outcome = Some((UrlState::Failed, Some(failure)));
        }
    }

    let (state, error) = task_state(facts, pending, &outcomes);
    let open = match state {
        // Its job stops waiting, and the task stays what it is: nobody knows whether it was charged.
        TaskState::Unconfirmed if facts.stalled => {
            let words =
                "no answer, no callback: upstream may have charged for it; look there, then adopt or retry";
            (UrlState::Failed, Some(Failure::new("unconfirmed", words)))
        }
        _ => unjoined(state, error.as_ref()),
    };
    let urls = outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(|| open.clone())).collect();
    Derived { state, error, urls }
}

type Outcome = (UrlState, Option<Failure>);

/// A URL is indexed if any of its videos is, once all of them have ended.
fn url_outcome(videos: &[&VideoFacts]) -> Option<Outcome> {
    if videos.is_empty() || videos.iter().any(|video| !video.state.is_ended()) {
        return None;
    }
    if videos.iter().any(|video| video.state == VideoState::Indexed) {
        return Some((UrlState::Indexed, None));
    }
    let failure = videos.iter().find_map(|video| video.failure.clone());
    let failure = failure.unwrap_or_else(|| Failure::new("video_failed", "upstream gave no reason"));
    Some((UrlState::Failed, Some(failure)))
}

/// No poll names URLs: as many ended videos as URLs decide. The counts are right; which URL is which is not known.
fn count(facts: &TaskFacts, outcomes: &mut [Option<Outcome>]) {
    let unjoined = facts.videos.iter().filter(|video| video.urls.is_empty());
    let (indexed, failed): (Vec<_>, Vec<_>) = unjoined.partition(|video| video.state == VideoState::Indexed);
    let open = outcomes.iter().filter(|outcome| outcome.is_none()).count();
    if open == 0 || indexed.len() + failed.len() < open {
        return;
    }
    let failure = Failure::new(
        "unattributed",
        format!(
            "upstream names no URLs: {} of {open} are indexed, and which ones is not known",
            indexed.len().min(open)
        ),
    );
    let open = outcomes.iter_mut().filter(|outcome| outcome.is_none());
    for (place, outcome) in open.enumerate() {
        *outcome = Some(if place < indexed.len() {
            (UrlState::Indexed, None)
        } else {
            (UrlState::Failed, Some(failure.clone()))
        });
    }
}

fn task_state(
    facts: &TaskFacts,
    pending: bool,
    outcomes: &[Option<Outcome>],
) -> (TaskState, Option<Failure>) {
    if facts.succeeded || !facts.videos.is_empty() {
        let complete = !outcomes.is_empty() && !pending && outcomes.iter().all(Option::is_some);
        return match (complete, facts.stalled) {
            (true, _) => ended(outcomes),
            (false, true) => stalled(),
            (false, false) => (TaskState::Downloaded, None),
        };
    }
    if let Some(failure) = &facts.failed {
        return (TaskState::Failed, Some(failure.clone()));
    }
    let taken = || if facts.stalled { stalled() } else { (TaskState::Accepted, None) };
    if facts.has_upstream_id {
        return taken();
    }
    match &facts.submission {
        Submission::Ended(SubmitOutcome::Accepted, _) => taken(),
        Submission::Ended(SubmitOutcome::Rejected, failure) => (TaskState::Rejected, failure.clone()),
        _ if facts.canceled => {
            let words = match facts.submission {
                Submission::Ended(SubmitOutcome::Unknown, _) => "given up while it was unconfirmed",
                // Made for callbacks alone, until another task had their `taskId`.
                Submission::Unsent if facts.urls == 0 => "it is the task that replaces it",
                _ => "canceled before it was sent",
            };
            (TaskState::Canceled, Some(Failure::new("canceled", words)))
        }
        Submission::Unsent => (TaskState::Queued, None),
        Submission::InFlight => (TaskState::Submitting, None),
        Submission::Ended(SubmitOutcome::Deferred, failure) => (TaskState::Queued, failure.clone()),
        Submission::Ended(SubmitOutcome::Unknown, failure) => (TaskState::Unconfirmed, failure.clone()),
    }
}

fn stalled() -> (TaskState, Option<Failure>) {
    (TaskState::Stalled, Some(Failure::new("stalled", "upstream has said nothing of it for too long")))
}

fn ended(outcomes: &[Option<Outcome>]) -> (TaskState, Option<Failure>) {
    let indexed = outcomes.iter().flatten().filter(|(state, _)| *state == UrlState::Indexed).count();
    let first_failure = || outcomes.iter().flatten().find_map(|(_, failure)| failure.clone());
    match indexed {
        0 => (TaskState::Failed, first_failure()),
        all if all == outcomes.len() => (TaskState::Indexed, None),
        _ => (TaskState::Partial, first_failure()),
    }
}

/// The state of a URL that has no outcome of its own follows its task's.
fn unjoined(task: TaskState, error: Option<&Failure>) -> Outcome {
    let failed = || {
        let failure = error.cloned();
        Some(failure.unwrap_or_else(|| Failure::new(task.as_str(), "its task ended without it")))
    };
    match task {
        TaskState::Queued => (UrlState::Waiting, None),
        TaskState::Submitting | TaskState::Unconfirmed | TaskState::Accepted => (UrlState::Sent, None),
        TaskState::Downloaded => (UrlState::Downloaded, None),
        TaskState::Indexed => (UrlState::Indexed, None),
        TaskState::Partial
        | TaskState::Failed
        | TaskState::Rejected
        | TaskState::Stalled
        | TaskState::Canceled => (UrlState::Failed, failed()),
    }
}

/// A job's state, from where its URLs stand.
pub fn job_state(progress: &Progress) -> JobState {
    if progress.waiting + progress.sent + progress.downloaded > 0 {
        JobState::Running
    } else if progress.indexed + progress.known == progress.urls {
        JobState::Done
    } else if progress.canceled == progress.urls {
        JobState::Canceled
    } else if progress.indexed + progress.known == 0 {
        JobState::Failed
    } else {
        JobState::Partial
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(urls: usize) -> TaskFacts {
        TaskFacts {
            urls,
            submission: Submission::Unsent,
            has_upstream_id: false,
            succeeded: false,
            failed: None,
            canceled: false,
            unnamed: false,
            named: false,
            exhausted: false,
            stalled: false,
            videos: Vec::new(),
        }
    }

    fn video(state: VideoState, urls: &[usize]) -> VideoFacts {
        VideoFacts { state, failure: None, urls: urls.to_vec() }
    }

    fn state(facts: &TaskFacts) -> TaskState {
        derive(facts).state
    }

    #[test]
    fn submits_lead_where_the_contract_says() {
        let mut task = facts(1);
        assert_eq!(state(&task), TaskState::Queued);
        for (submission, expected) in [
            (Submission::InFlight, TaskState::Submitting),
            (Submission::Ended(SubmitOutcome::Deferred, None), TaskState::Queued),
            (Submission::Ended(SubmitOutcome::Unknown, None), TaskState::Unconfirmed),
            (Submission::Ended(SubmitOutcome::Accepted, None), TaskState::Accepted),
            (Submission::Ended(SubmitOutcome::Rejected, None), TaskState::Rejected),
        ] {
            task.submission = submission;
            assert_eq!(state(&task), expected);
        }
    }

    #[test]
    fn stronger_evidence_overrules_weaker() {
        let mut task = facts(1);
        task.canceled = true;
        assert_eq!(state(&task), TaskState::Canceled);
        task.submission = Submission::Ended(SubmitOutcome::Rejected, Some(Failure::new("0001", "bad")));
        assert_eq!(state(&task), TaskState::Rejected);
        task.failed = Some(Failure::new("task_failed", "no"));
        assert_eq!(state(&task), TaskState::Failed);
        task.succeeded = true;
        assert_eq!(state(&task), TaskState::Downloaded);
        task.videos.push(video(VideoState::Indexed, &[0]));
        assert_eq!(state(&task), TaskState::Indexed);
    }

    #[test]
    fn a_url_has_its_outcome_once_all_of_its_videos_ended() {
        let mut task = facts(2);
        task.videos = vec![video(VideoState::Indexed, &[0]), video(VideoState::Indexing, &[0])];
        assert_eq!(derive(&task).urls[0].0, UrlState::Downloaded);
        task.videos[1].state = VideoState::Failed;
        assert_eq!(derive(&task).urls[0].0, UrlState::Indexed);
        assert_eq!(state(&task), TaskState::Downloaded, "the second URL has no video yet");
        task.videos.push(video(VideoState::Failed, &[1]));
        assert_eq!(state(&task), TaskState::Partial);
    }

    #[test]
    fn one_video_can_come_from_two_urls() {
        let mut task = facts(2);
        task.videos = vec![video(VideoState::Indexed, &[0, 1])];
        assert_eq!(state(&task), TaskState::Indexed);
    }

    #[test]
    fn counting_decides_only_where_polls_name_no_urls() {
        let mut task = facts(2);
        task.videos = vec![video(VideoState::Indexed, &[]), video(VideoState::Failed, &[])];
        assert_eq!(state(&task), TaskState::Downloaded);
        task.unnamed = true;
        let derived = derive(&task);
        assert_eq!(derived.state, TaskState::Partial);
        assert_eq!(derived.urls[0].0, UrlState::Indexed);
        assert_eq!(derived.urls[1].1.as_ref().map(|failure| failure.code.as_str()), Some("unattributed"));
        task.videos[1].state = VideoState::Indexing;
        assert_eq!(state(&task), TaskState::Downloaded, "one is still on its way");
        task.videos[1].state = VideoState::Indexed;
        assert_eq!(state(&task), TaskState::Indexed);
        task.named = true;
        assert_eq!(state(&task), TaskState::Downloaded, "polls say more than counting");
    }

    #[test]
    fn a_url_without_a_video_fails_once_polls_list_no_more() {
        let mut task = facts(2);
        task.exhausted = true;
        task.videos = vec![video(VideoState::Indexed, &[0])];
        assert_eq!(state(&task), TaskState::Downloaded, "SUCCEEDED has not been seen");
        task.succeeded = true;
        assert_eq!(state(&task), TaskState::Partial);
        assert_eq!(derive(&task).urls[1].1.as_ref().map(|failure| failure.code.as_str()), Some("no_video"));
        task.videos.push(video(VideoState::Indexing, &[]));
        assert_eq!(state(&task), TaskState::Downloaded, "more came after all");
        task.videos.clear();
        assert_eq!(state(&task), TaskState::Failed);
    }

    #[test]
    fn silence_ends_what_was_sent_and_nothing_that_is_complete() {
        let mut task = facts(1);
        task.stalled = true;
        assert_eq!(state(&task), TaskState::Queued);
        task.submission = Submission::Ended(SubmitOutcome::Unknown, None);
        let derived = derive(&task);
        assert_eq!((derived.state, derived.urls[0].0), (TaskState::Unconfirmed, UrlState::Failed));
        task.has_upstream_id = true;
        assert_eq!(state(&task), TaskState::Stalled);
        task.succeeded = true;
        assert_eq!(state(&task), TaskState::Stalled);
        task.videos = vec![video(VideoState::Indexed, &[0])];
        assert_eq!(state(&task), TaskState::Indexed);
    }

    #[test]
    fn a_task_without_urls_never_ends_by_itself() {
        let mut task = facts(0);
        task.videos = vec![video(VideoState::Indexed, &[])];
        task.unnamed = true;
        assert_eq!(state(&task), TaskState::Downloaded);
    }

    #[test]
    fn a_job_follows_its_urls() {
        let with = |states: &[(UrlState, i64)], canceled| {
            let mut progress = Progress { canceled, ..Progress::default() };
            for &(state, urls) in states {
                progress.add(state, urls);
                progress.urls += urls;
            }
            job_state(&progress)
        };
        use UrlState::{Downloaded, Failed, Indexed, Known, Sent, Waiting};
        for open in [Waiting, Sent, Downloaded] {
            assert_eq!(with(&[(open, 1), (Indexed, 9)], 0), JobState::Running);
        }
        assert_eq!(with(&[(Indexed, 2), (Known, 1)], 0), JobState::Done);
        assert_eq!(with(&[(Known, 1)], 0), JobState::Done);
        assert_eq!(with(&[(Indexed, 2), (Failed, 1)], 0), JobState::Partial);
        assert_eq!(with(&[(Failed, 3)], 2), JobState::Failed);
        assert_eq!(with(&[(Failed, 3)], 3), JobState::Canceled);
    }
}
