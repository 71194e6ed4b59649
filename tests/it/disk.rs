//! A disk that gives trouble: never 200 without a commit, and all is well again once the trouble ends.

use std::process::Command;

use serde_json::{Value, json};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};

use crate::binary::Process;

impl Process {
    async fn call(&self, number: usize) -> u16 {
        let url = self.upstream.submits()[0].body.callback_url.clone().unwrap();
        let body = json!({ "status": "NOBODY_KNOWS", "n": number, "pad": "x".repeat(20_000) }).to_string();
        self.client.post(url).body(body).send().await.unwrap().status().as_u16()
    }

    async fn status_of(&self, path: &str) -> u16 {
        self.client.get(format!("{}{path}", self.serving.base)).send().await.unwrap().status().as_u16()
    }

    async fn kept(&self) -> Vec<u64> {
        let mut file = self.open().await;
        let bodies: Vec<(Vec<u8>,)> =
            sqlx::query_as("SELECT body FROM callbacks").fetch_all(&mut file).await.unwrap();
        file.close().await.unwrap();
        let number =
            |(body,): (Vec<u8>,)| serde_json::from_slice::<Value>(&body).unwrap()["n"].as_u64().unwrap();
        bodies.into_iter().map(number).collect()
    }

    async fn open(&self) -> SqliteConnection {
        let path = self.binary.path("scrapehook.db");
        SqliteConnectOptions::new().filename(path).connect().await.unwrap()
    }

    /// Sets how large a file the process may write; gives false where this machine has no `prlimit`.
    fn limit(&self, bytes: &str) -> bool {
        let id = self.serving.id().to_string();
        let set = Command::new("prlimit").args(["--pid", &id, &format!("--fsize={bytes}:")]).status();
        set.is_ok_and(|status| status.success())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_not_be_written_is_503_and_the_service_recovers_by_itself() {
    let service = Process::start(1).await;
    // A write beyond the limit fails with an I/O error.
    if !service.limit("unlimited") {
        println!("prlimit is not here: this fault is not tried");
        return;
    }
    let mut answered = Vec::new();
    let (mut number, mut failed) = (0, 0);
    for _ in 0..20 {
        answered.push((number, service.call(number).await));
        number += 1;
    }
    assert!(service.limit("1"));
    for _ in 0..5 {
        let status = service.call(number).await;
        failed += usize::from(status == 503);
        answered.push((number, status));
        number += 1;
    }
    assert_eq!(failed, 5, "nothing can be written");
    assert_eq!(service.status_of("/readyz").await, 503);
    assert_eq!(service.status_of("/v1/tasks").await, 200, "what is there can still be read");
    assert!(service.limit("unlimited"));
    for _ in 0..5 {
        answered.push((number, service.call(number).await));
        number += 1;
    }
    assert_eq!(service.status_of("/readyz").await, 200);
    let kept = service.kept().await;
    for (number, status) in answered {
        assert_eq!(kept.contains(&(number as u64)), status == 200, "{number} was answered {status}");
    }
    assert_eq!(service.serving.terminate().0, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_somebody_else_locks_is_503_until_they_let_go() {
    let service = Process::start(1).await;
    let mut other = service.open().await;
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    assert_eq!(service.call(0).await, 503);
    assert_eq!(service.status_of("/v1/tasks").await, 200);
    sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();
    assert_eq!(service.call(1).await, 200);
    assert_eq!(service.kept().await, [1]);
    assert_eq!(service.serving.terminate().0, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_taken_away_ends_the_service() {
    for (name, is_replaced) in
        [("scrapehook.db", false), ("scrapehook.db", true), ("scrapehook.db-wal", false)]
    {
        let service = Process::start(1).await;
        let path = service.binary.path(name);
        std::fs::rename(&path, path.with_extension("taken")).unwrap();
        if is_replaced {
            std::fs::copy(path.with_extension("taken"), &path).unwrap();
        }
        let (code, log) = service.serving.ended();
        assert_eq!(code, 1, "{log}");
        assert!(log.contains("deleted or replaced"), "{log}");
    }
}
