//! The callers that wait for a job or a task to settle. Must never be woken by anything except the commit that
//! settles it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

use crate::domain::event::EventKind;
use crate::domain::id::{JobId, TaskId};
use crate::store::batch::changes::NewEvent;

/// A subject to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Awaited {
    /// A job, until its last URL has an outcome.
    Job(JobId),
    /// A task, until nothing more is expected of it.
    Task(TaskId),
}

/// The waiting callers, by subject.
#[derive(Clone, Debug, Default)]
pub(crate) struct Waiters(Arc<Mutex<HashMap<Awaited, Place>>>);

/// The callers to wake, and their number.
#[derive(Debug, Default)]
struct Place {
    notify: Arc<Notify>,
    waiters: usize,
}

impl Waiters {
    /// The subjects that these events settle.
    pub(crate) fn of(events: &[NewEvent]) -> Vec<Awaited> {
        let settled = |event: &NewEvent| match event.kind {
            EventKind::JobSettled => event.job.map(Awaited::Job),
            EventKind::TaskSettled => event.task.map(Awaited::Task),
            _ => None,
        };
        events.iter().filter_map(settled).collect()
    }

    /// Wakes all callers that wait for one of these. They are on disk.
    pub(crate) fn wake(&self, settled: &[Awaited]) {
        if settled.is_empty() {
            return;
        }
        let waiting = self.lock();
        for awaited in settled {
            if let Some(place) = waiting.get(awaited) {
                place.notify.notify_waiters();
            }
        }
    }

    /// Registers a caller that waits for this.
    pub(crate) fn wait_for(&self, awaited: Awaited) -> Waiting {
        let notify = {
            let mut waiting = self.lock();
            let place = waiting.entry(awaited).or_default();
            place.waiters += 1;
            place.notify.clone()
        };
        Waiting { waiters: self.clone(), awaited, notify }
    }

    // Only whole inserts and removals happen under the lock.
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Awaited, Place>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The registration of a waiting caller. Dropping it removes it.
#[derive(Debug)]
pub struct Waiting {
    waiters: Waiters,
    awaited: Awaited,
    notify: Arc<Notify>,
}

impl Waiting {
    /// Becomes ready if the subject settles after this call. So call this first, then read the state, and wait only
    /// then.
    pub fn woken(&self) -> OwnedNotified {
        self.notify.clone().notified_owned()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut waiting = self.waiters.lock();
        let Some(place) = waiting.get_mut(&self.awaited) else { return };
        place.waiters -= 1;
        if place.waiters == 0 {
            waiting.remove(&self.awaited);
        }
    }
}
