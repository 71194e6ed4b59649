//! Who waits for a job or a task to settle: woken by the commit that settles it, and by nothing else.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

use crate::domain::event::EventKind;
use crate::domain::id::{JobId, TaskId};
use crate::store::batch::changes::NewEvent;

/// What can be waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Awaited {
    /// A job, until its last URL has an outcome.
    Job(JobId),
    /// A task, until nothing more is expected of it.
    Task(TaskId),
}

/// Those who wait, by what they wait for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Waiters(Arc<Mutex<HashMap<Awaited, Place>>>);

/// Whom to wake, and how many they are.
#[derive(Debug, Default)]
struct Place {
    notify: Arc<Notify>,
    waiters: usize,
}

impl Waiters {
    /// What these events settle.
    pub(crate) fn of(events: &[NewEvent]) -> Vec<Awaited> {
        let settled = |event: &NewEvent| match event.kind {
            EventKind::JobSettled => event.job.map(Awaited::Job),
            EventKind::TaskSettled => event.task.map(Awaited::Task),
            _ => None,
        };
        events.iter().filter_map(settled).collect()
    }

    /// Wakes whoever waits for one of these; they are on disk.
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

    /// Takes a place among those who wait for this.
    pub(crate) fn wait_for(&self, awaited: Awaited) -> Waiting {
        let notify = {
            let mut waiting = self.lock();
            let place = waiting.entry(awaited).or_default();
            place.waiters += 1;
            place.notify.clone()
        };
        Waiting { waiters: self.clone(), awaited, notify }
    }

    // Only whole inserts and removes happen under it.
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Awaited, Place>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place among those who wait; dropping it gives it back.
#[derive(Debug)]
pub struct Waiting {
    waiters: Waiters,
    awaited: Awaited,
    notify: Arc<Notify>,
}

impl Waiting {
    /// Is ready once it settles after this call; so ask first, look then, and wait only after that.
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
