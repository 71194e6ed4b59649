//! The reconciler: fetches missing results by polling. Its results are facts like any others. Must never send a
//! submit.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::aside::Aside;
use super::{Step, StepError, Worker};
use crate::domain::id::TaskId;
use crate::domain::time::Timestamp;
use crate::domain::url::PostUrl;
use crate::domain::video::VideoState;
use crate::store::{Found, Look, Policy, PollEnd, PolledEntry, Store};
use crate::telemetry::{Span, SpanName, Traces};
use crate::upstream::wire::{CreatedAt, ListedEntry, ListedStatus, Listing};
use crate::upstream::{Budget, Kind, LONGEST_WAIT, PollAnswer, Upstream};

/// The worker that polls tasks.
#[derive(Debug)]
pub struct Reconciler {
    store: Store,
    upstream: Upstream,
    budget: Arc<Budget>,
    policy: Policy,
    stop: CancellationToken,
    next_sweep: Option<Instant>,
    next_look: Option<Instant>,
    /// The start of the last step, by the system's clock and by a clock that nobody can set.
    last_step: Option<(Timestamp, Instant)>,
    aside: Aside<TaskId>,
    traces: Traces,
}

impl Reconciler {
    /// Creates a reconciler that waits for its turn until `stop`.
    pub fn new(
        store: Store,
        upstream: Upstream,
        budget: Arc<Budget>,
        policy: Policy,
        stop: CancellationToken,
    ) -> Self {
        Self {
            store,
            upstream,
            budget,
            policy,
            stop,
            next_sweep: None,
            next_look: None,
            last_step: None,
            aside: Aside::default(),
            traces: Traces::default(),
        }
    }

    /// Traces its polls here.
    #[must_use]
    pub fn traced_by(mut self, traces: Traces) -> Self {
        self.traces = traces;
        self
    }
}

/// The longest time between two sweeps for silent tasks.
const SWEEP: Duration = Duration::from_secs(60);
/// The change between two steps from which the clock counts as set.
const JUMP: Duration = Duration::from_secs(30);

impl Reconciler {
    /// Detects a change of the clock. Time that never passed must not count as silence, and time that was taken back
    /// must not delay its end.
    async fn notice_jump(&mut self, now: Timestamp) -> Result<(), StepError> {
        let begun = Instant::now();
        if self.last_step.is_none() && self.store.read().has_news_after(now.after(JUMP)).await? {
            tracing::warn!("the clock was set back while the service was down");
            self.store.clock_set_back(now).await?;
        }
        if let Some((then, instant)) = self.last_step {
            let expected = then.after(begun.duration_since(instant));
            let ahead = now.since(expected);
            if expected.since(now) > JUMP {
                tracing::warn!("the clock was set back, later times now count as the present");
                self.store.clock_set_back(now).await?;
            }
            if ahead > JUMP {
                tracing::warn!(?ahead, "the clock was set forward, the gap does not count as silence");
                self.store.clock_set_forward(ahead, now).await?;
            }
        }
        self.last_step = Some((now, begun));
        Ok(())
    }

    /// Marks silent tasks now and then, and returns the time of the next sweep.
    async fn sweep(&mut self, now: Timestamp) -> Result<Timestamp, StepError> {
        let rest = self.next_sweep.map(|next| next.saturating_duration_since(Instant::now()));
        if let Some(rest) = rest.filter(|rest| !rest.is_zero()) {
            return Ok(now.after(rest));
        }
        self.store.sweep(now).await?;
        let rest = (self.policy.deadline / 20).clamp(Duration::from_millis(10), SWEEP);
        self.next_sweep = Some(Instant::now() + rest);
        Ok(now.after(rest))
    }
}

impl Reconciler {
    /// Asks upstream about a `taskId` that hints named and no task has, because it may be that of an unconfirmed
    /// task.
    async fn look(&mut self, look: Look, now: Timestamp) -> Result<Step, StepError> {
        let started = Instant::now();
        let mut found = Found::default();
        for unique_id in &look.unique_ids {
            tokio::select! {
                () = self.budget.turn(Kind::Poll) => {}
                () = self.stop.cancelled() => return Ok(Step::Idle),
            }
            match self.upstream.poll(&look.upstream_id, unique_id.as_deref()).await {
                PollAnswer::Listed(listing) => {
                    self.budget.went_well();
                    found = found_in(unique_id.clone(), &listing);
                }
                PollAnswer::Limited(retry_after) => self.budget.too_fast(retry_after),
                PollAnswer::Refused(_) | PollAnswer::Unanswered(_) => {}
            }
            if !found.posts.is_empty() {
                break;
            }
        }
        let at = now.after(started.elapsed());
        match self.store.store_lookup(look.upstream_id.clone(), found, at).await {
            // If the matching task can't be read, nothing was found, and others have their turn.
            Err(error) if error.is_about_a_record() => {
                self.store.store_lookup(look.upstream_id, Found::default(), at).await?;
            }
            result => drop(result?),
        }
        self.next_look = Some(Instant::now() + self.policy.hint_interval);
        Ok(Step::Worked)
    }

    /// Returns the next unknown id to ask about, and its time. There is one question per interval, however many hints
    /// arrive.
    async fn next_look(&self, now: Timestamp) -> Result<Option<(Look, Timestamp)>, StepError> {
        let Some(look) = self.store.read().next_look(now, self.policy).await? else { return Ok(None) };
        let rest = self.next_look.map(|next| next.saturating_duration_since(Instant::now()));
        let due = now.after(rest.unwrap_or_default()).max(look.due);
        Ok(Some((look, due)))
    }
}

impl Worker for Reconciler {
    /// Asks about an unknown id if one is due, or else polls the task that is due first.
    async fn step(&mut self, now: Timestamp) -> Result<Step, StepError> {
        self.notice_jump(now).await?;
        let mut next = self.sweep(now).await?;
        // These questions are rare enough to go first. Behind overdue polls, their turn might never come.
        match self.next_look(now).await? {
            Some((look, due)) if due <= now => return self.look(look, now).await,
            Some((_, due)) => next = next.min(due),
            None => {}
        }
        let aside = self.aside.those_that_wait(Instant::now());
        let Some(mut due) = self.store.read().next_poll(&aside).await? else {
            return Ok(Step::WaitUntil(next));
        };
        if due.due > now {
            // A poll that is due later than any wait lasts was put off before the clock was set back. Others whose
            // turn comes again and again may be ahead of it.
            let longest = LONGEST_WAIT.max(self.policy.longest_poll_wait());
            match self.store.read().next_put_off(&aside, now, longest).await? {
                Some(put_off) => due = put_off,
                None => return Ok(Step::WaitUntil(due.due.min(next))),
            }
        }
        let started = Instant::now();
        let at = || now.after(started.elapsed());
        tokio::select! {
            () = self.budget.turn(Kind::Poll) => {}
            () = self.stop.cancelled() => return Ok(Step::Idle),
        }
        let (asked_at, asked) = (at(), Instant::now());
        let answer = self.upstream.poll(&due.upstream_id, due.unique_id.as_deref()).await;
        self.traces.record(Span {
            task: due.task,
            name: SpanName::Poll,
            began: asked_at,
            took: asked.elapsed(),
            attributes: vec![("scrapehook.outcome", answer.word().to_owned())],
            has_failed: !matches!(answer, PollAnswer::Listed(_)),
        });
        let end = match answer {
            PollAnswer::Listed(listing) => {
                self.budget.went_well();
                let earliest = found_in(None, &listing).earliest;
                let entries = listing.entries.into_iter().map(polled).collect();
                PollEnd::Listed { entries, is_whole: listing.is_whole, earliest }
            }
            PollAnswer::Refused(refusal) => {
                tracing::warn!(task = %due.task, code = refusal.code, reason = refusal.message, "poll refused");
                PollEnd::Refused
            }
            PollAnswer::Limited(retry_after) => {
                self.budget.too_fast(retry_after);
                PollEnd::Unanswered(retry_after.unwrap_or_default())
            }
            PollAnswer::Unanswered(refusal) => {
                tracing::warn!(task = %due.task, code = refusal.code, reason = refusal.message, "poll unanswered");
                PollEnd::Unanswered(self.policy.poll_after)
            }
        };
        let task = due.task;
        match self.store.record_poll(due, asked_at, at(), end).await {
            Err(error) if error.is_about_a_record() => self.aside.put(task, Instant::now()),
            result => {
                result?;
                self.aside.take_back(task);
            }
        }
        Ok(Step::Worked)
    }
}

/// Converts the answer of a poll in this folder, for a `taskId` that may belong to a task.
fn found_in(unique_id: Option<String>, listing: &Listing) -> Found {
    let mut found = Found { unique_id, is_doubtful: !listing.is_whole, ..Found::default() };
    for entry in &listing.entries {
        match entry.created_at {
            CreatedAt::At(time) => {
                found.earliest = Some(found.earliest.map_or(time, |first| first.min(time)))
            }
            // The video may be older than the submit.
            CreatedAt::Unreadable => found.is_doubtful = true,
            CreatedAt::Unnamed => {}
        }
        match entry.url.as_deref().map(PostUrl::parse) {
            Some(Ok(post)) => found.posts.push(post.canonical),
            // The entry is one more video of an unknown post.
            Some(Err(_)) | None => found.is_doubtful = true,
        }
    }
    found
}

fn polled(entry: ListedEntry) -> PolledEntry {
    let state = match entry.status {
        ListedStatus::Indexed => VideoState::Indexed,
        ListedStatus::Failed => VideoState::Failed,
        ListedStatus::Indexing => VideoState::Indexing,
    };
    PolledEntry { id: entry.id, state, url: entry.url }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn found(videos: Value) -> Found {
        found_in(None, &Listing::parse(&json!({ "videos": videos })).unwrap())
    }

    #[test]
    fn an_entry_that_can_be_anything_makes_an_answer_doubtful() {
        let good = json!({ "video_no": "VI1", "video_url": "https://vimeo.com/10001", "create_time": 1_700_000_000 });
        let sure = found(json!([good]));
        assert_eq!((sure.posts.len(), sure.is_doubtful), (1, false));
        assert_eq!(sure.earliest, Some(Timestamp::from_millis(1_700_000_000_000)));
        for other in [
            json!({ "video_no": "VI2", "video_url": null }),
            json!({ "video_no": "VI2", "video_url": "" }),
            json!({ "video_no": "VI2" }),
            json!({ "video_no": "VI2", "video_url": "https://vimeo.com/10002", "create_time": "2023-11-14 22:13:20" }),
            json!({ "video_no": "VI2", "video_url": "https://vimeo.com/10002", "create_time": {} }),
        ] {
            assert!(found(json!([good, other])).is_doubtful, "{other}");
        }
    }
}
