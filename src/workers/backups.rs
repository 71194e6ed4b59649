//! Scheduled backups: makes a copy when it is due, and removes the oldest once the new one counts.
//!
//! Must never delete a file that is not marked as a copy.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Step, StepError, Worker};
use crate::blocking;
use crate::config::Live;
use crate::domain::time::Timestamp;
use crate::store::{self, BackupError, CopyPaths, LastBackup, Listed};

/// The time between two tries after a failure.
const AFTER_FAILURE: Duration = Duration::from_secs(300);
/// The ending of the names of copies.
const SUFFIX: &str = ".db";

/// The folder of copies, and the names of the copies of this database in it.
#[derive(Clone, Debug)]
struct Folder {
    path: PathBuf,
    /// The beginning of the names of copies of this database, because another database may be copied to the same
    /// folder.
    prefix: String,
}

/// The schedule of the copies.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    /// Time between two copies.
    pub every: Duration,
    /// The number of copies to keep.
    pub keep: usize,
}

/// Copies that this service has made, oldest first, with the times in their names.
type Copies = Vec<(Timestamp, PathBuf)>;

/// Lists the copies of `database` in `folder`, and the unfinished one.
pub fn scheduled_copies(database: &Path, folder: &Path) -> Listed {
    Folder::of(database, folder.to_owned()).listed()
}

impl Folder {
    fn of(database: &Path, path: PathBuf) -> Self {
        // The prefix is the whole name, because `a.db` and `a.sqlite` may share a folder of copies.
        let name = database.file_name().unwrap_or_default().to_string_lossy();
        Self { path, prefix: format!("{name}-") }
    }

    /// Runs work on the folder that may take long.
    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> io::Result<T> + Send + 'static,
    ) -> Result<T, BackupError> {
        let folder = self.clone();
        let unreadable = |source| BackupError::Unreadable { path: self.path.clone(), source };
        let done = blocking::run(move || work(&folder)).await;
        done.map_err(io::Error::other).and_then(|done| done).map_err(unreadable)
    }

    /// Removes all but the newest `keep` copies, and returns how many remain. Copies with times in the future do not
    /// count, because the clock was set back since.
    async fn keep_newest(&self, keep: usize, now: Timestamp) -> Result<usize, BackupError> {
        let mut copies = self.copies().await?;
        copies.retain(|(at, _)| *at <= now);
        let kept = copies.len().min(keep);
        let remove = move |_: &Self| {
            for (_, old) in copies.iter().rev().skip(keep) {
                if let Err(error) = fs::remove_file(old) {
                    tracing::warn!(%error, copy = %old.display(), "could not remove an old copy");
                }
            }
            Ok(kept)
        };
        self.on_disk(remove).await
    }

    /// The copies and the unfinished one, by their names.
    fn listed(&self) -> Listed {
        let mut listed = store::list(&self.path, |name| self.made_at(Path::new(name)).is_some());
        listed.paths.push(self.partial());
        listed
    }

    /// The files with the name and the mark of a copy.
    async fn copies(&self) -> Result<Copies, BackupError> {
        let mut copies = Copies::new();
        for (at, path) in self.on_disk(Self::named_like_copies).await? {
            match store::is_copy(&path).await {
                Ok(true) => copies.push((at, path)),
                Ok(false) => tracing::warn!(
                    path = %path.display(),
                    "this file is named like a scheduled copy but is not one, so it is left alone"
                ),
                Err(error) => tracing::warn!(
                    error = store::with_causes(&error),
                    path = %path.display(),
                    "could not tell whether this file is a scheduled copy, so it is left alone"
                ),
            }
        }
        Ok(copies)
    }

    fn named_like_copies(&self) -> io::Result<Copies> {
        let mut copies = Vec::new();
        for file in fs::read_dir(&self.path)? {
            let path = file?.path();
            copies.extend(self.made_at(&path).map(|at| (at, path)));
        }
        copies.sort();
        Ok(copies)
    }

    /// The time of a copy, from its name. None if the name is not that of a copy.
    fn made_at(&self, path: &Path) -> Option<Timestamp> {
        let stamp = path.file_name()?.to_str()?.strip_prefix(&self.prefix)?.strip_suffix(SUFFIX)?;
        Timestamp::from_stamp(stamp)
    }

    fn copy_at(&self, time: Timestamp) -> PathBuf {
        self.path.join(format!("{}{}{SUFFIX}", self.prefix, time.stamp()))
    }

    /// The path of the unfinished copy. It is always the same, so kills leave at most one.
    fn partial(&self) -> PathBuf {
        self.path.join(format!("{}next.part", self.prefix))
    }
}

/// The worker that owns the folder of copies.
#[derive(Debug)]
pub struct Backups {
    database: PathBuf,
    folder: Folder,
    every: Duration,
    keep: usize,
    last: Arc<Live<LastBackup>>,
    /// The time at which the next copy is due. None until the folder was read.
    due: Option<Timestamp>,
    stop: CancellationToken,
}

impl Backups {
    /// Creates the worker that copies `database` into `folder` by `schedule`, and reports the result in `last`. An
    /// unfinished copy is given up at `stop`.
    pub fn new(
        database: PathBuf,
        folder: PathBuf,
        schedule: Schedule,
        last: Arc<Live<LastBackup>>,
        stop: CancellationToken,
    ) -> Self {
        let folder = Folder::of(&database, folder);
        let Schedule { every, keep } = schedule;
        Self { database, folder, every, keep, last, due: None, stop }
    }

    /// The time at which the next copy is due. It is computed again after the clock was set back, because a copy from
    /// the future was made before that.
    async fn due(&mut self, now: Timestamp) -> Result<Timestamp, BackupError> {
        if let Some(due) = self.due.filter(|due| *due <= now.after(self.every)) {
            return Ok(due);
        }
        let warn = |folder: &Folder| {
            store::warn_of_exposed(folder.listed());
            Ok(())
        };
        self.folder.on_disk(warn).await?;
        let copies = self.folder.copies().await?;
        let newest = copies.into_iter().map(|(at, _)| at).rfind(|at| *at <= now);
        self.last.replace(LastBackup { at: newest, ..LastBackup::clone(&self.last.get()) });
        let due = newest.map_or(now, |at| at.after(self.every));
        self.due = Some(due);
        Ok(due)
    }

    async fn back_up(&self, now: Timestamp) -> Result<(), BackupError> {
        let copy = self.folder.copy_at(now);
        let paths = CopyPaths { from: &self.database, to: &copy, partial: &self.folder.partial() };
        store::copy(paths, now, &self.stop).await?;
        let keep = self.keep;
        match self.folder.keep_newest(keep, now).await {
            Ok(kept) => tracing::info!(copy = %copy.display(), kept, "the database was copied"),
            // The copy counts, because making it again each time would fill the disk.
            Err(error) => tracing::warn!(
                error = store::with_causes(&error),
                copy = %copy.display(),
                "the database was copied, but old copies could not be looked up"
            ),
        }
        Ok(())
    }
}

impl Worker for Backups {
    /// Makes the copy if it is due.
    async fn step(&mut self, now: Timestamp) -> Result<Step, StepError> {
        let failure = self.last.get().failure.clone();
        if let Some((at, _)) = failure.filter(|(at, _)| *at <= now && now.since(*at) < AFTER_FAILURE) {
            return Ok(Step::WaitUntil(at.after(AFTER_FAILURE)));
        }
        let made = match self.due(now).await {
            Ok(due) if due > now => return Ok(Step::WaitUntil(due)),
            Ok(_) => self.back_up(now).await,
            Err(error) => Err(error),
        };
        let at = self.last.get().at;
        self.last.replace(match made {
            Ok(()) => {
                self.due = Some(now.after(self.every));
                LastBackup { at: Some(now), failure: None }
            }
            Err(error) if self.stop.is_cancelled() => {
                tracing::info!(%error, "copy not finished, the next one is made after the next start");
                return Ok(Step::Idle);
            }
            Err(error) => {
                let words = store::with_causes(&error);
                tracing::error!(error = words, "could not copy the database");
                LastBackup { at, failure: Some((now, words)) }
            }
        });
        Ok(Step::Worked)
    }
}
