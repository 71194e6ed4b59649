//! The inspection of a file before it is opened: whether it belongs to scrapehook, is whole, and has this version and
//! this upstream.
//!
//! Must never change a byte. A refused file is left as it was.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use secrecy::SecretString;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};

use crate::store::error::primary_code;
use crate::store::file::error::OpenError;
use crate::store::file::failure::{failed, unopenable};
use crate::store::file::lock::{Holder, InstanceLock, check_single_name};
use crate::store::file::path::{check_path, real_path, side_file};
use crate::store::file::private::{check_side_file, check_writable};
use crate::store::file::schema::{APPLICATION_ID, MIGRATIONS};

/// The first bytes of every SQLite file.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// The longest check for damage. It suffices for a file of hundreds of megabytes, but not for a larger one or a slow
/// disk, because callbacks have to be answered soon after a start.
const CHECK: Duration = Duration::from_secs(3);
/// The pages between two checks of the clock.
const CHECK_STEPS: i32 = 100;

/// The file before it is opened.
struct Found<'a> {
    path: &'a Path,
    bytes: u64,
    /// The size of the write-ahead log that a crash left. It is 0 after a clean stop.
    log_bytes: u64,
    /// Whether an instance has it open and writes to it.
    is_in_use: bool,
}

/// The findings of an inspection, which changes nothing.
#[derive(Clone, Debug)]
pub struct Inspected {
    /// The bytes of the file and its log.
    pub bytes: u64,
    /// Whether an instance has it open.
    pub is_in_use: bool,
    /// Whether the check for damage was finished before its time ended.
    pub is_checked_whole: bool,
    /// Whether an older version wrote it, so the next start changes it.
    pub is_older: bool,
    /// The secret for callback tokens that it has generated.
    pub callback_secret: Option<SecretString>,
    /// The secret that it generated for the webhooks of jobs.
    pub forward_secret: Option<SecretString>,
}

/// Inspects the file at `path` before it is opened. A missing file is fine.
/// If the file is bound to an upstream, it must be this one.
pub(crate) async fn inspect(path: &Path, upstream: Option<&str>) -> Result<(), OpenError> {
    look_at(path, upstream, false).await.map(|_| ())
}

/// Inspects the database at `path`, which may be in use. Returns none if there is no database yet.
///
/// # Errors
/// [`OpenError`] says why `serve` could not use it.
pub async fn inspect_database(path: &Path, upstream: &str) -> Result<Option<Inspected>, OpenError> {
    check_path(path)?;
    match InstanceLock::holder(path) {
        Holder::InstanceElsewhere => Err(OpenError::InUseElsewhere { path: path.to_owned() }),
        holder => {
            check_single_name(path)?;
            check_writable(path).map_err(|(path, source)| OpenError::Unwritable { path, reason: source })?;
            look_at(path, Some(upstream), holder == Holder::Instance).await
        }
    }
}

async fn look_at(
    path: &Path,
    upstream: Option<&str>,
    is_in_use: bool,
) -> Result<Option<Inspected>, OpenError> {
    let path = &real_path(path);
    let log = side_file(path, "-wal");
    let size = |path: &Path| match fs::metadata(path) {
        Ok(file) => Ok(file.len()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(source) => Err(OpenError::Unwritable { path: path.to_owned(), reason: source }),
    };
    // SQLite does not follow links there either, but its error does not name the file.
    for side in ["-wal", "-shm", "-journal"].map(|end| side_file(path, end)) {
        check_side_file(&side).map_err(|source| OpenError::Unwritable { path: side, reason: source })?;
    }
    let found = Found { path, bytes: size(path)?, log_bytes: size(&log)?, is_in_use };
    match (found.bytes, found.log_bytes) {
        (0, 0) => return Ok(None),
        // SQLite deletes the log of an empty file.
        (0, _) => return Err(OpenError::LoneLog { path: path.to_owned(), log }),
        _ => found.begins_like_sqlite()?,
    }
    // Reading through a log leaves an index beside it, which must not happen to a file of another program. So the
    // file alone is read first. If that fails, it proves nothing yet, because the log may have the rest.
    if found.log_bytes > 0 && found.is_foreign_without_its_log().await.unwrap_or(false) {
        return Err(found.foreign());
    }
    let with_log = found.log_bytes > 0 || is_in_use;
    let mut file = found.view(with_log).await.map_err(|error| unopenable(path, error))?;
    let result = found.look(&mut file, upstream).await;
    let closed = file.close().await;
    let inspected = result?;
    closed.map_err(|source| failed(path, source))?;
    Ok(Some(inspected))
}

impl Found<'_> {
    fn path(&self) -> PathBuf {
        self.path.to_owned()
    }

    fn foreign(&self) -> OpenError {
        OpenError::Foreign { path: self.path() }
    }

    fn damaged(&self, reason: impl Into<String>) -> OpenError {
        OpenError::Damaged { path: self.path(), reason: reason.into() }
    }

    /// Must never be called for a file that this process has open, because closing it here releases SQLite's locks on
    /// it.
    ///
    /// SQLite takes a file of one byte for an empty one, and would write over it.
    fn begins_like_sqlite(&self) -> Result<(), OpenError> {
        let mut head = [0; MAGIC.len()];
        match File::open(self.path).and_then(|mut file| file.read_exact(&mut head)) {
            Ok(()) if head == *MAGIC => Ok(()),
            Ok(()) => Err(self.foreign()),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(self.foreign()),
            Err(source) => Err(OpenError::Unwritable { path: self.path(), reason: source }),
        }
    }

    /// Opens a connection that can't write, with its log or with the file alone.
    async fn view(&self, with_log: bool) -> Result<SqliteConnection, sqlx::Error> {
        let options = SqliteConnectOptions::new().filename(self.path).read_only(true).immutable(!with_log);
        options.disable_statement_logging().connect().await
    }

    async fn is_foreign_without_its_log(&self) -> Result<bool, sqlx::Error> {
        let mut file = self.view(false).await?;
        let result = is_foreign(&mut file).await;
        file.close().await?;
        result
    }

    async fn look(
        &self,
        file: &mut SqliteConnection,
        upstream: Option<&str>,
    ) -> Result<Inspected, OpenError> {
        let unopenable = |error| unopenable(self.path, error);
        if is_foreign(file).await.map_err(unopenable)? {
            return Err(self.foreign());
        }
        let is_checked_whole = self.is_whole(file).await?;
        let versions: Vec<i64> = read(file, "_sqlx_migrations", "SELECT version FROM _sqlx_migrations")
            .await
            .map_err(unopenable)?;
        if versions.iter().any(|version| !MIGRATIONS.version_exists(*version)) {
            return Err(OpenError::Newer { path: self.path() });
        }
        let bound: Vec<String> =
            read(file, "meta", "SELECT value FROM meta WHERE key = 'upstream'").await.map_err(unopenable)?;
        if let Some(bound) = bound.into_iter().next()
            && let Some(asked) = upstream
            && bound != asked
        {
            return Err(OpenError::OtherUpstream { path: self.path(), bound, asked: asked.to_owned() });
        }
        let mut secret = async |statement| {
            let secrets: Vec<String> = read(file, "meta", statement).await.map_err(unopenable)?;
            Ok(secrets.into_iter().next().map(SecretString::from))
        };
        let callback_secret = secret("SELECT value FROM meta WHERE key = 'callback_secret'").await?;
        let forward_secret = secret("SELECT value FROM meta WHERE key = 'forward_secret'").await?;
        Ok(Inspected {
            bytes: self.bytes.saturating_add(self.log_bytes),
            is_in_use: self.is_in_use,
            is_checked_whole,
            is_older: MIGRATIONS.iter().any(|migration| !versions.contains(&migration.version)),
            callback_secret,
            forward_secret,
        })
    }

    /// Whether the check was finished without finding damage.
    async fn is_whole(&self, file: &mut SqliteConnection) -> Result<bool, OpenError> {
        let unopenable = |error| unopenable(self.path, error);
        let (pages, page_bytes): (i64, i64) =
            sqlx::query_as("SELECT page_count, page_size FROM pragma_page_count, pragma_page_size")
                .fetch_one(&mut *file)
                .await
                .map_err(unopenable)?;
        let bytes = |number: i64| u64::try_from(number).unwrap_or_default();
        let wanted = bytes(pages).saturating_mul(bytes(page_bytes));
        // The log has the pages that the file lacks, except the one page that SQLite never writes.
        let there = match self.log_bytes {
            0 => self.bytes,
            log => self.bytes.saturating_add(log).saturating_add(bytes(page_bytes)),
        };
        // A file in use may have grown since it was measured.
        if wanted > there && !self.is_in_use {
            return Err(self.damaged(format!("{wanted} bytes are expected, but at most {there} are there")));
        }
        let began = Instant::now();
        file.lock_handle()
            .await
            .map_err(unopenable)?
            .set_progress_handler(CHECK_STEPS, move || began.elapsed() < CHECK);
        let checked: Result<String, _> =
            sqlx::query_scalar("PRAGMA quick_check(1)").fetch_one(&mut *file).await;
        file.lock_handle().await.map_err(unopenable)?.remove_progress_handler();
        match checked {
            Ok(words) if words == "ok" => Ok(true),
            Ok(words) => Err(self.damaged(words.lines().last().unwrap_or_default())),
            // SQLITE_INTERRUPT
            Err(error) if primary_code(&error) == Some(9) => {
                tracing::info!(limit = ?CHECK, "checked only part of the database for damage");
                Ok(false)
            }
            Err(error) => Err(unopenable(error)),
        }
    }
}

pub(crate) async fn is_foreign(file: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    let id: i64 = sqlx::query_scalar("PRAGMA application_id").fetch_one(&mut *file).await?;
    let tables: i64 = sqlx::query_scalar("SELECT count(*) FROM sqlite_master").fetch_one(file).await?;
    Ok(id != APPLICATION_ID && (id != 0 || tables > 0))
}

/// Reads a column of a table. The result is empty if a start was killed before it made the table.
async fn read<T>(file: &mut SqliteConnection, table: &str, query: &'static str) -> Result<Vec<T>, sqlx::Error>
where
    T: for<'r> sqlx::Decode<'r, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite> + Send + Unpin,
{
    let is_there: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE name = ?1)")
        .bind(table)
        .fetch_one(&mut *file)
        .await?;
    if !is_there {
        return Ok(Vec::new());
    }
    sqlx::query_scalar(query).fetch_all(file).await
}
