//! The forwarder sends webhooks to subscribers and to the callback URLs of jobs, in order for each job, and repeats
//! failed attempts.
//!
//! It follows the event log with a durable cursor. So a kill loses no delivery, and repeats those that were on their
//! way. Must never delay a commit of others, so it reads committed events and writes little.

mod addressing;
mod attempting;
mod enqueuing;
mod turns;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use tokio::task::JoinSet;

use self::attempting::Attempting;
use self::enqueuing::Enqueuing;
pub use self::turns::Pace;
use self::turns::Turns;
use super::{Step, StepError, Worker};
use crate::config::Live;
use crate::domain::time::Timestamp;
use crate::domain::webhook::secret::Secret;
use crate::forward::Sender;
use crate::store::{EndedAttempt, Store};
use crate::telemetry::Metrics;
use crate::webhooks::Recent;

/// Operations that wait for their commit when the service is busy. A few wait at every moment.
const BUSY: usize = 8;
/// The rest after a step, in times of the step, while the service is busy. So callbacks share the disk and the
/// processor with webhooks for at most a tenth of the time.
const REST: u32 = 9;
/// The attempts that a step begins at most while the service is busy.
const FEW: usize = 8;

/// The worker that sends webhooks.
#[derive(Debug)]
pub struct Forwarder {
    store: Store,
    /// The events that attempts are about.
    recent: Arc<Recent>,
    sender: Sender,
    secrets: Arc<Live<Vec<Secret>>>,
    pace: Pace,
    metrics: Arc<Metrics>,
    enqueuing: Enqueuing,
    /// The deliveries of the attempts on their way, each with its receiver.
    in_flight: HashMap<i64, String>,
    turns: Turns,
    attempts: JoinSet<EndedAttempt>,
    /// Attempts that ended, and whose ends are not stored yet.
    ended: Vec<EndedAttempt>,
    /// Not a time of the clock, which may be set back.
    rest_until: Option<Instant>,
}

impl Forwarder {
    /// Sends with `sender`. `secrets` sign for the URLs of jobs.
    pub fn new(
        store: Store,
        sender: Sender,
        secrets: Arc<Live<Vec<Secret>>>,
        pace: Pace,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            enqueuing: Enqueuing::new(store.clone()),
            recent: Arc::new(Recent::new(store.clone())),
            store,
            sender,
            secrets,
            pace,
            metrics,
            in_flight: HashMap::new(),
            turns: Turns::default(),
            attempts: JoinSet::new(),
            ended: Vec::new(),
            rest_until: None,
        }
    }

    fn is_busy(&self) -> bool {
        self.store.backlog().facts >= BUSY
    }

    /// Stores the ends of attempts. The next deliveries of their jobs can then begin.
    async fn write_down(&mut self) -> Result<(), StepError> {
        while let Some(ended) = self.attempts.try_join_next() {
            self.ended.extend(ended.ok());
        }
        if !self.ended.is_empty() {
            self.store.end_attempts(self.ended.clone(), self.pace.retries.give_up_after).await?;
        }
        for ended in std::mem::take(&mut self.ended) {
            let is_success = ended.end.is_success();
            if let Some(is_success) = is_success {
                self.metrics.webhook_attempt(is_success);
            }
            if let Some(receiver) = self.in_flight.remove(&ended.delivery) {
                self.turns.ended(receiver, is_success);
            }
        }
        if self.attempts.is_empty() {
            // A panic in an attempt leaves its delivery behind.
            self.in_flight.clear();
        }
        Ok(())
    }

    /// Begins attempts up to the limits, and at most this many.
    async fn begin(&mut self, now: Timestamp, most: usize) -> Result<(), StepError> {
        if self.in_flight.len() >= self.pace.max_in_flight {
            return Ok(());
        }
        let busy: Vec<i64> = self.in_flight.keys().copied().collect();
        let due = self.store.read().due_deliveries(now, self.pace.per_receiver(), &busy).await?;
        for due in self.turns.choose(due, self.in_flight.values(), self.pace, most) {
            self.in_flight.insert(due.number, due.receiver.clone());
            let attempt = Attempting {
                store: self.store.clone(),
                recent: self.recent.clone(),
                sender: self.sender.clone(),
                secrets: self.secrets.get(),
                retries: self.pace.retries,
            };
            self.attempts.spawn(attempt.make(due));
        }
        Ok(())
    }
}

impl Worker for Forwarder {
    async fn step(&mut self, now: Timestamp) -> Result<Step, StepError> {
        let began = Instant::now();
        self.write_down().await?;
        if let Some(rest) = self.rest_until.and_then(|until| until.checked_duration_since(began)) {
            return Ok(Step::WaitUntil(now.after(rest)));
        }
        let was_busy = self.is_busy();
        // Deliveries that are stored do not wait for an event that can't be read.
        let has_more = self.enqueuing.step(now).await;
        self.begin(now, if was_busy { FEW } else { usize::MAX }).await?;
        let has_more = has_more?;
        if was_busy || self.is_busy() {
            let rest = began.elapsed() * REST;
            self.rest_until = Some(Instant::now() + rest);
            return Ok(Step::WaitUntil(now.after(rest)));
        }
        if has_more {
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
