//! The end of a batch: derives the states of all touched tasks, stores the changes, and carries them over to their
//! rounds. Must never decide what evidence proves, which `domain::evidence` does.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::domain::event::{EventKind, Source};
use crate::domain::evidence::{Findings, Submission, weigh};
use crate::domain::id::TaskId;
use crate::domain::outcome::{Reason, UrlState};
use crate::domain::refusal::is_about_content;
use crate::domain::task::TaskState;
use crate::store::batch::Batch;
use crate::store::batch::changes::{NewEvent, Touch};
use crate::store::batch::loaded::LoadedTask;
use crate::store::column;
use crate::store::derive::attempts::{self, AttemptChange};
use crate::store::derive::polling::{self, Open};
use crate::store::policy::Policy;

/// For a decision of an older version, open questions are unknown.
const NOTHING_OPEN: Open = Open { could_settle: false, needs_complete_list: false };

/// Derives every touched task again.
pub(crate) async fn touched(batch: &mut Batch<'_>) -> Result<(), sqlx::Error> {
    let mut changed = Vec::new();
    let mut events = Vec::new();
    for (&task, &touch) in &batch.changes.touched {
        let Some(stored) = batch.tasks.get_mut(task) else { continue };
        let state: TaskState = column::parsed(("tasks", "state", &task.to_string()), &stored.state)?;
        let words = batch.changes.words.get(&task);
        let mut change = TaskChange { task, touch, words, policy: batch.policy, events: &mut events };
        // A decision of an older version stays until there is news.
        if stored.is_old && state.is_settled() {
            stored.next_poll_at = polling::next_poll_at(stored, state, NOTHING_OPEN, touch, batch.policy);
            batch.changes.rows.tasks.push(Derived::of(stored, state).row(task));
            continue;
        }
        stored.is_old = false;
        let mut findings = weigh(&stored.evidence);
        if let Some(error) = findings.error.as_mut().filter(|_| batch.changes.taken_in.contains_key(&task)) {
            // The task existed only for its callbacks, until another task had their `taskId`.
            "it is the same task as its replacement".clone_into(&mut error.failure.message);
        }
        if is_refuted(stored, touch.source, state, findings.state) {
            batch.changes.refuted.push((task, touch));
        }
        batch.changes.changes_queue |= findings.state == TaskState::Queued;
        change.take(stored, &findings);
        let attempts = attempts::changes(stored, &findings);
        let told: BTreeSet<&String> =
            batch.changes.events.iter().filter_map(|event| event.video.as_ref()).collect();
        change.tell_of_joined(stored, &attempts, &told);
        change.settle_again(stored, findings.state, &attempts);
        changed.extend(attempts.into_iter().map(|attempt| (touch, attempt)));
        batch.changes.rows.tasks.push(Derived::of(stored, findings.state).row(task));
    }
    batch.changes.events.append(&mut events);
    name_posts(batch);
    attempts::store(batch, changed).await
}

/// Whether upstream took a refused submit after all.
fn is_refuted(stored: &LoadedTask, source: Source, before: TaskState, state: TaskState) -> bool {
    let is_refused = match &stored.evidence.submission {
        Submission::Rejected(reason) => is_about_content(&reason.failure.code),
        Submission::Deferred(Some(failure)) => is_about_content(&failure.code),
        _ => false,
    };
    let was_taken = |state| {
        let not_yet = matches!(
            state,
            TaskState::Queued | TaskState::Submitting | TaskState::Rejected | TaskState::Canceled
        );
        !not_yet
    };
    // The callback can come before the answer.
    let is_news = !was_taken(before) || source == Source::Submit;
    is_refused && was_taken(state) && is_news
}

/// Adds the posts of the videos to this batch's events, as far as they are known.
fn name_posts(batch: &mut Batch<'_>) {
    for event in batch.changes.events.iter_mut().filter(|event| event.post.is_none()) {
        let (Some(video), Some(task)) = (&event.video, event.task.and_then(|task| batch.tasks.get(task)))
        else {
            continue;
        };
        let owner = task.urls.iter().find(|url| url.videos.contains(video));
        let unknown = if task.serves_several { NewEvent::OF_NOBODY } else { NewEvent::OF_ONE_JOB };
        event.post = Some(owner.map_or(unknown, |url| url.post));
    }
}

/// The changes of a task in a batch.
struct TaskChange<'a> {
    task: TaskId,
    touch: Touch,
    /// The words that an operator's decision adds to the event.
    words: Option<&'a String>,
    policy: Policy,
    events: &'a mut Vec<NewEvent>,
}

impl TaskChange<'_> {
    fn event(&mut self, kind: EventKind, message: Option<String>) {
        let Touch { at, source } = self.touch;
        self.events.push(NewEvent { task: Some(self.task), message, ..NewEvent::new(kind, source, at) });
    }

    /// Updates the loaded task, and adds its events.
    fn take(&mut self, stored: &mut LoadedTask, findings: &Findings) {
        let at = self.touch.at.as_millis();
        let state = findings.state;
        let is_new_state = stored.state != state.as_str();
        if stored.accepted_at.is_none() && stored.evidence.has_upstream_id {
            stored.accepted_at = Some(at);
            self.event(EventKind::TaskAccepted, self.words.cloned());
        }
        let is_downloaded = stored.evidence.succeeded || !stored.evidence.entries.is_empty();
        if stored.downloaded_at.is_none() && is_downloaded {
            stored.downloaded_at = Some(at);
            self.event(EventKind::TaskDownloaded, None);
        }
        if is_new_state && let Some(kind) = kind_of(state) {
            let words = self.words.cloned().filter(|_| state == TaskState::Canceled);
            let reason = findings.error.as_ref().map(words_of);
            self.event(kind, words.or(reason));
        }
        if state == TaskState::Unconfirmed && stored.stalled_at == Some(at) {
            let words = "unconfirmed, so its jobs no longer wait for it";
            self.event(EventKind::TaskStalled, Some(words.to_owned()));
        }
        if state.is_settled() && is_new_state {
            self.event(EventKind::TaskSettled, Some(state.to_string()));
        }
        if !state.is_settled() {
            stored.settled_at = None;
        } else if is_new_state || stored.settled_at.is_none() {
            stored.settled_at = Some(at);
        }
        let error = findings.error.as_ref();
        stored.error =
            error.map(|error| (error.failure.code.clone(), error.failure.message.clone(), error.certain));
        let is_guessed =
            findings.urls.iter().any(|url| url.outcome.state == UrlState::Indexed && !url.makes_known);
        let open =
            Open { could_settle: findings.wants_poll, needs_complete_list: is_guessed || !stored.has_job };
        stored.next_poll_at = polling::next_poll_at(stored, state, open, self.touch, self.policy);
        if is_new_state {
            stored.state = state.to_string();
        }
    }

    /// Reports newly joined videos to jobs. A job sees a video only if it is joined to one of the job's URLs. If the
    /// join was unknown at the time of the video's event, the event is repeated.
    fn tell_of_joined(&mut self, stored: &LoadedTask, attempts: &[AttemptChange], told: &BTreeSet<&String>) {
        if !stored.serves_several {
            return;
        }
        for attempt in attempts {
            let post = stored.urls.iter().find(|url| url.round == attempt.round).map(|url| url.post);
            for video in attempt.joined.iter().filter(|video| !told.contains(video)) {
                self.tell_of(stored, video, post);
            }
        }
    }

    fn tell_of(&mut self, stored: &LoadedTask, video: &String, post: Option<i64>) {
        let entries = &stored.evidence.entries;
        let Some(entry) = entries.iter().find(|entry| entry.video_id.as_ref() == Some(video)) else { return };
        let Touch { at, source } = self.touch;
        self.events.push(NewEvent {
            task: Some(self.task),
            video: Some(video.clone()),
            message: Some("the memories.ai API lists it for a URL of its task".to_owned()),
            post,
            ..NewEvent::new(super::videos::kind_of(entry.state), source, at)
        });
    }
}

impl TaskChange<'_> {
    /// Settles a task again if news after its end changed the end of a URL, but not the state of the task.
    fn settle_again(&mut self, stored: &mut LoadedTask, state: TaskState, attempts: &[AttemptChange]) {
        let at = self.touch.at.as_millis();
        let has_changed = attempts.iter().any(|attempt| attempt.is_outcome);
        if state.is_settled() && has_changed && stored.settled_at != Some(at) {
            stored.settled_at = Some(at);
            self.event(EventKind::TaskSettled, Some(state.to_string()));
        }
    }
}

fn words_of(reason: &Reason) -> String {
    format!("{}: {}", reason.failure.code, reason.failure.message)
}

/// The kind of the event that reports a state. None if other events report it.
const fn kind_of(state: TaskState) -> Option<EventKind> {
    match state {
        TaskState::Queued => Some(EventKind::TaskQueued),
        TaskState::Submitting => Some(EventKind::TaskSubmitting),
        TaskState::Unconfirmed => Some(EventKind::TaskUnconfirmed),
        TaskState::Failed => Some(EventKind::TaskFailed),
        TaskState::Rejected => Some(EventKind::TaskRejected),
        TaskState::Stalled => Some(EventKind::TaskStalled),
        TaskState::Canceled => Some(EventKind::TaskCanceled),
        TaskState::Accepted | TaskState::Downloaded | TaskState::Indexed | TaskState::Partial => None,
    }
}

/// The columns of `tasks` that are derived, each once: the rows and the statement that stores them follow from it.
macro_rules! columns {
    ($(#[$about:meta])* struct $name:ident { $($column:ident: $of:ty,)* }) => {
        $(#[$about])*
        struct $name {
            $($column: $of,)*
        }

        impl $name {
            const COLUMNS: &[&str] = &[$(stringify!($column)),*];

            /// The id of the task, and the columns in their order.
            fn row(self, task: TaskId) -> Value {
                json!([task, $(self.$column),*])
            }
        }
    };
}

columns! {
    /// What is derived about a task.
    struct Derived {
        state: TaskState,
        accepted_at: Option<i64>,
        downloaded_at: Option<i64>,
        settled_at: Option<i64>,
        error_code: Option<String>,
        error_message: Option<String>,
        error_certain: Option<i64>,
        next_poll_at: Option<i64>,
        news: i64,
        news_at: i64,
        polls_in_vain: u32,
        quiet_since: Option<i64>,
        stalled_at: Option<i64>,
        is_old: i64,
    }
}

impl Derived {
    fn of(stored: &LoadedTask, state: TaskState) -> Self {
        let error = stored.error.as_ref();
        Self {
            state,
            accepted_at: stored.accepted_at,
            downloaded_at: stored.downloaded_at,
            settled_at: stored.settled_at,
            error_code: error.map(|(code, ..)| code.clone()),
            error_message: error.map(|(_, message, _)| message.clone()),
            error_certain: error.map(|(.., certain)| i64::from(*certain)),
            next_poll_at: stored.next_poll_at,
            news: stored.news,
            news_at: stored.news_at,
            polls_in_vain: stored.polls_in_vain,
            quiet_since: stored.quiet_since,
            stalled_at: stored.stalled_at,
            is_old: i64::from(stored.is_old),
        }
    }
}

/// Stores what was derived, from rows in the order of [`Derived`].
pub(crate) static UPDATE: LazyLock<String> = LazyLock::new(|| {
    let list = |of: fn(usize, &str) -> String| -> String {
        let columns = (1..).zip(Derived::COLUMNS);
        columns.map(|(place, column)| of(place, column)).collect::<Vec<_>>().join(", ")
    };
    format!(
        "UPDATE tasks SET {} FROM (SELECT value->>0 AS id, {} FROM json_each(?)) AS new WHERE tasks.id = new.id",
        list(|_, column| format!("{column} = new.{column}")),
        list(|place, column| format!("value->>{place} AS {column}")),
    )
});
