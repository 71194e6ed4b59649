//! The newest events in memory for followers. A thousand followers cost the database one read per commit.
//!
//! Older events come from the file. An event must never get here before its commit.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::domain::event::Event;
use crate::domain::id::JobId;
use crate::store::error::ReadError;
use crate::store::read::Readers;
use crate::store::read::events::EventFilter;

/// The most events that are kept in memory.
const RECENT: usize = 4_096;
/// The most events that one read returns.
const PAGE: i64 = 1_000;

/// The time between two tries to read committed events.
const AFTER_ERROR: Duration = Duration::from_secs(1);

/// The newest events.
#[derive(Debug)]
pub(crate) struct Feed {
    /// None if there are no followers.
    recent: Mutex<Option<Recent>>,
    /// The last `seq` that is here or in the file.
    seen: watch::Sender<i64>,
}

impl Default for Feed {
    fn default() -> Self {
        Self { recent: Mutex::default(), seen: watch::Sender::new(0) }
    }
}

/// An event, and the jobs that see it besides the one that it is about. None if this must be read from the file.
#[derive(Debug)]
struct Kept {
    event: Arc<Event>,
    jobs: Option<Vec<JobId>>,
}

impl Kept {
    /// Whether a job sees it. None if this must be read from the file.
    fn is_seen_by(&self, job: JobId) -> Option<bool> {
        if self.event.task_id.is_none() {
            return Some(self.event.job_id == Some(job));
        }
        self.jobs.as_ref().map(|jobs| jobs.contains(&job))
    }
}

#[derive(Debug)]
struct Recent {
    events: VecDeque<Kept>,
    /// Every event after this one, up to `last`, is here.
    after: i64,
    last: i64,
}

impl Recent {
    fn take(&mut self, events: Vec<Event>, seen: Option<Vec<(i64, JobId)>>, last: i64) {
        let mut by_seq: HashMap<i64, Vec<JobId>> = HashMap::new();
        let is_known = seen.is_some();
        for (seq, job) in seen.into_iter().flatten() {
            by_seq.entry(seq).or_default().push(job);
        }
        self.events.extend(events.into_iter().map(|event| {
            let jobs = is_known.then(|| by_seq.remove(&event.seq).unwrap_or_default());
            Kept { event: Arc::new(event), jobs }
        }));
        self.last = last;
        while self.events.len() > RECENT {
            if let Some(oldest) = self.events.pop_front() {
                self.after = oldest.event.seq;
            }
        }
    }
}

impl Feed {
    // The work under the lock can't fail halfway, so a poisoned lock is usable.
    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Recent>> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A follower of events.
#[derive(Debug)]
pub struct Follower {
    readers: Readers,
    feed: Arc<Feed>,
    seen: watch::Receiver<i64>,
    filter: EventFilter,
}

impl Follower {
    /// The last `seq` that the follower has read.
    pub fn cursor(&self) -> i64 {
        self.filter.after
    }

    /// Returns the events since the last call that the filter admits, as far as one read reaches. An empty list means
    /// that all events committed so far were read.
    ///
    /// # Errors
    /// [`ReadError`] means that nothing was skipped, and the call can be repeated.
    pub async fn read(&mut self) -> Result<Vec<Arc<Event>>, ReadError> {
        self.seen.borrow_and_update();
        if let Some((events, last)) = self.recent() {
            self.filter.after = last;
            return Ok(events);
        }
        let last = self.readers.last_seq().await?;
        let events = self.readers.events(&self.filter).await?;
        let is_full = events.len() >= usize::try_from(self.filter.limit).unwrap_or(usize::MAX);
        self.filter.after = match events.last() {
            Some(event) if is_full => event.seq,
            newest => newest.map_or(last, |event| event.seq.max(last)),
        };
        Ok(events.into_iter().map(Arc::new).collect())
    }

    /// Waits for a commit since the last read.
    pub async fn news(&mut self) {
        if self.seen.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// The events in memory after the cursor. None if the cursor is older than these.
    fn recent(&self) -> Option<(Vec<Arc<Event>>, i64)> {
        let recent = self.feed.lock();
        let recent = recent.as_ref()?;
        if self.filter.after < recent.after {
            return None;
        }
        let start = recent.events.partition_point(|kept| kept.event.seq <= self.filter.after);
        // At most as many events as one read of the file returns, because a slow follower keeps them in memory.
        let limit = usize::try_from(self.filter.limit).unwrap_or(usize::MAX);
        let mut wanted = Vec::new();
        for kept in recent.events.range(start..).filter(|kept| self.filter.admits(&kept.event)) {
            if self.filter.job.map_or(Some(true), |job| kept.is_seen_by(job))? {
                wanted.push(Arc::clone(&kept.event));
            }
            if wanted.len() >= limit {
                break;
            }
        }
        let last = match wanted.last() {
            Some(event) if wanted.len() >= limit => event.seq,
            _ => recent.last.max(self.filter.after),
        };
        Some((wanted, last))
    }
}

impl Feed {
    /// Follows the events after `filter.after`. Events that are not in memory come from the file.
    pub(crate) fn follow(self: &Arc<Self>, readers: &Readers, filter: EventFilter) -> Follower {
        Follower { readers: readers.clone(), feed: Arc::clone(self), seen: self.seen.subscribe(), filter }
    }

    /// Keeps the newest events while there are followers, until `stop`.
    pub(crate) async fn run(
        &self,
        readers: &Readers,
        mut committed: watch::Receiver<i64>,
        stop: CancellationToken,
    ) {
        loop {
            committed.borrow_and_update();
            let is_behind = self.catch_up(readers).await.inspect_err(|error| {
                tracing::warn!(%error, "could not read new events, their followers have to wait");
            });
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(AFTER_ERROR), if is_behind.is_err() => {}
                changed = committed.changed() => if changed.is_err() { return },
            }
        }
    }

    async fn catch_up(&self, readers: &Readers) -> Result<(), ReadError> {
        if self.seen.receiver_count() == 0 {
            *self.lock() = None;
            return Ok(());
        }
        let known = self.lock().as_ref().map(|recent| recent.last);
        let mut after = match known {
            Some(last) => last,
            None => {
                // Old events come from the file. The newest must not, because all followers wait for them, and each
                // would read them there.
                let last = readers.last_seq().await?.saturating_sub(PAGE).max(0);
                *self.lock() = Some(Recent { events: VecDeque::new(), after: last, last });
                last
            }
        };
        loop {
            let filter = EventFilter { after, limit: PAGE, ..EventFilter::default() };
            let events = readers.events(&filter).await?;
            let Some(last) = events.last().map(|event| event.seq) else { break };
            let is_full = events.len() >= usize::try_from(PAGE).unwrap_or(usize::MAX);
            let seen = readers.seen_by(&events).await?;
            if let Some(recent) = self.lock().as_mut() {
                recent.take(events, seen, last);
            }
            after = last;
            if !is_full {
                break;
            }
        }
        self.seen.send_if_modified(|seen| std::mem::replace(seen, after) != after);
        Ok(())
    }
}
