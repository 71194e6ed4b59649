//! Damaged files: each is refused at the start in one line and left as it was, or what is whole of it is there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::Path;

use sqlx::Connection;
use sqlx::sqlite::SqliteConnection;

use crate::support::binary::Binary;
use crate::support::database::open;
use crate::support::process::Process;
use crate::support::process::{Sent, kept_in};

const PAGE: usize = 4096;

/// What a service left that was stopped in order, or killed after more; and the callbacks it acknowledged.
struct Left {
    binary: Binary,
    acknowledged: BTreeSet<u64>,
}

impl Left {
    async fn stopped() -> Self {
        let service = Process::start(9).await;
        let mut sent = Sent::default();
        sent.each(&service, 40, 200).await;
        assert_eq!(service.serving.terminate().0, 0);
        assert!(!service.binary.path("scrapehook.db-wal").exists(), "a stop leaves one file");
        Self { binary: service.binary, acknowledged: sent.answered(200) }
    }

    async fn killed() -> Self {
        let mut service = Process::start(9).await;
        let mut sent = Sent::default();
        sent.each(&service, 40, 200).await;
        service.serving.kill();
        service.serving.end();
        // Started once more, the file has all of that, and the log only what comes now.
        service.serving = service.binary.serve(&[]);
        sent.each(&service, 10, 200).await;
        service.serving.kill();
        service.serving.end();
        Self { binary: service.binary, acknowledged: sent.answered(200) }
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.binary.path(name)).unwrap()
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.binary.path(name), bytes).unwrap();
    }

    /// Puts back the files of a service that was killed.
    fn put(&self, database: &[u8], log: &[u8]) {
        self.write("scrapehook.db", database);
        self.write("scrapehook.db-wal", log);
        let _ = fs::remove_file(self.binary.path("scrapehook.db-shm"));
    }
}

/// All files beside the lock and the index of the log, which is made anew whenever it is needed.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let named = entries.map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), path));
    named
        .filter(|(name, _)| !name.ends_with(".lock") && !name.ends_with("-shm"))
        .map(|(name, path)| (name, fs::read(path).unwrap()))
        .collect()
}

/// It is refused in one line with these words, and left as it was.
fn assert_refused(binary: &Binary, words: &str, what: &str) {
    let before = files(&binary.path(""));
    let line = binary.refused(&["serve"]);
    let path = binary.path("scrapehook.db").display().to_string();
    assert!(line.contains("store.path") && line.contains(&path), "{what}: {line}");
    assert!(line.contains(words), "{what}: {line}");
    assert!(files(&binary.path("")) == before, "{what}: it was left as it was");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_was_cut_is_refused_and_left_as_it_was() {
    let left = Left::stopped().await;
    let whole = left.read("scrapehook.db");
    let half = whole.len() / PAGE / 2 * PAGE;
    for length in [half, half + 100, whole.len() - PAGE, whole.len() - 1, PAGE, 2_000, 100, 50, 24] {
        left.write("scrapehook.db", &whole[..length]);
        assert_refused(&left.binary, "is damaged", &format!("cut to {length} bytes"));
    }
    for length in [20, 15, 1] {
        left.write("scrapehook.db", &whole[..length]);
        assert_refused(&left.binary, "not a scrapehook database", &format!("cut to {length} bytes"));
    }
    left.write("scrapehook.db", &whole);
    assert_eq!(left.binary.serve(&[]).terminate().0, 0);
    assert_eq!(kept_in(&left.binary.path("scrapehook.db")).await, left.acknowledged);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_with_a_page_of_garbage_is_refused_and_left_as_it_was() {
    let left = Left::stopped().await;
    let whole = left.read("scrapehook.db");
    let pages = whole.len() / PAGE;
    // Not with zeros: in the last page of a long text they are as good as any text.
    for (page, byte) in (1..pages).step_by(11).zip([0xa5, 0xff].into_iter().cycle()) {
        let mut bytes = whole.clone();
        bytes[page * PAGE..][..PAGE].fill(byte);
        left.write("scrapehook.db", &bytes);
        assert_refused(&left.binary, "is damaged", &format!("page {page} of {pages} filled with {byte}"));
    }
    let mut bytes = whole.clone();
    bytes[100..PAGE].fill(0xa5);
    left.write("scrapehook.db", &bytes);
    assert_refused(&left.binary, "is damaged", "the first page");
    bytes[16..100].fill(0xa5);
    left.write("scrapehook.db", &bytes);
    assert_refused(&left.binary, "not a scrapehook database", "the head");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_was_cut_beside_its_log_is_refused_and_left_as_it_was() {
    let left = Left::killed().await;
    let (database, log) = (left.read("scrapehook.db"), left.read("scrapehook.db-wal"));
    for length in [database.len() / 2, database.len() - PAGE, 2 * PAGE] {
        left.put(&database[..length], &log);
        assert_refused(&left.binary, "is damaged", &format!("cut to {length} bytes"));
    }
    for length in [0, 1] {
        left.put(&database[..length], &log);
        let words = if length == 0 { "scrapehook.db-wal is there" } else { "not a scrapehook database" };
        assert_refused(&left.binary, words, &format!("cut to {length} bytes"));
    }
    fs::remove_file(left.binary.path("scrapehook.db")).unwrap();
    assert_refused(&left.binary, "scrapehook.db-wal is there", "the log alone");
    left.put(&database, &log);
    assert_eq!(left.binary.serve(&[]).terminate().0, 0);
    assert_eq!(kept_in(&left.binary.path("scrapehook.db")).await, left.acknowledged);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_log_that_was_cut_everything_before_the_cut_is_there() {
    let left = Left::killed().await;
    let (database, log) = (left.read("scrapehook.db"), left.read("scrapehook.db-wal"));
    let mut counts = Vec::new();
    // What lies further back in it is from before its last beginning.
    for step in 0..=7 {
        let place = log.len() * step / 20;
        let mut garbage = log.clone();
        garbage[place..].iter_mut().take(PAGE).for_each(|byte| *byte ^= 0xa5);
        for damaged in [&log[..place], &garbage] {
            left.put(&database, damaged);
            // Also where the index of the log is damaged: it is made anew.
            left.write("scrapehook.db-shm", &[0xa5; 32_768]);
            assert_eq!(left.binary.serve(&[]).terminate().0, 0);
            let kept = kept_in(&left.binary.path("scrapehook.db")).await;
            let before = left.acknowledged.iter().copied().take(kept.len()).collect();
            assert_eq!(kept, before, "what came first is there");
            counts.push(kept.len());
        }
    }
    assert!(counts.is_sorted() && counts[0] >= 40 && counts.last() == Some(&50), "{counts:?}");
    println!("of 50 callbacks, cut or damaged at each 20th of the log: {counts:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_database_of_ours_is_refused_and_left_as_it_was() {
    let binary = Binary::new();
    let path = binary.path("scrapehook.db");
    let mut jpeg = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01".to_vec();
    jpeg.extend((0..50_000_u32).map(|n| ((n * n) >> 3) as u8));
    let mut alike = b"SQLite format 3\0".to_vec();
    alike.extend(&jpeg);
    for bytes in [jpeg, alike, b"dear diary\n".repeat(1_000)] {
        fs::write(&path, bytes).unwrap();
        assert_refused(&binary, "not a scrapehook database", "no database");
    }
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    let line = binary.refused(&["serve"]);
    assert!(line.contains("store.path") && line.contains("is a directory"), "{line}");
    fs::remove_dir(&path).unwrap();

    for mode in ["DELETE", "WAL"] {
        let mut file = other_program(&path, mode).await;
        if mode == "WAL" {
            // It runs at this moment: there is a log, with more than the file has.
            assert_refused(&binary, "not a scrapehook database", "in use by another program");
        }
        sqlx::query("INSERT INTO notes VALUES ('still here')").execute(&mut file).await.unwrap();
        file.close().await.unwrap();
        assert_refused(&binary, "not a scrapehook database", mode);
        let beside: Vec<_> = files(&binary.path("")).into_keys().collect();
        assert_eq!(beside, ["scrapehook.db"], "nothing is left beside it");
        assert!(!binary.path("scrapehook.db-shm").exists(), "nothing is left beside it");
        fs::remove_file(&path).unwrap();
    }
}

async fn other_program(path: &Path, mode: &str) -> SqliteConnection {
    drop(File::create(path).unwrap());
    let mut file = open(path).await;
    for statement in [
        format!("PRAGMA journal_mode = {mode}"),
        "CREATE TABLE notes (text TEXT)".into(),
        "PRAGMA wal_checkpoint".into(),
    ] {
        sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&mut file).await.unwrap();
    }
    file
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_of_a_newer_version_or_another_upstream_is_left_as_it_was() {
    let left = Left::stopped().await;
    let path = left.binary.path("scrapehook.db");
    let whole = left.read("scrapehook.db");
    let mut file = open(&path).await;
    sqlx::query("UPDATE meta SET value = 'http://elsewhere' WHERE key = 'upstream'")
        .execute(&mut file)
        .await
        .unwrap();
    file.close().await.unwrap();
    let before = files(&left.binary.path(""));
    let line = left.binary.refused(&["serve"]);
    assert!(line.contains("upstream.base_url") && line.contains("http://elsewhere"), "{line}");
    assert!(files(&left.binary.path("")) == before, "it was left as it was");

    left.write("scrapehook.db", &whole);
    let mut file = open(&path).await;
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'from the future', TRUE, x'00', 0)",
    )
    .execute(&mut file)
    .await
    .unwrap();
    file.close().await.unwrap();
    assert_refused(&left.binary, "newer version", "newer");
}

#[test]
fn an_empty_file_is_begun() {
    let binary = Binary::new();
    fs::write(binary.path("scrapehook.db"), "").unwrap();
    assert_eq!(binary.serve(&[]).terminate().0, 0);
    assert!(fs::metadata(binary.path("scrapehook.db")).unwrap().len() > 0);
}
