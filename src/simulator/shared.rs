//! The state that the simulator's handle, handlers and deliveries share. Its lock must never be held over an await.

use std::sync::{Mutex, PoisonError};

use reqwest::Client;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::account::Account;

/// The state that the simulator's handle, handlers and deliveries share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) account: Mutex<Account>,
    pub(super) changes: watch::Sender<()>,
    pub(super) client: Client,
    pub(super) tracker: TaskTracker,
    pub(super) stop: CancellationToken,
}

impl Shared {
    pub(super) fn inspect<T>(&self, look: impl FnOnce(&Account) -> T) -> T {
        look(&self.account.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Account) -> T) -> T {
        let result = change(&mut self.account.lock().unwrap_or_else(PoisonError::into_inner));
        self.changes.send_replace(());
        result
    }
}
