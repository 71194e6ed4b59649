//! Migrations: bring a file up to the schema of this version. Must never change a file with data before it is copied.

use std::fs;
use std::path::Path;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::SqliteConnection;
use tokio_util::sync::CancellationToken;

use crate::domain::time::Timestamp;
use crate::store::file::backup::{self, CopyPaths};
use crate::store::file::disk::free_room;
use crate::store::file::error::OpenError;
use crate::store::file::failure::{failed, unopenable};
use crate::store::file::path::{real_path, side_file};

/// The room that a migration needs on the disk, as a multiple of the file's size. It holds the copy, the new tables
/// beside the old ones, and their log. A file with callbacks and events takes half of that. A file with only URLs
/// needs all of it.
const ROOM: u64 = 3;

/// Applies the migrations that this file lacks. A file with data is first copied beside itself, because an older
/// version can't read a newer schema.
pub(crate) async fn migrate(
    writer: &mut SqliteConnection,
    path: &Path,
    migrations: &Migrator,
    now: Timestamp,
) -> Result<(), OpenError> {
    let sqlite = |source| failed(path, source);
    let is_new: bool =
        sqlx::query_scalar("SELECT NOT EXISTS (SELECT 1 FROM sqlite_master WHERE name = '_sqlx_migrations')")
            .fetch_one(&mut *writer)
            .await
            .map_err(sqlite)?;
    if !is_new {
        let applied: Option<i64> = sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations")
            .fetch_one(&mut *writer)
            .await
            .map_err(sqlite)?;
        let newest = migrations.iter().map(|migration| migration.version).max();
        if let Some(applied) = applied
            && let Some(newest) = newest
            && applied < newest
        {
            let path = real_path(path);
            check_room(&path, free_room(&path))?;
            let copy = side_file(&path, &format!(".before-{newest}-{}", now.as_millis()));
            // All unfinished copies have the same name, so starts that are killed again and again leave at most one.
            let partial = side_file(&path, ".before.part");
            // Nothing stops the copy, because stopping the start ends the process.
            backup::copy(
                CopyPaths { from: &path, to: &copy, partial: &partial },
                now,
                &CancellationToken::new(),
            )
            .await
            .map_err(|error| OpenError::Backup(Box::new(error)))?;
            let copy = copy.display();
            let words = "the database is migrated, and an older version can't read it any more. To go back, stop \
                         scrapehook, move the database and its -wal file away, and run `scrapehook restore` of the \
                         older version with the copy";
            tracing::info!(from = applied, to = newest, %copy, "{words}");
        }
    }
    // Migrations drop tables and make them again under the name that other tables refer to.
    foreign_keys(writer, false).await.map_err(sqlite)?;
    let migrated = migrations.run(&mut *writer).await;
    foreign_keys(writer, true).await.map_err(sqlite)?;
    match migrated {
        Ok(()) => Ok(()),
        Err(MigrateError::VersionMissing(_) | MigrateError::VersionTooNew(..)) => {
            Err(OpenError::Newer { path: path.to_owned() })
        }
        Err(MigrateError::Execute(source)) => Err(unopenable(path, source)),
        Err(error) => Err(sqlite(sqlx::Error::Migrate(Box::new(error)))),
    }
}

/// Turns SQLite's checks of references between tables on or off, outside of a transaction.
pub(crate) async fn foreign_keys(
    connection: &mut SqliteConnection,
    are_checked: bool,
) -> Result<(), sqlx::Error> {
    let pragma = if are_checked { "PRAGMA foreign_keys = ON" } else { "PRAGMA foreign_keys = OFF" };
    sqlx::query(pragma).execute(connection).await.map(|_| ())
}

/// Refuses to migrate a file if its disk has no room for the copy and the new tables. The free room is not always
/// known.
fn check_room(path: &Path, free: Option<u64>) -> Result<(), OpenError> {
    let bytes = |path: &Path| fs::metadata(path).map_or(0, |file| file.len());
    let needed = (bytes(path) + bytes(&side_file(path, "-wal"))).saturating_mul(ROOM);
    match free {
        Some(free) if free < needed => Err(OpenError::NoRoom { path: path.to_owned(), needed, free }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use sqlx::sqlite::SqliteConnectOptions;
    use sqlx::{ConnectOptions, Connection};

    use super::*;
    use crate::store::file::schema::MIGRATIONS;

    const NOW: Timestamp = Timestamp::from_millis(7);

    async fn more(folder: &Path, sql: &str) -> Migrator {
        let migrations = folder.join("migrations");
        fs::create_dir_all(&migrations).unwrap();
        for migration in MIGRATIONS.iter() {
            let name = format!("{:04}_{}.sql", migration.version, migration.description.replace(' ', "_"));
            fs::write(migrations.join(name), migration.sql.as_str()).unwrap();
        }
        fs::write(migrations.join("9000_more.sql"), sql).unwrap();
        Migrator::new(migrations).await.unwrap()
    }

    fn copies(folder: &Path) -> Vec<std::path::PathBuf> {
        let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
        files.filter(|path| path.display().to_string().contains(".before-")).collect()
    }

    async fn values(path: &Path) -> Vec<(String, String)> {
        let mut file = SqliteConnectOptions::new().filename(path).connect().await.unwrap();
        let values =
            sqlx::query_as("SELECT key, value FROM meta ORDER BY key").fetch_all(&mut file).await.unwrap();
        file.close().await.unwrap();
        values
    }

    #[tokio::test]
    async fn what_has_data_is_copied_before_it_is_migrated() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
        let mut writer = options.connect().await.unwrap();
        migrate(&mut writer, &path, &MIGRATIONS, NOW).await.unwrap();
        sqlx::query("INSERT INTO meta (key, value) VALUES ('k', 'old')").execute(&mut writer).await.unwrap();
        migrate(&mut writer, &path, &MIGRATIONS, NOW).await.unwrap();
        assert!(copies(folder.path()).is_empty(), "neither a new file nor one that lacks nothing");

        // A migration that fails changes nothing, and leaves the copy.
        let broken =
            more(folder.path(), "UPDATE meta SET value = 'new'; SELECT nonsense FROM nothing;").await;
        assert!(migrate(&mut writer, &path, &broken, NOW).await.is_err());
        let good = more(folder.path(), "UPDATE meta SET value = 'new';").await;
        migrate(&mut writer, &path, &good, NOW.after(std::time::Duration::from_secs(1))).await.unwrap();
        writer.close().await.unwrap();
        assert_eq!(values(&path).await, [("k".to_owned(), "new".to_owned())]);
        let copies = copies(folder.path());
        assert_eq!(copies.len(), 2, "{copies:?}");
        for copy in copies {
            let mode = fs::metadata(&copy).unwrap().permissions().mode();
            assert_eq!(mode & 0o7777, 0o600, "it holds the callback secret");
            let expected = [("backup", "1970-01-01T"), ("k", "old")];
            let found = values(&copy).await;
            assert!(
                found.iter().zip(expected).all(|((key, value), (k, v))| key == k && value.starts_with(v)),
                "{found:?}"
            );
        }
    }

    #[tokio::test]
    async fn a_disk_without_room_for_the_copy_and_the_new_tables_is_named_with_the_figures() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        fs::write(&path, vec![0; 3 << 20]).unwrap();
        fs::write(side_file(&path, "-wal"), vec![0; 1 << 20]).unwrap();
        let needed = ROOM << 22;
        check_room(&path, Some(needed)).unwrap();
        check_room(&path, None).unwrap();
        let error = check_room(&path, Some(needed - 1)).unwrap_err().to_string();
        assert!(error.contains("and was left unchanged, because its disk has no room"), "{error}");
        assert!(error.ends_with("12.0 MiB are needed, 11.9 MiB are free"), "{error}");
        let error = check_room(&path, Some(1 << 20)).unwrap_err().to_string();
        assert!(error.contains("12.0 MiB are needed, 1.0 MiB are free"), "{error}");
    }

    #[tokio::test]
    async fn references_are_checked_again_after_a_migration_that_works_and_one_that_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
        let mut writer = options.connect().await.unwrap();
        let broken = more(folder.path(), "SELECT nonsense FROM nothing;").await;
        for (migrations, works) in [(&*MIGRATIONS, true), (&broken, false)] {
            assert_eq!(migrate(&mut writer, &path, migrations, NOW).await.is_ok(), works);
            let checked: i64 =
                sqlx::query_scalar("PRAGMA foreign_keys").fetch_one(&mut writer).await.unwrap();
            assert_eq!(checked, 1);
        }
    }
}
