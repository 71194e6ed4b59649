//! Copies of the file. They are made while the file is in use, verified before they count, and marked as copies.
//!
//! Must never leave half a copy under the final name, and never write over another file.

use std::path::Path;
use std::time::Duration;
use std::{fs, io};

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};
use tokio_util::sync::CancellationToken;

use crate::blocking;
use crate::domain::file_path::{PathFault, check_file, check_folder};
use crate::domain::time::Timestamp;
use crate::store::error::primary_code;
use crate::store::file::error::{BackupError, OpenError};
use crate::store::file::failure::{is_about_writing, is_full, words};
use crate::store::file::inspect::{inspect, is_foreign};
use crate::store::file::lock::{Holder, InstanceLock, check_not_mounted, check_single_name};
use crate::store::file::partial::PartialFile;
use crate::store::file::path::{check_path, real_folder, real_path, side_file};
use crate::store::file::private::{check_side_file, is_regular};

/// The longest wait for another process that has locked the file.
const BUSY: Duration = Duration::from_secs(30);
/// SQLite's steps between two checks of the stop signal, a fraction of a millisecond.
const STOP_STEPS: i32 = 1_000;
/// The reason for a copy that can't be written, in words for everybody.
const FULL: &str = "the disk is full";

/// The result of the last backup.
#[derive(Clone, Debug, Default)]
pub struct LastBackup {
    /// The time of the newest copy.
    pub at: Option<Timestamp>,
    /// The time and the reason of a later failure.
    pub failure: Option<(Timestamp, String)>,
}

/// Copies the database at `from`, which may be in use, to the new file `to`, of mode 0600.
///
/// The copy carries a mark. A service that starts with it is paused and sends nothing until an operator resumes it.
///
/// # Errors
/// [`BackupError`] means that there is no copy.
pub async fn backup(
    from: &Path,
    to: &Path,
    at: Timestamp,
    stop: &CancellationToken,
) -> Result<(), BackupError> {
    look_at_source(from).await?;
    copy(CopyPaths { from, to, partial: &side_file(to, ".part") }, at, stop).await
}

/// Checks that the source is a whole database of scrapehook.
async fn look_at_source(from: &Path) -> Result<(), BackupError> {
    check(from)?;
    check_not_mounted(from)?;
    // Each name has a separate log, so the copy would lack the commits that are only in the instance's log.
    match InstanceLock::holder(from) {
        Holder::InstanceElsewhere => {
            return Err(OpenError::InUseElsewhere { path: from.to_owned() }.into());
        }
        // The instance's log is the one beside this name.
        Holder::Instance => {}
        Holder::Nobody => check_single_name(from)?,
    }
    Ok(inspect(from, None).await?)
}

fn check(path: &Path) -> Result<(), BackupError> {
    check_file(path).map_err(|fault| BackupError::Path { path: path.to_owned(), fault })
}

/// Puts the copy at `from` in the place of a lost database, and adds the mark of a copy if it is missing.
///
/// # Errors
/// [`BackupError`] means that nothing has changed. A file at `to` or its log is never overwritten.
pub async fn restore(
    from: &Path,
    to: &Path,
    at: Timestamp,
    stop: &CancellationToken,
) -> Result<(), BackupError> {
    check_path(to)?;
    let to = real_path(to);
    let lock = InstanceLock::take(&to)?;
    lock.give_to_owner_of_folder();
    // SQLite would apply either of them to the restored database.
    for left in ["-wal", "-journal"].map(|end| side_file(&to, end)) {
        if fs::symlink_metadata(&left).is_ok() {
            return Err(BackupError::Exists(left));
        }
    }
    let shared = side_file(&to, "-shm");
    check_side_file(&shared).map_err(|source| BackupError::Unwritable { path: shared, source })?;
    look_at_source(from).await.map_err(|error| match error {
        BackupError::Refused(refused) => BackupError::Copy(refused),
        error => error,
    })?;
    let paths = CopyPaths { from, to: &to, partial: &side_file(&to, ".part") };
    let begun = begin(paths, stop).await?;
    begun.give_to_owner_of_folder();
    finish(begun, paths, at, stop).await
}

/// The paths of a copy.
#[derive(Clone, Copy, Debug)]
pub struct CopyPaths<'a> {
    /// The database.
    pub from: &'a Path,
    /// The finished copy.
    pub to: &'a Path,
    /// The unfinished copy.
    pub partial: &'a Path,
}

/// Copies a database that this process has open, or has inspected, to a new file of mode 0600.
///
/// Must open the file through SQLite only. Closing any other descriptor of the file releases all locks of the process
/// on it.
///
/// # Errors
/// [`BackupError`] means that there is no copy.
pub async fn copy(paths: CopyPaths<'_>, at: Timestamp, stop: &CancellationToken) -> Result<(), BackupError> {
    let begun = begin(paths, stop).await?;
    finish(begun, paths, at, stop).await
}

/// Makes the partial file, which is still empty.
async fn begin(paths: CopyPaths<'_>, stop: &CancellationToken) -> Result<PartialFile, BackupError> {
    let CopyPaths { from, to, partial } = paths;
    check(from)?;
    check(to)?;
    // The partial file has a reserved name.
    check_folder(partial).map_err(|fault| BackupError::Path { path: partial.to_owned(), fault })?;
    if stop.is_cancelled() {
        return Err(BackupError::Stopped(from.to_owned()));
    }
    let (source, target, partial) = (from.to_owned(), to.to_owned(), real_folder(partial));
    let begin = move || {
        if fs::symlink_metadata(&target).is_ok() {
            return Err(BackupError::Exists(target));
        }
        match fs::metadata(&source) {
            Err(error) => Err(BackupError::Unreadable { path: source, source: error }),
            Ok(found) if found.len() == 0 => Err(BackupError::Empty(source)),
            Ok(_) => PartialFile::begin(&partial),
        }
    };
    on_disk(to, begin).await
}

/// Fills the partial file, verifies it, and gives it its final name.
async fn finish(
    partial: PartialFile,
    paths: CopyPaths<'_>,
    at: Timestamp,
    stop: &CancellationToken,
) -> Result<(), BackupError> {
    let made = fill(CopyPaths { partial: partial.path(), ..paths }, at, stop).await;
    // It may take seconds to write all of it to the disk, or to remove it.
    let target = paths.to.to_owned();
    on_disk(paths.to, move || made.and_then(|()| partial.finish(&target))).await
}

/// Runs work that may wait for a disk for a long time.
async fn on_disk<T: Send + 'static>(
    to: &Path,
    work: impl FnOnce() -> Result<T, BackupError> + Send + 'static,
) -> Result<T, BackupError> {
    let done = blocking::run(work).await;
    done.map_err(|error| BackupError::Unwritable { path: to.to_owned(), source: io::Error::other(error) })?
}

/// Fills the partial file and verifies it.
async fn fill(paths: CopyPaths<'_>, at: Timestamp, stop: &CancellationToken) -> Result<(), BackupError> {
    let CopyPaths { from, to, partial } = paths;
    let failed = |path: &Path, error: sqlx::Error| {
        let unwritable = |path: &Path, words: &str| BackupError::Unwritable {
            path: path.to_owned(),
            source: io::Error::other(words),
        };
        match primary_code(&error) {
            // SQLITE_INTERRUPT
            Some(9) => BackupError::Stopped(from.to_owned()),
            // Only the copy is written. The only new file beside the database may be the index of its log.
            _ if is_full(to, &error) => unwritable(to, FULL),
            _ if is_full(from, &error) => unwritable(from, FULL),
            _ if is_about_writing(&error) => unwritable(to, &words(&error)),
            _ => BackupError::Sqlite { path: path.to_owned(), reason: error },
        }
    };
    // The paths are absolute, so SQLite can't read them as anything else.
    let from = &real_path(from);
    let name = partial
        .to_str()
        .ok_or_else(|| BackupError::Path { path: partial.to_owned(), fault: PathFault::NotUtf8 })?;
    write(from, name, stop).await.map_err(|error| failed(from, error))?;
    match mark_and_check(partial, at, stop).await.map_err(|error| failed(partial, error))? {
        Some(reason) => Err(BackupError::Damaged { path: from.to_owned(), reason }),
        None => Ok(()),
    }
}

/// Whether the file at `path` is a database of scrapehook with the mark of a copy. A copy that has been served no
/// longer has the mark.
///
/// # Errors
/// The file can't be read, so the answer is unknown.
pub async fn is_copy(path: &Path) -> Result<bool, BackupError> {
    let unreadable = |source| BackupError::Unreadable { path: path.to_owned(), source };
    if !is_regular(path).map_err(unreadable)? {
        return Ok(false);
    }
    // The connection is immutable, so it makes no files beside a database that may belong to another program.
    let options = SqliteConnectOptions::new().filename(real_path(path)).read_only(true).immutable(true);
    let look = async {
        let mut file = options.disable_statement_logging().connect().await?;
        let is_marked = is_marked(&mut file).await;
        file.close().await?;
        is_marked
    };
    match look.await {
        Ok(is_marked) => Ok(is_marked),
        // SQLITE_CORRUPT, SQLITE_NOTADB
        Err(error) if matches!(primary_code(&error), Some(11 | 26)) => Ok(false),
        Err(reason) => Err(BackupError::Sqlite { path: path.to_owned(), reason }),
    }
}

async fn is_marked(file: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    if is_foreign(file).await? {
        return Ok(false);
    }
    let tables: i64 = sqlx::query_scalar("SELECT count(*) FROM sqlite_master WHERE name = 'meta'")
        .fetch_one(&mut *file)
        .await?;
    Ok(tables == 1
        && sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM meta WHERE key = 'backup')")
            .fetch_one(file)
            .await?)
}

/// Opens a connection that interrupts its statement at `stop`.
async fn connect(
    options: SqliteConnectOptions,
    stop: &CancellationToken,
) -> Result<SqliteConnection, sqlx::Error> {
    let mut file = options.disable_statement_logging().connect().await?;
    let stop = stop.clone();
    // SQLite calls this between its steps, never within a write.
    file.lock_handle().await?.set_progress_handler(STOP_STEPS, move || !stop.is_cancelled());
    Ok(file)
}

async fn write(from: &Path, to: &str, stop: &CancellationToken) -> Result<(), sqlx::Error> {
    // A read-only connection would fail to make a missing index of the log.
    let options = SqliteConnectOptions::new().filename(from).busy_timeout(BUSY);
    let mut file = connect(options, stop).await?;
    let copied = sqlx::query("VACUUM INTO ?1").bind(to).execute(&mut file).await;
    file.close().await?;
    copied.map(|_| ())
}

/// Marks the copy and checks it. Returns the damage, if any.
async fn mark_and_check(
    copy: &Path,
    at: Timestamp,
    stop: &CancellationToken,
) -> Result<Option<String>, sqlx::Error> {
    let mut file = connect(SqliteConnectOptions::new().filename(copy), stop).await?;
    sqlx::query(
        "INSERT INTO meta (key, value) VALUES ('backup', ?1)
         ON CONFLICT (key) DO UPDATE SET value = excluded.value",
    )
    .bind(at.to_string())
    .execute(&mut file)
    .await?;
    let words: String = sqlx::query_scalar("PRAGMA integrity_check(1)").fetch_one(&mut file).await?;
    file.close().await?;
    Ok((words != "ok").then_some(words))
}
