//! The forwarder sends webhooks to the callback URLs of jobs, in order for each job, and repeats failed attempts.
//!
//! It follows the event log with a durable cursor. So a kill loses no delivery, and repeats those that were on their
//! way. Must never delay a commit of others, so it reads committed events and writes little.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::task::JoinSet;

use super::webhook_body;
use super::{Step, StepError, Worker};
use crate::clock;
use crate::config::Live;
use crate::domain::event::{Event, EventKind};
use crate::domain::time::Timestamp;
use crate::domain::webhook::retry::{Failures, Retries};
use crate::domain::webhook::secret::Secret;
use crate::forward::{Attempt, Message, Sender};
use crate::store::{AttemptEnd, DueDelivery, EventFilter, NewDelivery, Recipient, Store};

/// The events that one step reads.
const PAGE: i64 = 500;
/// The cursor is stored at the latest after this many events without a delivery.
const CURSOR_STRIDE: i64 = 10_000;
const JSON: &str = "application/json";

/// The limits of sending.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// The most requests at once, at least one.
    pub max_in_flight: usize,
    /// The spacing of attempts.
    pub retries: Retries,
}

impl Pace {
    /// The most requests at once to one host: a quarter, so that slow hosts leave room for others.
    const fn per_host(self) -> usize {
        if self.max_in_flight < 8 { 1 } else { self.max_in_flight / 4 }
    }
}

/// The worker that sends webhooks.
#[derive(Debug)]
pub struct Forwarder {
    store: Store,
    sender: Sender,
    secrets: Arc<Live<Vec<Secret>>>,
    pace: Pace,
    cursor: Option<Cursor>,
    /// The jobs of the attempts on their way, each with the host of its URL.
    in_flight: HashMap<i64, String>,
    attempts: JoinSet<Ended>,
    /// Attempts that ended, and whose ends are not stored yet.
    ended: Vec<Ended>,
}

/// The progress in the log, as read and as stored.
#[derive(Clone, Copy, Debug)]
struct Cursor {
    read: i64,
    stored: i64,
}

/// An attempt that has ended.
#[derive(Debug)]
struct Ended {
    delivery: i64,
    job: i64,
    began_at: Timestamp,
    at: Timestamp,
    end: AttemptEnd,
}

impl Forwarder {
    /// Sends with `sender`, and signs with each of `secrets`.
    pub fn new(store: Store, sender: Sender, secrets: Arc<Live<Vec<Secret>>>, pace: Pace) -> Self {
        Self {
            store,
            sender,
            secrets,
            pace,
            cursor: None,
            in_flight: HashMap::new(),
            attempts: JoinSet::new(),
            ended: Vec::new(),
        }
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

    /// Stores the deliveries of the next events. Returns false if there are no more events.
    async fn enqueue(&mut self, now: Timestamp) -> Result<bool, StepError> {
        let cursor = self.cursor().await?;
        // The order matters: a job that arrives in between has later events.
        let last = self.store.read().last_seq().await?;
        if !self.store.read().has_job_callbacks().await? {
            self.cursor = Some(Cursor { read: last, ..cursor });
            return Ok(false);
        }
        let filter = EventFilter { after: cursor.read, limit: PAGE, ..EventFilter::default() };
        let events = self.store.read().events(&filter).await?;
        let Some(to) = events.last().map(|event| event.seq) else { return Ok(false) };
        let deliveries = self.deliveries(&events).await?;
        let mut stored = cursor.stored;
        if !deliveries.is_empty() || to - cursor.stored >= CURSOR_STRIDE {
            self.store.enqueue_deliveries(deliveries, to, now).await?;
            stored = to;
        }
        self.cursor = Some(Cursor { read: to, stored });
        Ok(true)
    }

    async fn deliveries(&self, events: &[Event]) -> Result<Vec<NewDelivery>, StepError> {
        let recipients = self.store.read().recipients(events).await?;
        let kinds: HashMap<i64, EventKind> = events.iter().map(|event| (event.seq, event.kind)).collect();
        let is_wanted = |recipient: &Recipient| {
            kinds.get(&recipient.seq).is_some_and(|kind| recipient.callback.admits(*kind))
        };
        let delivery = |recipient: Recipient| NewDelivery {
            job: recipient.job,
            seq: recipient.seq,
            host: recipient.callback.target.host().to_owned(),
        };
        Ok(recipients.into_iter().filter(is_wanted).map(delivery).collect())
    }

    /// Stores the ends of attempts. The next deliveries of their jobs can then begin.
    async fn write_down(&mut self) -> Result<(), StepError> {
        while let Some(ended) = self.attempts.try_join_next() {
            self.ended.extend(ended.ok());
        }
        while let Some(ended) = self.ended.last() {
            self.store.end_attempt(ended.delivery, ended.began_at, ended.at, ended.end.clone()).await?;
            let job = ended.job;
            self.in_flight.remove(&job);
            self.ended.pop();
        }
        if self.attempts.is_empty() {
            // A panic in an attempt leaves its job behind.
            self.in_flight.clear();
        }
        Ok(())
    }

    /// Begins attempts up to the limits.
    async fn begin(&mut self, now: Timestamp) -> Result<(), StepError> {
        let Pace { max_in_flight, .. } = self.pace;
        if self.in_flight.len() >= max_in_flight {
            return Ok(());
        }
        let per_host = self.pace.per_host();
        let busy: Vec<i64> = self.in_flight.keys().copied().collect();
        for due in self.store.read().due_deliveries(now, per_host, &busy).await? {
            let of_host = self.in_flight.values().filter(|host| **host == due.host).count();
            if self.in_flight.len() >= max_in_flight {
                break;
            }
            if of_host < per_host {
                self.in_flight.insert(due.job, due.host.clone());
                let attempt = Attempting {
                    store: self.store.clone(),
                    sender: self.sender.clone(),
                    secrets: self.secrets.get(),
                    retries: self.pace.retries,
                };
                self.attempts.spawn(attempt.make(due));
            }
        }
        Ok(())
    }
}

impl Worker for Forwarder {
    async fn step(&mut self, now: Timestamp) -> Result<Step, StepError> {
        self.write_down().await?;
        // Deliveries that are stored do not wait for an event that can't be read.
        let has_more = self.enqueue(now).await;
        self.begin(now).await?;
        if has_more? {
            return Ok(Step::Worked);
        }
        let next = self.store.read().next_delivery(now).await?;
        Ok(next.map_or(Step::Idle, Step::WaitUntil))
    }

    async fn woken(&mut self) {
        match self.attempts.join_next().await {
            Some(ended) => self.ended.extend(ended.ok()),
            None => std::future::pending().await,
        }
    }
}

/// One attempt.
struct Attempting {
    store: Store,
    sender: Sender,
    secrets: Arc<Vec<Secret>>,
    retries: Retries,
}

impl Attempting {
    async fn make(self, due: DueDelivery) -> Ended {
        let began_at = clock::now();
        let target = match &due.target {
            Ok(target) => target,
            Err(error) => {
                return Self::given_up(&due, began_at, format!("the stored URL can't be read: {error}"));
            }
        };
        let attempt = match webhook_body::of(&self.store, due.job_id, due.seq).await {
            Ok(Some(body)) => {
                let id = format!("msg_{}_{}", due.seq, due.job_id);
                let message = Message {
                    id: &id,
                    attempted_at: began_at,
                    target,
                    secrets: &self.secrets,
                    content_type: JSON,
                    body,
                };
                self.sender.send(message).await
            }
            Ok(None) => return Self::given_up(&due, began_at, "retention has removed the event".to_owned()),
            Err(error) => {
                tracing::warn!(%error, job = %due.job_id, "a webhook could not be made");
                let reason = "the database could not be read".to_owned();
                Attempt::Failed { status: None, reason, retry_after: None }
            }
        };
        let at = clock::now();
        let end = self.end_of(attempt, &due, (began_at, at));
        if let AttemptEnd::Failed { reason, next_at: None, .. } = &end {
            tracing::warn!(
                job = %due.job_id, seq = due.seq, %target, reason,
                "a webhook was given up"
            );
        }
        Ended { delivery: due.number, job: due.job, began_at, at, end }
    }

    /// The end of a delivery that can't be made.
    fn given_up(due: &DueDelivery, at: Timestamp, reason: String) -> Ended {
        tracing::warn!(job = %due.job_id, seq = due.seq, reason, "a webhook was given up");
        let end = AttemptEnd::Failed { status: None, reason, next_at: None };
        Ended { delivery: due.number, job: due.job, began_at: at, at, end }
    }

    fn end_of(&self, attempt: Attempt, due: &DueDelivery, times: (Timestamp, Timestamp)) -> AttemptEnd {
        let (began_at, at) = times;
        match attempt {
            Attempt::Delivered { status } => AttemptEnd::Delivered { status },
            Attempt::Gone => AttemptEnd::Failed {
                status: Some(410),
                reason: "the receiver wants no more webhooks (HTTP 410)".to_owned(),
                next_at: None,
            },
            Attempt::Failed { status, reason, retry_after } => {
                let failures = Failures {
                    first_attempt: due.first_attempt_at.unwrap_or(began_at),
                    attempts: due.attempts + 1,
                    failed_at: at,
                    retry_after,
                };
                let next_at = self.retries.next_attempt(&failures, rand::random());
                AttemptEnd::Failed { status, reason, next_at }
            }
        }
    }
}
