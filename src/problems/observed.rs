//! The evidence of problems, from the database and from the parts of the service. Must never change one of them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::callback_check::{CallbackCheck, LastCheck};
use crate::config::Live;
use crate::domain::pause::Pause;
use crate::domain::time::Timestamp;
use crate::store::{DisabledSubscriber, LastBackup, Overview, ReadError, Store, WriteError, free_room};
use crate::upstream::{Budget, Outage, Refusal};

/// The parts of the service that status, metrics and announcements depend on.
#[derive(Clone, Debug)]
pub struct Monitored {
    /// The path of the database.
    pub store_path: Arc<Path>,
    /// The request budget, which submits and polls share.
    pub budget: Arc<Budget>,
    /// The most URLs that are sent in a day. None if there is no limit.
    pub urls_per_day: Option<u64>,
    /// The record of missing answers from upstream.
    pub outage: Arc<Outage>,
    /// Whether submits ask for callbacks.
    pub has_callbacks: bool,
    /// Time between two copies of the database. None if it is not copied.
    pub backup_every: Option<Duration>,
    /// The result of the last scheduled backup.
    pub last_backup: Arc<Live<LastBackup>>,
    /// The result of the last callback check.
    pub callback_check: LastCheck,
}

/// A commit that was tried as a proof has failed.
#[derive(Clone, Copy, Debug)]
pub struct Unproven {
    /// The reason.
    pub error: WriteError,
    /// Time of the first try since the last commit.
    pub since: Timestamp,
}

/// The day's budget.
#[derive(Clone, Copy, Debug)]
pub struct DayBudget {
    pub(super) sent: u64,
    pub(super) most: u64,
}

/// The evidence at one time.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The time.
    pub now: Timestamp,
    /// The status from the database.
    pub overview: Overview,
    /// The result of the last callback check.
    pub callback_check: CallbackCheck,
    /// The failure of the last proof that the database can be written, if the caller has made one.
    pub unproven: Option<Unproven>,
    pub(super) pauses: Vec<Pause>,
    /// The subscribers that scrapehook has disabled.
    pub(super) disabled: Vec<DisabledSubscriber>,
    /// Tasks that have not listed all of their URLs. None unless sending is paused after a restore.
    pub(super) unlisted: Option<i64>,
    /// None if there is no limit, or if no URL waits.
    pub(super) day_budget: Option<DayBudget>,
    /// How long upstream has given no usable answer, and its last one.
    pub(super) outage: Option<(Duration, Refusal)>,
    /// Whether upstream has given a usable answer since the start.
    pub(super) was_answered: bool,
    /// Free bytes on the database's disk.
    pub(super) free_room: Option<u64>,
    pub(super) last_backup: Arc<LastBackup>,
    pub(super) backup_every: Option<Duration>,
    pub(super) has_callbacks: bool,
}

impl Monitored {
    /// Gathers the evidence. It makes no proof that the database can be written.
    ///
    /// # Errors
    /// [`ReadError`]
    pub async fn observe(&self, store: &Store, now: Timestamp) -> Result<Observed, ReadError> {
        let overview = store.read().overview(now).await?;
        let pauses = store.read().pauses().await?;
        let unlisted = match pauses.iter().any(|pause| pause.scope == Pause::RESTORED) {
            true => Some(store.read().unlisted().await?),
            false => None,
        };
        let day_budget = match self.urls_per_day.filter(|_| overview.waiting > 0) {
            Some(most) => {
                Some(DayBudget { sent: store.read().urls_sent_since(now.start_of_day()).await?, most })
            }
            None => None,
        };
        Ok(Observed {
            now,
            overview,
            callback_check: self.callback_check.last(),
            unproven: None,
            pauses,
            disabled: store.read().disabled_subscribers().await?,
            unlisted,
            day_budget,
            outage: self.outage.lasting(),
            was_answered: self.outage.was_answered(),
            free_room: free_room(&self.store_path),
            last_backup: self.last_backup.get(),
            backup_every: self.backup_every,
            has_callbacks: self.has_callbacks,
        })
    }
}
