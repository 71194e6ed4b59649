//! The schema: the mark of scrapehook's files, and the migrations. Must never change a released migration.

use std::sync::LazyLock;

use sqlx::SqlStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};

/// Marks a file as scrapehook's. It is "shok" in ASCII.
pub(crate) const APPLICATION_ID: i64 = 0x7368_6f6b;

macro_rules! migrations {
    ($($name:literal)*) => {
        [$(($name, include_str!(concat!("../../../migrations/", $name, ".sql")))),*]
    };
}

/// The migrations, each with its number and its subject in its name.
const NAMED: [(&str, &str); 8] = migrations! {
    "0001_initial"
    "0002_store_bounded_work"
    "0003_posts"
    "0004_queue"
    "0005_deliveries"
    "0006_subscribers"
    "0007_sessions"
    "0008_minutes"
};

pub(crate) static MIGRATIONS: LazyLock<Migrator> = LazyLock::new(|| {
    let migration = |(version, (name, sql)): (i64, &(&'static str, &'static str))| {
        let about = name.split_once('_').map_or(*name, |(_, about)| about).replace('_', " ");
        Migration::new(version, about.into(), MigrationType::Simple, SqlStr::from_static(sql), false)
    };
    Migrator::with_migrations((1..).zip(&NAMED).map(migration).collect())
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_migration_of_the_folder_is_in_the_binary_under_its_number() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations");
        let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name());
        let mut files: Vec<String> = files.map(|name| name.into_string().unwrap()).collect();
        files.sort();
        let named: Vec<String> = NAMED.iter().map(|(name, _)| format!("{name}.sql")).collect();
        assert_eq!(named, files);
        for migration in MIGRATIONS.iter() {
            let (name, _) = NAMED[usize::try_from(migration.version).unwrap() - 1];
            assert_eq!(name, format!("{:04}_{}", migration.version, migration.description.replace(' ', "_")));
        }
    }
}
