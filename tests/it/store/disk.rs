//! A disk that gives trouble: never 200 without a commit, and all is well again once the trouble ends.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Instant;

use futures_util::future::join_all;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::support::DEADLINE;
use crate::support::binary::Binary;
use crate::support::database::open;
use crate::support::process::{Process, Sent, failed_commits, kept_in};
use crate::support::raw;

/// Sets how large a file the process may write; gives false where this machine has no `prlimit`.
fn limit(service: &Process, bytes: &str) -> bool {
    let id = service.serving.id().to_string();
    let set = Command::new("prlimit").args(["--pid", &id, &format!("--fsize={bytes}:")]).status();
    set.is_ok_and(|status| status.success())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_may_not_grow_is_503_until_it_may() {
    let service = Process::start(1).await;
    // A write beyond the limit is answered with a signal and an error.
    if !limit(&service, "unlimited") {
        println!("prlimit is not here: this fault is not tried");
        return;
    }
    let mut sent = Sent::default();
    sent.each(&service, 20, 200).await;
    assert!(limit(&service, "1"));
    sent.each(&service, 5, 503).await;
    assert_eq!(service.status_of("/readyz").await, 503);
    assert_eq!(service.why().await, "the system can't read or write the disk");
    assert_eq!(service.status_of("/v1/tasks").await, 200, "what is there can still be read");
    assert!(limit(&service, "unlimited"));
    sent.each(&service, 5, 200).await;
    assert_eq!(service.status_of("/readyz").await, 200);
    assert_eq!(service.kept().await, sent.answered(200));
    assert_eq!(service.serving.terminate().0, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_another_process_locks_for_ten_seconds_is_503_until_it_lets_go() {
    let service = Process::start(1).await;
    let mut other = open(&service.binary.path("scrapehook.db")).await;
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    let (mut sent, locked) = (Sent::default(), Instant::now());
    let jobs = join_all((0..8).map(|_| service.submit(1)));
    let (jobs, ()) = tokio::join!(jobs, sent.each(&service, 1, 503));
    assert_eq!(jobs, [503; 8]);
    assert_eq!(service.status_of("/v1/tasks").await, 200, "what is there can still be read");
    assert_eq!(service.why().await, "another program has locked the database");
    let locked = locked.elapsed();
    // Each try waits five seconds for the lock: one for the jobs and the callback, two at most for `/readyz`. If every
    // request tried in turn, there would be ten.
    let tries = failed_commits(&service.client, &service.serving.base).await;
    assert!((2..=5).contains(&tries), "{tries}");
    sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();
    sent.each(&service, 3, 200).await;
    assert_eq!(service.status_of("/readyz").await, 200);
    assert_eq!(service.kept().await, sent.answered(200));
    assert_eq!(service.serving.terminate().0, 0);
    println!("locked for {locked:?}: {tries} tries");
}

/// What somebody does to a file that is in use.
enum Harm {
    Moved,
    Replaced,
    Emptied,
}

/// Does harm to a file of a service under load, which ends; gives its binary and what was answered 200.
async fn harmed(name: &str, harm: Harm) -> (Binary, BTreeSet<u64>) {
    let service = Process::start(1).await;
    let mut sent = Sent::default();
    sent.each(&service, 3, 200).await;
    // One that is on its way: the service asks for its body, and waits.
    let url = service.upstream.submits()[0].body.callback_url.clone().unwrap();
    let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut late = TcpStream::connect(host).await.unwrap();
    let head =
        format!("POST /{path} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
    late.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(raw::answer(&mut late).await.0, 100);

    let file = service.binary.path(name);
    match harm {
        Harm::Moved => std::fs::rename(&file, file.with_extension("taken")).unwrap(),
        Harm::Replaced => {
            std::fs::copy(&file, file.with_extension("new")).unwrap();
            std::fs::rename(file.with_extension("new"), &file).unwrap();
        }
        Harm::Emptied => drop(std::fs::File::create(&file).unwrap()),
    }
    let (began, before) = (Instant::now(), sent.0.len());
    let noticed = async { while sent.one(&service).await == Some(200) {} };
    tokio::time::timeout(DEADLINE, noticed).await.expect("it is noticed");
    let (noticed, in_between) = (began.elapsed(), sent.0.len() - before - 1);
    while let Some(status) = sent.one(&service).await {
        assert_eq!(status, 503, "once it is noticed");
    }
    late.write_all(b"{}").await.unwrap();
    assert_eq!(raw::answer(&mut late).await.0, 503, "once it is noticed");
    println!("{name}: noticed after {noticed:?}, {in_between} were answered 200 in between");
    let (code, log) = service.serving.ended();
    assert_eq!(code, 1, "{log}");
    assert!(log.contains("deleted, replaced or emptied"), "{log}");
    (service.binary, sent.answered(200))
}

/// Starts again and stops, which has SQLite take in what the log has; gives what is on disk.
async fn kept_after_a_start(binary: &Binary) -> BTreeSet<u64> {
    assert_eq!(binary.serve(&[]).terminate().0, 0);
    kept_in(&binary.path("scrapehook.db")).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_moved_away_ends_the_service_and_is_whole_once_it_is_back() {
    let (binary, acknowledged) = harmed("scrapehook.db", Harm::Moved).await;
    let path = binary.path("scrapehook.db");
    let line = binary.refused(&["serve"]);
    assert!(line.contains("store.path") && line.contains("scrapehook.db-wal"), "{line}");
    assert!(!path.exists(), "nothing new is begun beside the log");
    std::fs::rename(path.with_extension("taken"), &path).unwrap();
    assert_eq!(kept_after_a_start(&binary).await, acknowledged);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_replaced_by_its_copy_ends_the_service_and_is_whole_at_the_next_start() {
    let (binary, acknowledged) = harmed("scrapehook.db", Harm::Replaced).await;
    assert_eq!(kept_after_a_start(&binary).await, acknowledged);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_emptied_ends_the_service_and_is_not_begun_anew() {
    let (binary, _) = harmed("scrapehook.db", Harm::Emptied).await;
    let log = std::fs::read(binary.path("scrapehook.db-wal")).unwrap();
    let line = binary.refused(&["serve"]);
    assert!(line.contains("store.path") && line.contains("scrapehook.db-wal"), "{line}");
    assert!(std::fs::read(binary.path("scrapehook.db-wal")).unwrap() == log, "the log is left");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_is_taken_away_ends_the_service_and_its_content_is_saved() {
    for harm in [Harm::Moved, Harm::Replaced] {
        let (binary, acknowledged) = harmed("scrapehook.db-wal", harm).await;
        assert_eq!(kept_after_a_start(&binary).await, acknowledged);
    }
}
