//! Scheduled backups: a copy now and then, and the oldest out once a new one counts.
//!
//! Must never delete a file that it has not made.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::{Step, StepError, Worker};
use crate::config::Live;
use crate::domain::time::Timestamp;
use crate::store::{self, BackupError, LastBackup};

/// Between two tries where one failed.
const AFTER_FAILURE: Duration = Duration::from_secs(300);
/// How the names of copies end.
const SUFFIX: &str = ".db";

/// Owns the folder of copies.
#[derive(Debug)]
pub struct Backups {
    database: PathBuf,
    folder: PathBuf,
    /// How the names of copies of this database begin: another one may be copied to the same folder.
    prefix: String,
    every: Duration,
    keep: usize,
    last: Arc<Live<LastBackup>>,
}

impl Backups {
    /// Copies of `database` in `folder`, one in every `every`, the newest `keep` of them; `last` is told how it went.
    pub fn new(
        database: PathBuf,
        folder: PathBuf,
        (every, keep): (Duration, usize),
        last: Arc<Live<LastBackup>>,
    ) -> Self {
        let stem = database.file_stem().unwrap_or_default().to_string_lossy();
        let prefix = format!("{stem}-");
        Self { database, folder, prefix, every, keep, last }
    }

    /// The copies that were made here, oldest first, with the times in their names.
    fn copies(&self) -> Result<Vec<(Timestamp, PathBuf)>, BackupError> {
        let unreadable = |source| BackupError::Unreadable { path: self.folder.clone(), source };
        let mut copies = Vec::new();
        for file in fs::read_dir(&self.folder).map_err(unreadable)? {
            let path = file.map_err(unreadable)?.path();
            copies.extend(self.made_at(&path).map(|at| (at, path)));
        }
        copies.sort();
        Ok(copies)
    }

    /// When the next copy is due; one from the future was made before the clock was set back.
    fn due(&self, now: Timestamp) -> Result<Timestamp, BackupError> {
        let newest = self.copies()?.into_iter().map(|(at, _)| at).rfind(|at| *at <= now);
        self.last.replace(LastBackup { at: newest, ..LastBackup::clone(&self.last.get()) });
        Ok(newest.map_or(now, |at| at.after(self.every)))
    }

    async fn back_up(&self, now: Timestamp) -> Result<(), BackupError> {
        let copy = self.folder.join(format!("{}{}{SUFFIX}", self.prefix, now.stamp()));
        store::copy(&self.database, &copy, now).await?;
        let mut copies = self.copies()?;
        // Those of a future that was taken back count for nothing.
        copies.retain(|(at, _)| *at <= now);
        for (_, old) in copies.iter().rev().skip(self.keep) {
            if let Err(error) = fs::remove_file(old) {
                tracing::warn!(%error, copy = %old.display(), "an old copy could not be removed");
            }
        }
        tracing::info!(copy = %copy.display(), kept = copies.len().min(self.keep), "the database was copied");
        Ok(())
    }
}

impl Backups {
    /// When a copy was made, by its name; none where the name is not one that is given here.
    fn made_at(&self, path: &Path) -> Option<Timestamp> {
        let stamp = path.file_name()?.to_str()?.strip_prefix(&self.prefix)?.strip_suffix(SUFFIX)?;
        Timestamp::from_stamp(stamp)
    }
}

impl Worker for Backups {
    /// Makes the copy that is due.
    async fn step(&mut self, now: Timestamp) -> Result<Step, StepError> {
        let failure = self.last.get().failure.clone();
        if let Some((at, _)) = failure.filter(|(at, _)| *at <= now && now.since(*at) < AFTER_FAILURE) {
            return Ok(Step::WaitUntil(at.after(AFTER_FAILURE)));
        }
        let made = match self.due(now) {
            Ok(due) if due > now => return Ok(Step::WaitUntil(due)),
            Ok(_) => self.back_up(now).await,
            Err(error) => Err(error),
        };
        let at = self.last.get().at;
        self.last.replace(match made {
            Ok(()) => LastBackup { at: Some(now), failure: None },
            Err(error) => {
                let words = store::with_causes(&error);
                tracing::error!(error = words, "the database was not copied");
                LastBackup { at, failure: Some((now, words)) }
            }
        });
        Ok(Step::Worked)
    }
}
