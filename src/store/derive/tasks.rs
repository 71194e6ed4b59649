//! The end of a batch: derives the states of the tasks it touched, stores what changed, and carries it on
//! to the jobs that follow their URLs.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnection;

use crate::domain::event::EventKind;
use crate::domain::id::TaskId;
use crate::domain::retry::backoff;
use crate::domain::state::{Derived, derive};
use crate::domain::task::TaskState;
use crate::domain::time::millis;
use crate::store::batch::Batch;
use crate::store::batch::changes::{NewEvent, Touch, UrlChange};
use crate::store::batch::working_set::LoadedTask;
use crate::store::derive::followers;
use crate::store::policy::Policy;

/// The longest wait between two polls in vain of a task that has not settled, in first waits.
const POLL_GROWTH: u32 = 8;

impl Policy {
    /// No task that has not settled waits longer than this for its next poll, unless upstream itself asked for more.
    #[must_use]
    pub fn longest_poll_wait(&self) -> Duration {
        (self.poll_after * POLL_GROWTH).max(self.settle_after)
    }
}

/// Derives every touched task anew.
pub(crate) async fn touched(batch: &mut Batch<'_>) -> Result<(), sqlx::Error> {
    let mut urls = Vec::new();
    let mut unheard = BTreeSet::new();
    let mut events = Vec::new();
    for (&task, &touch) in &batch.changes.touched {
        let Some(stored) = batch.tasks.get_mut(task) else { continue };
        let derived = derive(&stored.facts);
        url_changes(task, stored, &derived, &mut urls);
        if is_unheard(stored, derived.state, batch.policy) {
            unheard.insert(task);
        }
        let words = batch.changes.words.get(&task);
        let change = TaskChange { task, derived: &derived, touch, words };
        batch.changes.rows.tasks.push(change.row(stored, batch.policy, &mut events));
    }
    batch.changes.events.append(&mut events);
    store_urls(batch.connection, &urls).await?;
    followers::carry(batch, urls, &unheard).await
}

fn url_changes(task: TaskId, stored: &mut LoadedTask, derived: &Derived, out: &mut Vec<UrlChange>) {
    let rows = stored.urls.iter_mut().zip(&derived.urls);
    for (position, ((old, old_code), (new, failure))) in (0..).zip(rows) {
        let code = failure.as_ref().map(|failure| failure.code.as_str());
        if old == new && old_code.as_deref() == code {
            continue;
        }
        let code = code.map(str::to_owned);
        out.push(UrlChange {
            task,
            position,
            old: std::mem::replace(old, *new),
            new: *new,
            old_code: std::mem::replace(old_code, code.clone()),
            code,
            message: failure.as_ref().map(|failure| failure.message.clone()),
        });
    }
}

/// What became of a task in a batch.
struct TaskChange<'a> {
    task: TaskId,
    derived: &'a Derived,
    touch: Touch,
    /// What an operator's decision adds to the event.
    words: Option<&'a String>,
}

impl TaskChange<'_> {
    /// Changes the loaded task, and gives its row and events.
    fn row(&self, stored: &mut LoadedTask, policy: Policy, events: &mut Vec<NewEvent>) -> Value {
        let Self { task, derived, touch, words } = *self;
        let mut event = |kind, message: Option<String>| {
            events.push(NewEvent {
                task: Some(task),
                message,
                ..NewEvent::new(kind, touch.source, touch.at)
            });
        };
        let at = touch.at.as_millis();
        let state = derived.state;
        let is_new_state = stored.state != state.as_str();
        let is_downloaded = stored.facts.succeeded || !stored.facts.videos.is_empty();
        if stored.accepted_at.is_none() && stored.facts.has_upstream_id {
            stored.accepted_at = Some(at);
            event(EventKind::TaskAccepted, words.cloned());
        }
        if stored.downloaded_at.is_none() && is_downloaded {
            stored.downloaded_at = Some(at);
            event(EventKind::TaskDownloaded, None);
        }
        let reason = || derived.error.as_ref().map(|error| format!("{}: {}", error.code, error.message));
        let kind = match state {
            TaskState::Queued => Some(EventKind::TaskQueued),
            TaskState::Submitting => Some(EventKind::TaskSubmitting),
            TaskState::Unconfirmed => Some(EventKind::TaskUnconfirmed),
            TaskState::Failed => Some(EventKind::TaskFailed),
            TaskState::Rejected => Some(EventKind::TaskRejected),
            TaskState::Stalled => Some(EventKind::TaskStalled),
            TaskState::Canceled => Some(EventKind::TaskCanceled),
            // Told by their facts above, or by "settled" below.
            TaskState::Accepted | TaskState::Downloaded | TaskState::Indexed | TaskState::Partial => None,
        };
        if let (Some(kind), true) = (kind, is_new_state) {
            let words = words.cloned().filter(|_| state == TaskState::Canceled);
            event(kind, words.or_else(reason));
        }
        if state == TaskState::Unconfirmed && stored.stalled_at == Some(at) {
            event(EventKind::TaskStalled, Some("unconfirmed: its job no longer waits for it".to_owned()));
        }
        if state.is_settled() && is_new_state {
            event(EventKind::TaskSettled, Some(state.to_string()));
        }
        if !state.is_settled() {
            stored.settled_at = None;
        } else if is_new_state || stored.settled_at.is_none() {
            stored.settled_at = Some(at);
        }
        stored.next_poll_at = next_poll_at(stored, state, at, policy);
        if is_new_state {
            stored.state = state.to_string();
        }
        json!([
            task,
            state,
            stored.accepted_at,
            stored.downloaded_at,
            stored.settled_at,
            derived.error.as_ref().map(|error| &error.code),
            derived.error.as_ref().map(|error| &error.message),
            stored.next_poll_at,
            stored.news,
            stored.news_at,
            stored.polls_in_vain,
            stored.quiet_since,
            stored.stalled_at,
        ])
    }
}

/// Whether it is stalled, and upstream has not said since its deadline what there is.
fn is_unheard(stored: &LoadedTask, state: TaskState, policy: Policy) -> bool {
    let deadline = stored.news_at.saturating_add(millis(policy.deadline));
    state == TaskState::Stalled
        && stored.facts.has_upstream_id
        && stored.answered_at.is_none_or(|at| at < deadline)
}

/// When the task is polled next; `None` if nothing more is to be learned.
///
/// At once if a poll could settle the task, if somebody asked for one, or if the last news of a settled task came after
/// its last poll, because upstream may list more than callbacks told. But only once for each piece of news: a poll in
/// vain is repeated after a wait that doubles, whatever upstream answered.
fn next_poll_at(stored: &LoadedTask, state: TaskState, at: i64, policy: Policy) -> Option<i64> {
    let facts = &stored.facts;
    let is_polled = stored.polled_news >= stored.news;
    let is_wanted = is_wanted(stored);
    let is_unheard = is_unheard(stored, state, policy);
    if !facts.has_upstream_id || (state.is_settled() && is_polled && !is_wanted && !is_unheard) {
        return None;
    }
    let is_fresh = stored.news > stored.asked_news;
    if is_fresh && is_wanted && stored.poll_not_before < 0 {
        return Some(0);
    }
    let ended = facts.videos.iter().filter(|video| video.state.is_ended()).count();
    let could_settle = ended > 0 && ended == facts.videos.len() && ended >= facts.urls;
    let is_due = is_wanted || (!is_polled && !is_unheard && (could_settle || state.is_settled()));
    let next = if is_fresh && is_due { at } else { next_in_vain(stored, state.is_settled(), at, policy)? };
    Some(next.max(stored.poll_not_before))
}

/// Whether somebody asked for a poll that has not been answered.
fn is_wanted(stored: &LoadedTask) -> bool {
    stored.poll_wanted > stored.polled_news
}

/// When to ask again although nothing happened since the last poll; `None` if that is over.
///
/// A settled task is polled for `reconcile.deadline` more, and once more `reconcile.settle_after` later: a callback may
/// still come, but upstream may be gone for good. A poll that somebody asked for is tried until the wait has grown to
/// the deadline.
fn next_in_vain(stored: &LoadedTask, is_settled: bool, at: i64, policy: Policy) -> Option<i64> {
    let growth = policy.poll_after * POLL_GROWTH;
    let most = if is_settled { growth.max(policy.deadline) } else { growth };
    let wait = backoff(stored.polls_in_vain + 1, policy.poll_after, most);
    // If the clock was set back, the poll must not wait for the old time.
    let last = stored.polled_at.map_or(stored.news_at, |polled| polled.max(stored.news_at)).min(at);
    let next = last.saturating_add(millis(wait));
    // The second of the two polls that prove that a list is complete. If it was in vain, the wait counts.
    let settle = stored.quiet_since.map(|since| since.saturating_add(millis(policy.settle_after)));
    let next = settle.filter(|settle| *settle > last).map_or(next, |settle| settle.min(next));
    if !is_settled {
        return Some(next);
    }
    let settled_at = stored.settled_at.unwrap_or(at);
    let end = settled_at.saturating_add(millis(policy.deadline)).saturating_add(millis(policy.settle_after));
    if stored.polled_at.is_none_or(|polled| polled < end) {
        return Some(next.min(end));
    }
    (is_wanted(stored) && wait < most).then_some(next)
}

/// Stores what was derived.
pub(crate) const UPDATE: &str = "UPDATE tasks SET state = new.state, accepted_at = new.accepted_at,
       downloaded_at = new.downloaded_at, settled_at = new.settled_at, error_code = new.error_code,
       error_message = new.error_message, next_poll_at = new.next_poll_at, news = new.news,
       news_at = new.news_at, polls_in_vain = new.polls_in_vain, quiet_since = new.quiet_since,
       stalled_at = new.stalled_at
     FROM (SELECT value->>0 AS id, value->>1 AS state, value->>2 AS accepted_at,
             value->>3 AS downloaded_at, value->>4 AS settled_at, value->>5 AS error_code,
             value->>6 AS error_message, value->>7 AS next_poll_at, value->>8 AS news,
             value->>9 AS news_at, value->>10 AS polls_in_vain,
             value->>11 AS quiet_since, value->>12 AS stalled_at
           FROM json_each(?)) AS new
     WHERE tasks.id = new.id";

pub(crate) const UPDATE_URLS: &str =
    "UPDATE task_urls SET state = new.state, error_code = new.code, error_message = new.message
     FROM (SELECT value->>0 AS task_id, value->>1 AS position, value->>3 AS state, value->>5 AS code,
             value->>6 AS message FROM json_each(?1)) AS new
     WHERE task_urls.task_id = new.task_id AND task_urls.position = new.position";

async fn store_urls(connection: &mut SqliteConnection, urls: &[UrlChange]) -> Result<(), sqlx::Error> {
    if urls.is_empty() {
        return Ok(());
    }
    let rows: Vec<Value> = urls.iter().map(UrlChange::row).collect();
    sqlx::query(UPDATE_URLS).bind(json!(rows).to_string()).execute(connection).await?;
    Ok(())
}
