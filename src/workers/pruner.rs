//! The pruner: passes over the file now and then, and removes bodies and events of tasks and jobs that settled long
//! ago. Must never take more than a small share of the writer's time, so it rests after each step.

use std::time::{Duration, Instant};

use super::{Step, StepError, Worker};
use crate::domain::time::Timestamp;
use crate::store::{Pass, Store};

/// The time between two passes, unless data is kept for less time than that.
const REST: Duration = Duration::from_secs(3_600);
/// The least time between two passes.
const LEAST_REST: Duration = Duration::from_millis(100);
/// The rest after a step, as a multiple of the step's duration. The pruner thus takes a tenth of the writer's time.
const SHARE: u32 = 9;

/// The worker that removes old bodies and events.
#[derive(Debug)]
pub struct Pruner {
    store: Store,
    after: Duration,
    pass: Pass,
    /// The time before which there is no step, by a clock that nobody can set.
    not_before: Option<Instant>,
}

impl Pruner {
    /// Creates a pruner for tasks and jobs that settled longer ago than `after`.
    pub fn new(store: Store, after: Duration) -> Self {
        Self { store, after, pass: Pass::default(), not_before: None }
    }
}

impl Worker for Pruner {
    /// Does one step of a pass.
    async fn step(&mut self, now: Timestamp) -> Result<Step, StepError> {
        let rest = self.not_before.map(|next| next.saturating_duration_since(Instant::now()));
        if let Some(rest) = rest.filter(|rest| !rest.is_zero()) {
            return Ok(Step::WaitUntil(now.after(rest)));
        }
        let began = Instant::now();
        let rest = match self.store.prune(now.before(self.after), self.pass).await? {
            Some(pass) => {
                self.pass = pass;
                began.elapsed() * SHARE
            }
            None => {
                let removed = std::mem::take(&mut self.pass).removed;
                if removed > 0 {
                    tracing::info!(
                        removed,
                        "removed bodies and events of jobs and tasks that settled long ago"
                    );
                }
                REST.min(self.after).max(LEAST_REST)
            }
        };
        self.not_before = Some(Instant::now() + rest);
        Ok(Step::WaitUntil(now.after(rest)))
    }
}
