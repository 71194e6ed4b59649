//! Every migration, replayed on what a service wrote before it.

use std::fs;
use std::path::{Path, PathBuf};

use scrapehook::store::{Binding, JobFilter, Store};
use sqlx::migrate::Migrator;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use tempfile::TempDir;

use crate::support::file::{POLICY, at};
use crate::support::recompute::assert_states_follow_from_facts;

/// The files of a folder that hold SQL, by their version.
fn versions(folder: &str) -> Vec<(String, PathBuf)> {
    let files = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).unwrap();
    let mut files: Vec<_> = files
        .map(|file| file.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_str().unwrap()[..4].to_owned(), path))
        .collect();
    files.sort();
    files
}

/// The texts that make the last of these samples. One that only adds to the sample before it says so.
fn whole(samples: &[(String, PathBuf)]) -> Vec<String> {
    let mut texts = Vec::new();
    for (_, sample) in samples.iter().rev() {
        texts.insert(0, fs::read_to_string(sample).unwrap());
        if !texts[0].starts_with("-- Adds to the sample of migration ") {
            return texts;
        }
    }
    panic!("no sample is whole");
}

#[tokio::test]
async fn what_an_older_version_wrote_is_served_by_this_one() {
    let migrations = versions("migrations");
    let samples = versions("tests/it/store/migrations");
    let numbers =
        |files: &[(String, PathBuf)]| files.iter().map(|(version, _)| version.clone()).collect::<Vec<_>>();
    assert_eq!(numbers(&samples), numbers(&migrations), "a sample for each migration");
    for (count, (version, _)) in samples.iter().enumerate() {
        let folder = TempDir::new().unwrap();
        let older = folder.path().join("older");
        fs::create_dir(&older).unwrap();
        for (_, migration) in &migrations[..=count] {
            fs::copy(migration, older.join(migration.file_name().unwrap())).unwrap();
        }
        let path = folder.path().join("scrapehook.db");
        let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
        let mut file = options.connect().await.unwrap();
        sqlx::query("PRAGMA application_id = 0x73686f6b").execute(&mut file).await.unwrap();
        Migrator::new(older).await.unwrap().run(&mut file).await.unwrap();
        let mut transaction = file.begin().await.unwrap();
        for sample in whole(&samples[..=count]) {
            sqlx::raw_sql(AssertSqlSafe(sample)).execute(&mut *transaction).await.unwrap();
        }
        transaction.commit().await.unwrap();
        file.close().await.unwrap();

        let (store, writer) =
            Store::open(&path, Binding::to("http://upstream"), POLICY, at(0)).await.unwrap();
        let running = tokio::spawn(writer.run());
        let jobs = store.read().jobs(&JobFilter { limit: 9, ..JobFilter::default() }).await.unwrap();
        assert_eq!(jobs.len(), 5, "version {version}");
        store.sweep(at(0)).await.unwrap();
        store.close();
        running.await.unwrap();
        assert_states_follow_from_facts(&path).await;
    }
}
