//! The reconciler: asks for what never came. Its results are facts like any other.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::{Step, StepError, Worker};
use crate::domain::time::Timestamp;
use crate::domain::video::VideoState;
use crate::store::{PollEnd, PolledVideo, Store};
use crate::upstream::wire::{ListedStatus, ListedVideo};
use crate::upstream::{Budget, Kind, LONGEST_WAIT, PollAnswer, Upstream};

/// Owns polling.
#[derive(Debug)]
pub struct Reconciler {
    store: Store,
    upstream: Upstream,
    budget: Arc<Budget>,
    poll_after: Duration,
    stop: CancellationToken,
}

impl Reconciler {
    /// A reconciler that asks again after `poll_after`, and waits for its turn until `stop`.
    pub fn new(
        store: Store,
        upstream: Upstream,
        budget: Arc<Budget>,
        poll_after: Duration,
        stop: CancellationToken,
    ) -> Self {
        Self { store, upstream, budget, poll_after, stop }
    }
}

impl Worker for Reconciler {
    /// Polls the task that is due first.
    async fn step(&mut self, now: Timestamp) -> Result<Step, StepError> {
        let Some(due) = self.store.next_poll().await? else { return Ok(Step::Idle) };
        // One that is due later than any wait lasts was put off before the clock was set back.
        let longest = LONGEST_WAIT.max(self.poll_after);
        if due.due > now && due.due <= now.after(longest) {
            return Ok(Step::WaitUntil(due.due));
        }
        let started = Instant::now();
        let at = || now.after(started.elapsed());
        tokio::select! {
            () = self.budget.turn(Kind::Poll) => {}
            () = self.stop.cancelled() => return Ok(Step::Idle),
        }
        let asked_at = at();
        let end = match self.upstream.poll(&due.upstream_id, due.unique_id.as_deref()).await {
            PollAnswer::Listed(listing) => {
                self.budget.went_well();
                let videos = listing.videos.into_iter().map(polled).collect();
                PollEnd::Listed { videos, names_urls: listing.names_urls }
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
                PollEnd::Unanswered(self.poll_after)
            }
        };
        self.store.record_poll(due, asked_at, at(), end).await?;
        Ok(Step::Worked)
    }
}

fn polled(video: ListedVideo) -> PolledVideo {
    let state = match video.status {
        ListedStatus::Indexed => VideoState::Indexed,
        ListedStatus::Failed => VideoState::Failed,
        ListedStatus::Indexing => VideoState::Indexing,
    };
    PolledVideo { id: video.id, state, url: video.url }
}
