//! Turns committed events into deliveries, in the order of the log, and those of replays.
//!
//! Must never move the cursor past an event whose deliveries are not stored.

use std::collections::{BTreeMap, VecDeque};

use super::addressing::{Addressing, to_job, to_subscribers};
use crate::domain::event::Event;
use crate::domain::id::JobId;
use crate::domain::time::Timestamp;
use crate::domain::webhook::format::Format;
use crate::store::{EventFilter, Listener, NewDelivery, Progress, Store};
use crate::webhooks;
use crate::workers::StepError;

/// The events that one step reads.
const PAGE: i64 = 500;
/// The cursor is stored at the latest after this many events without a delivery.
const CURSOR_STRIDE: i64 = 10_000;
/// The rows that one commit stores, because callbacks wait this long: two for a delivery, and one for each of its jobs.
const ROWS: usize = 600;

/// Owns the cursor.
#[derive(Debug)]
pub(super) struct Enqueuing {
    store: Store,
    cursor: Option<Cursor>,
    /// Deliveries that are not stored yet.
    pending: Option<Pending>,
}

/// The deliveries of a page of events.
#[derive(Debug)]
struct Pending {
    deliveries: VecDeque<NewDelivery>,
    progress: Progress,
}

/// The progress in the log, as read and as stored.
#[derive(Clone, Copy, Debug)]
struct Cursor {
    read: i64,
    stored: i64,
}

/// Consecutive events.
struct Page {
    events: Vec<Event>,
    /// The last `seq` that was read. None at the end of the log.
    to: Option<i64>,
}

impl Enqueuing {
    pub(super) const fn new(store: Store) -> Self {
        Self { store, cursor: None, pending: None }
    }

    async fn cursor(&mut self) -> Result<Cursor, StepError> {
        if let Some(cursor) = self.cursor {
            return Ok(cursor);
        }
        let stored = self.store.read().forwarded_to().await?.unwrap_or_default();
        let cursor = Cursor { read: stored, stored };
        self.cursor = Some(cursor);
        Ok(cursor)
    }

    /// Does the next piece of work, which is at most one commit of bounded size. Returns whether there is more to do.
    pub(super) async fn step(&mut self, now: Timestamp) -> Result<bool, StepError> {
        if self.pending.is_some() {
            return self.store_some(now).await;
        }
        let cursor = self.cursor().await?;
        let there_is = self.store.read().forwardable().await?;
        let is_purging = there_is.has_removed_subscribers && self.store.purge_subscribers().await?;
        if !there_is.has_receivers {
            self.skip_to(there_is.last_seq, cursor, now).await?;
        } else if self.take_page(cursor).await? || (there_is.has_replays && self.take_replay().await?) {
            return self.store_some(now).await;
        }
        Ok(is_purging)
    }

    /// Makes the deliveries of the next events. Returns whether there are more events.
    async fn take_page(&mut self, cursor: Cursor) -> Result<bool, StepError> {
        let Page { events, to } = self.events(cursor.read).await?;
        let Some(to) = to else { return Ok(false) };
        let listeners = self.store.read().listeners().await?;
        let deliveries = self.deliveries(&events, &listeners).await?;
        self.pending = Some(Pending { deliveries: deliveries.into(), progress: Progress::Forwarded(to) });
        Ok(true)
    }

    /// Makes the next deliveries of a replay. Replays have time: new events go first.
    async fn take_replay(&mut self) -> Result<bool, StepError> {
        let listeners = self.store.read().listeners().await?;
        let Some(listener) = listeners.into_iter().find(|listener| listener.replay.is_some()) else {
            return Ok(false);
        };
        let Some((after, last)) = listener.replay else { return Ok(false) };
        let Page { mut events, to } = self.events(after).await?;
        let to = to.map_or(last, |to| to.min(last));
        events.retain(|event| event.seq <= last);
        let subscriber = listener.number;
        let deliveries = self.of_subscribers(&events, &[listener], |_| after).await?;
        let progress = Progress::Replayed { subscriber, after, to };
        self.pending = Some(Pending { deliveries: deliveries.into(), progress });
        Ok(true)
    }

    /// Stores pending deliveries in a commit of bounded size. The last commit stores the progress. Returns whether
    /// there is more to do.
    async fn store_some(&mut self, now: Timestamp) -> Result<bool, StepError> {
        let Some(pending) = &self.pending else { return Ok(false) };
        let mut rows = 0;
        let some = pending.deliveries.iter().take_while(|delivery| {
            let is_first = rows == 0;
            rows += 2 + delivery.order.len();
            is_first || rows <= ROWS
        });
        let some: Vec<NewDelivery> = some.cloned().collect();
        let (count, is_last) = (some.len(), some.len() == pending.deliveries.len());
        let progress = match pending.progress {
            progress if is_last => progress,
            Progress::Replayed { .. } => Progress::Partial { again: true },
            _ => Progress::Partial { again: false },
        };
        match (progress, self.cursor) {
            (Progress::Forwarded(to), Some(cursor)) if count == 0 && to - cursor.stored < CURSOR_STRIDE => {
                self.cursor = Some(Cursor { read: to, ..cursor });
            }
            _ => {
                self.store.enqueue_deliveries(some, progress, now).await?;
                if let Progress::Forwarded(to) = progress {
                    self.cursor = Some(Cursor { read: to, stored: to });
                }
            }
        }
        match &mut self.pending {
            Some(pending) if !is_last => drop(pending.deliveries.drain(..count)),
            _ => self.pending = None,
        }
        Ok(true)
    }

    /// Moves on to the end of the log, because nobody is told about the events before it.
    async fn skip_to(&mut self, last: i64, cursor: Cursor, now: Timestamp) -> Result<(), StepError> {
        let mut cursor = Cursor { read: last, ..cursor };
        // Otherwise the first start with a receiver would look at all events in between.
        if cursor.stored > 0 && last - cursor.stored >= CURSOR_STRIDE {
            self.store.enqueue_deliveries(Vec::new(), Progress::Forwarded(last), now).await?;
            cursor.stored = last;
        }
        self.cursor = Some(cursor);
        Ok(())
    }

    /// Reads the next events. One that can't be read is left out, and logged: others must not wait for it.
    async fn events(&self, after: i64) -> Result<Page, StepError> {
        for limit in [PAGE, 1] {
            let filter = EventFilter { after, limit, ..EventFilter::default() };
            match self.store.read().events(&filter).await {
                Ok(events) => return Ok(Page { to: events.last().map(|event| event.seq), events }),
                Err(error) if error.is_about_a_row() => {
                    tracing::error!(%error, after, "an event can't be read, so nobody is told about it");
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Page { events: Vec::new(), to: self.store.read().next_seq(after).await? })
    }

    async fn deliveries(
        &self,
        events: &[Event],
        listeners: &[Listener],
    ) -> Result<Vec<NewDelivery>, StepError> {
        let mut deliveries = self.of_subscribers(events, listeners, |listener| listener.after).await?;
        let by_seq: BTreeMap<i64, &Event> = events.iter().map(|event| (event.seq, event)).collect();
        for recipient in self.store.read().recipients(events).await? {
            let Some(event) =
                by_seq.get(&recipient.seq).filter(|event| recipient.callback.admits(event.kind))
            else {
                continue;
            };
            let keys = match recipient.callback.format {
                Format::Upstream => self.upstream_keys(recipient.job_id, event).await?,
                _ => vec![event.seq.to_string()],
            };
            deliveries.extend(keys.into_iter().map(|key| to_job(&recipient, key)));
        }
        deliveries.sort_by_key(|delivery| delivery.seq);
        Ok(deliveries)
    }

    /// The keys of an event in the format of upstream. None if the job's URLs can't be read, which is logged: others
    /// must not wait for it.
    async fn upstream_keys(&self, job: JobId, event: &Event) -> Result<Vec<String>, StepError> {
        match webhooks::upstream_keys(&self.store, job, event).await {
            Err(error) if error.is_about_a_row() => {
                tracing::error!(%error, %job, seq = event.seq, "a job can't be read, so its URL is not told");
                Ok(Vec::new())
            }
            keys => Ok(keys?),
        }
    }

    /// The deliveries to those of the subscribers that hear of the events after a `seq`.
    async fn of_subscribers(
        &self,
        events: &[Event],
        listeners: &[Listener],
        after: impl Fn(&Listener) -> i64,
    ) -> Result<Vec<NewDelivery>, StepError> {
        let is_heard = |event: &&Event| {
            listeners
                .iter()
                .any(|listener| event.seq > after(listener) && listener.settings.hears(event.kind))
        };
        let heard: Vec<Event> = events.iter().filter(is_heard).cloned().collect();
        if heard.is_empty() {
            return Ok(Vec::new());
        }
        let labels: Vec<_> = listeners.iter().map(|listener| &listener.settings.labels).collect();
        let jobs = self.store.read().jobs_of_events(&heard, &labels).await?;
        let addressing = Addressing { listeners, jobs: &jobs };
        Ok(heard.iter().flat_map(|event| to_subscribers(&addressing, event, &after)).collect())
    }
}
