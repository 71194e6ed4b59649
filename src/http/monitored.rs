//! The parts of the service that status and metrics report. Must never change one.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::callback_check::LastCheck;
use crate::config::Live;
use crate::store::LastBackup;
use crate::upstream::{Budget, Outage};

/// The parts of the service that the status depends on.
#[derive(Clone, Debug)]
pub struct Monitored {
    /// The path of the database.
    pub store_path: Arc<Path>,
    /// The request budget, which submits and polls share.
    pub budget: Arc<Budget>,
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
