//! One short line about an event, for chats.
//!
//! Must never contain a line break, and must never escape anything. Each chat has its own rules for that.

use crate::domain::event::{Event, EventKind};
use crate::domain::job::{Job, JobState};
use crate::domain::task::Task;
use crate::domain::video::Video;

/// Most characters of a text.
const MOST_CHARS: usize = 1_500;
/// The end of a text that was cut.
pub(super) const ELLIPSIS: char = '…';

/// An event and the objects that it is about, as far as they are known.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The event.
    pub event: &'a Event,
    /// Its job.
    pub job: Option<&'a Job>,
    /// Its task.
    pub task: Option<&'a Task>,
    /// Its video.
    pub video: Option<&'a Video>,
}

/// The event in plain English, in one line of at most 1,500 characters.
pub fn text(subject: &Subject<'_>) -> String {
    let text = match (subject.event.kind, subject.job, &subject.event.message) {
        (EventKind::JobSettled, Some(job), _) => settled(job),
        (EventKind::ProblemOpened, _, Some(message)) => format!("Problem: {message}"),
        (EventKind::ProblemClosed, _, Some(message)) => format!("Over: {message}"),
        _ => other(subject),
    };
    cut(&one_line(&text), MOST_CHARS)
}

/// The text, or its beginning and an ellipsis if it has more characters than this.
pub(super) fn cut(text: &str, most_chars: usize) -> String {
    if text.chars().count() <= most_chars {
        return text.to_owned();
    }
    let kept = text.chars().take(most_chars.saturating_sub(1));
    kept.chain([ELLIPSIS]).collect()
}

/// How a job ended. The job is described as it is now, so one that was reopened runs again.
fn settled(job: &Job) -> String {
    let progress = &job.progress;
    let state = if job.state == JobState::Running { "running again" } else { job.state.as_str() };
    let noun = if progress.urls == 1 { "URL" } else { "URLs" };
    let indexed = progress.indexed + progress.known;
    let mut text = format!("Job {} is {state}: {indexed} of {} {noun} indexed", job.id, progress.urls);
    let failed = progress.failed - progress.canceled;
    for (count, word) in [(failed, "failed"), (progress.canceled, "canceled")] {
        if count > 0 {
            text.push_str(&format!(", {count} {word}"));
        }
    }
    text.push('.');
    if !job.labels.is_empty() {
        let labels: Vec<String> =
            job.labels.iter().map(|(label, value)| format!("{label}: {value}")).collect();
        text.push_str(&format!(" ({})", labels.join(", ")));
    }
    text
}

/// The kind of an event, its message and the ids of its subject, the narrowest first.
fn other(subject: &Subject<'_>) -> String {
    let event = subject.event;
    let mut text = event.kind.to_string();
    if let Some(message) = &event.message {
        text.push_str(&format!(": {message}"));
    }
    let video = event.video_id.as_ref().or(subject.video.map(|video| &video.id));
    let task = event.task_id.or(subject.task.map(|task| task.id));
    let job = event.job_id.or(subject.job.map(|job| job.id));
    // Only ids of scrapehook begin with their noun.
    let video = video.map(|video| format!("video {video}"));
    let ids = [video, task.map(|task| task.to_string()), job.map(|job| job.to_string())];
    let ids: Vec<String> = ids.into_iter().flatten().collect();
    if !ids.is_empty() {
        text.push_str(&format!(" ({})", ids.join(", ")));
    }
    text
}

/// The text with a blank for each character that breaks a line or changes the direction of the text.
fn one_line(text: &str) -> String {
    let is_odd = |letter: char| {
        letter.is_control() || matches!(letter, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|letter| if is_odd(letter) { ' ' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::domain::event::Source;
    use crate::domain::id::{JobId, TaskId};
    use crate::domain::job::{Library, Progress, Quality};
    use crate::domain::queue::Priority;
    use crate::domain::time::Timestamp;
    use crate::domain::video::VideoState;

    const AT: Timestamp = Timestamp::from_millis(1_758_634_237_000);
    const JOB: JobId = JobId::from_bytes([1; 16]);
    const TASK: TaskId = TaskId::from_bytes([2; 16]);

    fn event(kind: EventKind, message: Option<&str>) -> Event {
        Event {
            seq: 1,
            kind,
            source: Source::Clock,
            job_id: None,
            task_id: None,
            upstream_id: None,
            video_id: None,
            at: AT,
            message: message.map(str::to_owned),
        }
    }

    fn job(progress: Progress, labels: &[(&str, &str)]) -> Job {
        let labels: BTreeMap<_, _> =
            labels.iter().map(|(label, value)| ((*label).to_owned(), (*value).to_owned())).collect();
        Job {
            id: JOB,
            state: progress.job_state(),
            created_at: AT,
            settled_at: Some(AT),
            labels,
            unique_id: None,
            folder_id: None,
            quality: Quality::P360,
            library: Library::Private,
            priority: Priority::Normal,
            callback_url: None,
            progress,
            queue: None,
            tasks: None,
        }
    }

    fn of_event(event: &Event) -> String {
        text(&Subject { event, job: None, task: None, video: None })
    }

    fn of_job(job: &Job) -> String {
        let event = event(EventKind::JobSettled, Some("done"));
        text(&Subject { event: &event, job: Some(job), task: None, video: None })
    }

    #[test]
    fn the_end_of_a_job_is_told_with_its_numbers() {
        let urls = |urls| Progress { urls, ..Progress::default() };
        for (progress, expected) in [
            (Progress { indexed: 9, known: 3, ..urls(12) }, "done: 12 of 12 URLs indexed."),
            (Progress { indexed: 10, failed: 2, ..urls(12) }, "partial: 10 of 12 URLs indexed, 2 failed."),
            (
                Progress { indexed: 9, failed: 3, canceled: 1, ..urls(12) },
                "partial: 9 of 12 URLs indexed, 2 failed, 1 canceled.",
            ),
            (Progress { failed: 1, ..urls(1) }, "failed: 0 of 1 URL indexed, 1 failed."),
            (Progress { failed: 2, canceled: 2, ..urls(2) }, "canceled: 0 of 2 URLs indexed, 2 canceled."),
            (Progress { indexed: 1, sent: 1, ..urls(2) }, "running again: 1 of 2 URLs indexed."),
        ] {
            assert_eq!(of_job(&job(progress, &[])), format!("Job {JOB} is {expected}"));
        }
    }

    #[test]
    fn the_labels_of_a_job_follow() {
        let progress = Progress { urls: 1, indexed: 1, ..Progress::default() };
        let job = job(progress, &[("campaign", "autumn"), ("team", "é")]);
        let expected = format!("Job {JOB} is done: 1 of 1 URL indexed. (campaign: autumn, team: é)");
        assert_eq!(of_job(&job), expected);
    }

    #[test]
    fn a_problem_is_told_in_its_own_words() {
        let told = |kind, message| of_event(&event(kind, message));
        assert_eq!(told(EventKind::ProblemOpened, Some("The disk is full.")), "Problem: The disk is full.");
        assert_eq!(told(EventKind::ProblemClosed, Some("The disk is full.")), "Over: The disk is full.");
        assert_eq!(told(EventKind::ProblemOpened, None), "problem.opened");
    }

    #[test]
    fn other_events_have_their_kind_their_message_and_their_ids() {
        assert_eq!(of_event(&event(EventKind::SendingResumed, Some("all"))), "sending.resumed: all");
        assert_eq!(of_event(&event(EventKind::JobSettled, Some("done"))), "job.settled: done");
        let failed = Event {
            job_id: Some(JOB),
            task_id: Some(TASK),
            video_id: Some("VI7".to_owned()),
            ..event(EventKind::VideoFailed, Some("no audio"))
        };
        assert_eq!(of_event(&failed), format!("video.failed: no audio (video VI7, {TASK}, {JOB})"));
        let created = Event { job_id: Some(JOB), ..event(EventKind::JobCreated, None) };
        assert_eq!(of_event(&created), format!("job.created ({JOB})"));
    }

    #[test]
    fn an_event_without_ids_gets_those_of_its_objects() {
        let video = Video {
            id: "VI7".to_owned(),
            task_id: TASK,
            job_id: Some(JOB),
            tasks: vec![TASK],
            url: None,
            attributed: false,
            state: VideoState::Indexed,
            first_seen_at: AT,
            indexed_at: Some(AT),
            error: None,
        };
        let job = job(Progress::default(), &[]);
        let event = event(EventKind::VideoIndexed, None);
        let subject = Subject { event: &event, job: Some(&job), task: None, video: Some(&video) };
        assert_eq!(text(&subject), format!("video.indexed (video VI7, {JOB})"));
    }

    #[test]
    fn a_text_is_one_line_whatever_strangers_write() {
        let message = "a\nb\r\tc\u{0}d\u{85}e\u{2028}f\u{202e}g";
        let opened = event(EventKind::ProblemOpened, Some(message));
        assert_eq!(of_event(&opened), "Problem: a b  c d e f g");
        let progress = Progress { urls: 1, indexed: 1, ..Progress::default() };
        let told = of_job(&job(progress, &[("a\nb", "c\nd")]));
        assert!(told.ends_with("(a b: c d)"), "{told}");
    }

    #[test]
    fn a_long_text_is_cut() {
        let told = |letters: usize| of_event(&event(EventKind::ProblemOpened, Some(&"é".repeat(letters))));
        let fits = MOST_CHARS - "Problem: ".len();
        assert_eq!(told(fits), format!("Problem: {}", "é".repeat(fits)));
        assert_eq!(told(fits + 1), format!("Problem: {}…", "é".repeat(fits - 1)));
        assert_eq!(told(100_000).chars().count(), MOST_CHARS);
    }
}
